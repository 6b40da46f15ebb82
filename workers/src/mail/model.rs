//! The parsed mail: typed, bounded, and safe to store, to match rules against and to send.
//!
//! Everything that came out of the mail is [`Pii`]; the rest is our own vocabulary. HTML in here is
//! sanitised, names are safe to show and are never used as paths or keys.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shared::pii::Pii;

use super::decode::PartAddress;
use crate::containers::Kind;

/// Length and SHA-256 of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// Length in bytes.
    pub len: u64,
    /// SHA-256, in hex on the wire.
    #[serde(with = "super::hex32")]
    pub sha256: [u8; 32],
}

/// A mail after parsing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParsedMail {
    /// Of the raw mail, as it was read.
    pub raw: Digest,
    /// `Message-ID`, without the angle brackets.
    pub message_id: Option<Pii<String>>,
    /// `Date`.
    pub date: Option<Timestamp>,
    /// `From`.
    pub from: Vec<Mailbox>,
    /// `Sender`.
    pub sender: Vec<Mailbox>,
    /// `Reply-To`.
    pub reply_to: Vec<Mailbox>,
    /// `To`.
    pub to: Vec<Mailbox>,
    /// `Cc`.
    pub cc: Vec<Mailbox>,
    /// `Bcc`.
    pub bcc: Vec<Mailbox>,
    /// `Subject`, decoded, without control and format characters.
    pub subject: Option<Pii<String>>,
    /// The header fields in order, bounded in number and length, for rules that match on a header.
    pub headers: Vec<HeaderField>,
    /// The plain text: the text part, else derived from the HTML.
    pub text: Option<Pii<String>>,
    /// The sanitised HTML. Absent where there is none or it was refused (see the findings).
    pub html: Option<Pii<String>>,
    /// Every leaf part that carries bytes, in document order: what the scan has to look at.
    pub parts: Vec<Part>,
    /// What was noticed.
    pub findings: Vec<Finding>,
    /// The command that the mail carries, if it carries one.
    pub intent: Option<Intent>,
}

/// An address with its display name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mailbox {
    /// The display name, safe to show.
    pub name: Option<Pii<String>>,
    /// `local@domain`.
    pub address: Pii<String>,
}

/// A header field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderField {
    /// Its name as written.
    pub name: String,
    /// Its value, unfolded and decoded.
    pub value: Pii<String>,
}

/// A leaf part of the mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Where its bytes are in the raw mail, and how they are encoded.
    pub address: PartAddress,
    /// Of the bytes decoded by our own decoder: what is scanned is what is delivered.
    pub content: Digest,
    /// `type/subtype`, lower case; `application/octet-stream` where it cannot be read.
    pub content_type: String,
    /// The file name, safe to show.
    pub name: Option<Pii<String>>,
    /// `Content-ID`, without the angle brackets.
    pub content_id: Option<Pii<String>>,
    /// What it is to the mail.
    pub role: PartRole,
    /// The kind of container that it looks like, by its bytes: then the scan looks into it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<Kind>,
}

/// What a part is to the mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartRole {
    /// Its text became (part of) the text or HTML body.
    Body,
    /// To be shown within the body.
    Inline,
    /// An attachment.
    Attachment,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Unusual, harmless by itself.
    Warning,
    /// The structure can be read in more than one way, or a limit was passed: the mail is quarantined.
    Ambiguous,
}

/// Something noticed about a mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Which rule found it.
    pub code: FindingCode,
    /// How bad it is.
    pub severity: Severity,
    /// Where: `header From`, `part 1.2`, `html`. Never a value from the mail.
    pub place: String,
}

/// The rules that findings come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingCode {
    /// A field that may stand once stands more often (RFC 5322 §3.6).
    RepeatedHeader,
    /// There is no `From` (RFC 5322 §3.6).
    FromMissing,
    /// There is no header section.
    HeadersMissing,
    /// More header fields, or longer ones, than allowed.
    HeadersExceeded,
    /// Parts are nested deeper than allowed.
    DepthExceeded,
    /// More parts than allowed.
    PartsExceeded,
    /// A boundary that was declared is missing, unterminated or was guessed.
    BoundaryDamaged,
    /// A part's header block is cut off.
    PartHeadersDamaged,
    /// NUL bytes in the header section.
    NulInHeaders,
    /// Carriage returns without line feeds in the header section.
    BareCrInHeaders,
    /// A transfer encoding that contradicts itself or that nobody knows (RFC 2045 §6).
    EncodingConflict,
    /// Encoded content that does not decode cleanly.
    EncodingDamaged,
    /// A parameter or a MIME field stands twice.
    ParameterConflict,
    /// The HTML was deeper or longer than the sanitiser's limits: it was dropped, the text kept.
    HtmlRefused,
    /// Active content, such as scripts, was removed from the HTML.
    ActiveContentRemoved,
    /// Control or format characters (bidi among them) were removed from a name or the subject.
    ControlCharacters,
    /// A text was cut at its limit.
    TextTruncated,
    /// An attachment is a program, a library or an installer: by its name, its type or its bytes.
    ExecutableAttachment,
    /// An attachment is a script, or a document that runs one.
    ScriptAttachment,
    /// An attachment is a shortcut to elsewhere.
    ShortcutAttachment,
    /// An attachment is an Office document with macros, or an add-in.
    MacroAttachment,
    /// An attachment is a disk image.
    DiskImageAttachment,
    /// An attachment is HTML or SVG: a page of its own, which may hold scripts.
    HtmlAttachment,
    /// An attachment's name, declared type and first bytes speak of different formats.
    TypeMismatch,
    /// An attachment's name ends twice, the second time dangerously: `invoice.pdf.exe`.
    DoubleExtension,
    /// Some reader sees a dangerous extension that the shown name does not have.
    HiddenExtension,
}

impl FindingCode {
    /// The code's name, as in records and labels.
    pub fn name(self) -> String {
        serde_json::to_value(self).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
    }
}

/// A command in a mail, in the three ways of the original router.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Where it was found.
    pub source: IntentSource,
    /// The command, lower case: `task`, `send-invoice`.
    pub command: String,
    /// What follows it: the plus tag (`notion`), the text after the colon or the hashtag.
    pub argument: Option<Pii<String>>,
}

/// Where a command was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntentSource {
    /// `task+notion@domain`.
    Recipient,
    /// `Send Invoice: Q1`.
    Subject,
    /// `#task Create new feature`.
    Body,
}
