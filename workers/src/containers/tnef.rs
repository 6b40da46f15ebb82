//! TNEF (MS-OXTNEF), the `winmail.dat` of Outlook: its attachments are its members.

use super::beside::Known;
use super::bytes::{position, slice, u16_at, u32_at};
use super::obstacle::Code;
use super::walk::Walker;

pub(super) const SIGNATURE: [u8; 4] = [0x78, 0x9f, 0x3e, 0x22];
/// The length of signature and key.
const START: usize = 6;
/// Level, identifier and length before the data of an attribute; a checksum follows it.
const HEAD: usize = 9;
const CHECKSUM: usize = 2;

/// Walks every attribute that holds data: the content of an attachment is one, its properties are another, and either
/// may hold what is attached.
pub(super) fn walk(walker: &mut Walker<'_>, bytes: &[u8]) -> Result<(), Code> {
    let (mut at, mut known) = (START, Known::default());
    while at < bytes.len() {
        let level = *bytes.get(at).ok_or(Code::Damaged)?;
        let len = position(u32_at(bytes, at + 5).ok_or(Code::Damaged)?.into());
        let data = slice(bytes, at + HEAD, len).filter(|_| matches!(level, 1 | 2)).ok_or(Code::Damaged)?;
        known.content(at + HEAD..at + HEAD + len, false);
        let sum = data.iter().fold(0_u16, |sum, byte| sum.wrapping_add(u16::from(*byte)));
        at += HEAD + len + CHECKSUM;
        if u16_at(bytes, at - CHECKSUM) != Some(sum) {
            walker.note(Code::Damaged)?;
        }
        walker.member(b"", |walker| {
            walker.budget.expand(data.len() as u64)?;
            walker.content(data)
        })?;
    }
    known.check(walker, bytes, 0)
}
