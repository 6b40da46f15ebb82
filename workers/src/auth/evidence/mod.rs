//! What a mail's header says that authentication starts from. Runs in the sandbox's child only.
//!
//! Invariant: what stands below the first `Received` is the sender's word, except for the run that Amazon SES
//! writes directly beneath its own; and that run is believed about what it reports, never about who connected.

mod author;
mod keys;
mod received;
mod reported;

use std::net::IpAddr;

use mail_parser::Headers;
use serde::{Deserialize, Serialize};
use shared::pii::Pii;
use wildmatch::WildMatch;

use crate::mail::address_fields::AddressFields;

use super::{
    Domain,
    results::{Reported, SES},
};

pub use author::Author;
pub use keys::{MAX_KEYS, MAX_SETS, MAX_SIGNATURES};
pub(in crate::auth) use keys::{ascii_domain, key_name};
pub(in crate::auth) use received::address;
pub(in crate::auth) use reported::authserv_id;

/// The longest name or address of a hop that is kept, in bytes (RFC 5321 §4.5.3.1).
const MAX_NAME: usize = 320;

/// Which mail servers' words are believed. Patterns: `*` is any text, `?` any one character.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trust {
    /// The names by which they sign in `Received`.
    pub hosts: Vec<String>,
    /// The names by which they sign in `Authentication-Results` (RFC 8601 §2.2).
    pub authserv_ids: Vec<String>,
}

/// The SMTP session with the outside, as a trusted server wrote it down. That it did so is worth knowing by itself: mail
/// which came that way is held to what its author publishes, also where the rest cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustedHop {
    /// The client, where the server's line can be read in one way.
    pub client: Option<Client>,
    /// `MAIL FROM`; empty for a bounce, `None` where it was not written down or cannot be read.
    pub mail_from: Option<Pii<String>>,
}

/// Who connected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// Its address.
    pub ip: Pii<IpAddr>,
    /// Its name for itself in `HELO`.
    pub helo: Pii<String>,
}

/// Everything that authentication needs of the header.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Whose mail it is by its `From`.
    pub author: Author,
    /// The session with the outside; `None` where nobody trusted tells of it.
    pub hop: Option<TrustedHop>,
    /// What a trusted server found.
    pub reported: Option<Reported>,
    /// Whether there is anything to verify: signatures or seals.
    pub is_signed: bool,
    /// Names of the key records that signatures and seals need, each once.
    pub keys: Vec<Domain>,
}

impl Evidence {
    /// Collects it.
    pub(crate) fn collect(headers: &Headers<'_>, addresses: &AddressFields<'_>, trust: &Trust) -> Self {
        let fields: Vec<Field<'_>> =
            headers.iter().map(|h| Field { name: h.raw_name(), value: h.raw_value() }).collect();
        let (is_signed, keys) = keys::collect(&fields);
        let (hop, reported) = trusted(&fields, trust);
        Self { author: author::read(&fields, addresses), hop, reported, is_signed, keys }
    }

    /// Whether this can have come from an honest child.
    pub(crate) fn is_bounded(&self) -> bool {
        let is_short = |text: &Pii<String>| text.expose().len() <= MAX_NAME;
        let is_hop = |hop: &TrustedHop| {
            hop.client.as_ref().is_none_or(|client| is_short(&client.helo))
                && hop.mail_from.as_ref().is_none_or(is_short)
        };
        self.keys.len() <= MAX_KEYS
            && self.author.domains().len() <= author::MAX_AUTHORS
            && self.hop.as_ref().is_none_or(is_hop)
            && self.reported.as_ref().is_none_or(|reported| reported.by.len() <= MAX_NAME)
    }
}

/// A header field, raw.
#[derive(Clone, Copy)]
struct Field<'a> {
    name: &'a str,
    value: &'a [u8],
}

impl Field<'_> {
    fn is(&self, name: &str) -> bool {
        is_named(self.name.as_bytes(), name)
    }
}

/// Whether a field has a name. White space in front of the colon is an older form of it (RFC 5322 §4.5); anything else
/// makes another name.
pub(in crate::auth) fn is_named(raw: &[u8], name: &str) -> bool {
    let end = raw.iter().rposition(|b| !matches!(b, b' ' | b'\t')).map_or(0, |last| last + 1);
    raw.get(..end).is_some_and(|raw| raw.eq_ignore_ascii_case(name.as_bytes()))
}

/// What trusted servers say. Only the topmost `Received` can be theirs (qmail writes two): whoever wrote one further down
/// wrote it before the last server took the mail.
///
/// A line that names a trusted server counts as its own however it reads, since no client may talk its way out of it. One
/// that names two holds what a client wrote: a whole line as its HELO, whose end is an address of the envelope.
fn trusted(fields: &[Field<'_>], trust: &Trust) -> (Option<TrustedHop>, Option<Reported>) {
    let mut lines = fields.iter().enumerate().filter(|(_, field)| field.is("Received")).peekable();
    let is_qmail = lines.next_if(|(_, field)| received::is_qmails(field.value)).is_some();
    let Some((at, line)) = lines.next() else { return (None, None) };
    let servers = received::servers(line.value);
    let named = servers.iter().filter(|name| matches_any(&trust.hosts, name)).count();
    let read = received::read(line.value, is_qmail).filter(|read| matches_any(&trust.hosts, &read.by) && named == 1);
    let (above, beneath) = (fields.get(..at).unwrap_or_default(), fields.get(at + 1..).unwrap_or_default());
    let mail_from = above.iter().find(|field| field.is("Return-Path")).and_then(|field| received::path(field.value));
    let mail_from = mail_from.map(Pii::new);
    let Some(received::Received { by, mut client }) = read else {
        return ((named > 0).then_some(TrustedHop { client: None, mail_from }), None);
    };
    let reported = if received::is_ses(&by) {
        let run = reported::ses(above, beneath, client.as_ref().map(|client| *client.ip.expose()));
        if let (Some(client), Some(helo)) = (&mut client, run.helo) {
            client.helo = Pii::new(helo);
        }
        run.reported
    } else {
        reported::by_configured(above, &trust.authserv_ids)
    };
    (Some(TrustedHop { client, mail_from }), reported)
}

fn matches_any(patterns: &[String], text: &str) -> bool {
    patterns.iter().any(|pattern| WildMatch::new_case_insensitive(pattern).matches(text))
}

/// How much of a field is read, in bytes.
pub(in crate::auth) const MAX_READ: usize = 8 * 1024;

/// A value without folds, as text, cut at what is worth reading.
pub(in crate::auth) fn unfolded(value: &[u8]) -> String {
    let value = value.get(..MAX_READ).unwrap_or(value);
    String::from_utf8_lossy(value).replace(['\r', '\n'], "").replace('\t', " ").trim().to_owned()
}

/// The text outside comments and quotation marks, each of which becomes one space. `None` where one is left open.
pub(in crate::auth) fn bare(text: &str) -> Option<String> {
    let (mut depth, mut quoted, mut escaped) = (0_u32, false, false);
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if depth > 0 || quoted => escaped = true,
            '"' if depth == 0 => {
                quoted = !quoted;
                out.push(' ');
            }
            '(' if !quoted => depth += 1,
            ')' if !quoted => {
                depth = depth.checked_sub(1)?;
                out.push(' ');
            }
            c if depth == 0 && !quoted => out.push(c),
            _ => {}
        }
    }
    (depth == 0 && !quoted).then_some(out)
}

#[cfg(test)]
mod tests;
