//! HTML from a mail made safe to show: no active content, no remote loads, bounded work, and stable: cleaning
//! what is clean changes nothing.
//!
//! `balance` reads the text token by token and writes it anew in one linear pass: markup so plain and so well nested
//! that every HTML parser reads it as it was written. Where it met anything that ordinary mail does not have (scripts,
//! handlers, forms, structure to repair), `ammonia` then builds the tree of what was written and takes out what a policy
//! of its own does not allow: there should be nothing, and tests hold both to the same result for all HTML. Building a tree
//! costs five times as much as all the rest, so that ordinary mail is spared it. Both keep to the [`Limits`]' budget of
//! processor time.

mod attributes;
mod balance;
mod budget;
mod elements;
mod escape;
mod images;
mod policy;
mod references;
mod removed;
mod style;
mod text;
mod tokens;
mod url;

use std::borrow::Cow;
use std::collections::BTreeSet;

use memchr::memchr2;
use thiserror::Error;

use self::balance::{Balanced, balance};
use self::budget::Budget;
use super::limits::Limits;

pub use images::{ProxyUrl, RemoteImages};
pub use removed::Removed;
pub(in crate::mail) use text::text_of;

/// How much longer sanitised HTML can be than [`Limits::html`]: tags that were implied are written out.
pub const MAX_GROWTH: usize = 4;

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
    let Balanced { html, cleaner, is_suspect } = balance(&normalise(html, budget)?, limits, budget)?;
    let html = if is_suspect { policy::apply(&html, limits.remote_images.clone(), budget)? } else { html };
    Ok(Sanitised { html, removed: cleaner.removed, references: cleaner.references })
}

/// After how many characters that are not kept the budget is asked.
const STEPS: u32 = 1024;

/// Line feeds alone as line breaks, as an HTML parser sees them, and no NUL.
fn normalise(html: &str, budget: Budget) -> Result<Cow<'_, str>, HtmlRefused> {
    let Some(first) = memchr2(b'\r', 0, html.as_bytes()) else { return Ok(Cow::Borrowed(html)) };
    let mut out = String::with_capacity(html.len());
    let (mut rest, mut at, mut steps) = (html, first, 0_u32);
    loop {
        out.push_str(rest.get(..at).unwrap_or_default());
        let is_return = rest.as_bytes().get(at) == Some(&b'\r');
        rest = rest.get(at + 1..).unwrap_or_default();
        if is_return && !rest.starts_with('\n') {
            out.push('\n');
        }
        match memchr2(b'\r', 0, rest.as_bytes()) {
            Some(next) => at = next,
            None => break,
        }
        steps += 1;
        if steps.is_multiple_of(STEPS) {
            budget.check()?;
        }
    }
    out.push_str(rest);
    Ok(Cow::Owned(out))
}

#[cfg(test)]
mod dom;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
#[cfg(test)]
mod xss;
