//! Texts from a mail made safe to show: names of files and people, subjects, identifiers.
//!
//! What comes out holds no control and no format characters (Unicode Cc and Cf, the bidirectional ones among
//! them) and no line or paragraph separators. A file name is never a path.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

/// The longest file name, in bytes.
pub const MAX_NAME: usize = 255;
/// The longest extension that survives when a name is cut, in bytes, its dot included.
const MAX_EXTENSION: usize = 16;

/// Whether a character must not be shown.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}' | '\u{8e2}'
            | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e007f}')
}

/// Whether a hidden character is one that ordinary texts need: joiners and direction marks (of Persian, Hebrew, Hindi,
/// emoji), the soft hyphen.
pub fn is_mark(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200c}'..='\u{200f}' | '\u{e0020}'..='\u{e007f}')
}

/// A text without hidden characters, and whether there were any that ordinary texts do not need. Line breaks and tabs
/// become spaces and count as ordinary folding.
pub fn visible(text: &str) -> (Cow<'_, str>, bool) {
    if !text.chars().any(is_hidden) {
        return (Cow::Borrowed(text), false);
    }
    let mut hidden = false;
    let shown = text.chars().filter_map(|c| match c {
        '\t' | '\n' => Some(' '),
        '\r' => None,
        c if is_hidden(c) => {
            hidden |= !is_mark(c);
            None
        }
        c => Some(c),
    });
    let shown = shown.collect();
    (Cow::Owned(shown), hidden)
}

/// A text of at most `max` bytes, cut between characters.
pub fn cut(text: &str, max: usize) -> &str {
    text.get(..text.floor_char_boundary(max)).unwrap_or_default()
}

/// A file name that is safe to show, in composed form (NFC), and whether characters were removed from it. `None` when nothing is left.
pub fn file_name(raw: &str) -> (Option<String>, bool) {
    let (shown, hidden) = visible(raw);
    let name: String = shown.trim().nfc().map(|c| if matches!(c, '/' | '\\') { '_' } else { c }).collect();
    if name.is_empty() {
        return (None, hidden);
    }
    if name.chars().all(|c| matches!(c, '.' | ' ')) {
        return (Some("_".to_owned()), hidden);
    }
    (Some(shorten(name)), hidden)
}

/// Cuts the stem, so that a long name cannot hide its extension.
fn shorten(name: String) -> String {
    if name.len() <= MAX_NAME {
        return name;
    }
    let extension = name.rfind('.').and_then(|dot| name.get(dot..)).filter(|e| e.len() <= MAX_EXTENSION).unwrap_or("");
    format!("{}{extension}", cut(&name, MAX_NAME - extension.len())).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn file_names_are_safe_to_show() {
        for (raw, safe, hidden) in [
            ("report.pdf", Some("report.pdf"), false),
            (" ../../etc/passwd ", Some(".._.._etc_passwd"), false),
            ("C:\\temp\\x.exe", Some("C:_temp_x.exe"), false),
            ("invoice\u{202e}fdp.exe", Some("invoicefdp.exe"), true),
            ("a\0b\u{200b}c\u{1b}.txt", Some("abc.txt"), true),
            ("..", Some("_"), false),
            (" \u{feff} ", None, true),
            ("", None, false),
            ("日本語.zip", Some("日本語.zip"), false),
            ("gru\u{308}n.pdf", Some("gr\u{fc}n.pdf"), false),
            ("a\u{37e}.exe", Some("a;.exe"), false),
        ] {
            assert_eq!(file_name(raw), (safe.map(str::to_owned), hidden), "{raw:?}");
        }
    }

    #[test]
    fn a_long_name_keeps_its_extension() {
        let (name, _) = file_name(&format!("{}.exe", "é".repeat(400)));
        let name = name.unwrap();
        assert!(name.len() <= MAX_NAME && name.ends_with(".exe"), "{name}");
    }

    proptest! {
        #[test]
        fn nothing_hidden_survives(raw in "\\PC*|[\\x00-\\x20\u{200b}-\u{206f}./\\\\a]{0,300}") {
            let (name, _) = file_name(&raw);
            let name = name.unwrap_or_default();
            prop_assert!(name.len() <= MAX_NAME);
            prop_assert!(unicode_normalization::is_nfc(&name));
            prop_assert!(!name.chars().any(|c| is_hidden(c) || c == '/' || c == '\\'));
        }
    }
}
