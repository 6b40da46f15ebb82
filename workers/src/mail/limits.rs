//! How much of a mail is looked at. All sizes are in bytes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::sanitise::RemoteImages;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// The limits of a parse. The parent sends them to the child with each mail, and checks the answer by them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Of the raw mail; a larger one is refused.
    pub raw: usize,
    /// Of the mail's header section; a larger one is refused.
    pub header_section: usize,
    /// Lines in the mail's header section; more are refused.
    pub header_lines: usize,
    /// Header fields that are kept.
    pub fields: usize,
    /// Of a header field's value that is kept.
    pub field: usize,
    /// Of all header fields that are kept.
    pub fields_total: usize,
    /// Containers (multiparts and messages) within each other, the mail itself included.
    pub depth: usize,
    /// Parts, containers included.
    pub parts: usize,
    /// Transfer-encoded messages within each other.
    pub encoded_nesting: usize,
    /// What reading every part inside encoded messages may cost: the sum of the outer ranges of their addresses.
    pub encoded_work: u64,
    /// Of the plain text; a longer one is cut.
    pub text: usize,
    /// Of the HTML; a longer one is dropped.
    pub html: usize,
    /// Elements within each other in the HTML.
    pub html_depth: usize,
    /// Processor time for the HTML; one that takes more is dropped.
    pub html_budget: Duration,
    /// What happens to remote images.
    pub remote_images: RemoteImages,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            raw: 40 * MIB,
            header_section: MIB,
            header_lines: 20_000,
            fields: 500,
            field: 8 * KIB,
            fields_total: 256 * KIB,
            depth: 64,
            parts: 1_000,
            encoded_nesting: 3,
            encoded_work: 1024 * MIB as u64,
            text: MIB,
            html: MIB,
            html_depth: 512,
            html_budget: Duration::from_millis(250),
            remote_images: RemoteImages::Block,
        }
    }
}
