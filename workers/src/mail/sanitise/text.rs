//! The text of sanitised HTML, for mails that come without: `html2text` over a skeleton of it, chunk by chunk.
//!
//! A converter builds a tree and lays it out, and cannot be ended while it does. So it gets no more than [`CHUNK`] at a
//! time, which bounds its work, its memory and its recursion whatever the mail is, and between two chunks the budget is
//! asked. How lines, lists and quotes come out is the crate's: quoted mail has its marks (`> `), so that a reply can be
//! told from it.

use std::time::Duration;

use super::budget::Budget;
use super::skeleton::{CELL, Skeleton};
use super::tokens::Tokens;

/// How much of the skeleton is converted at once, in bytes. A worst one costs 5 ms (measured, optimised), an eighth of
/// the share of a budget that is kept back.
const CHUNK: usize = 16 * 1024;
/// Wider than any line that a chunk can make: nothing is wrapped.
const WIDTH: usize = 1 << 20;
/// How many empty lines stay between two others.
const MAX_EMPTY: usize = 2;

/// The text of HTML that was sanitised, and whether that is all of it: within so much processor time, and no more than
/// the text of a chunk longer than `max` bytes.
pub(in crate::mail) fn text_of(html: &str, max: usize, limit: Duration) -> (String, bool) {
    let budget = Budget::start(limit);
    let mut tokens = Tokens::new(html, budget);
    let mut skeleton = Skeleton::default();
    let mut text = String::new();
    loop {
        let is_last = !skeleton.fill(&mut tokens, CHUNK);
        if budget.is_spent() {
            return (text, false);
        }
        // It refuses nothing but a width that is too small.
        let Ok(converted) = convert(&skeleton.take()) else { return (text, false) };
        append(&converted, &mut text);
        if is_last || text.len() > max {
            return (text, is_last && !budget.is_spent());
        }
    }
}

fn convert(skeleton: &str) -> Result<String, html2text::Error> {
    html2text::config::plain_no_decorate().raw_mode(true).string_from_read(skeleton.as_bytes(), WIDTH)
}

/// Adds lines without what stands at their ends, cells with a tab between them.
fn append<'t>(converted: &'t str, text: &mut String) {
    let mut empty = 0;
    for line in converted.lines() {
        // Only the first cell of a line may be indented.
        let trimmed = |(index, cell): (usize, &'t str)| if index == 0 { cell.trim_end() } else { cell.trim() };
        let mut cells = line.split(CELL).enumerate().map(trimmed).filter(|cell| !cell.is_empty());
        let Some(first) = cells.next() else {
            empty += 1;
            continue;
        };
        if !text.is_empty() {
            text.push_str(&"\n".repeat(1 + empty.min(MAX_EMPTY)));
        }
        empty = 0;
        text.push_str(&first.replace('\u{a0}', " "));
        for cell in cells {
            text.push('\t');
            text.push_str(&cell.replace('\u{a0}', " "));
        }
    }
}

#[cfg(test)]
mod tests;
