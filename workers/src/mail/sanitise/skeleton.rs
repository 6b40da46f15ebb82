//! What a converter to text gets to see of sanitised HTML: its blocks, lines, lists, quotes and words, and nothing that it
//! would have to lay out.
//!
//! Its elements are `p`, `div`, `br`, `pre`, `blockquote` and lists, without attributes, few of them within each other.
//! Rows of a table are lines, as in most mail tables are there for the looks; between their cells stands [`CELL`].

use super::elements::{Fate, Kind, fate};
use super::escape;
use super::references::{Place, resolve};
use super::tokens::{Token, Tokens};

/// Stands between two cells: a character that no text has (a noncharacter, Unicode §23.7).
pub(super) const CELL: char = '\u{fdd0}';
/// How many quotes, lists and items are within each other; what is deeper stands in the innermost of them.
const MAX_NESTED: usize = 32;

/// Writes the skeleton, a chunk at a time.
#[derive(Default)]
pub(super) struct Skeleton {
    out: String,
    /// Words that the next chunk begins with.
    rest: String,
    /// The quotes, lists, items and preformatted texts that are open.
    open: Vec<Open>,
    /// A cell would be the first of its row.
    is_first_cell: bool,
}

#[derive(Clone, Copy)]
struct Open {
    name: &'static str,
    /// How many items it has, if it is a list.
    items: u32,
    /// It is there for what stands in a list and in none of its items, which is no place for a converter.
    is_implied: bool,
}

impl Open {
    fn is_list(&self) -> bool {
        matches!(self.name, "ol" | "ul")
    }
}

/// What an element is in the skeleton.
enum Bone {
    /// It has marks, indents or white space of its own.
    Nested(&'static str),
    Paragraph,
    Block,
    Cell,
    Line,
    None,
}

impl Bone {
    /// Whether a line ends where it begins and where it ends.
    fn is_edge(&self) -> bool {
        matches!(self, Self::Nested(_) | Self::Paragraph | Self::Block | Self::Line)
    }
}

impl Skeleton {
    /// Writes until there is a chunk of about so many bytes, or of twice as many where they are one line. Returns whether there is more to write.
    pub(super) fn fill(&mut self, tokens: &mut Tokens<'_>, chunk: usize) -> bool {
        while let Some(token) = tokens.next() {
            match token {
                Token::Text(written) => self.text(written),
                Token::Start("img") => {
                    let alt = tokens.attributes().iter().find(|attribute| attribute.name == "alt");
                    if let Some(alt) =
                        alt.map(|alt| resolve(alt.value, Place::Attribute)).filter(|alt| !alt.trim().is_empty())
                    {
                        let mut escaped = String::new();
                        escape::text(alt.trim(), &mut escaped);
                        self.text(&format!("[{escaped}]"));
                    }
                }
                Token::Start(name) => self.start(name),
                Token::End(name) => self.end(name),
            }
            let (Token::Text(name) | Token::Start(name) | Token::End(name)) = token;
            let is_edge = !matches!(token, Token::Text(_)) && bone(name).is_edge();
            if is_edge && self.out.len() >= chunk {
                return true;
            }
            if self.out.len() >= 2 * chunk {
                self.cut_words(chunk);
                return true;
            }
        }
        false
    }

    /// Where no line ends in sight, the chunk does at a line of its source, or else between two words: beyond so many
    /// bytes there is nothing but text.
    fn cut_words(&mut self, chunk: usize) {
        let from = self.out.floor_char_boundary(chunk);
        let words = self.out.get(from..).unwrap_or_default();
        if let Some(at) = words.rfind('\n').or_else(|| words.rfind(' ')) {
            self.rest = self.out.split_off(from + at);
        }
    }

    /// The chunk that was written. What is open goes on in the next one (an item with a mark of its own).
    pub(super) fn take(&mut self) -> String {
        let mut next = String::new();
        for (index, open) in self.open.iter().enumerate().take(MAX_NESTED) {
            let in_item = self.open.get(index + 1).is_some_and(|inner| inner.name == "li");
            if open.is_list() && index + 1 == MAX_NESTED {
                break;
            }
            next.push_str(&match open.name {
                "ol" => format!("<ol start=\"{}\">", open.items + u32::from(!in_item)),
                name => format!("<{name}>"),
            });
        }
        next.push_str(&std::mem::take(&mut self.rest));
        std::mem::replace(&mut self.out, next)
    }

    /// Words, their references as written, without what is no character of a text.
    fn text(&mut self, written: &str) {
        if !written.trim().is_empty() {
            self.enter_item();
        }
        let is_kept = |c: &char| !c.is_control() && *c != CELL || matches!(c, '\n' | '\t');
        self.out.extend(written.chars().map(|c| if c == '\u{c}' { ' ' } else { c }).filter(is_kept));
    }

    fn start(&mut self, name: &str) {
        let bone = bone(name);
        match bone {
            Bone::Nested("li") => self.leave_implied(),
            Bone::Nested(_) | Bone::Paragraph | Bone::Block => self.enter_item(),
            Bone::Cell | Bone::Line | Bone::None => {}
        }
        match bone {
            Bone::Nested(name) => self.open(name, false),
            // The space makes a line break of an empty one.
            Bone::Paragraph => self.out.push_str("<p> "),
            Bone::Block => {
                self.is_first_cell = true;
                self.out.push_str("<div> ");
            }
            Bone::Cell if self.is_first_cell => self.is_first_cell = false,
            Bone::Cell => self.out.push(CELL),
            Bone::Line => self.out.push_str("<br>"),
            Bone::None => {}
        }
    }

    fn end(&mut self, name: &str) {
        match bone(name) {
            Bone::Nested(_) => {
                self.leave_implied();
                self.close();
            }
            Bone::Paragraph => self.out.push_str("</p>"),
            Bone::Block => self.out.push_str("</div>"),
            Bone::Cell | Bone::Line | Bone::None => {}
        }
    }

    fn open(&mut self, name: &'static str, is_implied: bool) {
        if let Some(list) = self.open.last_mut().filter(|_| name == "li") {
            list.items = list.items.saturating_add(1);
        }
        self.open.push(Open { name, items: 0, is_implied });
        if self.is_written() {
            self.tag("<", name);
        }
    }

    fn close(&mut self) {
        let is_written = self.is_written();
        if let Some(open) = self.open.pop().filter(|_| is_written) {
            self.tag("</", open.name);
        }
    }

    /// Whether the innermost is not too deep; nor the items of a list.
    fn is_written(&self) -> bool {
        self.open.last().is_some_and(|open| self.open.len() + usize::from(open.is_list()) <= MAX_NESTED)
    }

    /// Makes an item of what stands in a list and in none of its items.
    fn enter_item(&mut self) {
        if self.open.last().is_some_and(Open::is_list) {
            self.open("li", true);
        }
    }

    fn leave_implied(&mut self) {
        if self.open.last().is_some_and(|open| open.is_implied) {
            self.close();
        }
    }

    fn tag(&mut self, open: &str, name: &str) {
        self.out.push_str(open);
        self.out.push_str(name);
        self.out.push('>');
    }
}

fn bone(name: &str) -> Bone {
    let Fate::Keep(element) = fate(name) else { return Bone::None };
    match (element.kind, element.name) {
        (_, nested @ ("blockquote" | "pre")) | (Kind::List | Kind::Item, nested) => Bone::Nested(nested),
        (Kind::Paragraph | Kind::Heading, _) => Bone::Paragraph,
        (Kind::Block | Kind::Table | Kind::Section | Kind::Row | Kind::Caption | Kind::Definition, _) => Bone::Block,
        (Kind::Cell, _) => Bone::Cell,
        (Kind::Rule, _) | (Kind::Void, "br") => Bone::Line,
        (Kind::Void | Kind::Link | Kind::Inline | Kind::ColGroup | Kind::Col, _) => Bone::None,
    }
}
