//! HTML from a mail made safe to show: no active content, no remote loads, bounded work, and stable: cleaning
//! what is clean changes nothing.
//!
//! Three steps. `balance` rewrites the text in one linear pass into well-nested markup of the elements we allow,
//! and refuses what would make the tree builder's work grow out of bounds (it is quadratic in depth). `ammonia`
//! then parses and rebuilds it, attribute by attribute, as `policy` says. Whatever the first step did, it is
//! the second that makes the output safe.

mod balance;
mod elements;
mod policy;
mod style;
mod tokens;
mod url;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::limits::Limits;

/// How much longer sanitised HTML can be than [`Limits::html`]: tags that were implied are written out.
pub const MAX_GROWTH: usize = 4;

/// What happens to images that a reader's client would fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RemoteImages {
    /// Their address is removed (and counted); their text stays.
    #[default]
    Block,
    /// They stay.
    Keep,
}

/// Sanitised HTML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sanitised {
    /// A fragment that is safe within any element of a page.
    pub html: String,
    /// What was taken out of it.
    pub removed: Removed,
}

/// How many things were removed, by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Removed {
    /// Elements that run or load something, or take input.
    pub active: u32,
    /// Event handlers.
    pub handlers: u32,
    /// Addresses with a scheme that is not allowed.
    pub urls: u32,
    /// Style declarations.
    pub styles: u32,
    /// Addresses of remote images.
    pub trackers: u32,
}

impl Removed {
    /// Whether there was anything that a client could have run.
    pub fn is_active(&self) -> bool {
        self.active + self.handlers + self.urls > 0
    }
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
    /// More work than [`Limits::html_work`].
    #[error("the HTML is more work than the limit")]
    TooMuchWork,
}

/// Sanitises HTML.
///
/// # Errors
/// [`HtmlRefused`] where it is past a limit.
pub fn sanitise(html: &str, limits: &Limits) -> Result<Sanitised, HtmlRefused> {
    if html.len() > limits.html {
        return Err(HtmlRefused::TooLong);
    }
    let (balanced, mut removed) = balance::balance(&normalise(html), limits)?;
    let html = policy::apply(&balanced, limits.remote_images, &mut removed);
    if html.len() > limits.html.saturating_mul(MAX_GROWTH) {
        return Err(HtmlRefused::TooLong);
    }
    Ok(Sanitised { html, removed })
}

/// Line feeds alone as line breaks, as an HTML parser sees them, and no NUL.
fn normalise(html: &str) -> String {
    html.replace("\r\n", "\n").replace('\r', "\n").replace('\0', "")
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
