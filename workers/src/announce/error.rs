//! Why an announcement was refused. Errors name fields by their place; a value never gets into one.

/// A field that is missing or wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct AnnounceError {
    /// The field's place, from `$`, the body: names out of the known formats and positions only.
    pub path: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// It cannot be read at all.
    #[error("is not JSON, or too deep")]
    NotJson,
    /// An object that is none of the known announcements.
    #[error("is not an S3 event, an EventBridge event, an SES receipt or an SNS envelope around one of these")]
    UnknownShape,
    /// It has to be there.
    #[error("is missing")]
    Missing,
    /// It has to have a certain value.
    #[error("has to be \"{0}\"")]
    Value(&'static str),
    /// It has to be of a certain type or form.
    #[error("has to be {0}")]
    Form(&'static str),
    /// It is empty.
    #[error("is empty")]
    Empty,
    /// It is longer than such a field can be.
    #[error("is too long")]
    TooLong,
    /// It is not the encoding of a text.
    #[error("does not decode to UTF-8")]
    NotUtf8,
    /// It does not decode.
    #[error("is not Base64")]
    NotBase64,
    /// It names an object that the fleet wrote: the notification's filter has to leave those out.
    #[error("is under a prefix of the fleet's own; the notification has to be filtered by the prefix of raw mail")]
    OwnObject,
}

impl AnnounceError {
    pub(super) fn new(path: &str, problem: Problem) -> Self {
        Self { path: path.to_owned(), problem }
    }
}
