//! What members of containers are, as findings about the mail: the same ones that an attachment would have.
//!
//! Each says what kind of file lies in what kind of container in which part, and no name.

use crate::containers::Noticed;
use crate::mail::findings::MAX_PER_CODE;
use crate::mail::model::{Finding, Severity};

/// The findings about what was noticed in the part of this number.
pub(super) fn findings(noticed: &[Noticed], part: usize) -> Vec<Finding> {
    let finding = |Noticed { code, kind }: &Noticed| {
        let severity = if code.is_always_ambiguous() { Severity::Ambiguous } else { Severity::Warning };
        Finding { code: *code, severity, place: format!("the {} in part {part}", kind.name()) }
    };
    noticed.iter().map(finding).collect()
}

/// So many of each code as a mail keeps.
pub(super) fn bounded(all: Vec<Finding>) -> Vec<Finding> {
    let mut kept: Vec<Finding> = Vec::new();
    for finding in all {
        if kept.iter().filter(|known| known.code == finding.code).count() < MAX_PER_CODE {
            kept.push(finding);
        }
    }
    kept
}
