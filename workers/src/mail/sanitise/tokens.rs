//! HTML tokens, as in the HTML standard's data state (§13.2.5): text, start tags, end tags.
//!
//! Comments, doctypes, processing instructions and unfinished tags give nothing. Text elements such as `script`
//! are the caller's concern: it skips them with [`Tokens::skip_element`], so that the data state is the only one.

use memchr::{memchr, memchr_iter, memmem};

/// A token.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// Text, character references as written. A `<` in it begins no tag.
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

impl Attribute<'_> {
    /// Whether it is an event handler.
    pub(super) fn is_handler(&self) -> bool {
        self.name.as_bytes().get(..2).is_some_and(|on| on.eq_ignore_ascii_case(b"on"))
    }
}

/// Reads tokens.
pub(super) struct Tokens<'a> {
    html: &'a str,
    at: usize,
    attributes: Vec<Attribute<'a>>,
    /// There were more than [`MAX_ATTRIBUTES`].
    has_more: bool,
}

/// How many attributes of a tag are looked at.
pub(super) const MAX_ATTRIBUTES: usize = 64;

impl<'a> Tokens<'a> {
    pub(super) fn new(html: &'a str) -> Self {
        Self { html, at: 0, attributes: Vec::new(), has_more: false }
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
        for found in memchr_iter(b'<', bytes.get(self.at..).unwrap_or_default()) {
            let open = self.at + found;
            let is_end = bytes.get(open + 1) == Some(&b'/')
                && bytes.get(open + 2..open + 2 + name.len()).is_some_and(|n| n.eq_ignore_ascii_case(name.as_bytes()))
                && bytes.get(open + 2 + name.len()).is_none_or(|b| is_space(*b) || matches!(b, b'/' | b'>'));
            if is_end {
                self.at = open;
                self.tag(open + 2);
                return true;
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
        while self.at < bytes.len() {
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
                    self.at = start + len;
                    return Some(Token::Text(self.slice(start, self.at)));
                }
            }
        }
        None
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
        let mut tokens = Tokens::new(html);
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
    fn an_element_is_skipped_to_its_own_end_tag() {
        let mut tokens = Tokens::new("a</scripty></SCRIPT x='>'>b");
        assert!(tokens.skip_element("script"));
        assert_eq!(tokens.next(), Some(Token::Text("b")));
        assert!(!tokens.skip_element("script"));
    }
}
