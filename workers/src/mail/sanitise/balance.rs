//! Rewrites HTML into well-nested markup of the allowed elements, in one linear pass.
//!
//! `html5ever`'s tree builder looks through its stack of open elements at nearly every tag, reopens formatting
//! elements that were not closed, and hoists what stands between the cells of a table; its serialiser looks through
//! the rest of a text at each character that it escapes. Each of them is quadratic in hostile input. After this pass none of that can happen: every element is closed where the HTML standard closes
//! it, so the builder's stack is exactly `Balancer::open`, whose depth and cost are bounded here; content between
//! cells gets a cell; foreign (SVG, MathML) and raw text elements are gone, so that there is one tokeniser state;
//! and a tag has few attributes. A `<` in the output always begins a whole tag of an allowed element.

use memchr::{memchr_iter, memmem};

use super::elements::{Element, Fate, Kind, fate};
use super::tokens::{StartTag, Token, Tokens};
use super::{HtmlRefused, Limits, Removed};

/// More attributes than this, and a tag loses them all: the tokeniser compares each with each.
const MAX_ATTRIBUTES: usize = 64;
/// How many elements may be closed and opened again to end one around them, and how long their tags may be.
const MAX_REOPENED: usize = 8;
const MAX_REOPENED_BYTES: usize = 2 * 1024;
/// How much may be written again in all.
const MAX_REOPENED_TOTAL: usize = 64 * 1024;
/// How much text is looked through in the time of one step.
const BYTES_PER_STEP: usize = 512;

const BODY: Element = Element { name: "tbody", kind: Kind::Section };
const ROW: Element = Element { name: "tr", kind: Kind::Row };
const CELL: Element = Element { name: "td", kind: Kind::Cell };
const COLUMNS: Element = Element { name: "colgroup", kind: Kind::ColGroup };

/// Balances `html`, whose newlines are normalised.
pub(super) fn balance(html: &str, limits: &Limits) -> Result<(String, Removed), HtmlRefused> {
    let mut tokens = Tokens::new(html);
    let mut balancer = Balancer::new(html.len(), limits);
    while let Some(token) = tokens.next() {
        match token {
            Token::Text(text) => balancer.text(text)?,
            Token::Start(tag) => match fate(tag.name) {
                Fate::Keep(element) => balancer.start(element, &tag)?,
                other => balancer.drop_element(other, tag.name, &mut tokens),
            },
            Token::End(name) => {
                if let Fate::Keep(element) = fate(name) {
                    balancer.end(element);
                }
            }
        }
    }
    balancer.close_down_to(0);
    Ok((balancer.out, balancer.removed))
}

/// An open element and its start tag as written.
#[derive(Debug, Clone, Copy)]
struct Open<'a> {
    element: Element,
    tag: &'a str,
}

struct Balancer<'a> {
    out: String,
    open: Vec<Open<'a>>,
    removed: Removed,
    /// Names of elements that have no end tag in the rest of the text.
    unclosed: Vec<String>,
    /// Nothing was written since a `<pre>`, whose first line break is not content.
    after_pre: bool,
    reopened: usize,
    /// The text since the last tag: its length, and how many of its characters the serialiser has to escape.
    run: usize,
    run_escapes: usize,
    work: usize,
    max_depth: usize,
    max_work: usize,
}

impl<'a> Balancer<'a> {
    fn new(len: usize, limits: &Limits) -> Self {
        Self {
            out: String::with_capacity(len + len / 8),
            open: Vec::with_capacity(64),
            removed: Removed::default(),
            unclosed: Vec::new(),
            after_pre: false,
            reopened: 0,
            run: 0,
            run_escapes: 0,
            work: 0,
            max_depth: limits.html_depth,
            max_work: limits.html_work.saturating_mul(1_000),
        }
    }

    fn text(&mut self, text: &str) -> Result<(), HtmlRefused> {
        let text = if self.after_pre { without_line_breaks(text) } else { text };
        if text.is_empty() {
            return Ok(());
        }
        if self.in_table_frame() && !text.bytes().all(|b| b.is_ascii_whitespace()) {
            self.open_cell()?;
        }
        self.after_pre = false;
        self.weigh(text)?;
        match text.strip_prefix('<') {
            Some(rest) => {
                self.out.push_str("&lt;");
                self.out.push_str(rest);
            }
            None => self.out.push_str(text),
        }
        Ok(())
    }

    /// Adds what writing the text out will cost: for each character to escape, the serialiser looks through what is
    /// left of the text node.
    fn weigh(&mut self, text: &str) -> Result<(), HtmlRefused> {
        let references = memchr_iter(b'&', text.as_bytes()).count();
        let escapes =
            references + memmem::find_iter(text.as_bytes(), "\u{a0}").count() + usize::from(text.starts_with('<'));
        self.run_escapes += escapes;
        self.work += (self.run_escapes * text.len() + escapes * self.run) / BYTES_PER_STEP;
        self.run += text.len();
        if self.work > self.max_work { Err(HtmlRefused::TooMuchWork) } else { Ok(()) }
    }

    fn start(&mut self, element: Element, tag: &StartTag<'a>) -> Result<(), HtmlRefused> {
        self.removed.handlers += tag.handlers;
        self.removed.urls += tag.scripts;
        self.work += self.open.len();
        let bare = tag.attributes > MAX_ATTRIBUTES;
        let whole = if bare { "" } else { tag.whole };
        if self.make_room(element)? {
            self.write(element, whole)?;
        }
        Ok(())
    }

    /// Closes and opens what a start tag closes and opens. Returns whether the element has a place.
    fn make_room(&mut self, element: Element) -> Result<bool, HtmlRefused> {
        match element.kind {
            Kind::Caption | Kind::ColGroup | Kind::Section => return Ok(self.back_to(&[Kind::Table])),
            Kind::Col => return self.room_for_column(),
            Kind::Row => return self.room_for_row(),
            Kind::Cell => return self.room_for_cell(),
            Kind::Table if self.in_table_frame() => {
                self.back_to(&[Kind::Table]);
                self.pop();
            }
            Kind::Void if self.in_table_frame() && element.name == "img" => self.open_cell()?,
            _ if self.in_table_frame() => return Ok(false),
            Kind::Link => return self.room_for_link(),
            _ => {}
        }
        if element.kind.ends_paragraph() {
            self.close_nearest(Kind::Paragraph, Kind::is_boundary);
        }
        match element.kind {
            Kind::Heading if self.top() == Some(Kind::Heading) => self.pop(),
            Kind::Item => self.close_nearest(Kind::Item, ends_items),
            Kind::Definition => self.close_nearest(Kind::Definition, ends_items),
            _ => {}
        }
        Ok(true)
    }

    fn room_for_column(&mut self) -> Result<bool, HtmlRefused> {
        if !self.back_to(&[Kind::ColGroup, Kind::Table]) {
            return Ok(false);
        }
        if self.top() == Some(Kind::Table) {
            self.write(COLUMNS, "")?;
        }
        Ok(true)
    }

    fn room_for_row(&mut self) -> Result<bool, HtmlRefused> {
        if !self.back_to(&[Kind::Section, Kind::Table]) {
            return Ok(false);
        }
        if self.top() == Some(Kind::Table) {
            self.write(BODY, "")?;
        }
        Ok(true)
    }

    fn room_for_cell(&mut self) -> Result<bool, HtmlRefused> {
        if !self.back_to(&[Kind::Row, Kind::Section, Kind::Table]) {
            return Ok(false);
        }
        if self.top() != Some(Kind::Row) {
            self.room_for_row()?;
            self.write(ROW, "")?;
        }
        Ok(true)
    }

    /// Content between the cells of a table gets a cell of its own.
    fn open_cell(&mut self) -> Result<(), HtmlRefused> {
        if self.room_for_cell()? { self.write(CELL, "") } else { Ok(()) }
    }

    fn room_for_link(&mut self) -> Result<bool, HtmlRefused> {
        let outer = self.find(|kind| kind == Kind::Link, Kind::is_boundary);
        Ok(outer.is_none_or(|outer| self.end_around(outer)))
    }

    fn end(&mut self, element: Element) {
        let same = |open: &Open<'_>| open.element == element;
        let found = match element.kind {
            Kind::Void | Kind::Rule | Kind::Col => None,
            Kind::Table | Kind::Section | Kind::Row | Kind::Cell | Kind::Caption | Kind::ColGroup => {
                let nearest = self.open.iter().rposition(|open| open.element.kind == Kind::Table);
                self.open.iter().rposition(same).filter(|found| Some(*found) >= nearest)
            }
            Kind::Heading => self.find(|kind| kind == Kind::Heading, Kind::is_boundary),
            Kind::Item => self.find_element(element, |kind| kind.is_boundary() || kind == Kind::List),
            _ => self.find_element(element, Kind::is_boundary),
        };
        let Some(found) = found else { return };
        let above = self.open.get(found + 1..).unwrap_or_default();
        if element.kind.is_special() || !above.iter().any(|open| open.element.kind.is_special()) {
            self.close_down_to(found);
        } else {
            self.end_around(found);
        }
    }

    /// Ends an element and leaves those inside it open: they are closed and opened again. Returns whether it did,
    /// which is not the case when that would be too much; the element then ends with what is around it.
    fn end_around(&mut self, found: usize) -> bool {
        let above: Vec<_> = self.open.get(found + 1..).unwrap_or_default().to_vec();
        let bytes = above.iter().map(|open| open.tag.len() + 12).sum::<usize>();
        let fits =
            above.len() <= MAX_REOPENED && bytes <= MAX_REOPENED_BYTES && self.reopened + bytes <= MAX_REOPENED_TOTAL;
        if fits {
            self.reopened += bytes;
            self.close_down_to(found);
            above.into_iter().for_each(|open| self.push(open));
        }
        fits
    }

    /// The nearest open element of a kind, unless a barrier is nearer.
    fn find(&self, wanted: impl Fn(Kind) -> bool, barrier: impl Fn(Kind) -> bool) -> Option<usize> {
        let nearest = self.open.iter().rposition(|open| wanted(open.element.kind) || barrier(open.element.kind))?;
        self.open.get(nearest).filter(|open| wanted(open.element.kind)).map(|_| nearest)
    }

    fn find_element(&self, element: Element, barrier: impl Fn(Kind) -> bool) -> Option<usize> {
        let nearest = self.open.iter().rposition(|open| open.element == element || barrier(open.element.kind))?;
        self.open.get(nearest).filter(|open| open.element == element).map(|_| nearest)
    }

    fn close_nearest(&mut self, kind: Kind, barrier: impl Fn(Kind) -> bool) {
        if let Some(found) = self.find(|other| other == kind, barrier) {
            self.close_down_to(found);
        }
    }

    /// Closes elements until one of these kinds is innermost, within the nearest table. Returns whether there is one.
    fn back_to(&mut self, kinds: &[Kind]) -> bool {
        let found = self.find(|kind| kinds.contains(&kind), |kind| kind == Kind::Table);
        if let Some(found) = found {
            self.close_down_to(found + 1);
        }
        found.is_some()
    }

    fn close_down_to(&mut self, depth: usize) {
        while self.open.len() > depth {
            self.pop();
        }
    }

    fn pop(&mut self) {
        if let Some(open) = self.open.pop() {
            self.after_pre = false;
            (self.run, self.run_escapes) = (0, 0);
            self.out.push_str("</");
            self.out.push_str(open.element.name);
            self.out.push('>');
        }
    }

    /// Writes a start tag: as it was written, or a bare one.
    fn write(&mut self, element: Element, tag: &'a str) -> Result<(), HtmlRefused> {
        let depth = self.open.len();
        self.push(Open { element, tag });
        if matches!(element.kind, Kind::Void | Kind::Rule | Kind::Col) {
            self.open.truncate(depth);
        }
        if self.open.len() > self.max_depth {
            return Err(HtmlRefused::TooDeep);
        }
        if self.work > self.max_work {
            return Err(HtmlRefused::TooMuchWork);
        }
        Ok(())
    }

    fn push(&mut self, open: Open<'a>) {
        if open.tag.is_empty() {
            self.out.push('<');
            self.out.push_str(open.element.name);
            self.out.push('>');
        } else {
            self.out.push_str(open.tag);
        }
        self.after_pre = open.element.name == "pre";
        (self.run, self.run_escapes) = (0, 0);
        self.open.push(open);
    }

    fn top(&self) -> Option<Kind> {
        self.open.last().map(|open| open.element.kind)
    }

    fn in_table_frame(&self) -> bool {
        self.top().is_some_and(Kind::is_table_frame)
    }

    fn drop_element(&mut self, fate: Fate, name: &str, tokens: &mut Tokens<'a>) {
        let (Fate::Unwrap { active } | Fate::Cut { active } | Fate::CutClosed { active }) = fate else { return };
        self.removed.active += u32::from(active);
        if matches!(fate, Fate::Unwrap { .. }) {
            return;
        }
        let lower = name.to_ascii_lowercase();
        if self.unclosed.contains(&lower) || !tokens.skip_element(&lower) {
            self.unclosed.push(lower);
            if matches!(fate, Fate::Cut { .. }) {
                tokens.skip_rest();
            }
        }
    }
}

/// Barriers of `li`, `dd` and `dt`: every special element but `address`, `div` and `p`.
fn ends_items(kind: Kind) -> bool {
    kind.is_boundary() || matches!(kind, Kind::List)
}

/// Text after `<pre>` without the line breaks that it begins with, written or as character references.
fn without_line_breaks(text: &str) -> &str {
    let mut text = text;
    loop {
        let rest = text.trim_start_matches('\n');
        let after = reference(rest).unwrap_or(rest);
        if after.len() == text.len() {
            return text;
        }
        text = after;
    }
}

/// What follows a character reference for a line feed or a carriage return.
fn reference(text: &str) -> Option<&str> {
    if let Some(rest) = text.strip_prefix("&NewLine;") {
        return Some(rest);
    }
    let number = text.strip_prefix("&#")?;
    let (digits, radix) = number.strip_prefix(['x', 'X']).map_or((number, 10), |hex| (hex, 16));
    let end = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
    let value = u32::from_str_radix(digits.get(..end)?, radix).ok()?;
    let rest = digits.get(end..)?;
    matches!(value, 10 | 13).then(|| rest.strip_prefix(';').unwrap_or(rest))
}
