//! What a walk found in its way: why a content cannot be called clean although the scanner found nothing.

use serde::{Deserialize, Serialize};
use shared::pii::Pii;

use super::kind::Kind;
use crate::mail::model::FindingCode;

/// The longest path of a member that is kept, in bytes.
pub const MAX_PATH: usize = 512;

/// The answer of a walk.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Walked {
    /// The first obstacle of each class; none for a content that was walked to its end.
    pub obstacles: Vec<Obstacle>,
    /// What members are that an attachment would be noticed for: each code once, where it was first.
    #[serde(default)]
    pub noticed: Vec<Noticed>,
    /// Members that were looked at.
    pub members: u32,
    /// Bytes that they came to.
    pub expanded: u64,
}

/// Something that could not be looked into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Obstacle {
    /// Why.
    pub code: Code,
    /// The kind of container it was found in.
    pub kind: Kind,
    /// The names that lead there, joined by ` / ` and safe to show; empty for the content itself.
    pub member: Pii<String>,
}

/// Something that a member is. Its name is not kept: a record says what kind of file was where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noticed {
    /// What it is: one of those that are about a file.
    pub code: FindingCode,
    /// The kind of container it was found in.
    pub kind: Kind,
}

/// What an obstacle amounts to: the verdicts of a walk, beside clean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// It cannot be read, or can be read in more than one way.
    Unscannable,
    /// It is encrypted.
    Encrypted,
    /// It is more than the limits allow: not all of it was looked at.
    LimitsExceeded,
}

/// The obstacles. Each belongs to one [`Class`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// More members than [`super::WalkLimits::members`].
    TooManyMembers,
    /// Deeper than [`super::WalkLimits::depth`].
    TooDeep,
    /// A member larger than [`super::WalkLimits::member`].
    MemberTooLarge,
    /// More bytes than [`super::WalkLimits::expanded`] or [`super::WalkLimits::held`].
    TooLarge,
    /// Members that are more than [`super::WalkLimits::ratio`] times the content.
    RatioExceeded,
    /// It says that it is encrypted.
    Encrypted,
    /// A format that is recognised and not opened.
    NotOpened,
    /// A compression method that is not known here.
    MethodUnknown,
    /// It breaks the rules of its format, or is cut off.
    Damaged,
    /// Two places that should say the same differ: readers see different contents.
    Contradictory,
    /// Members lie over each other.
    Overlapping,
    /// Two members of one name: readers see one or the other.
    RepeatedName,
    /// Content that only some readers see: another archive before, behind or between the members.
    Hidden,
    /// One volume of several.
    Split,
    /// Written in a way that other readers understand and the scanner does not: it sees no such member. (Tried with
    /// clamd 1.4: members of a zip whose lengths only zip64 gives; in a tar, sizes that are no octal numbers, members
    /// without a name, of a type of their own, or with another magic than the first; mails that begin like something else.)
    OutOfReach,
}

impl Code {
    /// What it amounts to.
    pub const fn class(self) -> Class {
        match self {
            Self::TooManyMembers | Self::TooDeep | Self::MemberTooLarge | Self::TooLarge | Self::RatioExceeded => {
                Class::LimitsExceeded
            }
            Self::Encrypted => Class::Encrypted,
            Self::NotOpened
            | Self::MethodUnknown
            | Self::Damaged
            | Self::Contradictory
            | Self::Overlapping
            | Self::RepeatedName
            | Self::Hidden
            | Self::Split
            | Self::OutOfReach => Class::Unscannable,
        }
    }

    /// Its name, as in records and labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TooManyMembers => "too_many_members",
            Self::TooDeep => "too_deep",
            Self::MemberTooLarge => "member_too_large",
            Self::TooLarge => "too_large",
            Self::RatioExceeded => "ratio_exceeded",
            Self::Encrypted => "encrypted",
            Self::NotOpened => "not_opened",
            Self::MethodUnknown => "method_unknown",
            Self::Damaged => "damaged",
            Self::Contradictory => "contradictory",
            Self::Overlapping => "overlapping",
            Self::RepeatedName => "repeated_name",
            Self::Hidden => "hidden",
            Self::Split => "split",
            Self::OutOfReach => "out_of_reach",
        }
    }
}
