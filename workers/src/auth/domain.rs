//! A domain name out of a mail: one form only, so that two names are the same exactly when their texts are.

use std::fmt;

use serde::{Deserialize, Serialize};
use shared::pii::Pii;

use crate::mail::addr_spec::AddrSpec;

/// The longest name, in bytes, without the dot at its end (RFC 1035 §2.3.4).
const LONGEST: usize = 253;
/// The longest label, in bytes.
const LONGEST_LABEL: usize = 63;

/// A domain: lower-case A-labels of letters, digits, `-` and `_`, without a dot at the end.
///
/// It comes out of a mail, so `Debug` redacts it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Domain(Pii<String>);

/// A text that is no domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a domain name")]
pub struct NotADomain;

impl Domain {
    /// Reads a domain in either case. A name of other scripts becomes its A-labels (RFC 5890 §2.3.2.1).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_suffix('.').unwrap_or(text);
        let ascii = if text.is_ascii() { text.to_ascii_lowercase() } else { a_labels(text)? };
        is_name(&ascii).then(|| Self(Pii::new(ascii)))
    }

    /// The domain of an address: what follows its only `@` outside a quoted local part. An address with several is read in
    /// several ways, so it has none.
    #[must_use]
    pub fn of_address(address: &str) -> Option<Self> {
        if address.starts_with('"') {
            return AddrSpec::parse(address).and_then(|address| Self::parse(address.domain()));
        }
        let (local, domain) = address.split_once('@')?;
        if local.is_empty() || domain.contains('@') { None } else { Self::parse(domain) }
    }

    /// The name, for content stores, payloads and DNS.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// The domain that somebody registered: one label below a public suffix (RFC 7489 §3.2). `None` for a public
    /// suffix itself.
    #[must_use]
    pub fn organisation(&self) -> Option<&str> {
        organisation(self.expose())
    }

    /// Whether this belongs to the same organisation as another (relaxed alignment, RFC 7489 §3.1).
    #[must_use]
    pub fn is_aligned_with(&self, other: &Self) -> bool {
        self == other || self.organisation().is_some_and(|organisation| other.organisation() == Some(organisation))
    }
}

/// The domain that somebody registered, of a lower-case name in A-labels or in its own script. `None` for a public suffix
/// itself.
#[must_use]
pub fn organisation(name: &str) -> Option<&str> {
    if !name.contains("xn--") {
        return psl::domain_str(name);
    }
    // The list has its names in their own scripts; both forms have the same labels.
    let (unicode, _) = idna::domain_to_unicode(name);
    let labels = psl::domain_str(&unicode)?.split('.').count();
    let start = name.rmatch_indices('.').nth(labels - 1).map_or(0, |(dot, _)| dot + 1);
    name.get(start..)
}

/// The A-labels of a name of other scripts. `url` decodes `%` before that, which a mail's names do not have.
fn a_labels(text: &str) -> Option<String> {
    match url::Host::parse(text).ok()? {
        url::Host::Domain(ascii) if !text.contains('%') => Some(ascii),
        _ => None,
    }
}

fn is_name(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=LONGEST_LABEL).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'))
    };
    text.len() <= LONGEST && text.contains('.') && text.split('.').all(is_label)
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<String> for Domain {
    type Error = NotADomain;

    /// Takes only what is in the one form already.
    fn try_from(text: String) -> Result<Self, NotADomain> {
        if is_name(&text) { Ok(Self(Pii::new(text))) } else { Err(NotADomain) }
    }
}

impl From<Domain> for String {
    fn from(domain: Domain) -> Self {
        domain.0.into_inner()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_form() {
        for (text, name) in [
            ("Example.ORG", Some("example.org")),
            ("example.org.", Some("example.org")),
            ("bücher.example", Some("xn--bcher-kva.example")),
            ("_dmarc.example.org", Some("_dmarc.example.org")),
            ("localhost", None),
            ("", None),
            ("a..example", None),
            (".example.org", None),
            ("example.org\0.evil.example", None),
            ("example.org(.evil.example", None),
            ("exa mple.org", None),
            ("[192.0.2.1]", None),
        ] {
            assert_eq!(Domain::parse(text).as_ref().map(Domain::expose), name, "{text:?}");
        }
        assert!(Domain::parse(&format!("{}.example", "a".repeat(64))).is_none());
    }

    #[test]
    fn an_address_has_one_at_sign() {
        assert!(Domain::of_address("a@b.example").is_some());
        let quoted = Domain::of_address("\"a@trusted.example\"@evil.example");
        assert_eq!(quoted.as_ref().map(Domain::expose), Some("evil.example"));
        for address in [
            "\"a\"@b.example\"@c.example",
            "\"a@b.example",
            "a@b.example@c.example",
            "@b.example",
            "b.example",
            "a@",
            "a@b.example\0@c.example",
        ] {
            assert!(Domain::of_address(address).is_none(), "{address:?}");
        }
    }

    #[test]
    fn alignment_goes_by_the_organisation() {
        for (a, b, aligned) in [
            ("example.org", "example.org", true),
            ("mail.example.org", "news.example.org", true),
            ("a.co.uk", "b.co.uk", false),
            ("co.uk", "co.uk", true),
            ("a.github.io", "b.github.io", false),
            ("example.org", "notexample.org", false),
            ("example.org", "example.org.evil.example", false),
            ("mail.bücher.example", "BÜCHER.example", true),
            ("bücher.example", "xn--bcher-kva.example", true),
            ("bücher.example", "bucher.example", false),
            // Public suffixes of other scripts have customers as well.
            ("a.公司.cn", "b.公司.cn", false),
            ("a.xn--55qx5d.cn", "b.xn--55qx5d.cn", false),
            ("x.a.xn--55qx5d.cn", "y.a.公司.cn", true),
            ("a.xn--p1ai", "b.xn--p1ai", false),
            ("mail.a.xn--p1ai", "a.рф", true),
        ] {
            let [one, other] = [a, b].map(|text| Domain::parse(text).unwrap());
            assert_eq!(one.is_aligned_with(&other), aligned, "{a} {b}");
        }
    }

    #[test]
    fn only_the_one_form_is_read_back() {
        assert!(serde_json::from_str::<Domain>("\"example.org\"").is_ok());
        assert!(serde_json::from_str::<Domain>("\"Example.org\"").is_err());
        assert_eq!(format!("{:?}", Domain::parse("example.org")), "Some([redacted])");
    }
}
