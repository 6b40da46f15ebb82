//! Texts that deceive the eye: control characters, characters that turn the direction of writing, and words that mix
//! scripts whose letters look alike.

use unicode_script::{Script, UnicodeScript};
use unicode_security::mixed_script::AugmentedScriptSet;

use super::findings::Findings;
use super::model::{FindingCode, Severity};
use super::names::{is_hidden, is_mark};

/// Notes what deceives about a text that people are shown.
pub(super) fn check(text: &str, place: &str, findings: &mut Findings) {
    let is_control = |c: char| is_hidden(c) && !is_mark(c) && !turns(c) && !matches!(c, '\t' | '\n' | '\r');
    let mut note = |code, found| {
        if found {
            findings.add(code, Severity::Warning, place);
        }
    };
    note(FindingCode::ControlCharacters, text.chars().any(is_control));
    note(FindingCode::BidiCharacters, text.chars().any(turns));
    note(FindingCode::MixedScripts, !text.is_ascii() && text.split(|c: char| !c.is_alphanumeric()).any(is_mixed));
}

/// Embeddings, overrides and isolates: what follows one is written the other way round. (Marks, which ordinary texts
/// in right-to-left scripts use, turn nothing.)
const fn turns(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether a word has letters of several scripts that are not written together in any language (UTS 39 §5.1, and its
/// highly restrictive level: Latin goes with Chinese, Japanese and Korean).
pub(super) fn is_mixed(word: &str) -> bool {
    if word.is_ascii() || !AugmentedScriptSet::for_str(word).is_empty() {
        return false;
    }
    let others: String = word.chars().filter(|c| c.script() != Script::Latin).collect();
    let set = AugmentedScriptSet::for_str(&others);
    !(set.jpan || set.kore || set.hanb)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_mix_scripts_are_told_from_words_of_one() {
        for (word, mixed) in [
            ("paypal", false),
            ("p\u{430}ypal", true),
            ("пример", false),
            ("Grüße", false),
            ("\u{b5}Torrent", false),
            ("\u{3b1}lpha", true),
            ("Tシャツ", false),
            ("日本語かな", false),
            ("한국어ABC", false),
            ("東京дом", true),
            ("עברית", false),
            ("1a2", false),
            ("", false),
        ] {
            assert_eq!(is_mixed(word), mixed, "{word}");
        }
    }

    #[test]
    fn what_deceives_is_noted_and_what_other_scripts_need_is_not() {
        use FindingCode::{BidiCharacters, ControlCharacters, MixedScripts};
        for (text, codes) in [
            ("Q3 report", vec![]),
            ("Иван Smith, Δημήτρης", vec![]),
            ("שלום\u{200f} 123", vec![]),
            ("می\u{200c}خواهم \u{1f469}\u{200d}\u{1f4bb}", vec![]),
            ("folded\r\n\ttext", vec![]),
            ("invoice\u{202e}fdp.exe", vec![BidiCharacters]),
            ("a\u{2067}b", vec![BidiCharacters]),
            ("a\u{1b}[31m", vec![ControlCharacters]),
            ("a\u{200b}b", vec![ControlCharacters]),
            ("p\u{430}yment", vec![MixedScripts]),
        ] {
            let mut findings = Findings::default();
            check(text, "header Subject", &mut findings);
            assert_eq!(findings.into_vec().iter().map(|f| f.code).collect::<Vec<_>>(), codes, "{text:?}");
        }
    }
}
