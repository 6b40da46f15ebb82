//! Reads a MIME field's raw value for what cannot be seen in a parsed one: whether parameters stand twice, and
//! which encoding a contradictory field means.

use super::model::Severity;

/// Parameters whose second reading changes where a part ends or what its file is called.
const DECISIVE: [&str; 3] = ["boundary", "name", "filename"];

/// How bad the repeated parameters of a field are, if any are repeated. `filename` beside `filename*` is one of each.
pub(super) fn repeated_parameters(value: &[u8]) -> Option<Severity> {
    let parameters = parameters(value);
    let mut worst = None;
    for (index, (name, value)) in parameters.iter().enumerate() {
        for (_, other) in parameters.iter().skip(index + 1).filter(|(other, _)| other == name) {
            let decisive = other != value && DECISIVE.iter().any(|known| name.split('*').next() == Some(known));
            worst = worst.max(Some(if decisive { Severity::Ambiguous } else { Severity::Warning }));
        }
    }
    worst
}

/// How bad a transfer encoding is that nobody knows: ambiguous where some client may take it for one that changes
/// the bytes (`base64;`, `x-uuencode`).
pub(super) fn unknown_encoding(value: &[u8]) -> Severity {
    let value = value.to_ascii_lowercase();
    let changes = ["base", "quoted", "uu", "yenc", "binhex", "64", "gzip", "deflate"];
    let suspect = changes.iter().any(|word| memchr::memmem::find(&value, word.as_bytes()).is_some());
    if suspect { Severity::Ambiguous } else { Severity::Warning }
}

/// How bad it is that a content type cannot be read as one (RFC 2045 §5.1), if it cannot: ambiguous where some reader may
/// see parts in it, or decode what is no place for encoded words (RFC 2047 §5).
pub(super) fn type_damage(value: &[u8]) -> Option<Severity> {
    let mut halves = first_piece(value).splitn(2, |byte| *byte == b'/');
    let (main, sub) = (halves.next().unwrap_or_default(), halves.next().unwrap_or_default());
    let is_type = !main.is_empty() && token(main).len() == main.len() && ends_after_token(sub);
    let lower = value.to_ascii_lowercase();
    let matters = [&b"=?"[..], b"boundary", b"multipart", b"message"];
    let is_decisive = matters.iter().any(|word| memchr::memmem::find(&lower, word).is_some());
    match (is_type, has_encoded_parameter(value)) {
        (_, true) => Some(Severity::Ambiguous),
        (true, false) => None,
        (false, false) => Some(if is_decisive { Severity::Ambiguous } else { Severity::Warning }),
    }
}

/// How bad it is that a disposition cannot be read as one (RFC 2183 §2), if it cannot: ambiguous where it begins with no
/// word, or with one that is encoded, so that a reader sees none of what follows, and another one all of it.
pub(super) fn disposition_damage(value: &[u8]) -> Option<Severity> {
    let first = first_piece(value);
    let is_empty = value.trim_ascii().is_empty();
    let is_encoded = memchr::memmem::find(first, b"=?").is_some() || has_encoded_parameter(value);
    match ends_after_token(first) {
        _ if is_encoded => Some(Severity::Ambiguous),
        true => None,
        false if token(first).is_empty() && !is_empty => Some(Severity::Ambiguous),
        false => Some(Severity::Warning),
    }
}

/// What stands before the parameters.
fn first_piece(value: &[u8]) -> &[u8] {
    value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii()
}

/// The token (RFC 2045 §5.1) that a text begins with.
fn token(text: &[u8]) -> &[u8] {
    let is_one = |byte: &u8| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(byte);
    let len = text.iter().take_while(|byte| is_one(byte)).count();
    text.get(..len).unwrap_or_default()
}

/// Whether nothing follows a token but a comment.
fn ends_after_token(text: &[u8]) -> bool {
    let token = token(text);
    let rest = text.get(token.len()..).unwrap_or_default().trim_ascii();
    !token.is_empty() && (rest.is_empty() || rest.starts_with(b"(") && rest.ends_with(b")"))
}

/// Whether an encoded word stands where the name of a parameter has to stand.
fn has_encoded_parameter(value: &[u8]) -> bool {
    split_unquoted(value).into_iter().skip(1).any(|piece| piece.trim_ascii().starts_with(b"=?"))
}

/// The parameters of a field: names in lower case, values as written. At most 100 are read.
fn parameters(value: &[u8]) -> Vec<(String, &[u8])> {
    let pieces = split_unquoted(value).into_iter().skip(1).take(100);
    let named = pieces.filter_map(|piece| {
        let equals = memchr::memchr(b'=', piece)?;
        let (name, value) = (piece.get(..equals)?.trim_ascii(), piece.get(equals + 1..)?.trim_ascii());
        Some((String::from_utf8_lossy(name).to_ascii_lowercase(), value))
    });
    named.collect()
}

/// Splits at semicolons that stand outside quoted strings.
fn split_unquoted(value: &[u8]) -> Vec<&[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    let is_end = move |byte: &u8| {
        let literal = std::mem::take(&mut escaped);
        match byte {
            b'\\' if quoted && !literal => escaped = true,
            b'"' if !literal => quoted = !quoted,
            _ => {}
        }
        *byte == b';' && !quoted
    };
    value.split(is_end).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_dispositions_that_are_none_are_seen() {
        for (value, found) in [
            ("text/plain", None),
            ("\r\n Multipart/Mixed\r\n\t; boundary=b", None),
            ("text/plain; charset=us-ascii (Plain text)", None),
            ("text/plain (Plain text)", None),
            ("application/vnd.ms-excel.sheet.macroEnabled.12;name=a", None),
            ("text/plain; name==?utf-8?q?a?=", None),
            ("text", Some(Severity::Warning)),
            ("text/plain charset=utf-8", Some(Severity::Warning)),
            ("", Some(Severity::Warning)),
            ("multipart /mixed; boundary=b", Some(Severity::Ambiguous)),
            ("multipart/ mixed; boundary=b", Some(Severity::Ambiguous)),
            ("message /rfc822", Some(Severity::Ambiguous)),
            ("multipart/mixed boundary=b", Some(Severity::Ambiguous)),
            ("\"multipart/mixed\"; boundary=b", Some(Severity::Ambiguous)),
            ("=?utf-8?q?multipart/mixed=3B_boundary=3Db1?=", Some(Severity::Ambiguous)),
            ("=?utf-8?q?text/plain?=", Some(Severity::Ambiguous)),
            ("multipart/mixed; boundary=zz; =?utf-8?q?boundary=3Db1?=", Some(Severity::Ambiguous)),
        ] {
            assert_eq!(type_damage(value.as_bytes()), found, "{value}");
        }
        for (value, found) in [
            ("attachment", None),
            ("Inline ; filename=a", None),
            ("attachment; filename=\"=?utf-8?q?a?=\"", None),
            ("attachment filename=a", Some(Severity::Warning)),
            ("", Some(Severity::Warning)),
            ("; filename=a", Some(Severity::Ambiguous)),
            ("=?utf-8?q?attachment=3B_filename=3Da.exe?=", Some(Severity::Ambiguous)),
            ("attachment =?utf-8?q?=3B_filename=3Da.exe?=", Some(Severity::Ambiguous)),
            ("attachment; =?utf-8?q?filename=3Da.exe?=", Some(Severity::Ambiguous)),
        ] {
            assert_eq!(disposition_damage(value.as_bytes()), found, "{value}");
        }
    }

    #[test]
    fn parameters_that_stand_twice_are_seen() {
        for (value, found) in [
            ("multipart/mixed; boundary=a", None),
            ("multipart/mixed; boundary=a; boundary=b", Some(Severity::Ambiguous)),
            ("multipart/mixed; Boundary = a ;\r\n boundary=a", Some(Severity::Warning)),
            ("text/plain; charset=a; charset=b", Some(Severity::Warning)),
            ("attachment; filename=\"a;filename=b\"", None),
            ("attachment; filename=\"a\\\";x\"; filename=b.exe", Some(Severity::Ambiguous)),
            ("attachment; filename=a; filename*=UTF-8''b", None),
            ("attachment; filename*0=a; filename*1=b", None),
            ("attachment; filename*0=a; filename*0=b", Some(Severity::Ambiguous)),
        ] {
            assert_eq!(repeated_parameters(value.as_bytes()), found, "{value}");
        }
    }
}
