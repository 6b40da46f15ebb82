//! Writes HTML anew in one linear pass: well-nested markup of the allowed elements, with the allowed attributes, all
//! text escaped.
//!
//! What comes out is read by every HTML parser exactly as it was written, and that is what makes it safe. Its
//! grammar is small: escaped text, start tags of elements in `KEPT` with attributes in double quotes, and their end
//! tags; so the tokeniser stays in the states for text, tags and quoted values. Every element is closed where the
//! HTML standard closes it, so that the tree builder has nothing to repair: its stack of open elements is
//! `Balancer::open`, content between cells has a cell, and foreign (SVG, MathML) and raw text elements are gone. Tests
//! hold it to that: the output read by `html5ever` and written again is the output, byte for byte.

use std::ops::Range;

use super::attributes::Cleaner;
use super::budget::Budget;
use super::elements::{Element, Fate, Kind, fate};
use super::references::{Place, resolve};
use super::tokens::{Attribute, Token, Tokens};
use super::{HtmlRefused, MAX_ELEMENTS, MAX_GROWTH, escape};
use crate::mail::limits::Limits;

/// How many elements may be closed and opened again to end one around them, and how long their tags may be.
const MAX_REOPENED: usize = 8;
const MAX_REOPENED_BYTES: usize = 2 * 1024;
/// How much may be written again in all.
const MAX_REOPENED_TOTAL: usize = 64 * 1024;

const BODY: Element = Element { name: "tbody", kind: Kind::Section };
const ROW: Element = Element { name: "tr", kind: Kind::Row };
const CELL: Element = Element { name: "td", kind: Kind::Cell };
const COLUMNS: Element = Element { name: "colgroup", kind: Kind::ColGroup };

/// What was written.
pub(super) struct Balanced<'l> {
    pub(super) html: String,
    pub(super) cleaner: Cleaner<'l>,
}

/// Writes `html`, whose newlines are normalised, anew.
pub(super) fn balance<'l>(html: &str, limits: &'l Limits, budget: Budget) -> Result<Balanced<'l>, HtmlRefused> {
    let mut tokens = Tokens::new(html, budget);
    let mut balancer = Balancer::new(html.len(), limits);
    while let Some(token) = tokens.next() {
        match token {
            Token::Text(text) => balancer.text(text)?,
            Token::Start(name) => {
                balancer.cleaner.note(tokens.attributes());
                match fate(name) {
                    Fate::Keep(element) => balancer.start(element, &tokens)?,
                    other => balancer.drop_element(other, name, &mut tokens),
                }
            }
            Token::End(name) => {
                if let Fate::Keep(element) = fate(name) {
                    balancer.end(element);
                }
            }
        }
    }
    // It may have been what ended the tokens.
    budget.check()?;
    balancer.close_down_to(0);
    Ok(Balanced { html: balancer.out, cleaner: balancer.cleaner })
}

/// An open element and where its start tag was written.
#[derive(Debug, Clone)]
struct Open {
    element: Element,
    tag: Range<usize>,
}

struct Balancer<'l> {
    out: String,
    open: Vec<Open>,
    cleaner: Cleaner<'l>,
    /// Names of elements that have no end tag in the rest of the text.
    unclosed: Vec<String>,
    /// Nothing was written since a `<pre>`, whose first line break is not content.
    after_pre: bool,
    elements: usize,
    reopened: usize,
    max_depth: usize,
    max_out: usize,
}

impl<'l> Balancer<'l> {
    fn new(len: usize, limits: &'l Limits) -> Self {
        Self {
            out: String::with_capacity(len + len / 8),
            open: Vec::with_capacity(64),
            cleaner: Cleaner::new(&limits.remote_images),
            unclosed: Vec::new(),
            after_pre: false,
            elements: 0,
            reopened: 0,
            max_depth: limits.html_depth,
            max_out: limits.html.saturating_mul(MAX_GROWTH),
        }
    }

    fn text(&mut self, written: &str) -> Result<(), HtmlRefused> {
        let text = resolve(written, Place::Text);
        let text = if self.after_pre { text.trim_start_matches(['\n', '\r']) } else { &text };
        // At the very beginning it is a byte order mark, which readers skip.
        let text = if self.out.is_empty() { text.trim_start_matches('\u{feff}') } else { text };
        if text.is_empty() {
            return Ok(());
        }
        if self.in_table_frame() && !text.bytes().all(|b| b.is_ascii_whitespace()) {
            self.open_cell()?;
        }
        self.after_pre = false;
        escape::text(text, &mut self.out);
        self.fits()
    }

    fn fits(&self) -> Result<(), HtmlRefused> {
        if self.out.len() > self.max_out { Err(HtmlRefused::TooLong) } else { Ok(()) }
    }

    fn start(&mut self, element: Element, tokens: &Tokens<'_>) -> Result<(), HtmlRefused> {
        if tokens.has_more() {
            self.cleaner.note_too_many(tokens.attributes());
        }
        if self.make_room(element)? {
            let attributes = if tokens.has_more() { &[][..] } else { tokens.attributes() };
            self.write(element, attributes)?;
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
            self.write(COLUMNS, &[])?;
        }
        Ok(true)
    }

    fn room_for_row(&mut self) -> Result<bool, HtmlRefused> {
        if !self.back_to(&[Kind::Section, Kind::Table]) {
            return Ok(false);
        }
        if self.top() == Some(Kind::Table) {
            self.write(BODY, &[])?;
        }
        Ok(true)
    }

    fn room_for_cell(&mut self) -> Result<bool, HtmlRefused> {
        if !self.back_to(&[Kind::Row, Kind::Section, Kind::Table]) {
            return Ok(false);
        }
        if self.top() != Some(Kind::Row) {
            self.room_for_row()?;
            self.write(ROW, &[])?;
        }
        Ok(true)
    }

    /// Content between the cells of a table gets a cell of its own.
    fn open_cell(&mut self) -> Result<(), HtmlRefused> {
        if self.room_for_cell()? { self.write(CELL, &[]) } else { Ok(()) }
    }

    fn room_for_link(&mut self) -> Result<bool, HtmlRefused> {
        let outer = self.find(|kind| kind == Kind::Link, Kind::is_boundary);
        Ok(outer.is_none_or(|outer| self.end_around(outer)))
    }

    fn end(&mut self, element: Element) {
        let same = |open: &Open| open.element == element;
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
            above.into_iter().for_each(|open| self.reopen(open));
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
            self.out.push_str("</");
            self.out.push_str(open.element.name);
            self.out.push('>');
        }
    }

    /// Writes a start tag.
    fn write(&mut self, element: Element, attributes: &[Attribute<'_>]) -> Result<(), HtmlRefused> {
        self.elements += 1;
        if self.elements > MAX_ELEMENTS {
            return Err(HtmlRefused::TooMany);
        }
        let start = self.out.len();
        self.cleaner.write(element, attributes, &mut self.out);
        self.after_pre = element.name == "pre";
        if !matches!(element.kind, Kind::Void | Kind::Rule | Kind::Col) {
            self.open.push(Open { element, tag: start..self.out.len() });
        }
        if self.open.len() > self.max_depth {
            return Err(HtmlRefused::TooDeep);
        }
        self.fits()
    }

    /// Writes a start tag again. What stood between two headings may be gone, and a heading ends one.
    fn reopen(&mut self, open: Open) {
        if open.element.kind == Kind::Heading && self.top() == Some(Kind::Heading) {
            self.pop();
        }
        self.elements += 1;
        let start = self.out.len();
        self.out.extend_from_within(open.tag);
        self.after_pre = open.element.name == "pre";
        self.open.push(Open { element: open.element, tag: start..self.out.len() });
    }

    fn top(&self) -> Option<Kind> {
        self.open.last().map(|open| open.element.kind)
    }

    fn in_table_frame(&self) -> bool {
        self.top().is_some_and(Kind::is_table_frame)
    }

    fn drop_element(&mut self, fate: Fate, name: &str, tokens: &mut Tokens<'_>) {
        let (Fate::Unwrap(counts) | Fate::Cut(counts) | Fate::CutClosed(counts)) = fate else { return };
        self.cleaner.removed.count(counts);
        if matches!(fate, Fate::Unwrap(_)) {
            return;
        }
        let lower = name.to_ascii_lowercase();
        let is_known = self.unclosed.contains(&lower);
        if is_known || !tokens.skip_element(&lower) {
            if !is_known {
                self.unclosed.push(lower);
            }
            if matches!(fate, Fate::Cut(_)) {
                tokens.skip_rest();
            }
        }
    }
}

/// Barriers of `li`, `dd` and `dt`: every special element but `address`, `div` and `p`.
fn ends_items(kind: Kind) -> bool {
    kind.is_boundary() || matches!(kind, Kind::List)
}
