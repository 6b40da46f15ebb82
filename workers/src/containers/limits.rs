//! How much of a container is opened. All sizes are in bytes.

use serde::{Deserialize, Serialize};

/// The limits of a walk. Each is below the limit of a scanner as we configure it, so that what a walk calls clean was
/// within the scanner's reach as well. Together they bound the walk's work: it is linear in what they count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WalkLimits {
    /// Containers within each other, the outermost included.
    pub depth: u32,
    /// Members of all containers together.
    pub members: u32,
    /// Of a single member.
    pub member: u64,
    /// Of all members together.
    pub expanded: u64,
    /// Of members that are held at once: each level of nesting holds one.
    pub held: u64,
    /// How many times the content all members together may be, once they are more than [`WalkLimits::ratio_from`].
    pub ratio: u64,
    /// Up to here nothing is said about the ratio.
    pub ratio_from: u64,
}

impl Default for WalkLimits {
    fn default() -> Self {
        Self {
            depth: 12,
            members: 8_000,
            member: 96_000_000,
            expanded: 384_000_000,
            held: 128_000_000,
            ratio: 250,
            ratio_from: 16_000_000,
        }
    }
}
