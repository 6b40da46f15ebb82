//! One `Received` field, as the common mail servers write it (RFC 5321 §4.4): who connected, and to whom.
//!
//! Invariant: where a field can be read in two ways, it says nothing.

use std::net::IpAddr;

use super::{MAX_NAME, unfolded};

/// What a server wrote down of a session.
pub(super) struct Received {
    /// The server.
    pub(super) by: String,
    /// The client's address.
    pub(super) client_ip: Option<IpAddr>,
    /// The client's name for itself.
    pub(super) helo: Option<String>,
}

/// Reads `from HELO (NAME [IP]) by SERVER …`, and Exim's `from NAME ([IP] helo=HELO) by SERVER …`, where an address without
/// a name is `from [IP] (helo=HELO)`, or `from [IP]` alone if that is its HELO as well.
pub(super) fn read(value: &[u8]) -> Option<Received> {
    let text = unfolded(value);
    let rest = text.strip_prefix("from ")?;
    let mut clauses = top_level(rest, " by ")?.into_iter();
    let (from, by, None) = (clauses.next()?, clauses.next()?, clauses.next()) else { return None };
    let is_exim = by.contains("(Exim ");
    let by = by.split([' ', ';', '(']).find(|word| !word.is_empty())?.to_owned();
    let first = from.split_whitespace().next()?;
    let client_ip = client_ip(from, first, is_exim);
    let helo = after_helo(from).unwrap_or(first);
    let helo = (!helo.is_empty() && helo.len() <= MAX_NAME).then(|| helo.to_owned());
    Some(Received { by: by.trim_end_matches('.').to_owned(), client_ip, helo })
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
pub(super) fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = match text.get(..5) {
        Some(tag) if tag.eq_ignore_ascii_case("IPv6:") => text.get(5..)?,
        _ => text,
    };
    bare.parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

/// The parts of a text around a separator that stands outside parentheses.
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
    Some(parts)
}

/// The only address in brackets that is not what the client called itself. An address at the start is its HELO, except
/// where Exim knows no name for it and writes no other.
fn client_ip(from: &str, first: &str, is_exim: bool) -> Option<IpAddr> {
    let mut found = Vec::new();
    let mut pieces = from.split('[');
    let mut before = pieces.next()?;
    let mut literal = None;
    for (nth, piece) in pieces.enumerate() {
        let (inside, after) = piece.split_once(']')?;
        if nth == 0 && first.starts_with('[') {
            literal = Some(inside);
        } else if !before.ends_with('=') {
            found.push(address(inside)?);
        }
        before = after;
    }
    if let (Some(literal), [], true) = (literal, found.as_slice(), is_exim) {
        return address(literal);
    }
    found.dedup();
    match found.as_slice() {
        [only] => Some(*only),
        _ => None,
    }
}

/// What Exim writes as `helo=NAME` in the comment.
fn after_helo(from: &str) -> Option<&str> {
    let comment = from.split_once('(')?.1;
    comment.split([' ', ')']).find_map(|word| word.strip_prefix("helo="))
}
