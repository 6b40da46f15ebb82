//! Text written as markup: exactly as the HTML standard's serialiser writes it (§13.3), so that reading and writing
//! it again changes nothing.

/// Writes text.
pub(super) fn text(text: &str, out: &mut String) {
    write(text, out, |byte| matches!(byte, b'&' | b'<' | b'>' | b'\r' | NBSP_LEAD));
}

/// Writes the value of an attribute, between double quotes.
pub(super) fn value(value: &str, out: &mut String) {
    write(value, out, |byte| matches!(byte, b'&' | b'<' | b'>' | b'"' | b'\r' | NBSP_LEAD));
}

/// The first byte of a no-break space in UTF-8, which others share.
const NBSP_LEAD: u8 = 0xc2;

fn write(text: &str, out: &mut String, is_special: impl Fn(u8) -> bool) {
    let mut rest = text;
    while let Some(at) = rest.bytes().position(&is_special) {
        out.push_str(rest.get(..at).unwrap_or_default());
        let special = rest.get(at..).unwrap_or_default().chars().next().unwrap_or_default();
        match special {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\u{a0}' => out.push_str("&nbsp;"),
            // It can only come from a reference; the next reader would see a line feed.
            '\r' => out.push('\n'),
            other => out.push(other),
        }
        rest = rest.get(at + special.len_utf8()..).unwrap_or_default();
    }
    out.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_markup_is_escaped() {
        let (mut as_text, mut as_value) = (String::new(), String::new());
        text("a<b>&\"'\u{a0}é©\r", &mut as_text);
        value("a<b>&\"'\u{a0}é©\r", &mut as_value);
        assert_eq!(as_text, "a&lt;b&gt;&amp;\"'&nbsp;é©\n");
        assert_eq!(as_value, "a&lt;b&gt;&amp;&quot;'&nbsp;é©\n");
    }
}
