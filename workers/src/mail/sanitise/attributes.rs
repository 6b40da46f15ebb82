//! Start tags written anew: the attributes on the list with values that are allowed, each once, in quotes.

use std::collections::BTreeSet;

use super::elements::Element;
use super::images::RemoteImages;
use super::references::{Place, resolve};
use super::removed::Removed;
use super::tokens::Attribute;
use super::url::{Address, content_id, image, link, removed_image, strip_scheme};
use super::{escape, style};
use crate::mail::names::cut;

/// The longest attribute value that stays, in bytes; addresses and styles have bounds of their own.
pub(super) const MAX_VALUE: usize = 2 * 1024;
pub(super) const MAX_STYLE: usize = 8 * 1024;
/// The longest value as written, in bytes: what stays is no longer than this however it is escaped.
const MAX_WRITTEN: usize = 64 * 1024;
/// How much of a value that does not stay is looked at, in bytes as written.
const MAX_PEEKED: usize = 512;
/// Attributes that load an image in some client and do not stay, on whatever element.
const LOADING: [&str; 4] = ["background", "dynsrc", "lowsrc", "srcset"];
/// What every link says about itself.
pub(super) const REL: &str = "noopener noreferrer nofollow";
/// The most parts that the HTML refers to.
pub(super) const MAX_REFERENCES: usize = 1_000;

/// Attributes that any element may have.
pub(super) const ANYWHERE: [&str; 11] =
    ["align", "bgcolor", "border", "color", "dir", "height", "lang", "style", "title", "valign", "width"];
/// Attributes that some elements may have besides.
pub(super) const SOME: [(&str, &[&str]); 10] = [
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

/// Writes start tags, and notes what it leaves out.
pub(super) struct Cleaner<'l> {
    images: &'l RemoteImages,
    pub(super) removed: Removed,
    /// The parts that images refer to, by `Content-ID`.
    pub(super) references: BTreeSet<String>,
}

impl<'l> Cleaner<'l> {
    pub(super) fn new(images: &'l RemoteImages) -> Self {
        Self { images, removed: Removed::default(), references: BTreeSet::new() }
    }

    /// Writes a start tag.
    pub(super) fn write(&mut self, element: Element, attributes: &[Attribute<'_>], out: &mut String) {
        out.push('<');
        out.push_str(element.name);
        let own = SOME.iter().find(|(name, _)| *name == element.name).map_or(&[][..], |(_, names)| names);
        let mut seen = 0_u32;
        for attribute in attributes {
            let Some((index, name)) = known(attribute.name, own) else { continue };
            // As every HTML parser does: the first counts, whatever it is.
            if seen & (1 << index) == 0 {
                seen |= 1 << index;
                self.attribute(name, attribute.value, out);
            }
        }
        if element.name == "a" {
            push(out, "rel", REL);
        }
        out.push('>');
    }

    /// Notes what runs or loads in the attributes of a tag, whatever becomes of it.
    pub(super) fn note(&mut self, attributes: &[Attribute<'_>]) {
        for Attribute { name, value } in attributes {
            let is = |known: &str| name.eq_ignore_ascii_case(known);
            if is_handler(name) {
                self.removed.handlers += 1;
            } else if is("ping") || is("http-equiv") && is_refresh(value) {
                self.removed.links += 1;
            } else if LOADING.into_iter().any(is) {
                self.loading(value);
            }
        }
    }

    /// Notes that a tag has more attributes than are looked at: none stays.
    pub(super) fn note_too_many(&mut self, attributes: &[Attribute<'_>]) {
        self.removed.attributes += u32::try_from(attributes.len()).unwrap_or(u32::MAX);
    }

    /// Counts an image by its address, or by the first of several.
    fn loading(&mut self, written: &str) {
        let value = resolve(cut(written, MAX_PEEKED), Place::Attribute);
        if let Some(address) = value.split_ascii_whitespace().next() {
            self.count(&removed_image(address));
        }
    }

    fn attribute(&mut self, name: &'static str, written: &str, out: &mut String) {
        if written.len() > MAX_WRITTEN {
            return self.too_long(name, written);
        }
        let value = resolve(written, Place::Attribute);
        match name {
            "style" => self.style(&value, out),
            "href" => {
                if let Some(address) = self.address(link(&value)) {
                    push(out, name, &address);
                }
            }
            "src" => {
                let Some(address) = self.address(image(&value, self.images)) else { return };
                if let Some(id) = strip_scheme(&address, "cid:")
                    && self.references.len() < MAX_REFERENCES
                {
                    self.references.insert(content_id(id));
                }
                push(out, name, &address);
            }
            _ if value.len() <= MAX_VALUE => push(out, name, &value),
            _ => self.removed.attributes += 1,
        }
    }

    fn too_long(&mut self, name: &str, written: &str) {
        match name {
            "style" => self.removed.styles += 1,
            "href" => self.removed.links += 1,
            "src" => self.loading(written),
            _ => self.removed.attributes += 1,
        }
    }

    fn style(&mut self, value: &str, out: &mut String) {
        if value.len() > MAX_STYLE {
            self.removed.styles += 1;
            return;
        }
        let (kept, removed) = style::filter(value);
        self.removed.styles += removed;
        if let Some(kept) = kept {
            push(out, "style", &kept);
        }
    }

    /// The form in which an address stays; what does not is counted.
    fn address(&mut self, address: Address<'_>) -> Option<String> {
        self.count(&address);
        match address {
            Address::Keep(address) => Some(address.into_owned()),
            Address::Proxied(address) => Some(address),
            Address::Remote | Address::Own | Address::Relative | Address::Refused => None,
        }
    }

    fn count(&mut self, address: &Address<'_>) {
        let counter = match address {
            Address::Keep(_) => return,
            Address::Proxied(_) | Address::Remote => &mut self.removed.remote_images,
            Address::Own => &mut self.removed.own_images,
            Address::Relative => &mut self.removed.relative,
            Address::Refused => &mut self.removed.links,
        };
        *counter += 1;
    }
}

/// Whether an attribute is an event handler.
fn is_handler(name: &str) -> bool {
    name.as_bytes().get(..2).is_some_and(|on| on.eq_ignore_ascii_case(b"on"))
}

/// Whether a `meta` with this value leads elsewhere by itself.
fn is_refresh(written: &str) -> bool {
    resolve(cut(written, MAX_PEEKED), Place::Attribute).trim().eq_ignore_ascii_case("refresh")
}

/// An attribute's place among those that the element may have, and its name as we write it.
fn known(name: &str, own: &'static [&'static str]) -> Option<(usize, &'static str)> {
    let mut all = ANYWHERE.iter().chain(own).enumerate();
    all.find(|(_, known)| known.eq_ignore_ascii_case(name)).map(|(index, known)| (index, *known))
}

fn push(out: &mut String, name: &str, value: &str) {
    out.push(' ');
    out.push_str(name);
    out.push_str("=\"");
    escape::value(value, out);
    out.push('"');
}
