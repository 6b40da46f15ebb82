//! Small zip files of stored members (APPNOTE.TXT of PKWARE), for probes and tests.

/// A zip with these stored members: small ones.
pub(super) fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut zip, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in members {
        let [len, at] = [content.len(), zip.len()].map(u32_le);
        let name_len = u16_le(name.len());
        // Version 1.0, no flags, stored, 1980-01-01, no extra field.
        let common =
            [&[10, 0, 0, 0, 0, 0, 0, 0, 33, 0][..], &crc32(content).to_le_bytes(), &len, &len, &name_len, &[0; 2]]
                .concat();
        directory.extend([b"PK\x01\x02\x0a\0", &common[..], &[0; 10], &at, name.as_bytes()].concat());
        zip.extend([b"PK\x03\x04", &common[..], name.as_bytes(), content].concat());
    }
    let count = u16_le(members.len());
    let [directory_len, directory_at] = [directory.len(), zip.len()].map(u32_le);
    let end = [b"PK\x05\x06\0\0\0\0", &count[..], &count, &directory_len, &directory_at, &[0; 2]].concat();
    [zip, directory, end].concat()
}

/// CRC-32 as in zip (ISO 3309).
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

/// What is made here is small.
fn u32_le(n: usize) -> [u8; 4] {
    u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes()
}

fn u16_le(n: usize) -> [u8; 2] {
    u16::try_from(n).unwrap_or(u16::MAX).to_le_bytes()
}
