//! "Did you mean": the known key nearest to an unknown one.

use std::collections::BTreeSet;

/// Most edits between what was written and what is suggested.
const NEAR: usize = 2;

/// What to say about a key that nobody knows.
pub(super) fn unknown(key: &str, known: &BTreeSet<String>) -> String {
    if let Some(near) = nearest(key, known.iter().map(String::as_str)) {
        return format!("unknown key; did you mean \"{near}\"?");
    }
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    if known.is_empty() { "unknown key".to_owned() } else { format!("unknown key; known here: {}", known.join(", ")) }
}

/// The nearest of `known` within two edits, and fewer than the name has letters.
pub(super) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    known
        .map(|candidate| (distance(&word, candidate), candidate))
        .filter(|(edits, candidate)| *edits <= NEAR && *edits < candidate.chars().count())
        .min()
        .map(|(_, candidate)| candidate)
}

/// Damerau-Levenshtein distance (optimal string alignment): insertions, deletions, replacements and swaps.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted_with_swaps() {
        for (a, b, edits) in [("", "ab", 2), ("scan", "scan", 0), ("pasre", "parse", 1), ("kitten", "sitting", 3)] {
            assert_eq!((distance(a, b), distance(b, a)), (edits, edits), "{a} {b}");
        }
    }

    #[test]
    fn only_near_names_are_suggested() {
        let known = ["visibility", "heartbeat", "url"];
        for (word, near) in [("visiblity", Some("visibility")), ("URL", Some("url")), ("rate", None), ("x", None)] {
            assert_eq!(nearest(word, known.into_iter()), near, "{word}");
        }
    }
}
