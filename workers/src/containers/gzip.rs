//! gzip (RFC 1952): one or more compressed members that are one content.

use std::io::Read;

use flate2::bufread::GzDecoder;

use super::bytes::position;
use super::obstacle::Code;
use super::walk::Walker;

/// Walks what is compressed.
pub(super) fn walk(walker: &mut Walker<'_>, bytes: &[u8]) -> Result<(), Code> {
    walker.member(b"", |walker| {
        let mut content = Vec::new();
        let mut rest = bytes;
        while !is_padding(rest) {
            let left = walker.budget.left().saturating_sub(content.len() as u64);
            rest = inflate(rest, left, &mut content)?;
        }
        let len = content.len() as u64;
        walker.made(len, move || Ok(content), |walker, content| walker.content(content))
    })
}

/// Inflates a member and returns what follows it. One byte more than allowed shows that there is more.
fn inflate<'b>(bytes: &'b [u8], left: u64, content: &mut Vec<u8>) -> Result<&'b [u8], Code> {
    let mut decoder = GzDecoder::new(bytes);
    let before = content.len();
    let most = left.saturating_add(1);
    (&mut decoder).take(most).read_to_end(content).map_err(|_| Code::Damaged)?;
    if content.len() - before == position(most) {
        return Ok(&[]);
    }
    Ok(decoder.into_inner())
}

/// Zeros fill up a block of a tape.
fn is_padding(rest: &[u8]) -> bool {
    rest.iter().all(|byte| *byte == 0)
}
