//! What is read in the content of a part: from its beginning only, and only where its type or its bytes promise it.

mod invitation;

use serde::{Deserialize, Serialize};

#[cfg(test)]
pub(crate) use invitation::MAX_TEXT;
pub(crate) use invitation::is_bounded;
pub use invitation::{Attendees, Invitation, When};

#[cfg(test)]
use crate::containers::HEAD;

/// What was read in the content of a part.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Facts {
    /// Of an image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageSize>,
    /// Of a calendar object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invitation: Option<Box<Invitation>>,
}

impl Facts {
    /// Whether nothing was read.
    pub fn is_empty(&self) -> bool {
        self.image.is_none() && self.invitation.is_none()
    }
}

/// How large an image says that it is, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageSize {
    /// Its width.
    pub width: u32,
    /// Its height.
    pub height: u32,
}

/// Reads the beginning of a part's content: as what it is declared to be, or as what its bytes are.
pub(super) fn read(content_type: &str, detected: Option<&str>, head: &[u8]) -> Facts {
    let mut types = [Some(content_type), detected].into_iter().flatten();
    if types.clone().any(|one| one.starts_with("image/")) {
        return Facts { image: image(head), invitation: None };
    }
    let is_calendar = types.any(|one| matches!(one, "text/calendar" | "application/ics"));
    Facts { image: None, invitation: is_calendar.then(|| invitation::read(head)).flatten().map(Box::new) }
}

fn image(head: &[u8]) -> Option<ImageSize> {
    let size = imagesize::blob_size(head).ok()?;
    Some(ImageSize { width: u32::try_from(size.width).ok()?, height: u32::try_from(size.height).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_tells_its_size() {
        let gif = b"GIF89a\x0a\x00\x14\x00\x80\x00\x00";
        let size = Some(ImageSize { width: 10, height: 20 });
        assert_eq!(read("image/gif", None, gif).image, size);
        assert_eq!(read("application/octet-stream", Some("image/gif"), gif).image, size);
        assert_eq!(read("application/pdf", None, gif), Facts::default());
        for damaged in [&b"GIF89a\x0a"[..], b"", b"no image at all", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0\xff\xff"]
        {
            assert_eq!(read("image/png", None, damaged).image, None, "{damaged:?}");
        }
    }

    #[test]
    fn hostile_heads_give_nothing_and_cost_little() {
        // The beginnings of every format that is looked for, and then anything.
        for magic in [
            &b"\xff\xd8\xff"[..],
            b"II*\0\x08\0\0\0",
            b"MM\0*\0\0\0\x08",
            b"\0\0\0\x0cJXL \x0d\x0a\x87\x0a",
            b"8BPS",
            b"\0\0\0\x18ftypheic",
            b"RIFF\xff\xff\xff\xffWEBPVP8X",
            b"P6\n",
            b"#?RADIANCE\n",
            b"v/1\x01",
            b"FORM",
            b"qoif",
        ] {
            for filler in [0_u8, 1, 0xff, b'9', b'\n'] {
                let mut head = magic.to_vec();
                head.resize(HEAD, filler);
                read("image/x", None, &head);
            }
        }
    }
}
