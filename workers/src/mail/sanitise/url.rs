//! Which addresses may stay.

use std::borrow::Cow;

use url::Url;

use crate::mail::names::is_hidden;

/// The longest address that stays, in bytes.
const MAX_URL: usize = 8 * 1024;

/// An address without white space and hidden characters, if it is absolute and its scheme is one of these.
///
/// For addresses that `ammonia` could read. The check comes after the stripping, since clients strip too: `java\nscript:` and `U+2028 javascript:` run.
pub(super) fn allowed<'a>(value: &'a str, schemes: &[&str]) -> Option<Cow<'a, str>> {
    let is_stripped = |c: char| c.is_whitespace() || is_hidden(c);
    let stripped =
        if value.contains(is_stripped) { Cow::Owned(value.replace(is_stripped, "")) } else { Cow::Borrowed(value) };
    let (scheme, _) = stripped.split_once(':')?;
    let is_allowed = schemes.iter().any(|allowed| scheme.eq_ignore_ascii_case(allowed));
    // What was not stripped is what `ammonia` has read already.
    let is_readable = || matches!(stripped, Cow::Borrowed(_)) || Url::parse(&stripped).is_ok();
    (is_allowed && stripped.len() <= MAX_URL && is_readable()).then_some(stripped)
}

/// Whether an address is one that a client fetches over the network.
pub(super) fn is_remote(value: &str) -> bool {
    allowed(value, &["http", "https"]).is_some()
}
