//! The demo's table: one line a mail.

use tests::fleet::{End, Ended};

use crate::cast::Role;

/// Longer reasons are cut: the whole is in `quarantine show` and `dlq show`.
const REASON: usize = 56;

/// Prints the table.
pub(crate) fn print(cast: &[Role], ended: &[Ended]) {
    let head = ["mail", "what it is", "stages", "end", "reason", "time"].map(str::to_owned);
    let rows: Vec<[String; 6]> =
        std::iter::once(head).chain(cast.iter().zip(ended).map(|(role, ended)| row(role, ended))).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..6).map(width).collect();
    for row in &rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        println!("{}", cells.join("  ").trim_end());
    }
}

fn row(role: &Role, ended: &Ended) -> [String; 6] {
    let last = ended.ends.iter().max_by_key(|end| end.at);
    let mark = if role.is_fulfilled(ended) { "" } else { " (!)" };
    [
        role.mail.name.clone(),
        role.about.to_owned(),
        last.map(stages).unwrap_or_default(),
        format!("{}{mark}", ended.names().join(" ")),
        last.map(reason).unwrap_or_default(),
        last.map(|end| format!("{:.2} s", end.at.duration_since(end.first_seen).as_secs_f64())).unwrap_or_default(),
    ]
}

/// The stages that it went through; with the number of runs where that was more than one.
fn stages(end: &End) -> String {
    let mut stages: Vec<&str> = end.audit.iter().map(|step| step.stage.as_str()).chain([end.stage.as_str()]).collect();
    stages.dedup();
    let runs = if end.attempts > 1 { format!(" ×{}", end.attempts) } else { String::new() };
    stages.join(" ") + &runs
}

fn reason(end: &End) -> String {
    let class = end.class.as_ref().map(|class| format!("{class}: ")).unwrap_or_default();
    let reason =
        format!("{class}{}", end.reason.as_deref().unwrap_or(if end.branch.is_empty() { "" } else { "accepted" }));
    if reason.chars().count() <= REASON {
        return reason;
    }
    reason.chars().take(REASON - 1).chain(['…']).collect()
}
