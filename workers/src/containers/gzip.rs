//! gzip (RFC 1952): one or more compressed members that are one content.

use std::io::Read;

use flate2::bufread::GzDecoder;

use super::beside::Known;
use super::bytes::position;
use super::carrier;
use super::obstacle::Code;
use super::walk::Walker;

/// The length of a header without its extra field, name and comment.
const HEADER: usize = 10;

/// Walks what is compressed.
pub(super) fn walk(walker: &mut Walker<'_>, bytes: &[u8]) -> Result<(), Code> {
    let mut known = Known::default();
    let mut is_carrier = false;
    // Some programs call it what it was, some what the file is called now.
    let was = GzDecoder::new(bytes).header().and_then(|header| header.filename()).map(<[u8]>::to_vec);
    let now = walker.names().iter().map(|name| unpacked(name).to_vec());
    let names: Vec<Vec<u8>> = was.into_iter().chain(now).collect();
    walker.named(names, |walker| {
        let mut content = Vec::new();
        let mut rest = bytes;
        while !is_padding(rest) {
            let left = walker.budget.left().saturating_sub(content.len() as u64);
            let at = bytes.len() - rest.len();
            let fields;
            (rest, fields) = inflate(rest, left, &mut content)?;
            // Between the fields of two headers there is nothing that readers skip.
            known.content(at..at + HEADER, true);
            known.content(at + HEADER + fields..bytes.len() - rest.len(), true);
            walker.budget.can_take(known.len())?;
        }
        is_carrier = carrier::is_one(&content);
        let len = content.len() as u64;
        walker.made(len, move || Ok(content), Walker::content)
    })?;
    known.check(walker, bytes, 0)?;
    // Compressed data can be written so that it is an archive itself.
    if carrier::is_one(bytes) && !is_carrier { walker.note(Code::Hidden) } else { Ok(()) }
}

/// A file's name without the ending that says that it is compressed; nothing, if it has none.
fn unpacked(name: &[u8]) -> &[u8] {
    let stem = name.len().saturating_sub(b".gz".len());
    name.split_at_checked(stem).filter(|(_, end)| end.eq_ignore_ascii_case(b".gz")).map_or(b"", |(name, _)| name)
}

/// Inflates a member and returns what follows it, with how long the optional fields of its header are. One byte more than
/// allowed shows that there is more.
fn inflate<'b>(bytes: &'b [u8], left: u64, content: &mut Vec<u8>) -> Result<(&'b [u8], usize), Code> {
    let mut decoder = GzDecoder::new(bytes);
    let before = content.len();
    let most = left.saturating_add(1);
    (&mut decoder).take(most).read_to_end(content).map_err(|_| Code::Damaged)?;
    let header = decoder.header().ok_or(Code::Damaged)?;
    let extra = header.extra().map_or(0, |extra| extra.len() + 2);
    let texts = [header.filename(), header.comment()].into_iter().flatten().map(|text| text.len() + 1);
    let fields = extra + texts.sum::<usize>();
    if content.len() - before == position(most) {
        return Ok((&[], fields));
    }
    Ok((decoder.into_inner(), fields))
}

/// Zeros fill up a block of a tape.
fn is_padding(rest: &[u8]) -> bool {
    rest.iter().all(|byte| *byte == 0)
}
