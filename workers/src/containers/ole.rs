//! OLE compound files (MS-CFB): legacy Office, encrypted OOXML, Outlook messages, installers.

mod sectors;

use std::io::{Cursor, Read};

use cfb::CompoundFile;

use super::bytes::position;
use super::obstacle::Code;
use super::walk::Walker;
use super::{embedded, office};

pub(super) const SIGNATURE: [u8; 8] = [0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1];
/// The buffer for reading a stream, in bytes.
const BUFFER: usize = 64 * 1024;

/// Walks every stream, and asks the document whether it is encrypted.
pub(super) fn walk(walker: &mut Walker<'_>, bytes: &[u8]) -> Result<(), Code> {
    let open = cfb::OpenOptions::new().max_buffer_size(BUFFER).open_with(Cursor::new(bytes));
    let mut file = open.map_err(|_| Code::Damaged)?;
    let streams: Vec<_> = file.walk().filter(cfb::Entry::is_stream).collect();
    walker.budget.can_take(streams.len() as u64)?;
    let known = sectors::of_streams(bytes, streams.len()).unwrap_or_default();
    for stream in streams {
        let name = stream.name().to_owned();
        walker.member(name.as_bytes(), |walker| {
            if stream.len() > bytes.len() as u64 {
                return Err(Code::Damaged);
            }
            let content = || read(&mut file, &stream);
            walker.made(stream.len(), content, |walker, content| {
                if office::is_encrypted(&name, content) {
                    walker.note(Code::Encrypted)?;
                }
                if embedded::is_body(&name) {
                    return walker.content_as(content, false);
                }
                embedded::walk(walker, content, embedded::of_stream(&name, content))
            })
        })?;
    }
    known.check(walker, bytes, 0)
}

fn read(file: &mut CompoundFile<Cursor<&[u8]>>, entry: &cfb::Entry) -> Result<Vec<u8>, Code> {
    let stream = file.open_stream(entry.path()).map_err(|_| Code::Damaged)?;
    let mut content = Vec::with_capacity(position(entry.len()).min(BUFFER));
    stream.take(entry.len()).read_to_end(&mut content).map_err(|_| Code::Damaged)?;
    if content.len() as u64 == entry.len() { Ok(content) } else { Err(Code::Damaged) }
}
