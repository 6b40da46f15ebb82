//! Containers: ordinary ones, bombs, encrypted ones, and zips that can be read in two ways.

use std::{
    fs,
    io::{Cursor, Write},
    path::PathBuf,
};

use flate2::{Compression, Crc, GzBuilder, write::DeflateEncoder, write::GzEncoder};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use crate::mails::{Mail, base64_lines};

/// A mail with a text and one attachment, whose content is what it is whatever the name and the type say.
#[must_use]
pub fn mail(name: &str, file: &str, content_type: &str, content: &[u8]) -> Mail {
    let raw = format!(
        "Date: Tue, 3 Nov 2026 09:00:00 +0000\r\nFrom: Ada <ada@sender.example>\r\nTo: desk@mail.example\r\n\
         Message-ID: <{name}@sender.example>\r\nSubject: {name}\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=mix\r\n\r\n--mix\r\nContent-Type: text/plain\r\n\r\nSee the file.\r\n\
         --mix\r\nContent-Type: {content_type}\r\nContent-Disposition: attachment; filename=\"{file}\"\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{}--mix--\r\n",
        base64_lines(content),
    );
    Mail { name: name.to_owned(), raw: raw.into_bytes(), marker: String::new() }
}

/// A mail with a mail attached in base64, which has the content attached.
#[must_use]
pub fn forwarded(name: &str, content: &[u8]) -> Mail {
    let inner = mail("inner", "a.txt", "text/plain", content);
    mail(name, "forwarded.eml", "message/rfc822", &inner.raw)
}

/// A container that another program made: see `fixtures/containers/README.md`.
#[must_use]
pub fn fixture(name: &str) -> Vec<u8> {
    fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/containers").join(name)).unwrap()
}

/// A zip of these members.
#[must_use]
pub fn zip<N: ToString>(members: &[(N, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for (name, content) in members {
        writer.start_file(name.to_string(), options).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// A content within so many zips.
#[must_use]
pub fn nested(content: &[u8], depth: usize) -> Vec<u8> {
    (0..depth).fold(content.to_vec(), |inner, _| zip(&[("inner.zip", &inner)]))
}

/// A gzip of a content.
#[must_use]
pub fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// A gzip of a content, with another in the extra field of its header.
#[must_use]
pub fn gzip_beside(content: &[u8], hidden: &[u8]) -> Vec<u8> {
    let mut encoder = GzBuilder::new().extra(hidden).write(Vec::new(), Compression::best());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// A tar of these members.
#[must_use]
pub fn tar<N: ToString>(members: &[(N, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in members {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name.to_string(), *content).unwrap();
    }
    builder.into_inner().unwrap()
}

/// A compound file of these streams: what a legacy Office document is.
#[must_use]
pub fn ole(streams: &[(&str, &[u8])]) -> Vec<u8> {
    let mut file = cfb::CompoundFile::create(Cursor::new(Vec::new())).unwrap();
    for (name, content) in streams {
        file.create_stream(name).unwrap().write_all(content).unwrap();
    }
    file.into_inner().into_inner()
}

/// A workbook of Excel 97 that is encrypted by its `FilePass` record.
#[must_use]
pub fn encrypted_xls() -> Vec<u8> {
    let bof = b"\x09\x08\x10\0\0\x06\x05\0\xbb\x0d\xcc\x07\0\0\0\0\x06\0\0\0";
    let file_pass = [&b"\x2f\0\x36\0\x01\0\x01\0\x01\0"[..], &[0x5a; 48]].concat();
    ole(&[("/Workbook", &[&bof[..], &file_pass, b"\x0a\0\0\0"].concat()), ("/\u{5}SummaryInformation", &[0; 64])])
}

/// A zip of one member whose lengths only zip64 gives. clamd 1.4 sees nothing in it.
#[must_use]
pub fn zip64(content: &[u8]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored).large_file(true);
    writer.start_file("a", options).unwrap();
    writer.write_all(content).unwrap();
    writer.finish().unwrap().into_inner()
}

/// A tar whose member has a size that is no octal number. clamd 1.4 sees nothing in it.
#[must_use]
pub fn binary_tar(content: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.set_path("a").unwrap();
    let mut size = [0; 12];
    size[0] = 0x80;
    size[8..].copy_from_slice(&u32::try_from(content.len()).unwrap().to_be_bytes());
    header.as_old_mut().size = size;
    header.set_cksum();
    let mut builder = tar::Builder::new(Vec::new());
    builder.append(&header, content).unwrap();
    builder.into_inner().unwrap()
}

/// Members that all end in the same compressed data, each local header quoted by the stored data of the one before it
/// (David Fifield, "A better zip bomb", 2019).
#[must_use]
pub fn overlapping(count: usize, content: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content).unwrap();
    let kernel = encoder.finish().unwrap();
    // From the last to the first: what each expands to is its quotes and the kernel.
    let mut bodies: Vec<Vec<u8>> = vec![kernel];
    let mut plain = content.to_vec();
    let mut headers = Vec::new();
    for i in (0..count).rev() {
        let packed = bodies.iter().map(Vec::len).sum();
        let fields = fields(&plain, packed, 8);
        let local = [b"PK\x03\x04\x14\0", &fields[..], &[1, 0, 0, 0], name(i).as_bytes()].concat();
        headers.push((i, fields));
        let len = u16::try_from(local.len()).unwrap();
        let quote = [&[0][..], &len.to_le_bytes(), &(!len).to_le_bytes()].concat();
        plain.splice(0..0, local.clone());
        bodies.insert(0, local);
        if i > 0 {
            bodies.insert(0, quote);
        }
    }
    // The quote belongs to the data of the header before it: a header, a quote, a header, …, the kernel.
    let mut offsets = vec![0; count];
    let (mut at, mut i) = (0, 0);
    for body in &bodies {
        if body.starts_with(b"PK\x03\x04") {
            offsets[i] = at;
            i += 1;
        }
        at += body.len();
    }
    let mut directory = Vec::new();
    headers.reverse();
    for (i, fields) in &headers {
        let offset = u32::try_from(offsets[*i]).unwrap().to_le_bytes();
        let (head, name) = (b"PK\x01\x02\x14\0\x14\0", name(*i));
        let central = [head, &fields[..], &[1, 0, 0, 0], &[0; 10], &offset, name.as_bytes()];
        directory.extend(central.concat());
    }
    let count = u16::try_from(count).unwrap().to_le_bytes();
    let [len, start] = [directory.len(), at].map(|n| u32::try_from(n).unwrap().to_le_bytes());
    let end = [b"PK\x05\x06\0\0\0\0", &count[..], &count, &len, &start, &[0, 0]].concat();
    [bodies.concat(), directory, end].concat()
}

fn name(i: usize) -> String {
    char::from(b'0' + u8::try_from(i).unwrap()).to_string()
}

fn fields(plain: &[u8], packed: usize, method: u16) -> Vec<u8> {
    let mut crc = Crc::new();
    crc.update(plain);
    let numbers = [crc.sum(), u32::try_from(packed).unwrap(), u32::try_from(plain.len()).unwrap()];
    [&[0, 0][..], &method.to_le_bytes(), &[0, 0, 0x21, 0x5a], &numbers.map(u32::to_le_bytes).concat()].concat()
}
