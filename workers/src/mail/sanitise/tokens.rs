//! HTML tokens, as in the HTML standard's data state (§13.2.5): text, start tags, end tags.
//!
//! Comments, doctypes, processing instructions and unfinished tags give nothing. Text elements such as `script`
//! are the caller's concern: it skips them with [`Tokens::skip_element`], so that the data state is the only one.
//!
//! Each step costs a bounded time, and the budget is asked every few of them: when it is spent there are no more tokens.

use memchr::{memchr, memchr_iter, memmem, memrchr};

use super::budget::Budget;

/// A token.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// Text, character references as written. A `<` in it begins no tag. A long text comes in pieces.
    Text(&'a str),
    /// A start tag and its name as written; [`Tokens::attributes`] has the rest.
    Start(&'a str),
    /// An end tag and its name as written.
    End(&'a str),
}

/// An attribute as written, its value without quotes; empty where it has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Attribute<'a> {
    pub(super) name: &'a str,
    pub(super) value: &'a str,
}

/// Reads tokens.
pub(super) struct Tokens<'a> {
    html: &'a str,
    at: usize,
    attributes: Vec<Attribute<'a>>,
    /// There were more than [`MAX_ATTRIBUTES`].
    has_more: bool,
    budget: Budget,
    /// Since the budget was asked.
    steps: u32,
}

/// How many attributes of a tag are looked at.
pub(super) const MAX_ATTRIBUTES: usize = 64;
/// After how many steps the budget is asked, and how many of them a token is.
const STEPS: u32 = 1024;
const STEPS_OF_TOKEN: u32 = 8;
/// The most text that a token has, in bytes, and how much of its end is looked at for a reference that must stay whole.
const MAX_TEXT: usize = 4 * 1024;
const MAX_REFERENCE: usize = 40;

impl<'a> Tokens<'a> {
    pub(super) fn new(html: &'a str, budget: Budget) -> Self {
        Self { html, at: 0, attributes: Vec::new(), has_more: false, budget, steps: 0 }
    }

    /// Whether there is budget for more steps. If not, nothing is left to read.
    fn take(&mut self, steps: u32) -> bool {
        self.steps += steps;
        if self.steps >= STEPS {
            self.steps = 0;
            if self.budget.is_spent() {
                self.skip_rest();
                return false;
            }
        }
        true
    }

    /// The attributes of the tag that was read last.
    pub(super) fn attributes(&self) -> &[Attribute<'a>] {
        &self.attributes
    }

    /// Whether that tag has more attributes than that.
    pub(super) fn has_more(&self) -> bool {
        self.has_more
    }

    /// Skips to the end of an element whose start tag was read: past the first end tag of that name. Returns
    /// whether there is one; if not, nothing is skipped.
    pub(super) fn skip_element(&mut self, name: &str) -> bool {
        let bytes = self.html.as_bytes();
        let from = self.at;
        for found in memchr_iter(b'<', bytes.get(from..).unwrap_or_default()) {
            let open = from + found;
            if !self.take(1) {
                return false;
            }
            let is_end = bytes.get(open + 1) == Some(&b'/')
                && bytes.get(open + 2..open + 2 + name.len()).is_some_and(|n| n.eq_ignore_ascii_case(name.as_bytes()))
                && bytes.get(open + 2 + name.len()).is_none_or(|b| is_space(*b) || matches!(b, b'/' | b'>'));
            if is_end {
                self.at = open;
                return self.tag(open + 2).is_some();
            }
        }
        false
    }

    /// Skips everything.
    pub(super) fn skip_rest(&mut self) {
        self.at = self.html.len();
    }

    fn slice(&self, start: usize, end: usize) -> &'a str {
        self.html.get(start..end).unwrap_or_default()
    }

    /// Reads a tag whose name begins at `start`, and stands behind it. `None` if it does not end.
    fn tag(&mut self, start: usize) -> Option<&'a str> {
        let bytes = self.html.as_bytes();
        let name_end = start + run(bytes, start, |b| !is_space(b) && !matches!(b, b'/' | b'>'));
        let end = self.read_attributes(name_end);
        self.at = end.unwrap_or(bytes.len());
        end.map(|_| self.slice(start, name_end))
    }

    /// Reads attributes up to the end of the tag, and returns the place behind it.
    fn read_attributes(&mut self, mut at: usize) -> Option<usize> {
        self.attributes.clear();
        self.has_more = false;
        let bytes = self.html.as_bytes();
        loop {
            at += run(bytes, at, |b| is_space(b) || b == b'/');
            if !self.take(1) {
                return None;
            }
            if *bytes.get(at)? == b'>' {
                return Some(at + 1);
            }
            let start = at;
            // An `=` that comes first is part of the name.
            at += 1 + run(bytes, at + 1, |b| !is_space(b) && !matches!(b, b'/' | b'>' | b'='));
            let name = self.slice(start, at);
            at += run(bytes, at, is_space);
            let mut value = "";
            if bytes.get(at) == Some(&b'=') {
                let (start, end, after) = value_of(bytes, at + 1)?;
                value = self.slice(start, end);
                at = after;
            }
            if self.attributes.len() < MAX_ATTRIBUTES {
                self.attributes.push(Attribute { name, value });
            } else {
                self.has_more = true;
            }
        }
    }

    /// Skips what begins with `<!`, `<?` or `</` and is no tag.
    fn skip_markup(&mut self, open: usize) {
        let rest = self.html.as_bytes().get(open..).unwrap_or_default();
        let len = if rest.starts_with(b"<!--") {
            comment(rest)
        } else {
            memchr(b'>', rest).map_or(rest.len(), |end| end + 1)
        };
        self.at = open + len;
    }
}

/// The length of a comment, which ends as the HTML standard says: also `<!-->` and `--!>`.
fn comment(rest: &[u8]) -> usize {
    if rest.starts_with(b"<!-->") {
        return 5;
    }
    if rest.starts_with(b"<!--->") {
        return 6;
    }
    let body = rest.get(4..).unwrap_or_default();
    for dashes in memmem::find_iter(body, b"--") {
        match body.get(dashes + 2..) {
            Some([b'>', ..]) => return 4 + dashes + 3,
            Some([b'!', b'>', ..]) => return 4 + dashes + 4,
            // `--->`: the dashes overlap.
            Some([b'-', b'>', ..]) => return 4 + dashes + 4,
            _ => {}
        }
    }
    rest.len()
}

impl<'a> Tokens<'a> {
    /// The next token.
    pub(super) fn next(&mut self) -> Option<Token<'a>> {
        let bytes = self.html.as_bytes();
        while self.at < bytes.len() && self.take(STEPS_OF_TOKEN) {
            let start = self.at;
            match bytes.get(start..).unwrap_or_default() {
                [b'<', b'/', b'a'..=b'z' | b'A'..=b'Z', ..] => {
                    if let Some(name) = self.tag(start + 2) {
                        return Some(Token::End(name));
                    }
                }
                [b'<', b'a'..=b'z' | b'A'..=b'Z', ..] => {
                    if let Some(name) = self.tag(start + 1) {
                        return Some(Token::Start(name));
                    }
                }
                [b'<', b'/', _, ..] | [b'<', b'!' | b'?', ..] => self.skip_markup(start),
                rest => {
                    let len = memchr(b'<', rest.get(1..).unwrap_or_default()).map_or(rest.len(), |end| end + 1);
                    self.at = start + piece(self.html.get(start..start + len).unwrap_or_default());
                    return Some(Token::Text(self.slice(start, self.at)));
                }
            }
        }
        None
    }
}

/// How much of a text a token takes. It does not end within a reference, unless that is absurdly long.
fn piece(text: &str) -> usize {
    if text.len() <= MAX_TEXT {
        return text.len();
    }
    let end = text.floor_char_boundary(MAX_TEXT);
    let tail = text.as_bytes().get(end - MAX_REFERENCE..end).unwrap_or_default();
    match memrchr(b'&', tail) {
        Some(reference) if memchr(b';', tail.get(reference..).unwrap_or_default()).is_none() => {
            end - MAX_REFERENCE + reference
        }
        _ => end,
    }
}

/// An attribute's value: where it begins and ends without its quotes, and the place behind it.
fn value_of(bytes: &[u8], mut at: usize) -> Option<(usize, usize, usize)> {
    at += run(bytes, at, is_space);
    match *bytes.get(at)? {
        quote @ (b'"' | b'\'') => {
            let end = at + 1 + memchr(quote, bytes.get(at + 1..)?)?;
            Some((at + 1, end, end + 1))
        }
        _ => {
            let end = at + run(bytes, at, |b| !is_space(b) && b != b'>');
            Some((at, end, end))
        }
    }
}

/// How many bytes from `at` on satisfy the predicate.
fn run(bytes: &[u8], at: usize, predicate: impl Fn(u8) -> bool) -> usize {
    bytes.get(at..).unwrap_or_default().iter().take_while(|byte| predicate(**byte)).count()
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\x0c' | b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(html: &str) -> Vec<String> {
        let mut tokens = Tokens::new(html, Budget::unlimited());
        let mut shown = Vec::new();
        while let Some(token) = tokens.next() {
            shown.push(match token {
                Token::Text(text) => text.to_owned(),
                Token::Start(name) => {
                    let attributes = tokens.attributes().iter().map(|a| format!(" {}[{}]", a.name, a.value));
                    format!("<{name}{}>", attributes.collect::<String>())
                }
                Token::End(name) => format!("</{name}>"),
            });
        }
        shown
    }

    #[test]
    fn tokens_are_those_of_the_standard() {
        for (html, tokens) in [
            ("a<b>c</b >", &["a", "<b>", "c", "</b>"][..]),
            ("<a b='>' c=\">\" d=> e", &["<a b[>] c[>] d[]>", " e"]),
            ("<a/b=1 onX onload = x/>", &["<a b[1] onX[] onload[x/]>"]),
            ("<a =x=y>t", &["<a =x[y]>", "t"]),
            ("1<2 <", &["1", "<2 ", "<"]),
            ("<!-- > --><!-->x<!--->y<!-- a --!>z<!--a--->w", &["x", "y", "z", "w"]),
            ("<!doctype html><?php ?></1>x</>y", &["x", "y"]),
            ("x<!-- open", &["x"]),
            ("x<a href='", &["x"]),
            ("x</", &["x", "</"]),
        ] {
            assert_eq!(shown(html), tokens, "{html}");
        }
    }

    #[test]
    fn a_long_text_comes_in_pieces_that_leave_references_whole() {
        for reference in ["&amp;", "&CounterClockwiseContourIntegral;", "&#x0000000000000041;", "\u{e9}", "&&&&"] {
            for before in MAX_TEXT - 45..=MAX_TEXT {
                let html = format!("{}{reference}{}", "x".repeat(before), "y".repeat(2 * MAX_TEXT));
                let pieces = shown(&html);
                assert_eq!(pieces.concat(), html);
                assert!(pieces.iter().all(|piece| piece.len() <= MAX_TEXT));
                assert!(reference == "&&&&" || pieces.iter().any(|piece| piece.contains(reference)), "{reference}");
            }
        }
    }

    #[test]
    fn without_budget_there_are_no_more_tokens() {
        for html in ["x<b>".repeat(10_000), format!("<p{}>", " a".repeat(10_000)), "<".repeat(10_000)] {
            let mut tokens = Tokens::new(&html, Budget::start(std::time::Duration::ZERO));
            let count = std::iter::from_fn(|| tokens.next().map(|_| ())).count();
            assert!(count < 1_000, "{count}");
        }
    }

    #[test]
    fn an_element_is_skipped_to_its_own_end_tag() {
        let mut tokens = Tokens::new("a</scripty></SCRIPT x='>'>b", Budget::unlimited());
        assert!(tokens.skip_element("script"));
        assert_eq!(tokens.next(), Some(Token::Text("b")));
        assert!(!tokens.skip_element("script"));
    }
}
