//! The last word: `ammonia` with an e-mail policy, over what `balance` wrote.
//!
//! It reads, then walks through the tree that it made, then writes. Reading and writing pass through here piece by piece,
//! and end when the budget is spent. The walk cannot be ended. But it is linear in the elements, of which there are no
//! more than `MAX_ELEMENTS`, and it looks at the very nodes and attributes that were just read, for no more than [`WALK`]
//! times what that took, and at the same addresses as `balance` did. Reading has to leave that much of the budget.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::io::{self, Read, Write};
use std::string::FromUtf8Error;
use std::sync::atomic::{AtomicU32, Ordering};

use ammonia::{Builder, UrlRelative};

use super::attributes::{ANYWHERE, MAX_STYLE, MAX_VALUE, REL, SOME};
use super::budget::Budget;
use super::elements::KEPT;
use super::url::{IMAGES, LINKS, is_image, is_link};
use super::{HtmlRefused, RemoteImages, style};

/// How much is read between two looks at the budget, in bytes; how many times is written (the serialiser may look
/// through all that is left of a text at each character that it escapes: that is a write); and how many attributes are
/// looked at.
const PIECE: usize = 4096;
const WRITES: u32 = 256;
const ATTRIBUTES: u32 = 128;
/// What the walk costs at most, addresses aside, in what reading costs. A test measures it.
pub(super) const WALK: u32 = 2;

/// Takes out of `html` what the policy does not allow.
pub(super) fn apply(html: &str, images: RemoteImages, budget: Budget) -> Result<String, HtmlRefused> {
    let reading = Metered { inner: html.as_bytes(), budget: budget.ahead_of(WALK), writes: 0 };
    let document = builder(images, budget).clean_from_reader(reading).map_err(|_| HtmlRefused::OverBudget)?;
    let mut cleaned = Metered { inner: Vec::with_capacity(html.len()), budget, writes: 0 };
    document.write_to(&mut cleaned).map_err(|_| HtmlRefused::OverBudget)?;
    drop(document);
    // Attributes that were met without budget are gone.
    budget.check()?;
    // It writes what it read, and that was text.
    let lossy = |error: FromUtf8Error| String::from_utf8_lossy(error.as_bytes()).into_owned();
    Ok(String::from_utf8(cleaned.inner).unwrap_or_else(lossy))
}

/// Bytes on their way, as long as there is budget.
struct Metered<T> {
    inner: T,
    budget: Budget,
    writes: u32,
}

impl<T> Metered<T> {
    fn check(&self) -> io::Result<()> {
        if self.budget.is_spent() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
    }
}

impl Read for Metered<&[u8]> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.check()?;
        let len = buffer.len().min(PIECE);
        self.inner.read(buffer.get_mut(..len).unwrap_or_default())
    }
}

impl Write for Metered<Vec<u8>> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writes += 1;
        if self.writes.is_multiple_of(WRITES) {
            self.check()?;
        }
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(super) fn builder(images: RemoteImages, budget: Budget) -> Builder<'static> {
    let seen = AtomicU32::new(0);
    let tags: HashSet<_> = KEPT.iter().flat_map(|(_, names)| names.iter().copied()).collect();
    let attributes: HashMap<_, HashSet<_>> =
        SOME.iter().map(|(tag, names)| (*tag, names.iter().copied().collect())).collect();
    let mut builder = Builder::empty();
    builder
        .tags(tags)
        .generic_attributes(ANYWHERE.into_iter().collect())
        .tag_attributes(attributes)
        // Every address passes our own check as well, which is stricter about all but whether it can be read.
        .url_schemes(LINKS.into_iter().chain(IMAGES).collect())
        .url_relative(UrlRelative::Deny)
        .link_rel(Some(REL))
        .strip_comments(true)
        .attribute_filter(move |_, name, value| {
            let is_asked = seen.fetch_add(1, Ordering::Relaxed).is_multiple_of(ATTRIBUTES);
            if is_asked && budget.is_spent() {
                seen.store(0, Ordering::Relaxed);
                return None;
            }
            is_kept(name, value, &images).then_some(Cow::Borrowed(value))
        });
    builder
}

/// Whether the value of an attribute on the list is one that `balance` could have written. An address that cannot be read
/// is gone already.
fn is_kept(name: &str, value: &str, images: &RemoteImages) -> bool {
    match name {
        "href" => is_link(value),
        "src" => is_image(value, images),
        "style" => value.len() <= MAX_STYLE && style::is_kept(value),
        _ => value.len() <= MAX_VALUE,
    }
}
