//! Addresses and domains as an operator lists them, compared with those of a mail in one form.

use std::borrow::Cow;

use crate::{
    auth::domain::{Domain, organisation},
    mail::addr_spec::AddrSpec,
};

/// Some domains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Domains {
    /// `example.org`: this domain alone.
    Exactly(Domain),
    /// `*.example.org`: every domain below it, not itself. Held with the dot before it: `.example.org`.
    Below(String),
    /// Everything that shares a registered domain (RFC 7489 §3.2), itself included.
    Organisation(Domain),
}

/// Some addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Addresses {
    /// `local@example.org`, with any plus tag. The local part is held in lower case, as everybody but the RFC compares it.
    One {
        /// Before the `@`.
        local: String,
        /// After it.
        domain: Domain,
    },
    /// Every address of these domains.
    Of(Domains),
}

impl Domains {
    /// Reads `example.org` or `*.example.org`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let Some(parent) = text.strip_prefix("*.") else { return Domain::parse(text).map(Self::Exactly) };
        // Read with a label before it: the parent may be a single label, which is no domain by itself.
        let below = Domain::parse(&format!("x.{parent}"))?;
        below.expose().strip_prefix('x').map(|parent| Self::Below(parent.to_owned()))
    }

    /// Reads the name of an organisation: one label below a public suffix.
    #[must_use]
    pub fn parse_organisation(text: &str) -> Option<Self> {
        Domain::parse(text).filter(|domain| domain.organisation() == Some(domain.expose())).map(Self::Organisation)
    }

    /// Whether they reach beyond one organisation: everything below a public suffix.
    #[must_use]
    pub fn is_of_many(&self) -> bool {
        matches!(self, Self::Below(parent) if organisation(parent.trim_start_matches('.')).is_none())
    }

    /// Whether a domain is one of them.
    #[must_use]
    pub fn contain(&self, domain: &Domain) -> bool {
        match self {
            Self::Exactly(own) => own == domain,
            Self::Below(parent) => domain.expose().ends_with(parent),
            Self::Organisation(own) => domain.organisation() == Some(own.expose()),
        }
    }

    /// The name that was listed.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Exactly(domain) | Self::Organisation(domain) => domain.expose(),
            Self::Below(parent) => parent.trim_start_matches('.'),
        }
    }
}

impl Addresses {
    /// Reads `local@example.org`, `example.org` or `*.example.org`; `*@` before a domain is all of it, as in a pattern.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if !text.contains('@') {
            return Domains::parse(text).map(Self::Of);
        }
        if let Some(domains) = text.strip_prefix("*@") {
            return Domains::parse(domains).map(Self::Of);
        }
        let (local, domain) = split(text)?;
        (!local.is_empty() && !local.contains('*')).then(|| Self::One { local: local.to_lowercase(), domain })
    }

    /// Whether an address is one of them.
    #[must_use]
    pub fn contain(&self, address: &str) -> bool {
        let Some((local, domain)) = split(address) else { return false };
        match self {
            Self::Of(domains) => domains.contain(&domain),
            Self::One { local: own, domain: of } => {
                let local = local.to_lowercase();
                *of == domain && (*own == local || local.split_once('+').is_some_and(|(base, _)| base == own))
            }
        }
    }

    /// The domain that was listed.
    #[must_use]
    pub fn domain(&self) -> &str {
        match self {
            Self::One { domain, .. } => domain.expose(),
            Self::Of(domains) => domains.name(),
        }
    }
}

/// An address by what follows its last `@`, as a server reads it that delivers to it. Quotation marks are no part of the
/// local part (RFC 5321 §4.1.2).
pub(crate) fn split(address: &str) -> Option<(Cow<'_, str>, Domain)> {
    let address = address.trim();
    let (local, domain) = address.rsplit_once('@')?;
    let quoted = local.starts_with('"').then(|| AddrSpec::parse(address)).flatten();
    let local = quoted.map_or(Cow::Borrowed(local), |address| Cow::Owned(address.local().to_owned()));
    Some((local, Domain::parse(domain)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_exact_below_or_of_an_organisation() {
        let below = Domains::parse("*.Example.org").unwrap();
        let exactly = Domains::parse("example.ORG.").unwrap();
        let organisation = Domains::parse_organisation("example.org").unwrap();
        for (domain, is_exactly, is_below, is_organisation) in [
            ("example.org", true, false, true),
            ("a.example.org", false, true, true),
            ("b.a.example.org", false, true, true),
            ("notexample.org", false, false, false),
            ("example.org.evil.test", false, false, false),
            ("org.example", false, false, false),
        ] {
            let domain = Domain::parse(domain).unwrap();
            let seen = (exactly.contain(&domain), below.contain(&domain), organisation.contain(&domain));
            assert_eq!(seen, (is_exactly, is_below, is_organisation), "{}", domain.expose());
        }
    }

    #[test]
    fn public_suffixes_are_nobodys() {
        assert!(Domains::parse_organisation("co.uk").is_none());
        assert!(Domains::parse_organisation("shop.example.co.uk").is_none());
        assert!(Domains::parse_organisation("example.co.uk").is_some());
        for (text, many) in [
            ("*.co.uk", true),
            ("*.zip", true),
            ("*.example.co.uk", false),
            ("example.org", false),
            ("*.公司.cn", true),
            ("*.xn--55qx5d.cn", true),
            ("*.a.公司.cn", false),
        ] {
            assert_eq!(Domains::parse(text).unwrap().is_of_many(), many, "{text}");
        }
        let other = Domain::parse("other.co.uk").unwrap();
        assert!(!Domains::parse_organisation("example.co.uk").unwrap().contain(&other));
        assert!(Domains::parse("*.co.uk").unwrap().contain(&other));
    }

    #[test]
    fn addresses_are_compared_in_one_form() {
        let one = Addresses::parse("Box@B\u{fc}cher.example").unwrap();
        for (address, contained) in [
            ("box@xn--bcher-kva.example", true),
            ("BOX@B\u{dc}CHER.example", true),
            ("box+tag@b\u{fc}cher.example", true),
            ("boxes@b\u{fc}cher.example", false),
            ("box@bucher.example", false),
            ("\"a@b\"@b\u{fc}cher.example", false),
            ("\"box\"@b\u{fc}cher.example", true),
            ("\"b\\ox+tag\"@b\u{fc}cher.example", true),
            ("box", false),
            ("", false),
        ] {
            assert_eq!(one.contain(address), contained, "{address}");
        }
        assert!(Addresses::parse("example.org").unwrap().contain("\"a@b\"@example.org"));
        for text in
            ["", "@example.org", "a@", "*", "*.", "a b.example", "a@*.example.org", "a*@example.org", "*@", "*@*"]
        {
            assert!(Addresses::parse(text).is_none(), "{text}");
        }
        for (text, same) in [("*@example.org", "example.org"), ("*@*.example.org", "*.example.org")] {
            assert_eq!(Addresses::parse(text), Addresses::parse(same), "{text}");
        }
        assert!(Addresses::parse("*@example.org").unwrap().contain("eve@Example.org"));
    }
}
