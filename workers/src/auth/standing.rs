//! What the parent asks DNS about: only what stands in the mail's own header.
//!
//! The names come from a child, which a mail may have taken over, and a question to DNS reaches whoever owns the name.
//! Invariant: no question holds a name, an address or a local part that is not in this very mail, so that a child can tell
//! nobody of another one. An honest child's answer stands in the header, and stays as it is.

use memchr::memmem;
use shared::pii::Pii;

use super::{
    Domain, Evidence,
    evidence::{Author, Client, TrustedHop, address},
};

/// The longest header section that is searched, in bytes: a child does not read a longer one.
const MAX_SECTION: usize = 1024 * 1024;
/// The most domains of other scripts that are compared.
const MAX_IDN: usize = 256;
/// The longest address, in bytes.
const MAX_IP: usize = 64;
/// Between the selector and the domain of a key record's name.
const KEYS: &str = "._domainkey.";

impl Evidence {
    /// What of it stands in a mail's header. The rest is as if it could not be read, which is nobody's advantage.
    pub(super) fn standing_in(self, raw: &[u8]) -> Self {
        let header = Section::of(raw);
        let author = match self.author {
            author if author.domains().iter().all(|domain| header.has_domain(domain)) => author,
            _ => Author::Unreadable,
        };
        let keys = if self.keys.is_empty() { self.keys } else { header.keys(self.keys) };
        let hop = self.hop.map(|hop| TrustedHop {
            client: hop.client.filter(|client| header.has_ip(client)).map(|client| header.named(client)),
            mail_from: hop.mail_from.filter(|path| header.has_path(path.expose())),
        });
        Self { author, keys, hop, ..self }
    }
}

/// A header section without folds: one line a field.
struct Section {
    text: String,
    lower: String,
}

impl Section {
    fn of(raw: &[u8]) -> Self {
        let ends = [memmem::find(raw, b"\n\n"), memmem::find(raw, b"\n\r\n")];
        let end = ends.into_iter().flatten().min().unwrap_or(raw.len()).min(MAX_SECTION);
        let text = String::from_utf8_lossy(raw.get(..end).unwrap_or(raw)).replace('\r', "").replace('\t', " ");
        let text = text.replace("\n ", " ");
        Self { lower: text.to_ascii_lowercase(), text }
    }

    /// Whether a name stands here as a whole, in the form that DNS knows or in its own script.
    fn has_domain(&self, domain: &Domain) -> bool {
        let name = domain.expose();
        has_word(&self.lower, name) || (name.contains("xn--") && self.has_idn(domain))
    }

    fn has_idn(&self, domain: &Domain) -> bool {
        let is_end = |c: char| {
            c.is_whitespace() || c.is_control() || (c.is_ascii() && !c.is_ascii_alphanumeric() && !"-_.".contains(c))
        };
        let names = self.text.split('@').skip(1).filter_map(|rest| rest.trim_start_matches('[').split(is_end).next());
        let names = names.filter(|name| !name.is_ascii()).take(MAX_IDN);
        names.filter_map(Domain::parse).any(|name| name == *domain)
    }

    /// The keys whose selector and domain stand here as tags (RFC 6376 §3.5), in which white space counts for nothing.
    fn keys(&self, keys: Vec<Domain>) -> Vec<Domain> {
        let tight = self.lower.replace(|c: char| c.is_ascii_whitespace() && c != '\n', "");
        let has_tag = |tag: &str, value: &str| {
            let needle = format!("{tag}={value}");
            tight.match_indices(&needle).any(|(at, _)| {
                let before = tight.get(..at).and_then(|text| text.chars().next_back());
                let after = tight.get(at + needle.len()..).and_then(|text| text.chars().next());
                before.is_none_or(|c| !c.is_ascii_alphanumeric()) && matches!(after, None | Some(';' | '\n'))
            })
        };
        // A selector may hold the words in between as well.
        let stands = |key: &Domain| {
            let name = key.expose();
            name.match_indices(KEYS).any(|(at, _)| {
                let (selector, domain) = (name.get(..at), name.get(at + KEYS.len()..));
                selector.zip(domain).is_some_and(|(selector, domain)| has_tag("s", selector) && has_tag("d", domain))
            })
        };
        keys.into_iter().filter(stands).collect()
    }

    fn has_ip(&self, client: &Client) -> bool {
        let is_end = |c: char| c.is_whitespace() || "[]()<>;,=@".contains(c);
        let words = self.text.split(is_end).filter(|word| word.len() <= MAX_IP && word.contains(['.', ':']));
        words.filter_map(address).any(|ip| ip == *client.ip.expose())
    }

    /// A client without a name that does not stand here.
    fn named(&self, client: Client) -> Client {
        if has_word(&self.text, client.helo.expose()) {
            client
        } else {
            Client { helo: Pii::new(String::new()), ..client }
        }
    }

    fn has_path(&self, path: &str) -> bool {
        self.text.contains(&format!("<{path}>"))
    }
}

/// Whether a word stands in a text, and not as a piece of a longer one.
fn has_word(text: &str, word: &str) -> bool {
    let is_part = |c: char| !c.is_ascii() && !c.is_whitespace() || c.is_ascii_alphanumeric() || "-_".contains(c);
    text.match_indices(word).any(|(at, _)| {
        let before = text.get(..at).and_then(|text| text.chars().next_back());
        let behind = text.get(at + word.len()..).unwrap_or_default();
        // A dot at the end belongs to no name.
        let after = behind.strip_prefix('.').unwrap_or(behind).chars().next();
        before.is_none_or(|c| !is_part(c) && c != '.') && after.is_none_or(|c| !is_part(c))
    })
}
