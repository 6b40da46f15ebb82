//! An address as RFC 5322 §3.4.1 and RFC 6532 write it, in one form: quoted only where it has to be.
//!
//! The domain is what follows the last `@`, whatever a quoted local part shows.

use std::{
    borrow::Cow,
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
};

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// An address.
#[derive(Clone, PartialEq, Eq)]
pub struct AddrSpec {
    local: String,
    domain: String,
}

impl AddrSpec {
    /// Reads `local@domain` or `"local"@domain`, without white space, comments or a route.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (local, domain) = text.rsplit_once('@')?;
        let local = match local.strip_prefix('"') {
            Some(quoted) => unquoted(quoted.strip_suffix('"')?)?,
            None => local.chars().all(is_atom).then(|| local.to_owned())?,
        };
        Self::new(local, domain.to_owned())
    }

    /// An address of its parts, the local one without quotation marks. It is as mail is sent today: dots may stand anywhere in
    /// an unquoted local part, a domain is of labels or a literal.
    pub(super) fn new(local: String, domain: String) -> Option<Self> {
        let is_shown = !local.is_empty() && !local.chars().any(char::is_control);
        (is_shown && is_domain(&domain)).then_some(Self { local, domain })
    }

    /// What stands before the `@`, without quotation marks.
    #[must_use]
    pub fn local(&self) -> &str {
        &self.local
    }

    /// What stands after it.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }
}

/// The same address in the one form. What is no address stays as it is.
#[must_use]
pub fn canonical(text: &str) -> Cow<'_, str> {
    // Only a quoted one has another form.
    let quoted = text.starts_with('"').then(|| AddrSpec::parse(text)).flatten();
    quoted.map_or(Cow::Borrowed(text), |address| Cow::Owned(address.to_string()))
}

impl fmt::Display for AddrSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.local.chars().all(is_atom) {
            return write!(f, "{}@{}", self.local, self.domain);
        }
        let escaped = self.local.replace('\\', "\\\\").replace('"', "\\\"");
        write!(f, "\"{escaped}\"@{}", self.domain)
    }
}

/// It comes out of a mail.
impl fmt::Debug for AddrSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AddrSpec([redacted])")
    }
}

/// Whether a character needs no quotation marks in a local part; a dot is one of them.
pub(super) fn is_atom(c: char) -> bool {
    !c.is_control() && !c.is_whitespace() && !"()<>[]:;@\\,\"".contains(c)
}

/// The text between quotation marks, its quoted pairs resolved. `None` where one of the marks ends it earlier.
fn unquoted(quoted: &str) -> Option<String> {
    let mut out = String::with_capacity(quoted.len());
    let mut chars = quoted.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.push(chars.next()?),
            '"' => return None,
            c => out.push(c),
        }
    }
    Some(out)
}

fn is_domain(text: &str) -> bool {
    if let Some(literal) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return is_literal(literal);
    }
    let is_label = |label: &str| {
        label.starts_with(|c: char| c.is_alphanumeric() || "-_".contains(c))
            && label.chars().all(|c| c.is_alphanumeric() || is_combining_mark(c) || "-_".contains(c))
    };
    if text.is_ascii() {
        text.split('.').all(is_label)
    } else {
        text.nfc().collect::<String>().split('.').all(is_label)
    }
}

/// An address of the Internet is all that stands in brackets in today's mail (RFC 5321 §4.1.3).
fn is_literal(text: &str) -> bool {
    let v6 = text.get(..5).filter(|tag| tag.eq_ignore_ascii_case("IPv6:")).and_then(|_| text.get(5..));
    v6.map_or_else(|| text.parse::<Ipv4Addr>().is_ok(), |v6| v6.parse::<Ipv6Addr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_form_and_the_domain_follows_the_last_at_sign() {
        for (text, form, local, domain) in [
            ("ann@a.example", "ann@a.example", "ann", "a.example"),
            ("john..doe.@a.example", "john..doe.@a.example", "john..doe.", "a.example"),
            ("\"john\"@a.example", "john@a.example", "john", "a.example"),
            ("\"john doe\"@a.example", "\"john doe\"@a.example", "john doe", "a.example"),
            (r#""a\"b"@a.example"#, r#""a\"b"@a.example"#, "a\"b", "a.example"),
            (r#""\j\ohn"@a.example"#, "john@a.example", "john", "a.example"),
            (r#""a\\"@a.example"#, r#""a\\"@a.example"#, r"a\", "a.example"),
            (
                "\"a@trusted.example\"@evil.example",
                "\"a@trusted.example\"@evil.example",
                "a@trusted.example",
                "evil.example",
            ),
            ("j\u{f6}rg@b\u{fc}cher.example", "j\u{f6}rg@b\u{fc}cher.example", "j\u{f6}rg", "b\u{fc}cher.example"),
            // Hindi, with a vowel sign and a virama.
            (
                "\u{915}@\u{939}\u{93f}\u{928}\u{94d}\u{926}\u{940}.example",
                "\u{915}@\u{939}\u{93f}\u{928}\u{94d}\u{926}\u{940}.example",
                "\u{915}",
                "\u{939}\u{93f}\u{928}\u{94d}\u{926}\u{940}.example",
            ),
            ("user@[192.0.2.1]", "user@[192.0.2.1]", "user", "[192.0.2.1]"),
            ("user@[IPv6:2001:db8::1]", "user@[IPv6:2001:db8::1]", "user", "[IPv6:2001:db8::1]"),
        ] {
            let address = AddrSpec::parse(text).unwrap();
            assert_eq!(
                (address.to_string().as_str(), address.local(), address.domain()),
                (form, local, domain),
                "{text}"
            );
            assert!(AddrSpec::parse(form).unwrap() == address && canonical(text) == form, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_has_no_form() {
        for text in [
            "",
            "ann",
            "@a.example",
            "ann@",
            "\"\"@a.example",
            "a b@a.example",
            "a@b@a.example",
            "\"a\"b@a.example",
            "\"a\"b\"@a.example",
            "\"a\\\"@a.example",
            "a\"b@a.example",
            "\"a\n\"@a.example",
            "a@x y.example",
            "a@a..example",
            "a@[x@trusted.example]",
            "a@[]",
            "a@\u{301}.example",
            "a(c)@a.example",
            "<a@a.example>",
            "a\0@a.example",
            "@a.example:b@c.example",
            "a@trusted.example\u{200b}.evil.example",
        ] {
            assert!(AddrSpec::parse(text).is_none() && canonical(text) == text, "{text}");
        }
    }
}
