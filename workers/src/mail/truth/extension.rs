//! The extension of a file name, as careful and as careless programs see it.

use unicode_normalization::UnicodeNormalization;

use super::danger::Danger;
use crate::mail::names::is_hidden;

/// The longest extension that means anything, in characters.
const LONGEST: usize = 24;
/// What some system ends a name at, or does not allow in one.
const ENDS: [char; 13] = ['\0', '\r', '\n', '/', '\\', ':', ';', '"', '?', '*', '<', '>', '|'];

/// The extension as a file system takes it: lower case, compatibility forms resolved, without what cannot be seen, and
/// without the blanks and dots that Windows drops from the end of a name.
pub(super) fn extension(name: &str) -> Option<String> {
    let name: String = name.nfkc().filter(|c| !is_hidden(*c)).flat_map(char::to_lowercase).collect();
    let name = name.trim_end_matches(|c: char| c.is_whitespace() || matches!(c, '.' | '"' | '\''));
    let (_, extension) = name.rsplit_once('.')?;
    let is_one = !extension.is_empty() && extension.chars().count() <= LONGEST;
    is_one.then(|| extension.trim().to_owned())
}

/// The extensions of a name, cut wherever some program may cut it.
pub(crate) fn extensions(name: &str) -> impl Iterator<Item = String> {
    extension(name).into_iter().chain(name.split(ENDS).filter_map(extension))
}

/// Whether a name ends dangerously and looks as if it ended otherwise: `invoice.pdf.exe`, or blanks before the end.
pub(super) fn is_double(name: &str) -> bool {
    const LOOKS: [&str; 16] = [
        "pdf", "doc", "docx", "xls", "xlsx", "ppt", "pptx", "odt", "rtf", "txt", "csv", "jpg", "jpeg", "png", "gif",
        "mp3",
    ];
    let is_dangerous = extension(name).and_then(|extension| Danger::of_extension(&extension)).is_some();
    let stem = name.rsplit_once('.').map_or("", |(stem, _)| stem);
    let looks = extension(stem).is_some_and(|inner| LOOKS.contains(&&*inner));
    is_dangerous && (looks || stem.ends_with("   "))
}
