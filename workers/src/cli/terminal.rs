//! Texts from a mail on a terminal: nothing in them controls it, or turns what stands beside them.

use crate::mail::names::{is_hidden, is_mark};

/// A text for one line. Controls become spaces; other hidden characters show as U+FFFD, unless ordinary texts need them.
pub(super) fn printable(text: &str) -> String {
    let shown = |c: char| match c {
        c if c.is_control() => ' ',
        c if is_hidden(c) && !is_mark(c) => '\u{fffd}',
        c => c,
    };
    text.chars().map(shown).collect()
}

/// A text in quotes that shows every hidden character as an escape, and all others, of whatever script, as they are.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if is_hidden(c) => quoted.extend(c.escape_unicode()),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_of_every_script_are_shown_and_what_turns_or_controls_is_not() {
        for (text, line, in_quotes) in [
            ("रिपोर्ट นี้ e\u{301}.pdf", "रिपोर्ट นี้ e\u{301}.pdf", "\"रिपोर्ट นี้ e\u{301}.pdf\""),
            ("a\u{202e}fdp.exe", "a\u{fffd}fdp.exe", "\"a\\u{202e}fdp.exe\""),
            ("a\u{1b}[2J\u{9b}1m\r\n\u{2028}", "a [2J 1m  \u{fffd}", "\"a\\u{1b}[2J\\u{9b}1m\\u{d}\\u{a}\\u{2028}\""),
            ("می\u{200c}خواهم", "می\u{200c}خواهم", "\"می\\u{200c}خواهم\""),
            ("a\" \\", "a\" \\", "\"a\\\" \\\\\""),
        ] {
            assert_eq!((printable(text).as_str(), quoted(text).as_str()), (line, in_quotes), "{text:?}");
        }
    }
}
