//! Which addresses may stay, and in which form.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use url::Url;

use super::images::RemoteImages;
use crate::mail::names::{cut, is_hidden};

/// The longest address that stays, in bytes.
const MAX_URL: usize = 8 * 1024;
/// How much of an address is looked at to tell what it is, in bytes.
const MAX_BEGINNING: usize = 256;
/// What links may lead to.
pub(super) const LINKS: [&str; 4] = ["http", "https", "mailto", "tel"];
/// What a `mailto:` link may say about a mail besides its text.
const MAILTO_FIELDS: [&str; 6] = ["bcc", "cc", "in-reply-to", "keywords", "subject", "to"];
/// What images may come from.
pub(super) const IMAGES: [&str; 3] = ["cid", "http", "https"];
/// What is encoded in a `cid:` address (RFC 2392 §2), so that each part has one.
const CID: &AsciiSet = &CONTROLS.add(b' ').add(b'%').add(b'"').add(b'\'').add(b'<').add(b'>').add(b'`').add(b'\\');

/// What becomes of an address.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Address<'a> {
    /// It stays, in this form.
    Keep(Cow<'a, str>),
    /// It leads to the proxy instead.
    Proxied(String),
    /// A remote image that is not to be fetched.
    Remote,
    /// An image that came with the mail, in the address or beside it, and that is not to be shown there.
    Own,
    /// It has no scheme.
    Relative,
    /// Its scheme is not allowed, or it cannot be read.
    Refused,
}

/// Where a link leads.
pub(super) fn link(value: &str) -> Address<'_> {
    read(value, &LINKS)
}

/// Where an image comes from. What comes out stays as it is when it is read again.
pub(super) fn image<'a>(value: &'a str, remote: &RemoteImages) -> Address<'a> {
    let Address::Keep(address) = read(value, &IMAGES) else { return removed_image(value) };
    if let Some(id) = strip_scheme(&address, "cid:") {
        return kept(format!("cid:{}", utf8_percent_encode(&content_id(id), CID)));
    }
    match remote {
        RemoteImages::Keep => Address::Keep(address),
        RemoteImages::Block => Address::Remote,
        RemoteImages::ProxyUrl(proxy) => match proxy.original(&address) {
            Some(_) => Address::Keep(address),
            None => match proxy.of(&address) {
                proxied if proxied.len() <= MAX_URL => Address::Proxied(proxied),
                _ => Address::Remote,
            },
        },
    }
}

/// Our own form of an address, which may be longer than it was: too long when it is read again would be too long then.
fn kept<'a>(address: String) -> Address<'a> {
    if address.len() <= MAX_URL { Address::Keep(Cow::Owned(address)) } else { Address::Own }
}

/// What the address of an image counts as that does not stay, by its beginning.
pub(super) fn removed_image(value: &str) -> Address<'static> {
    let address = stripped(cut(value, MAX_BEGINNING));
    match scheme(&address) {
        // Without a scheme the client would take that of the page.
        None if address.starts_with("//") => Address::Remote,
        None => Address::Relative,
        Some(scheme) if is_one_of(scheme, &["http", "https"]) => Address::Remote,
        Some(scheme) if is_one_of(scheme, &["cid", "data"]) => Address::Own,
        Some(_) => Address::Refused,
    }
}

/// The `Content-ID` that the rest of a `cid:` address refers to.
pub(super) fn content_id(rest: &str) -> String {
    percent_decode_str(rest).decode_utf8_lossy().chars().filter(|c| !is_hidden(*c)).collect()
}

/// What follows a scheme, in either case.
pub(super) fn strip_scheme<'a>(address: &'a str, scheme: &str) -> Option<&'a str> {
    let (start, rest) = address.split_at_checked(scheme.len())?;
    start.eq_ignore_ascii_case(scheme).then_some(rest)
}

/// Whether an address that can be read may be where a link leads, just as it is.
pub(super) fn is_link(value: &str) -> bool {
    matches!(shaped(value, &LINKS), Ok(Cow::Borrowed(_)))
}

/// Whether an address that can be read may be where an image comes from, just as it is.
pub(super) fn is_image(value: &str, remote: &RemoteImages) -> bool {
    matches!(shaped(value, &IMAGES), Ok(Cow::Borrowed(_)))
        && (strip_scheme(value, "cid:").is_some()
            || match remote {
                RemoteImages::Keep => true,
                RemoteImages::Block => false,
                RemoteImages::ProxyUrl(proxy) => proxy.original(value).is_some(),
            })
}

fn read<'a>(value: &'a str, schemes: &[&str]) -> Address<'a> {
    match shaped(value, schemes) {
        Ok(address) if Url::parse(&address).is_ok() => Address::Keep(address),
        Ok(_) => Address::Refused,
        Err(other) => other,
    }
}

/// An address as it would stay if it can be read. The check comes after the stripping of white space and hidden
/// characters, since clients strip too: `java\nscript:` and `U+2028 javascript:` run.
fn shaped<'a>(value: &'a str, schemes: &[&str]) -> Result<Cow<'a, str>, Address<'a>> {
    let address = stripped(value);
    let Some(scheme) = scheme(&address) else { return Err(Address::Relative) };
    let is_allowed = is_one_of(scheme, schemes);
    // On a page with that scheme a browser reads `https:a` and `https:/a` as addresses of the page's own host (URL
    // standard, special relative or authority state).
    let is_web = is_one_of(scheme, &["http", "https"]);
    if is_web && !address.get(scheme.len() + 1..).is_some_and(|rest| rest.starts_with("//")) {
        return Err(Address::Relative);
    }
    let is_mail = is_one_of(scheme, &["mailto"]);
    let is_harmless = !is_mail || is_plain_mailto(&address);
    if is_allowed && is_harmless && address.len() <= MAX_URL { Ok(address) } else { Err(Address::Refused) }
}

/// Whether the mail that a link begins has addresses, a subject and a text, and no more: programs have taken files from the
/// disk for `attach`, and other fields are not for a link to set (RFC 6068 §4).
fn is_plain_mailto(address: &str) -> bool {
    let (to, fields) = address.split_once('?').unwrap_or((address, ""));
    let mut fields = fields.split('#').next().unwrap_or_default().split('&').filter(|field| !field.is_empty());
    let is_plain = |field: &str| {
        let (name, value) = field.split_once('=').unwrap_or((field, ""));
        name.eq_ignore_ascii_case("body") || is_one_of(name, &MAILTO_FIELDS) && !breaks_line(value)
    };
    !breaks_line(to) && fields.all(is_plain)
}

/// Whether there is a line break in a part of an address, from where another field could begin.
fn breaks_line(part: &str) -> bool {
    percent_decode_str(part).any(|byte| matches!(byte, b'\r' | b'\n'))
}

/// What stands before the first colon, if no other delimiter stands before that.
fn scheme(address: &str) -> Option<&str> {
    let end = address.find([':', '/', '?', '#', '\\']).filter(|at| address.as_bytes().get(*at) == Some(&b':'))?;
    address.get(..end)
}

fn is_one_of(scheme: &str, schemes: &[&str]) -> bool {
    schemes.iter().any(|one| scheme.eq_ignore_ascii_case(one))
}

fn stripped(value: &str) -> Cow<'_, str> {
    let is_plain = |b: u8| b.is_ascii_graphic();
    if value.bytes().all(is_plain) {
        return Cow::Borrowed(value);
    }
    let is_stripped = |c: char| c.is_whitespace() || is_hidden(c);
    if value.contains(is_stripped) { Cow::Owned(value.replace(is_stripped, "")) } else { Cow::Borrowed(value) }
}

/// Everything but what needs no encoding anywhere (RFC 3986 §2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// An address as a part of another.
pub(super) fn encoded(address: &str) -> String {
    utf8_percent_encode(address, RESERVED).to_string()
}

/// The address that was [`encoded`].
pub(super) fn decoded(part: &str) -> Option<String> {
    let address = percent_decode_str(part).decode_utf8().ok()?.into_owned();
    (encoded(&address) == part).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::super::images::ProxyUrl;
    use super::*;

    fn kept(address: Address<'_>) -> Option<String> {
        match address {
            Address::Keep(address) => Some(address.into_owned()),
            _ => None,
        }
    }

    #[test]
    fn cid_addresses_have_one_form() {
        for (written, form) in [
            ("cid:a@b.example", "cid:a@b.example"),
            ("CID:a%40b", "cid:a@b"),
            ("cid:a%2540b", "cid:a%2540b"),
            ("cid:a b%20c", "cid:ab%20c"),
            ("cid:%3Cx%3E%E2%80%AE", "cid:%3Cx%3E"),
        ] {
            let found = kept(image(written, &RemoteImages::Block)).unwrap();
            assert_eq!(found, form, "{written}");
            assert_eq!(kept(image(&found, &RemoteImages::Block)).as_deref(), Some(form), "{written}");
        }
    }

    #[test]
    fn an_address_that_grows_beyond_the_limit_is_refused_at_once() {
        let cid = format!("cid:{}", "\u{e9}".repeat(3_000));
        assert_eq!(image(&cid, &RemoteImages::Block), Address::Own);
        let proxy = RemoteImages::ProxyUrl(ProxyUrl::parse("https://proxy.example/?u={url}").unwrap());
        assert_eq!(image(&format!("http://a.example/{}", "/".repeat(4_000)), &proxy), Address::Remote);
    }

    #[test]
    fn addresses_are_told_apart() {
        for (written, address) in [
            ("#top", Address::Relative),
            ("a/b:c", Address::Relative),
            ("//x.example/a", Address::Relative),
            ("java\u{200b}script:x", Address::Refused),
            ("http://[", Address::Refused),
            ("http:a", Address::Relative),
            ("HTTPS:/a", Address::Relative),
            ("https:\\\\a", Address::Relative),
            ("http:", Address::Relative),
            ("", Address::Relative),
            (":", Address::Refused),
        ] {
            assert_eq!(link(written), address, "{written}");
        }
        for (written, is_kept) in [
            ("mailto:a@b.example", true),
            ("MAILTO:a@b?Subject=x%20y&body=a%0D%0Ab&cc=c@d", true),
            ("mailto:?to=a@b&&bcc=c@d#x", true),
            ("mailto:a@b?attach=/etc/passwd", false),
            ("mailto:a@b?subject=x&ATTACHMENT=~/.ssh/id_rsa", false),
            ("mailto:a@b?%61ttach=x", false),
            ("mailto:a@b?subject=x%0d%0aBcc:c@d", false),
            ("mailto:a@b%0AX-Y:z", false),
            ("mailto:a@b?reply-to=c@d", false),
        ] {
            assert_eq!(kept(link(written)).is_some(), is_kept, "{written}");
            assert_eq!(is_link(written), is_kept, "{written}");
        }
        assert_eq!(image("//x.example/a", &RemoteImages::Keep), Address::Remote);
        for (written, address) in [
            ("da\nta:image/png;base64,AA==", Address::Own),
            ("http://[", Address::Remote),
            ("javascript:x", Address::Refused),
            ("a.png", Address::Relative),
        ] {
            assert_eq!(image(written, &RemoteImages::Keep), address, "{written}");
        }
        assert_eq!(image(&format!("https://a.example/{}", "x".repeat(MAX_URL)), &RemoteImages::Keep), Address::Remote);
    }
}
