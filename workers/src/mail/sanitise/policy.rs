//! The e-mail policy for `ammonia`: which attributes stay, and with which values.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use ammonia::{Builder, UrlRelative};

use super::elements::KEPT;
use super::{RemoteImages, Removed, style, url};

/// The longest attribute value that stays, in bytes; addresses and styles have bounds of their own.
const MAX_VALUE: usize = 2 * 1024;
const MAX_STYLE: usize = 8 * 1024;

/// What links may lead to.
const LINKS: [&str; 4] = ["http", "https", "mailto", "tel"];
/// What images may come from.
const IMAGES: [&str; 3] = ["cid", "http", "https"];
const REL: &str = "noopener noreferrer nofollow";

/// Attributes that any element may have.
const ANYWHERE: [&str; 11] =
    ["align", "bgcolor", "border", "color", "dir", "height", "lang", "style", "title", "valign", "width"];
/// Attributes that some elements may have besides.
const SOME: [(&str, &[&str]); 10] = [
    ("a", &["href"]),
    ("col", &["span"]),
    ("colgroup", &["span"]),
    ("font", &["face", "size"]),
    ("hr", &["noshade", "size"]),
    ("img", &["alt", "hspace", "src", "vspace"]),
    ("ol", &["start", "type"]),
    ("table", &["cellpadding", "cellspacing", "rules", "summary"]),
    ("td", &["colspan", "nowrap", "rowspan"]),
    ("th", &["colspan", "nowrap", "rowspan"]),
];

static BLOCK: LazyLock<Builder<'static>> = LazyLock::new(|| builder(RemoteImages::Block));
static KEEP: LazyLock<Builder<'static>> = LazyLock::new(|| builder(RemoteImages::Keep));

thread_local! {
    /// What the attribute filter removed from the text in hand: `ammonia` gives it no other way to tell.
    static COUNT: Cell<Removed> = const { Cell::new(Removed { active: 0, handlers: 0, urls: 0, styles: 0, trackers: 0 }) };
}

/// Cleans balanced HTML and counts what was removed.
pub(super) fn apply(balanced: &str, images: RemoteImages, removed: &mut Removed) -> String {
    COUNT.set(Removed::default());
    let builder = match images {
        RemoteImages::Block => &BLOCK,
        RemoteImages::Keep => &KEEP,
    };
    // A carriage return can still come from a character reference; the next reader would see a line feed.
    let html = builder.clean(balanced).to_string().replace('\r', "\n");
    let count = COUNT.take();
    removed.urls += count.urls;
    removed.styles += count.styles;
    removed.trackers += count.trackers;
    html
}

fn builder(images: RemoteImages) -> Builder<'static> {
    let tags: HashSet<_> = KEPT.iter().flat_map(|(_, names)| names.iter().copied()).collect();
    let attributes: HashMap<_, HashSet<_>> =
        SOME.iter().map(|(tag, names)| (*tag, names.iter().copied().collect())).collect();
    let mut builder = Builder::empty();
    builder
        .tags(tags)
        .generic_attributes(ANYWHERE.into_iter().collect())
        .tag_attributes(attributes)
        // Every address passes our own check, which is stricter; these let it see them all.
        .url_schemes(LINKS.into_iter().chain(IMAGES).collect())
        .url_relative(UrlRelative::Deny)
        .link_rel(Some(REL))
        .strip_comments(true)
        .attribute_filter(move |_, name, value| attribute(name, value, images));
    builder
}

fn attribute<'v>(name: &str, value: &'v str, images: RemoteImages) -> Option<Cow<'v, str>> {
    match name {
        "href" => counted(url::allowed(value, &LINKS), |count| count.urls += 1),
        "src" if images == RemoteImages::Block && url::is_remote(value) => counted(None, |count| count.trackers += 1),
        "src" => counted(url::allowed(value, &IMAGES), |count| count.urls += 1),
        "style" => {
            let (kept, removed) = style::filter(value.get(..MAX_STYLE).map_or(value, |_| ""));
            counted((removed == 0).then_some(Cow::Borrowed("")), |count| count.styles += removed);
            kept.map(Cow::Owned)
        }
        _ => (value.len() <= MAX_VALUE).then_some(Cow::Borrowed(value)),
    }
}

/// Passes a value on, and counts where there is none.
fn counted<T>(value: Option<T>, count: impl FnOnce(&mut Removed)) -> Option<T> {
    if value.is_none() {
        let mut removed = COUNT.get();
        count(&mut removed);
        COUNT.set(removed);
    }
    value
}
