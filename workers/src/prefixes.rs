//! Every prefix of the store, in one table: what is under it and who writes it.
//!
//! A tidy test holds the code, the bucket's lifecycle and the stages' roles to this table.

/// Where raw mail is that the bucket announces: the only prefix that it announces from.
pub const RAW: &str = "raw/";
/// Where SES stores raw mail. Its receipt announces it, which alone knows the SMTP envelope; the bucket does not.
pub const SES: &str = "ses/";

/// A prefix of keys that the fleet writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix {
    /// With its `/`.
    pub prefix: &'static str,
    /// What the objects are.
    pub holds: &'static str,
}

/// What the fleet writes beside raw mail.
pub const OWN: [Prefix; 9] = [
    Prefix { prefix: "inline/", holds: "raw mails that came inside their announcement" },
    Prefix { prefix: "parsed/", holds: "parsed mails too large for a job" },
    Prefix { prefix: "attachments/", holds: "parts that may be delivered" },
    Prefix { prefix: "verdicts/", holds: "verdicts on attachments that are not, or no longer, clean" },
    Prefix { prefix: "decisions/", holds: "where a mail goes, decided once" },
    Prefix { prefix: "ends/", holds: "how each branch of a mail ended, and its audit trail" },
    Prefix { prefix: "quarantine/", holds: "quarantine records" },
    Prefix { prefix: "undecodable/", holds: "bodies too large for a dead letter" },
    Prefix { prefix: "claims/", holds: "jobs too large for a message" },
];

/// Whether an object with that key is the fleet's own.
#[must_use]
pub fn is_own(key: &str) -> bool {
    OWN.iter().any(|own| key.starts_with(own.prefix))
}
