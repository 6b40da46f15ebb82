//! What a child can be asked: each task with its answer, its work and what has to hold of the answer.
//!
//! A request is the task as JSON, then the bytes it is about; the answer is JSON too, but for the texts of a parsed mail.
//! To add a task: its type with [`Task`], and an arm of [`Request`].

use serde::{Deserialize, Serialize, Serializer, de::DeserializeOwned};
use shared::pii::Pii;

use super::budget::Budget;
use super::check::{self, Untrue};
use super::{frame, texts};
use crate::auth::{evidence::Trust, verify::Verify};
use crate::containers::{Kind, WalkLimits, Walked, walk};
use crate::mail::limits::Limits;
use crate::mail::model::ParsedMail;
use crate::mail::parse::{Refusal, parse_trusting};
use crate::mail::sanitise::MAX_GROWTH;

/// The longest request without its bytes, in bytes.
pub const MAX_REQUEST: u64 = 4 * 1024 * 1024;
/// The longest answer to a task that says nothing else, in bytes.
const MAX_ANSWER: u64 = 4 * 1024 * 1024;

/// Something to do with untrusted bytes.
pub trait Task: Serialize + Send + Sync + 'static {
    /// What comes of it.
    type Answer: Serialize + DeserializeOwned + Send + 'static;

    /// Its name on the wire: that of its arm in [`Request`].
    const NAME: &'static str;

    /// The most bytes it is about.
    fn max_body(&self) -> u64;

    /// The longest answer about `body_len` bytes, in bytes. The parent holds it in memory, and about three times as much
    /// for a moment, before it can be checked: it should be no more than what an honest answer needs.
    fn max_answer(&self, _body_len: u64) -> u64 {
        MAX_ANSWER
    }

    /// What one attempt may cost; `usual` is what is configured. At most four times its CPU time.
    fn budget(&self, usual: Budget) -> Budget {
        usual
    }

    /// Does it, in the child.
    fn run(&self, body: &[u8]) -> Self::Answer;

    /// Writes an answer as [`Task::read`] reads it.
    ///
    /// # Errors
    /// When it has no JSON form.
    fn write(answer: Self::Answer) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(&answer)
    }

    /// Reads an answer, in the parent. `None` where the bytes are none.
    fn read(payload: &[u8]) -> Option<Self::Answer> {
        serde_json::from_slice(payload).ok()
    }

    /// Checks an answer about `body_len` bytes, in the parent: a child that a mail took over may say anything.
    ///
    /// # Errors
    /// The first thing that cannot be true.
    fn check(&self, answer: &Self::Answer, body_len: u64) -> Result<(), Untrue>;
}

/// A request, as a child reads it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// To parse a mail.
    Parse(Parse),
    /// To open a container.
    Walk(Walk),
    /// To verify a mail's signatures.
    Verify(Verify),
}

impl Request {
    /// The most bytes that follow.
    pub fn max_body(&self) -> u64 {
        match self {
            Self::Parse(task) => task.max_body(),
            Self::Walk(task) => task.max_body(),
            Self::Verify(task) => task.max_body(),
        }
    }

    /// Does what is asked, in the child.
    ///
    /// # Errors
    /// When the answer has no JSON form.
    pub fn answer(&self, body: &[u8]) -> serde_json::Result<Vec<u8>> {
        match self {
            Self::Parse(task) => Parse::write(task.run(body)),
            Self::Walk(task) => Walk::write(task.run(body)),
            Self::Verify(task) => Verify::write(task.run(body)),
        }
    }

    /// A task as [`Request`] reads it.
    ///
    /// # Errors
    /// When it has no JSON form.
    pub fn write<T: Task>(task: &T) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(&Tagged(task))
    }
}

struct Tagged<'a, T>(&'a T);

impl<T: Task> Serialize for Tagged<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_variant("Request", 0, T::NAME, self.0)
    }
}

/// To parse a raw mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parse {
    /// The limits of the parse.
    pub limits: Limits,
    /// The envelope's recipients.
    pub recipients: Vec<Pii<String>>,
    /// Whose words in the header are believed.
    #[serde(default)]
    pub trust: Trust,
}

impl Task for Parse {
    type Answer = Result<ParsedMail, Refusal>;

    const NAME: &'static str = "parse";

    fn max_body(&self) -> u64 {
        u64::try_from(self.limits.raw).unwrap_or(u64::MAX)
    }

    /// Every byte of a mail may come back several times and, outside of the texts, escaped, but no more than the limits
    /// let through.
    fn max_answer(&self, body_len: u64) -> u64 {
        let Limits { text, html, fields_total, parts, .. } = self.limits;
        let texts = text.saturating_mul(2).saturating_add(html.saturating_mul(MAX_GROWTH));
        let rest = fields_total.saturating_mul(6).saturating_add(parts.saturating_mul(4 * 1024));
        let most = texts.saturating_add(rest);
        let by_body = body_len.saturating_mul(128);
        (256 * 1024_u64).saturating_add(by_body.min(most as u64)).min(frame::MAX)
    }

    fn run(&self, body: &[u8]) -> Self::Answer {
        parse_trusting(body, &self.limits, &self.recipients, &self.trust)
    }

    fn write(answer: Self::Answer) -> serde_json::Result<Vec<u8>> {
        texts::write(answer)
    }

    fn read(payload: &[u8]) -> Option<Self::Answer> {
        texts::read(payload)
    }

    fn check(&self, answer: &Self::Answer, body_len: u64) -> Result<(), Untrue> {
        check::parse(answer.as_ref(), body_len, &self.limits)
    }
}

/// To open a part that looks like a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Walk {
    /// The limits of the walk.
    pub limits: WalkLimits,
    /// The part's length, in bytes.
    pub len: u64,
    /// What the parse says that it is opened as.
    pub kind: Option<Kind>,
    /// Its name, or nothing.
    pub name: Pii<String>,
    /// What it may cost, where that is not as usual.
    #[serde(skip)]
    pub budget: Option<Budget>,
}

impl Task for Walk {
    type Answer = Walked;

    const NAME: &'static str = "walk";

    fn max_body(&self) -> u64 {
        self.len
    }

    fn max_answer(&self, _body_len: u64) -> u64 {
        64 * 1024
    }

    fn budget(&self, usual: Budget) -> Budget {
        self.budget.unwrap_or(usual)
    }

    fn run(&self, body: &[u8]) -> Self::Answer {
        walk(body, self.kind, self.name.expose(), &self.limits)
    }

    fn check(&self, answer: &Self::Answer, _body_len: u64) -> Result<(), Untrue> {
        check::walked(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_read_back_as_its_request() {
        let parse = Parse {
            limits: Limits::default(),
            recipients: vec![Pii::new("a@b.example".to_owned())],
            trust: Trust::default(),
        };
        let read: Request = serde_json::from_slice(&Request::write(&parse).unwrap()).unwrap();
        assert_eq!(read, Request::Parse(parse));
    }
}
