//! The parsed mail: typed, bounded, and safe to store, to match rules against and to send.
//!
//! Everything that came out of the mail is [`Pii`]; the rest is our own vocabulary. HTML in here is
//! sanitised, names are safe to show and are never used as paths or keys.

use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct};
use shared::pii::Pii;

use super::decode::PartAddress;
use super::facts::Facts;
use super::sanitise::Removed;
use crate::auth::{Authentication, Evidence};
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
    /// The text without the mail that it answers and without the signature. Absent where that is the whole text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<Pii<String>>,
    /// The sanitised HTML. Absent where there is none or it was refused (see the findings).
    pub html: Option<Pii<String>>,
    /// What was taken out of the HTML.
    #[serde(default)]
    pub html_removed: Removed,
    /// Every leaf part that carries bytes, in document order: what the scan has to look at.
    pub parts: Vec<Part>,
    /// The tree of all parts, containers included, in document order: what a finding calls `part 1` is the first.
    #[serde(default)]
    pub structure: Vec<Node>,
    /// What was noticed.
    pub findings: Vec<Finding>,
    /// The codes of the findings that the policy has for worth telling, once each. The sandbox leaves it empty.
    #[serde(default)]
    pub tags: Vec<FindingCode>,
    /// The command that the mail carries, if it carries one.
    pub intent: Option<Intent>,
    /// What authentication starts from. Only between the child and the parent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Box<Evidence>>,
    /// Who the sender is, as far as that is known. Written by the parent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authentication: Option<Box<Authentication>>,
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
    /// The type that its first bytes are of; `None` where nobody knows, and of a body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detected_type: Option<String>,
    /// The file name, safe to show.
    pub name: Option<Pii<String>>,
    /// The file name as it was written, decoded, where that is another: never to be shown or used as a path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw_name: Option<Pii<String>>,
    /// `Content-ID`, without the angle brackets.
    pub content_id: Option<Pii<String>>,
    /// `Content-Disposition`, where it says one of the two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disposition: Option<Disposition>,
    /// What it is to the mail.
    pub role: PartRole,
    /// The sanitised HTML shows it: `cid:` and its `content_id`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_shown: bool,
    /// What was read in its content.
    #[serde(default, skip_serializing_if = "Facts::is_empty")]
    pub facts: Facts,
    /// The kind of container that it looks like, by its bytes, or a mail by its name: then the scan looks into it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<Kind>,
}

/// How a part is to be presented (RFC 2183 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disposition {
    /// Within the mail.
    Inline,
    /// As a file.
    Attachment,
}

/// A part in the tree of parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// In how many others it is.
    pub depth: usize,
    /// `type/subtype`, lower case; `application/octet-stream` where it cannot be read.
    #[serde(rename = "type")]
    pub content_type: String,
    /// Its position in [`ParsedMail::parts`], if it is a leaf that carries bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<usize>,
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

/// Something noticed about a mail. On the wire it also says `what` was found, which is ours to say: it is not read back.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Finding {
    /// Which rule found it.
    pub code: FindingCode,
    /// How bad it is.
    pub severity: Severity,
    /// Where: `header From`, `part 1.2`, `html`. Never a value from the mail.
    #[serde(rename = "where")]
    pub place: String,
}

impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut finding = serializer.serialize_struct("Finding", 4)?;
        finding.serialize_field("code", &self.code)?;
        finding.serialize_field("severity", &self.severity)?;
        finding.serialize_field("where", &self.place)?;
        finding.serialize_field("what", self.code.what())?;
        finding.end()
    }
}

/// The rules that findings come from. What each says to people, and what it does to a mail by default, is in
/// [`crate::findings`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingCode {
    /// A field that may stand once stands more often (RFC 5322 §3.6).
    RepeatedHeader,
    /// There is no `From`, or no address in it (RFC 5322 §3.6).
    FromMissing,
    /// `From` names several mailboxes.
    FromMultiple,
    /// An address field holds what is no address (RFC 5322 §3.4).
    AddressUnreadable,
    /// The author's name holds a comma without quotation marks, which makes several mailboxes of it to the grammar.
    NameUnquoted,
    /// The display name of `From`, or a quoted local part, shows an address of another domain than the mailbox's.
    NameShowsAddress,
    /// There is no `Date` (RFC 5322 §3.6).
    DateMissing,
    /// `Date` is none (RFC 5322 §3.3).
    DateUnreadable,
    /// There is no header section.
    HeadersMissing,
    /// More header fields or mailboxes of one, or longer ones, than allowed.
    HeadersExceeded,
    /// A field's name has white space or characters that no name has (RFC 5322 §2.2).
    FieldNameDamaged,
    /// Parts are nested deeper than allowed.
    DepthExceeded,
    /// More parts than allowed.
    PartsExceeded,
    /// A boundary that was declared is missing, unterminated, was guessed or can be read in two ways.
    BoundaryDamaged,
    /// A part's header block is cut off.
    PartHeadersDamaged,
    /// NUL bytes in a header section.
    NulInHeaders,
    /// NUL bytes in a body that is not binary (RFC 5322 §2.2, RFC 2045 §2.7).
    NulInBody,
    /// Carriage returns without line feeds in a header section.
    BareCrInHeaders,
    /// Carriage returns without line feeds in a body that is not binary.
    BareCrInBody,
    /// Line feeds without carriage returns in a header section or at a boundary, where other lines have both.
    BareLfInHeaders,
    /// Line feeds without carriage returns in the body, where the header's lines have both.
    BareLfInBody,
    /// Bytes in a header section that are neither ASCII nor UTF-8 (RFC 6532 §3).
    EightBitInHeaders,
    /// UTF-8 in a header section: only a transport with SMTPUTF8 may carry it (RFC 6532 §3).
    Utf8InHeaders,
    /// 8-bit bytes in a body that is declared or by default 7-bit (RFC 2045 §2.7).
    EightBitInBody,
    /// A line of more than 998 bytes (RFC 5322 §2.1.1).
    LineTooLong,
    /// A content type that cannot be read (RFC 2045 §5.1).
    ContentTypeUnreadable,
    /// A content disposition that cannot be read (RFC 2183 §2).
    DispositionUnreadable,
    /// A fragment of a mail (`message/partial`, RFC 2046 §5.2.2): receivers join what was never scanned as a whole.
    MessagePartial,
    /// A part whose content is elsewhere (`message/external-body`, RFC 2046 §5.2.3).
    ExternalBody,
    /// A text that does not decode in its charset.
    CharsetDamaged,
    /// A transfer encoding that contradicts itself or that nobody knows (RFC 2045 §6).
    EncodingConflict,
    /// A text holds a file, encoded within it (uuencode, yEnc): some programs show an attachment there.
    FileInText,
    /// Encoded content that does not decode cleanly.
    EncodingDamaged,
    /// A parameter or a MIME field stands twice.
    ParameterConflict,
    /// A part has one file name in `Content-Type` and another in `Content-Disposition`.
    NameConflict,
    /// Several attachments have one name.
    DuplicateNames,
    /// Several parts of one message have one `Content-ID` (RFC 2045 §7): which of them the HTML shows is anyone's guess.
    DuplicateContentIds,
    /// The HTML was deeper or longer than the sanitiser's limits: it was dropped, the text kept.
    HtmlRefused,
    /// Active content, such as scripts, was removed from the HTML.
    ActiveContentRemoved,
    /// Control or format characters were removed from a name or the subject.
    ControlCharacters,
    /// Characters that change the direction of the text around them were removed from a name or the subject.
    BidiCharacters,
    /// A word in a name or the subject mixes scripts whose letters look alike (UTS 39 §5).
    MixedScripts,
    /// A label in a sender's domain mixes such scripts.
    MixedScriptDomain,
    /// A text was cut at its limit.
    TextTruncated,
    /// An attachment is a program, a library or an installer: by its name, its type or its bytes.
    ExecutableAttachment,
    /// An attachment is a script that a desktop runs at a double click.
    ScriptAttachment,
    /// An attachment is the source of a program, which is read rather than run.
    SourceAttachment,
    /// An attachment is a shortcut to elsewhere.
    ShortcutAttachment,
    /// An attachment is an Office document with macros or other active content, or an add-in.
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
    /// A sender's domain looks like one that is accepted or known, and is another (UTS 39 §4).
    LookalikeDomain,
    /// `From` is of a known domain, and the mail does not authenticate as that domain's.
    KnownSenderUnverified,
    /// The sender is on the block list.
    BlockedSender,
    /// None of the envelope's recipients is accepted here; or one is not, and the policy lets it pass.
    UnknownRecipient,
    /// A recipient of the envelope is not accepted here: the mail goes on to the others.
    RecipientLeftOut,
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
