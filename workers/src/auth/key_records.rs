//! Key records of signatures and seals: as DNS has them, and as `mail-auth` gets them to verify with.
//!
//! Invariant: everything has an answer, so that verifying asks nobody.

use std::{borrow::Borrow, collections::HashMap, hash::Hash, time::Instant};

use mail_auth::{
    DnsCache, DnsError, Error, NoCache, ResolverCache, TxtRecord, dkim::DomainKey, dns::TxtRecordParser,
    hickory_resolver::proto::op::ResponseCode,
};
use serde::{Deserialize, Serialize};

use super::{Domain, evidence::MAX_KEYS};

/// The most texts of a key record, and the most bytes of one, that are handed to a child: 8,192 bits of RSA are a
/// fifth of that.
pub(super) const MAX_TEXTS: usize = 8;
pub(super) const MAX_TEXT: usize = 8 * 1024;
const _: () = assert!((MAX_KEYS * MAX_TEXTS * MAX_TEXT) as u64 <= crate::sandbox::task::MAX_REQUEST);

/// What DNS says at the name of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyRecord {
    /// These texts.
    Texts(Vec<String>),
    /// Nothing.
    Missing,
    /// It does not answer.
    Failed,
}

impl KeyRecord {
    /// As `mail-auth` has it.
    fn parsed(&self) -> TxtRecord {
        match self {
            Self::Texts(texts) => {
                let texts = texts.iter().filter(|text| is_for_mail(text)).map(|text| text.clone().into_bytes());
                DomainKey::parse_records(&texts.collect::<Vec<_>>()).into()
            }
            Self::Missing => TxtRecord::Error(Error::Dns(DnsError::RecordNotFound(ResponseCode::NXDomain))),
            Self::Failed => not_at_hand(),
        }
    }
}

/// Whether a key may sign mail, and by SHA-256: `s=` and `h=` of its record, which `mail-auth` does not look at (RFC 6376
/// §3.6.1).
fn is_for_mail(record: &str) -> bool {
    record.split(';').filter_map(|tag| tag.split_once('=')).all(|(name, value)| {
        let mut values = value.split(':').map(|value| value.trim().to_ascii_lowercase());
        match name.trim() {
            "s" => values.any(|service| matches!(service.as_str(), "" | "*" | "email")),
            "h" => values.any(|hash| matches!(hash.as_str(), "" | "sha256")),
            _ => true,
        }
    })
}

fn not_at_hand() -> TxtRecord {
    TxtRecord::Error(Error::Dns(DnsError::Resolver(String::new())))
}

/// The keys that came along. Everything has an answer, so that nothing is ever asked of a resolver.
pub(super) struct Keys(HashMap<Box<str>, TxtRecord>);

impl Keys {
    pub(super) fn of(records: &[(Domain, KeyRecord)]) -> Self {
        let fqdn = |name: &Domain| format!("{}.", name.expose()).into();
        Self(records.iter().map(|(name, record)| (fqdn(name), record.parsed())).collect())
    }
}

impl ResolverCache<Box<str>, TxtRecord> for Keys {
    fn get<Q>(&self, name: &Q) -> Option<TxtRecord>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        Some(self.0.get(name).cloned().unwrap_or_else(not_at_hand))
    }

    fn remove<Q>(&self, _: &Q) -> Option<TxtRecord>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        None
    }

    fn insert(&self, _: Box<str>, _: TxtRecord, _: Instant) {}
}

impl DnsCache for Keys {
    type Txt = Self;
    type Mx = NoCache;
    type Ipv4 = NoCache;
    type Ipv6 = NoCache;
    type Ptr = NoCache;

    fn txt(&self) -> Option<&Self> {
        Some(self)
    }

    fn mx(&self) -> Option<&NoCache> {
        None
    }

    fn ipv4(&self) -> Option<&NoCache> {
        None
    }

    fn ipv6(&self) -> Option<&NoCache> {
        None
    }

    fn ptr(&self) -> Option<&NoCache> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_for_something_else_signs_no_mail() {
        for (record, is) in [
            ("v=DKIM1; p=AA", true),
            ("v=DKIM1; s=email; p=AA", true),
            ("v=DKIM1; s=*; h=sha1:sha256; p=AA", true),
            ("v=DKIM1; s = tlsrpt : Email ; p=AA", true),
            ("v=DKIM1; s=; h=; p=AA", true),
            ("v=DKIM1; s=tlsrpt; p=AA", false),
            ("v=DKIM1; h=sha1; p=AA", false),
        ] {
            assert_eq!(is_for_mail(record), is, "{record}");
        }
    }
}
