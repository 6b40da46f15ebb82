//! zip (PKWARE's APPNOTE 6.3.10), read as strictly as can be: whatever readers could disagree about is an obstacle.
//!
//! There are two readings of a zip: by the central directory at its end, as most programs do, and by the local headers
//! from its start, as those do that stream or repair. They have to give the same members with the same bytes, and
//! nothing that looks like a member may lie elsewhere. The `zip` crate cannot tell: it reads the directory alone and
//! keeps one of two members of a name.

mod directory;
mod end;
mod entry;
mod layout;
mod local;

use flate2::Crc;

use super::beside::Known;
use super::bytes::position;
use super::inflate::inflate;
use super::obstacle::Code;
use super::walk::Walker;
use end::End;
use entry::{Entry, Method};
use local::Local;

pub(super) use end::{candidates, is_candidate};

/// What may lie around a zip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Around {
    /// Padding at most: the content is a zip.
    Nothing,
    /// Anything that holds no part of another zip: the content is something else that carries one.
    Anything,
}

/// The member by which an OpenDocument says that others are encrypted (ODF 1.3 part 2, §4.16).
const ODF_MANIFEST: &[u8] = b"META-INF/manifest.xml";

/// Walks a zip.
pub(super) fn walk(walker: &mut Walker<'_>, bytes: &[u8], around: Around) -> Result<(), Code> {
    let end = end::find(bytes, around)?;
    walker.budget.can_take(end.entries)?;
    if end.is_wide {
        walker.note(Code::OutOfReach)?;
    }
    let entries = directory::read(bytes, &end)?;
    // Whatever is wrong with the rest, this is known.
    for entry in entries.iter().filter(|entry| entry.is_encrypted()) {
        walker.named(entry.names(), |_| Err(Code::Encrypted))?;
    }
    let locals = local::read_all(bytes, &end, &entries)?;
    layout::check(bytes, &end, &entries, &locals).or_else(|code| walker.note(code))?;
    beside(walker, bytes, &end, &locals, around)?;
    for (entry, local) in entries.iter().zip(&locals).filter(|(entry, _)| !entry.is_encrypted()) {
        let data = bytes.get(local.data.clone()).ok_or(Code::Damaged)?;
        walker.named([entry.names(), local.names.clone()].concat(), |walker| {
            if !local.is_in_reach {
                walker.note(Code::OutOfReach)?;
            }
            member(walker, entry, data)
        })?;
    }
    Ok(())
}

/// Looks at what is no member's data: gaps, extra fields, comments. What lies before a zip that is carried is not its own.
fn beside(walker: &mut Walker<'_>, bytes: &[u8], end: &End, locals: &[Local], around: Around) -> Result<(), Code> {
    let mut known = Known::default();
    locals.iter().for_each(|local| known.content(local.data.clone(), false));
    known.own(end.signature.clone());
    known.check(walker, bytes, if around == Around::Nothing { 0 } else { end.start })
}

fn member(walker: &mut Walker<'_>, entry: &Entry<'_>, data: &[u8]) -> Result<(), Code> {
    match entry.method()? {
        Method::Stored if data.len() as u64 != entry.len => Err(Code::Contradictory),
        Method::Stored => {
            walker.budget.expand(entry.len)?;
            content(walker, entry, data)
        }
        Method::Deflated => {
            walker.made(entry.len, || inflate(data, entry.len), |walker, bytes| content(walker, entry, bytes))
        }
    }
}

fn content(walker: &mut Walker<'_>, entry: &Entry<'_>, bytes: &[u8]) -> Result<(), Code> {
    let mut crc = Crc::new();
    crc.update(bytes);
    if crc.sum() != entry.crc {
        walker.note(Code::Damaged)?;
    }
    if entry.name == ODF_MANIFEST && memchr::memmem::find(bytes, b"encryption-data").is_some() {
        walker.note(Code::Encrypted)?;
    }
    walker.content(bytes)
}

/// A position before the end of the content.
fn bounded(at: u64, bytes: &[u8]) -> Result<usize, Code> {
    let at = position(at);
    if at <= bytes.len() { Ok(at) } else { Err(Code::Damaged) }
}
