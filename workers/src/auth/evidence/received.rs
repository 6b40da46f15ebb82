//! One `Received` field, as the common mail servers write it (RFC 5321 §4.4): who connected, and to whom.
//!
//! Invariant: where a field can be read in two ways, it says nothing. What the client called itself is the first word or
//! stands behind `helo=`, `HELO` or `EHLO`, and is nowhere taken for its address. Whose form a field has is told by the
//! server's own words, never by an address of the envelope, whose text a client chooses.

use std::net::IpAddr;

use shared::pii::Pii;

use super::{Client, MAX_NAME, MAX_READ, unfolded};

/// What a server wrote down of a session.
pub(super) struct Received {
    /// The server.
    pub(super) by: String,
    /// The client, where its address can be read.
    pub(super) client: Option<Client>,
}

/// Whose way to write the field it is, where there is more than one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    /// Exim's `from NAME ([IP] helo=HELO) by …`, `from [IP] (helo=HELO) by …`, or `from [IP] by …`; CommuniGate Pro's
    /// `from [IP] (HELO HELO) by …`.
    Leading,
    /// An address without brackets; what stands in some is HELO. Exchange's and Cloudflare's `from HELO (IP) by …`, qmail's
    /// `from NAME (HELO HELO) (USER@IP) by …`.
    Plain,
    /// `from HELO (NAME [IP]) by …`: Postfix, Sendmail, Amazon SES, Gmail, OpenSMTPD, Haraka, Stalwart and others; and
    /// James's `from IP (EHLO HELO) ([IP]) by …`.
    Common,
}

impl Style {
    /// By what stands behind `by`. `is_qmail` where qmail's own line stands above it.
    fn of(by: &str, is_qmail: bool) -> Self {
        let by = own_words(by);
        let is_plain = by.contains(" with Microsoft SMTP Server") || by.starts_with("cloudflare-email.net (unknown)");
        if by.contains("(Exim ") || by.contains("(CommuniGate Pro SMTP ") {
            Self::Leading
        } else if is_qmail || is_plain {
            Self::Plain
        } else {
            Self::Common
        }
    }
}

/// What a server says of itself, which is in front of what it repeats of the session.
fn own_words(by: &str) -> &str {
    let ends = ["<", "\"", ";", " id ", " for "].into_iter().filter_map(|end| by.find(end));
    ends.min().and_then(|end| by.get(..end)).unwrap_or(by)
}

/// Reads a field. `is_qmail` where qmail's own line stands above it.
pub(super) fn read(value: &[u8], is_qmail: bool) -> Option<Received> {
    let text = unfolded(value);
    let rest = text.strip_prefix("from ").filter(|_| value.len() <= MAX_READ)?;
    // An empty HELO leaves two spaces.
    let (first, behind) = rest.split_at(rest.find(' ')?);
    let mut clauses = top_level(behind, " by ")?.into_iter();
    let (from, by, None) = (clauses.next()?, clauses.next()?, clauses.next()) else { return None };
    let style = Style::of(by, is_qmail);
    let by = by.split([' ', ';', '(']).find(|word| !word.is_empty())?.trim_end_matches('.').to_owned();
    let helo = after_helo(from).unwrap_or(first);
    // A longer one is no name: the client is known all the same.
    let helo = if helo.len() <= MAX_NAME { helo.to_owned() } else { String::new() };
    let client = client_ip(first, from, style).map(|ip| Client { ip: Pii::new(ip), helo: Pii::new(helo) });
    Some(Received { by, client })
}

/// Whether the field is the one that qmail writes above its server's (`qmail-queue`).
pub(super) fn is_qmails(value: &[u8]) -> bool {
    let text = unfolded(value);
    let number = text.strip_prefix("(qmail ").and_then(|rest| rest.split_once(" invoked from network);"));
    number.is_some_and(|(pid, _)| !pid.is_empty() && pid.bytes().all(|b| b.is_ascii_digit()))
}

/// The names that stand behind a `by` anywhere in a field, also in one that cannot be read.
pub(super) fn servers(value: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(value);
    let words: Vec<&str> = text.split([' ', '\t', '\r', '\n', '(', ')', ';']).filter(|word| !word.is_empty()).collect();
    let behind_by = words.windows(2).filter(|pair| pair.first().is_some_and(|word| word.eq_ignore_ascii_case("by")));
    behind_by.filter_map(|pair| pair.get(1)).map(|name| name.trim_end_matches('.').to_owned()).collect()
}

/// Whether this is the name of a server of Amazon SES.
pub(super) fn is_ses(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    host.starts_with("inbound-smtp.") && (host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn"))
}

/// `<address>` or `<>`.
pub(super) fn path(value: &[u8]) -> Option<String> {
    let text = unfolded(value);
    let path = text.strip_prefix('<')?.strip_suffix('>')?;
    (path.len() <= MAX_NAME && !path.contains(['<', '>'])).then(|| path.to_owned())
}

/// An address, with or without the `IPv6:` of an address literal (RFC 5321 §4.1.3).
pub(in crate::auth) fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = match text.get(..5) {
        Some(tag) if tag.eq_ignore_ascii_case("IPv6:") => text.get(5..)?,
        _ => text,
    };
    bare.parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

/// The parts of a text around a separator that stands outside parentheses. `None` where one is left open.
fn top_level<'a>(text: &'a str, separator: &str) -> Option<Vec<&'a str>> {
    let (mut depth, mut start, mut parts) = (0_u32, 0, Vec::new());
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.checked_sub(1)?,
            ' ' if depth == 0 && at >= start && text.get(at..)?.starts_with(separator) => {
                parts.push(text.get(start..at)?);
                start = at + separator.len();
            }
            _ => {}
        }
    }
    parts.push(text.get(start..)?);
    (depth == 0).then_some(parts)
}

/// The only address behind the first word. Exim puts one there itself where it knows no name, and then writes no other;
/// CommuniGate Pro always does.
fn client_ip(first: &str, behind: &str, style: Style) -> Option<IpAddr> {
    let mut found = if style == Style::Plain { in_comments(behind) } else { in_brackets(behind)? };
    if style == Style::Leading
        && let Some(literal) = first.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'))
    {
        return address(literal).filter(|_| found.is_empty());
    }
    found.dedup();
    match found.as_slice() {
        [only] => Some(*only),
        _ => None,
    }
}

/// The addresses in brackets, except for HELO. `None` where something else stands in brackets.
fn in_brackets(text: &str) -> Option<Vec<IpAddr>> {
    let mut pieces = text.split('[');
    let mut before = pieces.next()?;
    let mut found = Vec::new();
    for piece in pieces {
        let (inside, after) = piece.split_once(']')?;
        if !["helo=", "(HELO ", "(EHLO "].iter().any(|mark| before.ends_with(mark)) {
            found.push(address(inside)?);
        }
        before = after;
    }
    Some(found)
}

/// The comments that are an address, or one behind the client's user.
fn in_comments(text: &str) -> Vec<IpAddr> {
    let comments = text.split('(').skip(1).filter_map(|rest| rest.split(')').next());
    comments.filter_map(|comment| address(comment.rsplit('@').next()?)).collect()
}

/// What Exim writes as `helo=NAME` in the comment, and others as `HELO NAME`.
fn after_helo(from: &str) -> Option<&str> {
    let comment = from.split_once('(')?.1;
    let comment = comment.split_once(')').map_or(comment, |(comment, _)| comment);
    let named = ["HELO ", "EHLO "].into_iter().find_map(|mark| comment.strip_prefix(mark));
    named.or_else(|| comment.split(' ').find_map(|word| word.strip_prefix("helo=")))
}
