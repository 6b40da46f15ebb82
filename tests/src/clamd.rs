//! A real clamd of its own: private configuration, hand-written EICAR signatures, a Unix socket in a temporary folder.

use std::{fs, path::PathBuf, process::Stdio, time::Duration};

use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::UnixStream,
    process::{Child, Command},
    time::timeout,
};

/// EICAR as a file, by the MD5 of its 68 bytes.
const FILE_SIGNATURE: &str = "44d88612fea8a8f36de82e1278abb02f:68:Eicar-Test-Signature\n";
/// EICAR anywhere in a file: `EICAR-STANDARD-ANTIVIRUS-TEST-FILE!` in hex.
const CONTENT_SIGNATURE: &str =
    "Eicar-Body:0:*:45494341522d5354414e444152442d414e544956495255532d544553542d46494c4521\n";
/// Written once the socket listens.
const READY: &str = "Self checking every";
const HINT: &str = "clamd is needed: run `make setup`, or `apt-get install clamav-daemon`";

/// A clamd that ends when dropped.
pub struct Clamd {
    dir: TempDir,
    child: Child,
}

impl Clamd {
    /// Starts a clamd and waits until it answers.
    ///
    /// # Panics
    /// When it is not installed (with the command that installs it) or does not start.
    pub async fn start() -> Self {
        let dir = tempfile::Builder::new().prefix("clamd-").tempdir().unwrap();
        let database = dir.path().join("db");
        fs::create_dir(&database).unwrap();
        fs::write(database.join("test.hdb"), FILE_SIGNATURE).unwrap();
        fs::write(database.join("test.ndb"), CONTENT_SIGNATURE).unwrap();
        let path = dir.path().display();
        let config = format!(
            "Foreground yes\nDatabaseDirectory {path}/db\nTemporaryDirectory {path}\nLocalSocket {path}/clamd.sock\n\
             FixStaleSocket yes\nMaxThreads 8\nStreamMaxLength 100M\nMaxFileSize 100M\nMaxScanSize 400M\n\
             AlertExceedsMax yes\nAlertEncrypted yes\nSelfCheck 600\n"
        );
        fs::write(dir.path().join("clamd.conf"), config).unwrap();
        let child = spawn(&dir).await;
        Self { dir, child }
    }

    /// What to configure: `unix:/path`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("unix:{}", self.socket().display())
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("clamd.sock")
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Kills it, as a crash would.
    ///
    /// # Panics
    /// When the process cannot be killed.
    pub async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Starts it again, on the same socket.
    pub async fn restart(&mut self) {
        self.child = spawn(&self.dir).await;
    }

    /// Sends one command, such as `zPING\0`, and returns the answer.
    ///
    /// # Panics
    /// When the socket does not answer.
    pub async fn ask(&self, command: &[u8]) -> String {
        let mut socket = UnixStream::connect(self.socket()).await.unwrap();
        socket.write_all(command).await.unwrap();
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).trim_end_matches('\0').to_owned()
    }
}

async fn spawn(dir: &TempDir) -> Child {
    let program = ["/usr/sbin/clamd", "/usr/bin/clamd", "/usr/local/sbin/clamd"];
    let program = program.into_iter().find(|p| fs::exists(p).unwrap_or(false)).expect(HINT);
    let mut child = Command::new(program)
        .arg("--config-file")
        .arg(dir.path().join("clamd.conf"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .spawn()
        .expect(HINT);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let ready = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.contains(READY) {
                return true;
            }
        }
        false
    };
    let ready = timeout(Duration::from_secs(120), ready).await;
    assert!(matches!(ready, Ok(true)), "clamd did not start: see its configuration in {}", dir.path().display());
    // Its further output is read and left, so that it never blocks on a full pipe.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    child
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_answers_and_comes_back_on_the_same_socket() {
        let mut clamd = Clamd::start().await;
        assert_eq!(clamd.ask(b"zPING\0").await, "PONG");
        clamd.kill().await;
        clamd.restart().await;
        assert_eq!(clamd.ask(b"zPING\0").await, "PONG");
    }

    #[tokio::test]
    async fn it_finds_eicar_alone_and_inside_other_content() {
        let clamd = Clamd::start().await;
        let eicar = [r"X5O!P%@AP[4\PZX54(P^)7CC)7}$", "EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"].concat();
        for (content, found) in [(eicar.clone(), true), (format!("before {eicar} after"), true), ("mail".into(), false)]
        {
            let mut stream = b"zINSTREAM\0".to_vec();
            stream.extend(u32::try_from(content.len()).unwrap().to_be_bytes());
            stream.extend(content.as_bytes());
            stream.extend([0; 4]);
            assert_eq!(clamd.ask(&stream).await.contains("FOUND"), found, "{content}");
        }
    }
}
