//! Collects findings: each rule and place once, at its worst severity, and bounded in number.

use super::model::{Finding, FindingCode, Severity};

/// The most findings that one rule keeps.
pub(crate) const MAX_PER_CODE: usize = 20;

/// The findings so far.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    /// Adds a finding. `place` is never a value from the mail.
    pub(super) fn add(&mut self, code: FindingCode, severity: Severity, place: impl Into<String>) {
        let place = place.into();
        let mut of_code = self.0.iter_mut().filter(|finding| finding.code == code);
        if let Some(same) = of_code.find(|finding| finding.place == place) {
            same.severity = same.severity.max(severity);
            return;
        }
        let count = self.0.iter().filter(|finding| finding.code == code).count();
        if count < MAX_PER_CODE {
            self.0.push(Finding { code, severity, place });
        } else if let Some(milder) = self.0.iter_mut().rfind(|f| f.code == code && f.severity < severity) {
            *milder = Finding { code, severity, place };
        }
    }

    pub(super) fn into_vec(self) -> Vec<Finding> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_bounded_and_cannot_hide_the_worst() {
        let mut findings = Findings::default();
        for place in 0..1_000 {
            findings.add(FindingCode::EncodingDamaged, Severity::Warning, format!("part {place}"));
        }
        findings.add(FindingCode::EncodingDamaged, Severity::Ambiguous, "part 1000");
        findings.add(FindingCode::EncodingDamaged, Severity::Info, "part 1000");
        let found = findings.into_vec();
        assert_eq!(found.len(), MAX_PER_CODE);
        assert_eq!(found.iter().filter(|f| f.severity == Severity::Ambiguous).count(), 1);
    }
}
