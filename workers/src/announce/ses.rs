//! SES receipt notifications (<https://docs.aws.amazon.com/ses/latest/dg/receiving-email-notifications-contents.html>).

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use shared::pii::Pii;

use super::{
    Announcement, Inline, SETUP_NOTIFICATION, Stored, Why,
    error::{AnnounceError, Problem},
    field::Field,
    place::{self, Bucket, SesMessageId},
    verdicts::SesVerdicts,
};
use crate::jobs::SmtpEnvelope;

/// Actions that have a notification but hand no mail over.
const WITHOUT_MAIL: [&str; 5] = ["Lambda", "Bounce", "Stop", "WorkMail", "AddHeader"];

pub(super) fn read(notification: &Field<'_>) -> Result<Announcement, AnnounceError> {
    let kind = notification.need("notificationType")?;
    if kind.any_text()? == "AmazonSnsSubscriptionSucceeded" {
        return Ok(Announcement::Ignored { why: Why::SetupNotification });
    }
    kind.must_be("Received")?;
    let (receipt, mail) = (notification.need("receipt")?, notification.need("mail")?);
    if mail.need("messageId")?.any_text()? == SETUP_NOTIFICATION {
        return Ok(Announcement::Ignored { why: Why::SetupNotification });
    }
    let action = receipt.need("action")?;
    let kind = action.need("type")?;
    match kind.text()? {
        "S3" => stored(&action, &receipt, &mail),
        "SNS" => inline(notification, &action, &receipt, &mail),
        other if WITHOUT_MAIL.contains(&other) => Ok(Announcement::Ignored { why: Why::NoMail }),
        _ => Err(kind.wrong(Problem::Form("a known action, such as \"S3\" or \"SNS\""))),
    }
}

fn stored(action: &Field<'_>, receipt: &Field<'_>, mail: &Field<'_>) -> Result<Announcement, AnnounceError> {
    let bucket = Bucket::of(&action.need("bucketName")?)?;
    let key = key(action)?;
    if place::is_setup(&key) {
        return Ok(Announcement::Ignored { why: Why::SetupNotification });
    }
    Ok(Announcement::Stored(Stored {
        bucket,
        key,
        size: None,
        etag: None,
        version: None,
        sequencer: None,
        envelope: envelope(receipt, mail)?,
        ses: Some(SesVerdicts::of(receipt)?),
    }))
}

/// The object's key. SES's guide calls `objectKey` the message id, its notifications hold the whole key: both are
/// read, since a message id never starts with a prefix that ends with `/`.
fn key(action: &Field<'_>) -> Result<String, AnnounceError> {
    let field = action.need("objectKey")?;
    let (key, prefix) = (field.text()?, action.get("objectKeyPrefix"));
    let prefix = prefix.map(|prefix| prefix.any_text()).transpose()?.unwrap_or_default();
    let whole = if key.starts_with(prefix) { key.to_owned() } else { format!("{prefix}{key}") };
    place::check_key(whole, &field)
}

fn inline(
    notification: &Field<'_>,
    action: &Field<'_>,
    receipt: &Field<'_>,
    mail: &Field<'_>,
) -> Result<Announcement, AnnounceError> {
    Ok(Announcement::Inline(Inline {
        message: SesMessageId::of(&mail.need("messageId")?)?,
        raw: Pii::new(content(&notification.need("content")?, action.get("encoding").as_ref())?),
        envelope: envelope(receipt, mail)?,
        ses: SesVerdicts::of(receipt)?,
    }))
}

/// The raw mail. The API spells the encodings `UTF-8` and `Base64`, notifications spell them `UTF8` and `BASE64`;
/// without one it is UTF-8, the API's default.
fn content(content: &Field<'_>, encoding: Option<&Field<'_>>) -> Result<Bytes, AnnounceError> {
    let text = content.text()?;
    let Some(encoding) = encoding else { return Ok(Bytes::copy_from_slice(text.as_bytes())) };
    match encoding.text()?.to_ascii_uppercase().as_str() {
        "UTF8" | "UTF-8" => Ok(Bytes::copy_from_slice(text.as_bytes())),
        "BASE64" => {
            let packed: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
            let raw = STANDARD.decode(packed).map_err(|_| content.wrong(Problem::NotBase64))?;
            if raw.is_empty() { Err(content.wrong(Problem::Empty)) } else { Ok(raw.into()) }
        }
        _ => Err(encoding.wrong(Problem::Form("\"UTF-8\" or \"Base64\""))),
    }
}

/// The SMTP envelope: `receipt.recipients`, not `mail.destination`, which is what the header says.
fn envelope(receipt: &Field<'_>, mail: &Field<'_>) -> Result<SmtpEnvelope, AnnounceError> {
    let recipient = |field: &Field<'_>| field.text().and_then(|_| field.address());
    let to = receipt.need("recipients")?.items()?.iter().map(recipient).collect::<Result<_, _>>()?;
    Ok(SmtpEnvelope { from: mail.get("source").map(|source| sender(&source)).transpose()?, to })
}

/// `MAIL FROM`; the null reverse-path (RFC 5321 §4.5.5) is an empty text.
fn sender(source: &Field<'_>) -> Result<Pii<String>, AnnounceError> {
    let address = source.address()?;
    Ok(if address.expose() == "<>" { Pii::default() } else { address })
}
