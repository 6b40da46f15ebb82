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
