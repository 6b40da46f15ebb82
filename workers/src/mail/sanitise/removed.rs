//! What was taken out of HTML, counted by kind.

use serde::{Deserialize, Serialize};

/// How many things were removed, by kind. Absent in the JSON form where none was. Attributes that neither run nor load
/// anything (`class`, `id`, `target`) go without being counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Removed {
    /// `script` elements.
    #[serde(skip_serializing_if = "is_none")]
    pub scripts: u32,
    /// Event handlers.
    #[serde(skip_serializing_if = "is_none")]
    pub handlers: u32,
    /// Frames, objects, media, drawings: what loads or runs something of its own.
    #[serde(skip_serializing_if = "is_none")]
    pub embeds: u32,
    /// Forms and what takes input.
    #[serde(skip_serializing_if = "is_none")]
    pub forms: u32,
    /// Addresses with a scheme that is not allowed, that cannot be read or that would make more of a mail than a text
    /// (`mailto:` with a header), those that a click would be told to (`ping`), and those that a page would go to by itself.
    #[serde(skip_serializing_if = "is_none")]
    pub links: u32,
    /// Addresses without a scheme, which lead nowhere in a mail.
    #[serde(skip_serializing_if = "is_none")]
    pub relative: u32,
    /// Addresses of remote images, of backgrounds and `srcset` too, removed or made to lead to the proxy.
    #[serde(skip_serializing_if = "is_none")]
    pub remote_images: u32,
    /// Images that came with the mail and do not stay: `data:`, and `cid:` anywhere but in `img`.
    #[serde(skip_serializing_if = "is_none")]
    pub own_images: u32,
    /// Style sheets: `style` elements, and `link` elements whatever they load.
    #[serde(skip_serializing_if = "is_none")]
    pub style_sheets: u32,
    /// Style declarations.
    #[serde(skip_serializing_if = "is_none")]
    pub styles: u32,
    /// Attributes of the list whose value is too long, and all of a tag that has too many.
    #[serde(skip_serializing_if = "is_none")]
    pub attributes: u32,
    /// The tags of other elements that are not on the list (their content stays).
    #[serde(skip_serializing_if = "is_none")]
    pub elements: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_none(count: &u32) -> bool {
    *count == 0
}

/// What an element that does not stay counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counts {
    /// The frame of every document: nothing.
    Nothing,
    Script,
    Embed,
    Form,
    StyleSheet,
    Other,
}

impl Removed {
    /// Whether there was anything, but for images, that a client could have run, loaded or sent.
    pub fn is_active(&self) -> bool {
        self.scripts + self.handlers + self.embeds + self.forms + self.links > 0
    }

    /// Every kind with its count, for people.
    pub fn kinds(&self) -> [(&'static str, u32); 12] {
        [
            ("scripts", self.scripts),
            ("handlers", self.handlers),
            ("embeds", self.embeds),
            ("forms", self.forms),
            ("links", self.links),
            ("relative", self.relative),
            ("remote_images", self.remote_images),
            ("own_images", self.own_images),
            ("style_sheets", self.style_sheets),
            ("styles", self.styles),
            ("attributes", self.attributes),
            ("elements", self.elements),
        ]
    }

    pub(super) fn count(&mut self, what: Counts) {
        let counter = match what {
            Counts::Nothing => return,
            Counts::Script => &mut self.scripts,
            Counts::Embed => &mut self.embeds,
            Counts::Form => &mut self.forms,
            Counts::StyleSheet => &mut self.style_sheets,
            Counts::Other => &mut self.elements,
        };
        *counter += 1;
    }
}
