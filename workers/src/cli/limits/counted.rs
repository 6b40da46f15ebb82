//! What a running process has counted of its limits, read from its `/metrics`.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

const PATIENCE: Duration = Duration::from_secs(2);
/// The longest answer that is read, in bytes.
const LONGEST: u64 = 4 << 20;
const METRIC: &str = "mailtri_limit_checks_total{";

/// Jobs by outcome.
pub(super) type Counts = BTreeMap<String, u64>;

/// By limit; `None` where no process answers.
#[derive(Debug)]
pub(super) struct Counted(Option<BTreeMap<String, Counts>>);

impl Counted {
    /// Asks the process that serves its metrics at `listen`.
    pub(super) async fn read(listen: Option<SocketAddr>) -> Self {
        let Some(listen) = listen else { return Self(None) };
        let text = timeout(PATIENCE, metrics(listen)).await;
        Self(text.ok().and_then(Result::ok).map(|text| counts(&text)))
    }

    /// What was counted for a limit; `None` where nobody knows.
    pub(super) fn of(&self, limit: &str) -> Option<Counts> {
        self.0.as_ref().map(|all| all.get(limit).cloned().unwrap_or_default())
    }
}

/// In one line.
pub(super) fn shown(counts: &Counts) -> String {
    let words: Vec<String> = counts.iter().map(|(outcome, count)| format!("{outcome} {count}")).collect();
    if words.is_empty() { "nothing yet".to_owned() } else { words.join(", ") }
}

async fn metrics(listen: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(listen).await?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").await?;
    let mut answer = Vec::new();
    stream.take(LONGEST).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn counts(text: &str) -> BTreeMap<String, Counts> {
    let mut all: BTreeMap<String, Counts> = BTreeMap::new();
    let lines = text.lines().filter_map(|line| line.strip_prefix(METRIC)?.split_once("} "));
    for (labels, value) in lines {
        let label = |name: &str| {
            let rest = labels.split_once(&format!("{name}=\""))?.1;
            rest.split_once('"').map(|(value, _)| value.to_owned())
        };
        if let (Some(limit), Some(outcome), Ok(count)) = (label("limit"), label("outcome"), value.trim().parse()) {
            all.entry(limit).or_default().insert(outcome, count);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_by_limit_and_outcome() {
        let text = "# TYPE mailtri_limit_checks_total counter\n\
            mailtri_limit_checks_total{limit=\"a\",outcome=\"passed\"} 7\n\
            mailtri_limit_checks_total{outcome=\"over\",limit=\"a\"} 2\nmailtri_jobs_total{limit=\"a\"} 9\n";
        let all = counts(text);
        assert_eq!(shown(&all["a"]), "over 2, passed 7");
        assert_eq!(all.len(), 1);
    }
}
