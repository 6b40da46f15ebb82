//! Every finding: what it says to people, and what it does to a mail unless the configuration says otherwise.
//!
//! One exhaustive match, so that a rule without an entry does not compile.

use super::Action::{self, Accept, Quarantine, Reject, Tag};
use crate::mail::model::FindingCode;

impl FindingCode {
    /// Every code, in the order in which they are documented.
    pub const ALL: &[Self] = &[
        Self::RepeatedHeader,
        Self::FromMissing,
        Self::FromMultiple,
        Self::AddressUnreadable,
        Self::NameUnquoted,
        Self::NameShowsAddress,
        Self::DateMissing,
        Self::DateUnreadable,
        Self::HeadersMissing,
        Self::HeadersExceeded,
        Self::FieldNameDamaged,
        Self::DepthExceeded,
        Self::PartsExceeded,
        Self::BoundaryDamaged,
        Self::PartHeadersDamaged,
        Self::NulInHeaders,
        Self::NulInBody,
        Self::BareCrInHeaders,
        Self::BareCrInBody,
        Self::BareLfInHeaders,
        Self::BareLfInBody,
        Self::EightBitInHeaders,
        Self::Utf8InHeaders,
        Self::EightBitInBody,
        Self::LineTooLong,
        Self::ContentTypeUnreadable,
        Self::DispositionUnreadable,
        Self::MessagePartial,
        Self::ExternalBody,
        Self::CharsetDamaged,
        Self::EncodingConflict,
        Self::FileInText,
        Self::EncodingDamaged,
        Self::ParameterConflict,
        Self::NameConflict,
        Self::DuplicateNames,
        Self::DuplicateContentIds,
        Self::HtmlRefused,
        Self::ActiveContentRemoved,
        Self::ControlCharacters,
        Self::BidiCharacters,
        Self::MixedScripts,
        Self::MixedScriptDomain,
        Self::TextTruncated,
        Self::ExecutableAttachment,
        Self::ScriptAttachment,
        Self::SourceAttachment,
        Self::ShortcutAttachment,
        Self::MacroAttachment,
        Self::DiskImageAttachment,
        Self::HtmlAttachment,
        Self::TypeMismatch,
        Self::DoubleExtension,
        Self::HiddenExtension,
        Self::LookalikeDomain,
        Self::KnownSenderUnverified,
        Self::BlockedSender,
        Self::UnknownRecipient,
        Self::RecipientLeftOut,
    ];

    /// What was found, for people.
    #[must_use]
    pub const fn what(self) -> &'static str {
        self.entry().1
    }

    /// What it does to a mail by default. What can be read in two ways is quarantined beyond that.
    #[must_use]
    pub const fn default_action(self) -> Action {
        self.entry().0
    }

    /// Whether it is about what a file is: those that a member of a container may have as well as an attachment.
    #[must_use]
    pub const fn is_about_a_file(self) -> bool {
        matches!(
            self,
            Self::ExecutableAttachment
                | Self::ScriptAttachment
                | Self::SourceAttachment
                | Self::ShortcutAttachment
                | Self::MacroAttachment
                | Self::DiskImageAttachment
                | Self::HtmlAttachment
                | Self::DoubleExtension
                | Self::HiddenExtension
        )
    }

    /// Whether every finding of this code is [`Severity::Ambiguous`], so that nothing less than a quarantine applies.
    ///
    /// [`Severity::Ambiguous`]: crate::mail::model::Severity::Ambiguous
    #[must_use]
    pub const fn is_always_ambiguous(self) -> bool {
        matches!(
            self,
            Self::HeadersMissing
                | Self::DepthExceeded
                | Self::PartsExceeded
                | Self::NulInHeaders
                | Self::BareCrInHeaders
                | Self::HiddenExtension
        )
    }

    const fn entry(self) -> (Action, &'static str) {
        match self {
            Self::RepeatedHeader => (Tag, "a field that may stand once stands more often"),
            Self::FromMissing => (Quarantine, "there is no author's address"),
            Self::FromMultiple => (Tag, "several authors are named"),
            Self::AddressUnreadable => (Tag, "something there is no e-mail address"),
            Self::NameUnquoted => (Tag, "the author's name has a comma that is not quoted"),
            Self::NameShowsAddress => (Tag, "the author's name shows an address of another domain"),
            Self::DateMissing => (Accept, "there is no date"),
            Self::DateUnreadable => (Tag, "the date cannot be read"),
            Self::HeadersMissing => (Quarantine, "there is no header section"),
            Self::HeadersExceeded => (Tag, "more or longer header fields or mailboxes than are kept"),
            Self::FieldNameDamaged => (Tag, "a field's name holds what no name may hold"),
            Self::DepthExceeded => (Quarantine, "parts are nested deeper than is looked at"),
            Self::PartsExceeded => (Quarantine, "there are more parts than are looked at"),
            Self::BoundaryDamaged => (Tag, "a boundary is missing, damaged or read in two ways"),
            Self::PartHeadersDamaged => (Tag, "a header block is cut off or holds what is no field"),
            Self::NulInHeaders => (Quarantine, "there is a NUL byte among header fields"),
            Self::NulInBody => (Tag, "there is a NUL byte in a text"),
            Self::BareCrInHeaders => (Quarantine, "a carriage return stands alone among header fields"),
            Self::BareCrInBody => (Tag, "a carriage return stands alone in a text"),
            Self::BareLfInHeaders => (Tag, "header fields end some in CRLF, some in LF"),
            Self::BareLfInBody => (Tag, "some lines end in LF, others in CRLF"),
            Self::EightBitInHeaders => (Tag, "header fields hold bytes that are neither ASCII nor UTF-8"),
            Self::Utf8InHeaders => (Accept, "header fields hold UTF-8 that is not encoded"),
            Self::EightBitInBody => (Accept, "8-bit bytes stand where 7-bit ones are declared"),
            Self::LineTooLong => (Tag, "a line is longer than 998 bytes"),
            Self::ContentTypeUnreadable => (Tag, "the content type cannot be read"),
            Self::DispositionUnreadable => (Tag, "the content disposition cannot be read"),
            Self::MessagePartial => (Quarantine, "it is a fragment of a mail: the whole cannot be scanned"),
            Self::ExternalBody => (Tag, "a part's content is elsewhere"),
            Self::CharsetDamaged => (Accept, "a text does not decode in its character set"),
            Self::EncodingConflict => (Tag, "the transfer encoding contradicts itself or is unknown"),
            Self::FileInText => (Tag, "a text holds an encoded file that some programs show"),
            Self::EncodingDamaged => (Tag, "encoded content does not decode cleanly"),
            Self::ParameterConflict => (Tag, "a parameter or a MIME field stands twice"),
            Self::NameConflict => (Tag, "an attachment has two different names"),
            Self::DuplicateNames => (Tag, "several attachments have one name"),
            Self::DuplicateContentIds => (Tag, "several parts have one Content-ID"),
            Self::HtmlRefused => (Tag, "the HTML was past a limit: the text alone was kept"),
            Self::ActiveContentRemoved => (Accept, "active content was removed from the HTML"),
            Self::ControlCharacters => (Tag, "control characters were removed from a name or the subject"),
            Self::BidiCharacters => (Tag, "characters that turn the direction of writing were removed"),
            Self::MixedScripts => (Tag, "a word mixes scripts whose letters look alike"),
            Self::MixedScriptDomain => (Quarantine, "the domain mixes scripts whose letters look alike"),
            Self::TextTruncated => (Tag, "a text was cut at its limit"),
            // What a double click runs, follows or mounts without a question: the large providers refuse it as well.
            Self::ExecutableAttachment => (Quarantine, "an attachment is a program"),
            Self::ScriptAttachment => (Quarantine, "an attachment is a script that a double click runs"),
            Self::ShortcutAttachment => (Quarantine, "an attachment is a shortcut to elsewhere"),
            // What lies in an image has no mark of the web, by which Windows would ask.
            Self::DiskImageAttachment => (Quarantine, "an attachment is a disk image"),
            // What people send each other for good reasons, and programs show or open without what is active in it.
            Self::SourceAttachment => (Tag, "an attachment is the source of a program"),
            Self::MacroAttachment => (Tag, "an attachment is a document with active content"),
            Self::HtmlAttachment => (Tag, "an attachment is a page of HTML or SVG"),
            Self::TypeMismatch => (Tag, "name, type and content of an attachment disagree"),
            Self::DoubleExtension => (Quarantine, "a dangerous extension hides behind a harmless one"),
            Self::HiddenExtension => (Quarantine, "some readers see a dangerous extension, others do not"),
            Self::LookalikeDomain => (Quarantine, "the domain is made to look like one of ours or a known one"),
            Self::KnownSenderUnverified => (Quarantine, "the author is of a known domain and is not verified"),
            Self::BlockedSender => (Reject, "the sender is blocked"),
            Self::UnknownRecipient => (Reject, "a recipient is not accepted here"),
            Self::RecipientLeftOut => (Tag, "a recipient is not accepted here and was left out"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, de::IntoDeserializer, de::value::Error};

    use super::*;

    /// serde knows every variant, and says so when asked for one that is none.
    #[test]
    fn every_code_is_listed_once() {
        let none: Result<FindingCode, Error> = FindingCode::deserialize("none of them".into_deserializer());
        let text = none.unwrap_err().to_string();
        let (_, known) = text.split_once("expected one of ").unwrap();
        let known: Vec<String> = known.split(", ").map(|name| name.trim_matches('`').to_owned()).collect();
        assert_eq!(FindingCode::ALL.iter().map(|code| code.name()).collect::<Vec<_>>(), known);
    }

    #[test]
    fn what_is_always_ambiguous_is_never_let_through_by_default() {
        for code in FindingCode::ALL.iter().filter(|code| code.is_always_ambiguous()) {
            assert!(code.default_action() >= Quarantine, "{}", code.name());
        }
        assert!(FindingCode::ALL.iter().all(|code| (1..=60).contains(&code.what().len())), "it fits a table");
    }
}
