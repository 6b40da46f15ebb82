//! Makes archives: ordinary ones with other people's writers, forged ones byte by byte.

use std::io::{Cursor, Write};

use flate2::{Compression, Crc, write::DeflateEncoder, write::GzEncoder};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

pub(super) fn fixture(name: &str) -> Vec<u8> {
    let path = format!("{}/../tests/fixtures/containers/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).unwrap()
}

/// A zip as a program writes it.
pub(super) fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    fill(&mut writer, members);
    writer.finish().unwrap().into_inner()
}

/// A zip as a program writes it that cannot go back: lengths behind the data.
pub(super) fn streamed_zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new_stream(Vec::new());
    fill(&mut writer, members);
    writer.finish().unwrap().into_inner()
}

fn fill<W: Write + std::io::Seek>(writer: &mut ZipWriter<W>, members: &[(&str, &[u8])]) {
    for (name, content) in members {
        let method = if content.len() < 32 { CompressionMethod::Stored } else { CompressionMethod::Deflated };
        let options = SimpleFileOptions::default().compression_method(method);
        if name.ends_with('/') {
            writer.add_directory(*name, options).unwrap();
        } else {
            writer.start_file(*name, options).unwrap();
            writer.write_all(content).unwrap();
        }
    }
}

pub(super) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

/// A compound file of these streams.
pub(super) fn ole(streams: &[(&str, &[u8])]) -> Vec<u8> {
    let mut file = cfb::CompoundFile::create(Cursor::new(Vec::new())).unwrap();
    for (name, content) in streams {
        if let Some((storage, _)) = name.rsplit_once('/').filter(|(storage, _)| !storage.is_empty()) {
            file.create_storage_all(storage).unwrap();
        }
        file.create_stream(name).unwrap().write_all(content).unwrap();
    }
    file.into_inner().into_inner()
}

/// A RAR of version 4 with one file, with these flags in its headers.
pub(super) fn rar4(main: u16, file: u16) -> Vec<u8> {
    let head =
        |kind: u8, flags: u16, size: u16| [&[0, 0, kind][..], &flags.to_le_bytes(), &size.to_le_bytes()].concat();
    [b"Rar!\x1a\x07\0", &head(0x73, main, 13)[..], &[0; 6], &head(0x74, file | 0x8000, 32), &[0; 25]].concat()
}

/// Some content inside so many zips.
pub(super) fn nested(content: &[u8], depth: usize) -> Vec<u8> {
    (0..depth).fold(content.to_vec(), |inner, _| zip(&[("inner.zip", &inner)]))
}

/// A member of a forged zip, with everything that its headers say.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) name: Vec<u8>,
    pub(super) data: Vec<u8>,
    pub(super) method: u16,
    pub(super) flags: u16,
    pub(super) crc: u32,
    pub(super) packed: u32,
    pub(super) len: u32,
    pub(super) extra: Vec<u8>,
}

impl Member {
    pub(super) fn stored(name: &str, content: &[u8]) -> Self {
        let mut crc = Crc::new();
        crc.update(content);
        let len = u32::try_from(content.len()).unwrap();
        let (name, data, extra) = (name.as_bytes().to_vec(), content.to_vec(), Vec::new());
        Self { name, data, method: 0, flags: 0, crc: crc.sum(), packed: len, len, extra }
    }

    pub(super) fn deflated(name: &str, content: &[u8]) -> Self {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(content).unwrap();
        let data = encoder.finish().unwrap();
        Self { packed: u32::try_from(data.len()).unwrap(), data, method: 8, ..Self::stored(name, content) }
    }

    pub(super) fn local(&self) -> Vec<u8> {
        [b"PK\x03\x04\x14\0", &self.fields()[..], &self.lens(), &self.name, &self.extra, &self.data].concat()
    }

    pub(super) fn central(&self, offset: usize) -> Vec<u8> {
        let offset = u32::try_from(offset).unwrap().to_le_bytes();
        [b"PK\x01\x02\x14\0\x14\0", &self.fields()[..], &self.lens(), &[0; 10], &offset, &self.name, &self.extra]
            .concat()
    }

    fn fields(&self) -> Vec<u8> {
        let numbers = [self.crc, self.packed, self.len].map(u32::to_le_bytes).concat();
        [&self.flags.to_le_bytes()[..], &self.method.to_le_bytes(), &[0, 0, 0x21, 0x5a], &numbers].concat()
    }

    fn lens(&self) -> [u8; 4] {
        let [a, b] = u16::try_from(self.name.len()).unwrap().to_le_bytes();
        let [c, d] = u16::try_from(self.extra.len()).unwrap().to_le_bytes();
        [a, b, c, d]
    }
}

pub(super) fn end(entries: usize, len: usize, offset: usize, comment: &[u8]) -> Vec<u8> {
    let entries = u16::try_from(entries).unwrap().to_le_bytes();
    let [len, offset] = [len, offset].map(|n| u32::try_from(n).unwrap().to_le_bytes());
    let comment_len = u16::try_from(comment.len()).unwrap().to_le_bytes();
    [b"PK\x05\x06\0\0\0\0", &entries[..], &entries, &len, &offset, &comment_len, comment].concat()
}

/// A zip whose local headers and directory may say different things.
pub(super) fn forged(locals: &[Member], centrals: &[Member]) -> Vec<u8> {
    let (mut body, mut offsets) = (Vec::new(), Vec::new());
    for member in locals {
        offsets.push(body.len());
        body.extend(member.local());
    }
    let directory: Vec<u8> = centrals.iter().zip(&offsets).flat_map(|(member, at)| member.central(*at)).collect();
    let end = end(centrals.len().min(offsets.len()), directory.len(), body.len(), b"");
    [body, directory, end].concat()
}

/// Members that all share the data of the last: each local header lies within the stored data of the one before
/// (David Fifield, "A better zip bomb", 2019).
pub(super) fn overlapping(count: usize, content: &[u8]) -> Vec<u8> {
    let mut body = Member::deflated("last", content).local();
    let mut members = vec![(Member::deflated("last", content), 0)];
    for i in 1..count {
        // A stored block of deflate quotes what follows.
        let len = u16::try_from(body.len().min(0xffff)).unwrap();
        let quote = [&[0][..], &len.to_le_bytes(), &(!len).to_le_bytes()].concat();
        let mut member = Member::deflated(&format!("{i}"), content);
        member.data = quote;
        member.packed = u32::try_from(member.data.len() + body.len()).unwrap();
        let local = member.local();
        for (_, at) in &mut members {
            *at += local.len();
        }
        body = [local, body].concat();
        members.push((member, 0));
    }
    let directory: Vec<u8> = members.iter().flat_map(|(member, at)| member.central(*at)).collect();
    let end = end(count, directory.len(), body.len(), b"");
    [body, directory, end].concat()
}
