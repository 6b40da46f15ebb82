//! The text of sanitised HTML, for mails that come without.
//!
//! One pass over our own markup, whose tokens are as simple as they are well nested; it costs less than writing it did.
//! Quoted mail keeps its marks (`> `), so that a reply can be told from it.

use std::time::Duration;

use memchr::memchr3;

use super::budget::Budget;
use super::elements::{Fate, Kind, fate};
use super::references::{Place, resolve};
use super::tokens::{Token, Tokens};

/// How many marks a quoted line has at most.
const MAX_MARKS: usize = 8;

/// The text of HTML that was sanitised, and whether that is all of it: a little more than `max` bytes at most, within so
/// much processor time.
pub(in crate::mail) fn text_of(html: &str, max: usize, limit: Duration) -> (String, bool) {
    let budget = Budget::start(limit);
    let mut tokens = Tokens::new(html, budget);
    let mut text = Text::default();
    while let Some(token) = tokens.next() {
        match token {
            Token::Text(written) => text.words(&resolve(written, Place::Text)),
            Token::Start(name) => {
                let alt = tokens.attributes().iter().find(|attribute| attribute.name == "alt");
                match (name, alt) {
                    ("img", Some(alt)) if !alt.value.trim().is_empty() => {
                        text.words(&format!("[{}]", resolve(alt.value, Place::Attribute).trim()));
                    }
                    _ => text.start(name),
                }
            }
            Token::End(name) => text.end(name),
        }
        if text.out.len() > max {
            return (text.out, false);
        }
    }
    (text.out, !budget.is_spent())
}

#[derive(Default)]
struct Text {
    out: String,
    /// Line breaks that come before the next word.
    breaks: usize,
    /// White space that comes before it, if it is on the same line.
    gap: &'static str,
    /// What a list puts before it.
    bullet: Option<String>,
    quotes: usize,
    /// Of the line before.
    quotes_above: usize,
    preformatted: usize,
    /// The number of the next item of each open list; none where it has bullets.
    lists: Vec<Option<u32>>,
}

impl Text {
    fn start(&mut self, name: &str) {
        match name {
            "br" => self.breaks += 1,
            "blockquote" => {
                self.edge(2);
                self.quotes += 1;
            }
            "pre" => {
                self.edge(2);
                self.preformatted += 1;
            }
            "ol" | "ul" => {
                self.edge(if self.lists.is_empty() { 2 } else { 1 });
                self.lists.push((name == "ol").then_some(1));
            }
            "li" => {
                self.edge(1);
                self.bullet = Some(match self.lists.last_mut() {
                    Some(Some(number)) => {
                        *number += 1;
                        format!("{}. ", *number - 1)
                    }
                    _ => "* ".to_owned(),
                });
            }
            "td" | "th" if self.breaks == 0 => self.gap = "\t",
            name => self.edge(breaks_around(name)),
        }
    }

    fn end(&mut self, name: &str) {
        match name {
            "blockquote" => self.quotes = self.quotes.saturating_sub(1),
            "pre" => self.preformatted = self.preformatted.saturating_sub(1),
            "ol" | "ul" => {
                self.lists.pop();
            }
            _ => {}
        }
        match name {
            "td" | "th" => {}
            "ol" | "ul" if !self.lists.is_empty() => self.edge(1),
            name => self.edge(breaks_around(name)),
        }
    }

    /// The edge of a block: at least so many line breaks.
    fn edge(&mut self, breaks: usize) {
        if !self.out.is_empty() {
            self.breaks = self.breaks.max(breaks);
        }
    }

    fn words(&mut self, text: &str) {
        if self.preformatted > 0 {
            for (index, line) in text.split('\n').enumerate() {
                self.breaks += usize::from(index > 0);
                if !line.is_empty() {
                    self.word(line);
                }
            }
            return;
        }
        let is_space = |c: char| c.is_ascii_whitespace() || c == '\u{a0}';
        if text.starts_with(is_space) {
            self.space();
        }
        let mut words = text.split(is_space).filter(|word| !word.is_empty()).peekable();
        while let Some(word) = words.next() {
            self.word(word);
            if words.peek().is_some() || text.ends_with(is_space) {
                self.space();
            }
        }
    }

    fn space(&mut self) {
        if self.gap.is_empty() {
            self.gap = " ";
        }
    }

    fn word(&mut self, word: &str) {
        let is_first = self.out.is_empty();
        if self.breaks > 0 && !is_first {
            for _ in 1..self.breaks.min(3) {
                self.out.push('\n');
                self.out.push_str(&">".repeat(self.quotes.min(self.quotes_above).min(MAX_MARKS)));
            }
            self.out.push('\n');
        }
        if is_first || self.breaks > 0 {
            if self.quotes > 0 {
                self.out.push_str(&">".repeat(self.quotes.min(MAX_MARKS)));
                self.out.push(' ');
            }
        } else {
            self.out.push_str(self.gap);
        }
        (self.breaks, self.gap, self.quotes_above) = (0, "", self.quotes);
        if let Some(bullet) = self.bullet.take() {
            self.out.push_str(&" ".repeat(2 * self.lists.len().saturating_sub(1).min(MAX_MARKS)));
            self.out.push_str(&bullet);
        }
        match memchr3(0, b'\r', 0x1b, word.as_bytes()) {
            None => self.out.push_str(word),
            Some(_) => self.out.extend(word.chars().filter(|c| !c.is_control() || *c == '\t')),
        }
    }
}

/// The line breaks that an element has around it.
fn breaks_around(name: &str) -> usize {
    let Fate::Keep(element) = fate(name) else { return 0 };
    match element.kind {
        Kind::Paragraph | Kind::Heading | Kind::List | Kind::Rule | Kind::Table => 2,
        Kind::Block if matches!(name, "blockquote" | "pre" | "dl" | "figure") => 2,
        Kind::Block | Kind::Item | Kind::Definition | Kind::Row | Kind::Section | Kind::Caption => 1,
        Kind::Void | Kind::Link | Kind::Inline | Kind::Cell | Kind::ColGroup | Kind::Col => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    #[test]
    fn text_keeps_the_shape_of_the_page() {
        for (html, text) in [
            (
                "<h1>Hi</h1><p>Some <b>bold</b>\n  and <a href=\"http://a\">link</a>.</p>x",
                "Hi\n\nSome bold and link.\n\nx",
            ),
            ("<ul><li>one</li><li>two<ol><li>three</li></ol></li></ul>y", "* one\n* two\n  1. three\n\ny"),
            (
                "<table><tbody><tr><td>a</td><td>b</td></tr><tr><td><p>c</p></td><td>d</td></tr></tbody></table>",
                "a\tb\n\nc\n\nd",
            ),
            ("<div>a</div><div>b<br><br>c</div>", "a\nb\n\nc"),
            ("<pre>a  b\n\n c</pre>d", "a  b\n\n c\n\nd"),
            ("x&nbsp;&amp;&lt; y<br>&nbsp;z", "x &< y\nz"),
            ("<img alt=\"The logo\"><img alt=\"\"><img> x", "[The logo] x"),
            ("a<blockquote><p>b</p><p>c</p><blockquote>d</blockquote></blockquote>e", "a\n\n> b\n>\n> c\n>\n>> d\n\ne"),
            ("<p></p><div> </div>a", "a"),
            ("", ""),
        ] {
            assert_eq!(text_of(html, 1 << 20, LONG), (text.to_owned(), true), "{html}");
        }
    }

    #[test]
    fn text_is_bounded() {
        let html = format!("{}{}", "<blockquote>".repeat(500), "x<br>".repeat(100_000));
        let (text, is_whole) = text_of(&html, 10_000, LONG);
        assert!(text.len() < 10_100 && !is_whole);
        let (text, is_whole) = text_of(&html, 10_000, Duration::ZERO);
        assert!(text.len() < 10_000 && !is_whole);
    }
}
