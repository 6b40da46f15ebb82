//! Facts of ours in a place where others may write, such as a shared Redis: an HMAC under the audit key before the bytes.
//!
//! What was not written by us, for that purpose and under that name, is not read at all.

use shared::audit::AuditKey;

/// The length of a tag: HMAC-SHA256 in hex digits.
const TAG: usize = 64;

/// The bytes with their tag.
#[must_use]
pub fn seal(key: &AuditKey, purpose: &str, name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut sealed = key.tag(purpose, &[name.as_bytes(), bytes]).into_bytes();
    sealed.extend_from_slice(bytes);
    sealed
}

/// The bytes without their tag, if it is ours.
#[must_use]
pub fn open<'a>(key: &AuditKey, purpose: &str, name: &str, sealed: &'a [u8]) -> Option<&'a [u8]> {
    let (tag, bytes) = sealed.split_at_checked(TAG)?;
    key.verifies(purpose, &[name.as_bytes(), bytes], str::from_utf8(tag).ok()?).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_we_sealed_for_that_purpose_and_name_is_opened() {
        let (key, other) = (AuditKey::new(vec![1; 32]), AuditKey::new(vec![2; 32]));
        let sealed = seal(&key, "p", "a", b"facts");
        assert_eq!(open(&key, "p", "a", &sealed), Some(&b"facts"[..]));
        assert_eq!(open(&key, "p", "a", &seal(&key, "p", "a", b"")), Some(&b""[..]));
        let mut changed = sealed.clone();
        *changed.last_mut().unwrap() ^= 1;
        for (key, purpose, name, bytes) in [
            (&other, "p", "a", &sealed[..]),
            (&key, "q", "a", &sealed),
            (&key, "p", "b", &sealed),
            (&key, "p", "a", &changed),
            (&key, "p", "a", &sealed[1..]),
            (&key, "p", "a", b"facts"),
            (&key, "p", "a", b""),
        ] {
            assert_eq!(open(key, purpose, name, bytes), None, "{purpose} {name} {bytes:?}");
        }
    }
}
