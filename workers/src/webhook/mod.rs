//! Sending one signed webhook, safely.
//!
//! Signed by Standard Webhooks 1.0 ([`signature`]), sent only to addresses that were judged ([`egress`]), with every
//! answer typed ([`Delivery`]). Nothing that came out of a mail reaches a header, and no error here names a URL, an
//! address, a body or a secret. When to try again is the [`Schedule`]'s to say and the stage's to do.

mod ca;
mod client;
mod delivery;
pub mod egress;
mod id;
mod payload;
mod retry_after;
mod schedule;
mod secret;
mod sign;

pub use client::{Attempt, BuildError, DestinationHttp, WebhookClient};
pub use delivery::{Delivery, FailureKind};
pub use id::{InvalidWebhookId, WebhookId};
pub use payload::{Event, MAIL_PROCESSED};
pub use schedule::{EmptySchedule, Schedule};
pub use secret::{NoSecrets, SecretError, SigningSecret, SigningSecrets};
pub use sign::signature;
