//! Domains that are made to look like another one.
//!
//! Two names look alike when their skeletons are the same (UTS 39 §4: `rn` and `m`, `1` and `l`, Cyrillic `а` and `a`),
//! without regard to case, and with `0` as `o` and `vv` as `w`. Only registered domains are compared, and a name
//! that holds another one before its own registered domain (`example.org.evil.test`) looks like that one too.

use std::collections::{BTreeMap, BTreeSet};

use unicode_security::skeleton;

use crate::auth::domain::{Domain, organisation};

/// Domains that others must not look like.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Protected {
    /// Their registered domains, in A-labels.
    organisations: BTreeSet<String>,
    /// By how they look.
    looks: BTreeMap<String, String>,
}

impl Protected {
    /// Protects the registered domain of a name; a public suffix is nobody's to protect.
    pub fn add(&mut self, name: &str) {
        if let Some(organisation) = organisation(name) {
            self.looks.insert(look(&shown(organisation)), organisation.to_owned());
            self.organisations.insert(organisation.to_owned());
        }
    }

    /// Whether a domain, as a mail shows it, is made to look like a protected one and is another.
    #[must_use]
    pub fn is_imitated_by(&self, written: &str) -> bool {
        let Some(domain) = Domain::parse(written) else { return false };
        let Some(organisation) = domain.organisation() else { return false };
        if self.organisations.contains(organisation) {
            return false;
        }
        // As it is shown by whoever decodes A-labels, and as it is written: among small letters a capital I is an l.
        let labels = organisation.split('.').count();
        let looks = [shown(domain.expose()), without_capital_labels(written.trim_end_matches('.'))];
        looks.iter().any(|name| self.looks.contains_key(&look(last(name, labels)))) || self.is_held_by(&domain)
    }

    /// Whether a protected domain stands, label for label, before the domain's own registered one.
    fn is_held_by(&self, domain: &Domain) -> bool {
        let Some(own) = domain.organisation().and_then(|organisation| domain.expose().strip_suffix(organisation))
        else {
            return false;
        };
        let before = format!(".{own}");
        self.organisations.iter().any(|organisation| before.contains(&format!(".{organisation}.")))
    }
}

/// The name in Unicode.
fn shown(name: &str) -> String {
    idna::domain_to_unicode(name).0
}

/// A name as written, where labels in capitals alone are in small letters: nobody takes their I for an l.
fn without_capital_labels(name: &str) -> String {
    let has_small = |label: &str| label.bytes().any(|b| b.is_ascii_lowercase());
    let labels: Vec<String> =
        name.split('.').map(|l| if has_small(l) { l.to_owned() } else { l.to_ascii_lowercase() }).collect();
    labels.join(".")
}

/// The last labels of a name.
fn last(name: &str, labels: usize) -> &str {
    let start = name.rmatch_indices('.').nth(labels.saturating_sub(1)).map_or(0, |(dot, _)| dot + 1);
    name.get(start..).unwrap_or_default()
}

/// What the eye makes of a name.
fn look(name: &str) -> String {
    skeleton(name).flat_map(char::to_lowercase).collect::<String>().replace("vv", "w")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn protected() -> Protected {
        let mut protected = Protected::default();
        let names = ["example.org", "mail.paypal.com", "modern-wool.co.uk", "b\u{fc}cher.example", "co.uk", "公司.cn"];
        for name in names {
            protected.add(Domain::parse(name).unwrap().expose());
        }
        protected
    }

    #[test]
    fn what_looks_like_a_protected_domain_is_told_from_what_is_one_or_is_unlike() {
        for (written, imitates) in [
            ("example.org", false),
            ("news.example.org", false),
            ("EXAMPLE.ORG", false),
            ("exarnple.org", true),
            ("examp1e.org", true),
            ("exampIe.org", true),
            ("mail.exampIe.org", true),
            ("example.com", false),
            ("sample.org", false),
            ("examples.org", false),
            ("p\u{430}ypal.com", true),
            ("xn--pypal-4ve.com", true),
            ("service.xn--pypal-4ve.com", true),
            ("paypa1.com", true),
            ("PAYPAI.com", false),
            ("paypal.com.evil.test", true),
            ("login.paypal.com.account.evil.test", true),
            ("notpaypal.com.evil.test", false),
            ("paypal.com.au", false),
            ("m0dern-wool.co.uk", true),
            ("modern-vvool.co.uk", true),
            ("modern-wool.uk", false),
            ("bucher.example", false),
            ("xn--bcher-kva.example", false),
            ("other.co.uk", false),
            ("other.公司.cn", false),
            ("xn--55qx5d.cn.evil.test", false),
            ("localhost", false),
            ("", false),
        ] {
            assert_eq!(protected().is_imitated_by(written), imitates, "{written}");
        }
    }

    #[test]
    fn nothing_is_imitated_where_nothing_is_protected() {
        assert!(!Protected::default().is_imitated_by("exarnple.org"));
    }
}
