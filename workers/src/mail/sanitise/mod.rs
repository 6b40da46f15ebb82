//! HTML from a mail made safe to show: no active content, no remote loads, bounded work, and stable: cleaning
//! what is clean changes nothing.
//!
//! Two have to agree. `balance` reads the text token by token and writes it anew in one linear pass: markup so plain and
//! so well nested that every HTML parser reads it as it was written, within caps on depth, length and elements, its values
//! chosen, what was removed counted. `ammonia` has the last word: it builds the tree of what was written, for every mail,
//! and takes out what an e-mail policy does not allow. There should be nothing, and tests hold both to the same result for
//! all HTML. What the caps are for is `ammonia`'s cost: a tree that is deep, large or to be repaired takes minutes. Both
//! keep to the [`Limits`]' budget of processor time.

mod attributes;
mod balance;
mod budget;
mod elements;
mod escape;
mod images;
mod policy;
mod references;
mod removed;
mod skeleton;
mod style;
mod text;
mod tokens;
mod url;

use std::borrow::Cow;
use std::collections::BTreeSet;

use thiserror::Error;

use self::balance::{Balanced, balance};
use self::budget::Budget;
use super::limits::Limits;

pub use images::{ProxyUrl, RemoteImages};
pub use removed::Removed;
pub(in crate::mail) use text::text_of;

/// How much longer sanitised HTML can be than [`Limits::html`]: tags that were implied are written out.
pub const MAX_GROWTH: usize = 4;

/// The most elements that HTML has when it is sanitised, those that were implied included; a megabyte of ordinary mail has
/// a tenth of that. What `ammonia` does with a tree that it has read (walk through it, take it down) cannot be ended, and
/// is linear in the elements: for so many it takes 26 ms at most (measured, optimised), less than the share of the budget
/// that is kept back.
pub const MAX_ELEMENTS: usize = 100_000;

/// Sanitised HTML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sanitised {
    /// A fragment in which nothing runs, loads or takes input, within any element of a page. It can be larger than its
    /// place; a box that clips (`overflow: auto`), or a frame, keeps it there.
    pub html: String,
    /// What was taken out of it.
    pub removed: Removed,
    /// The parts that its images refer to, by `Content-ID`.
    pub references: BTreeSet<String>,
}

/// Why HTML was not sanitised: its text has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HtmlRefused {
    /// Longer than [`Limits::html`], or more than [`MAX_GROWTH`] times that when its tags are written out.
    #[error("the HTML is longer than the limit")]
    TooLong,
    /// Deeper than [`Limits::html_depth`].
    #[error("the HTML is deeper than the limit")]
    TooDeep,
    /// More than [`MAX_ELEMENTS`] elements.
    #[error("the HTML has more elements than the limit")]
    TooMany,
    /// More processor time than [`Limits::html_budget`].
    #[error("the HTML takes more processor time than the limit")]
    OverBudget,
}

/// Sanitises HTML.
///
/// # Errors
/// [`HtmlRefused`] where it is past a limit.
pub fn sanitise(html: &str, limits: &Limits) -> Result<Sanitised, HtmlRefused> {
    if html.len() > limits.html {
        return Err(HtmlRefused::TooLong);
    }
    let budget = Budget::start(limits.html_budget);
    let Balanced { html: written, cleaner } = balance(&normalise(html, budget)?, limits, budget)?;
    let html = policy::apply(&written, limits.remote_images.clone(), budget)?;
    // Neither is shown: they are a mail's.
    debug_assert!(html == written, "ammonia changed what was written");
    Ok(Sanitised { html, removed: cleaner.removed, references: cleaner.references })
}

/// After how many characters that are not kept the budget is asked.
const STEPS: u32 = 1024;

/// Line feeds alone as line breaks, as an HTML parser sees them, and no other control characters. An escape could tell a
/// browser that is told no charset to read another than UTF-8 (ISO-2022-JP), in which what is text here is markup.
fn normalise(html: &str, budget: Budget) -> Result<Cow<'_, str>, HtmlRefused> {
    // Without an early end, which is the faster way to see that there is none.
    if !html.bytes().fold(false, |found, byte| found | (byte == b'\r' || is_control(byte))) {
        return Ok(Cow::Borrowed(html));
    }
    let mut out = String::with_capacity(html.len());
    let (mut rest, mut steps) = (html, 0_u32);
    while let Some(at) = rest.bytes().position(|byte| byte == b'\r' || is_control(byte)) {
        out.push_str(rest.get(..at).unwrap_or_default());
        let is_return = rest.as_bytes().get(at) == Some(&b'\r');
        rest = rest.get(at + 1..).unwrap_or_default();
        if is_return && !rest.starts_with('\n') {
            out.push('\n');
        }
        steps += 1;
        if steps.is_multiple_of(STEPS) {
            budget.check()?;
        }
    }
    out.push_str(rest);
    Ok(Cow::Owned(out))
}

/// Whether this is a control character of ASCII, and neither white space nor a line break of HTML.
fn is_control(byte: u8) -> bool {
    byte.is_ascii_control() && !matches!(byte, b'\t' | b'\n' | b'\x0c' | b'\r')
}

#[cfg(test)]
mod dom;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
#[cfg(test)]
mod xss;
