//! TNEF (MS-OXTNEF), the `winmail.dat` of Outlook: its attachments are its members.

use memchr::memmem;

use super::beside::Known;
use super::bytes::{position, slice, u16_at, u32_at};
use super::embedded;
use super::obstacle::Code;
use super::walk::Walker;

pub(super) const SIGNATURE: [u8; 4] = [0x78, 0x9f, 0x3e, 0x22];
/// The length of signature and key.
const START: usize = 6;
/// Level, identifier and length before the data of an attribute; a checksum follows it.
const HEAD: usize = 9;
const CHECKSUM: usize = 2;

/// Attributes: where a new attachment begins, its name, its content, its properties (MS-OXTNEF §2.1.3.2).
const BEGINS: u32 = 0x0006_9002;
const TITLE: u32 = 0x0001_8010;
const DATA: u32 = 0x0006_800f;
const PROPERTIES: u32 = 0x0006_9005;

/// The level of attributes of attachments. The scanner reads no others, and other readers do not ask.
const OF_ATTACHMENTS: u8 = 2;
/// Type and identifier of the properties that hold an attachment's content: bytes, or an attached message or object
/// (MS-OXCMSG §2.2.2.7, §2.2.2.8). The scanner does not read properties.
const CONTENTS: [&[u8]; 2] = [b"\x02\x01\x01\x37", b"\x0d\0\x01\x37"];

/// An attribute: what it is, and where its data is.
struct Attribute<'b> {
    level: u8,
    id: u32,
    data: &'b [u8],
    /// The number of the attachment that it belongs to.
    attachment: usize,
}

/// Walks every attribute that holds data: the content of an attachment is one, its properties are another, and either
/// may hold what is attached.
pub(super) fn walk(walker: &mut Walker<'_>, bytes: &[u8]) -> Result<(), Code> {
    let mut known = Known::default();
    let attributes = attributes(walker, bytes, &mut known)?;
    let mut names: Vec<Vec<Vec<u8>>> = Vec::new();
    for Attribute { id, data, attachment, .. } in &attributes {
        names.resize(names.len().max(attachment + 1), Vec::new());
        let own = names.get_mut(*attachment).ok_or(Code::Damaged)?;
        match *id {
            TITLE => own.push(data.strip_suffix(b"\0").unwrap_or(data).to_vec()),
            PROPERTIES => own.extend(embedded::names_in(data)?),
            _ => {}
        }
    }
    let mut last = None;
    for Attribute { level, id, data, attachment } in attributes {
        // Readers take the first one or the last one.
        if id == DATA && last.replace(attachment) == Some(attachment) {
            walker.note(Code::Contradictory)?;
        }
        let names = names.get_mut(attachment).filter(|_| id == DATA).map(std::mem::take).unwrap_or_default();
        walker.named(names, |walker| {
            walker.budget.expand(data.len() as u64)?;
            let has_content = || CONTENTS.iter().any(|tag| memmem::find(data, tag).is_some());
            if id == DATA && level != OF_ATTACHMENTS || id == PROPERTIES && has_content() {
                walker.note(Code::OutOfReach)?;
            }
            walker.content(data)
        })?;
    }
    // Those of attachments without content of their own.
    names.iter().flatten().for_each(|name| walker.notice_name(name));
    known.check(walker, bytes, 0)
}

fn attributes<'b>(walker: &mut Walker<'_>, bytes: &'b [u8], known: &mut Known) -> Result<Vec<Attribute<'b>>, Code> {
    let (mut at, mut attachment, mut attributes) = (START, 0, Vec::new());
    // Something on the way may have put the end of a line behind it.
    while bytes.get(at..).is_some_and(|rest| rest.iter().any(|byte| !matches!(byte, 0 | b'\r' | b'\n'))) {
        let level = *bytes.get(at).ok_or(Code::Damaged)?;
        let id = u32_at(bytes, at + 1).ok_or(Code::Damaged)?;
        let len = position(u32_at(bytes, at + 5).ok_or(Code::Damaged)?.into());
        let data = slice(bytes, at + HEAD, len).filter(|_| matches!(level, 1 | 2)).ok_or(Code::Damaged)?;
        known.content(at + HEAD..at + HEAD + len, false);
        let sum = data.iter().fold(0_u16, |sum, byte| sum.wrapping_add(u16::from(*byte)));
        at += HEAD + len + CHECKSUM;
        if u16_at(bytes, at - CHECKSUM) != Some(sum) {
            walker.note(Code::Damaged)?;
        }
        attachment += usize::from(id == BEGINS);
        attributes.push(Attribute { level, id, data, attachment });
        walker.budget.can_take(attributes.len() as u64)?;
    }
    Ok(attributes)
}
