//! What a walk has used of its limits.

use super::limits::WalkLimits;
use super::obstacle::Code;

/// The counts.
#[derive(Debug)]
pub(super) struct Budget<'l> {
    limits: &'l WalkLimits,
    content: u64,
    depth: u32,
    members: u32,
    expanded: u64,
    held: u64,
}

impl<'l> Budget<'l> {
    /// Nothing used yet, of a content of so many bytes.
    pub(super) fn new(limits: &'l WalkLimits, content: u64) -> Self {
        Self { limits, content, depth: 0, members: 0, expanded: 0, held: 0 }
    }

    /// Goes into a container; [`Budget::leave`] comes back.
    pub(super) fn enter(&mut self) -> Result<(), Code> {
        self.depth += 1;
        within(self.depth <= self.limits.depth, Code::TooDeep)
    }

    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Counts one more member.
    pub(super) fn member(&mut self) -> Result<(), Code> {
        self.members += 1;
        within(self.members <= self.limits.members, Code::TooManyMembers)
    }

    /// Whether so many members more are within the limit.
    pub(super) fn can_take(&self, members: u64) -> Result<(), Code> {
        within(u64::from(self.members) + members <= u64::from(self.limits.members), Code::TooManyMembers)
    }

    /// Counts the bytes of a member, before they are made where its length is known.
    pub(super) fn expand(&mut self, bytes: u64) -> Result<(), Code> {
        within(bytes <= self.limits.member, Code::MemberTooLarge)?;
        self.expanded = self.expanded.saturating_add(bytes);
        within(self.expanded <= self.limits.expanded, Code::TooLarge)?;
        let is_thin = self.expanded <= self.limits.ratio_from
            || self.expanded <= self.limits.ratio.saturating_mul(self.content.max(1));
        within(is_thin, Code::RatioExceeded)
    }

    /// How long a member may be of which nothing else is known.
    pub(super) fn left(&self) -> u64 {
        let (expanded, held) = (self.limits.expanded, self.limits.held);
        self.limits.member.min(expanded.saturating_sub(self.expanded)).min(held.saturating_sub(self.held))
    }

    /// Counts bytes that are held; [`Budget::release`] gives them back.
    pub(super) fn hold(&mut self, bytes: u64) -> Result<(), Code> {
        self.held = self.held.saturating_add(bytes);
        within(self.held <= self.limits.held, Code::TooLarge)
    }

    pub(super) fn release(&mut self, bytes: u64) {
        self.held = self.held.saturating_sub(bytes);
    }

    /// Members and bytes so far.
    pub(super) fn used(&self) -> (u32, u64) {
        (self.members, self.expanded)
    }
}

fn within(holds: bool, code: Code) -> Result<(), Code> {
    if holds { Ok(()) } else { Err(code) }
}
