//! What became of one attempt, as a closed vocabulary.
//!
//! Every name here is a constant and fit for a metric label or a record's reason: nothing from the receiver but its status.

use std::{error::Error, io, time::Duration};

use super::egress::ResolveError;

/// What became of one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// The receiver took it: 2xx.
    Delivered {
        /// The status.
        status: u16,
    },
    /// The receiver asks for fewer or later deliveries: 429, 502, 504, or 503 with `Retry-After`.
    Throttled {
        /// The status.
        status: u16,
        /// The wait that it asks for, at most 24 h.
        retry_after: Option<Duration>,
    },
    /// 410: the receiver wants no more deliveries. Never tried again; the destination is to be disabled.
    Gone,
    /// Any other answer, redirects included: they are never followed. Tried again on the schedule.
    Refused {
        /// The status.
        status: u16,
    },
    /// There was no answer. Tried again on the schedule.
    Failed {
        /// Why.
        kind: FailureKind,
    },
}

/// Why there was no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// No answer within the destination's timeout.
    Timeout,
    /// No connection within the destination's connect timeout (name, TCP and TLS together).
    ConnectTimeout,
    /// The connection was refused, reset or unreachable.
    Connect,
    /// The TLS handshake failed: an unknown issuer, another host's certificate, no common version.
    Tls,
    /// The name does not resolve.
    Dns,
    /// The name resolves to denied addresses only.
    DeniedAddress,
    /// The connection broke after it was made, or the answer is not HTTP.
    Protocol,
    /// The request could not be built; it was not sent.
    Request,
}

impl FailureKind {
    /// The kind's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::ConnectTimeout => "connect_timeout",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Dns => "dns",
            Self::DeniedAddress => "denied_address",
            Self::Protocol => "protocol",
            Self::Request => "request",
        }
    }

    /// Reads what went wrong out of the client's error, and leaves everything else in it behind.
    pub(super) fn of(error: &reqwest::Error) -> Self {
        match cause::<ResolveError>(error) {
            Some(ResolveError::Denied) => return Self::DeniedAddress,
            Some(ResolveError::Unresolved) => return Self::Dns,
            None => {}
        }
        match (error.is_builder(), error.is_timeout(), error.is_connect()) {
            (true, ..) => Self::Request,
            (_, true, true) => Self::ConnectTimeout,
            (_, true, false) => Self::Timeout,
            _ if cause::<rustls::Error>(error).is_some() => Self::Tls,
            (_, _, true) => Self::Connect,
            _ => Self::Protocol,
        }
    }
}

impl Delivery {
    /// The outcome's name: `delivered`, `throttled`, `gone`, `refused`, or the failure's.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Delivered { .. } => "delivered",
            Self::Throttled { .. } => "throttled",
            Self::Gone => "gone",
            Self::Refused { .. } => "refused",
            Self::Failed { kind } => kind.name(),
        }
    }

    /// Sorts an answer by its status (Standard Webhooks 1.0, "Delivery and retries").
    pub(super) fn of(status: u16, retry_after: Option<Duration>) -> Self {
        match status {
            200..300 => Self::Delivered { status },
            410 => Self::Gone,
            429 | 502 | 504 => Self::Throttled { status, retry_after },
            503 if retry_after.is_some() => Self::Throttled { status, retry_after },
            _ => Self::Refused { status },
        }
    }
}

/// The first `T` among an error's causes. An `io::Error` does not name the error that it wraps as its source.
fn cause<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = wrapped.map(|e| e as &(dyn Error + 'static)).or_else(|| error.source());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_its_outcome() {
        let wait = Some(Duration::from_secs(7));
        for status in 100..=999 {
            let expected = match status {
                200..=299 => "delivered",
                410 => "gone",
                429 | 502 | 504 => "throttled",
                _ => "refused",
            };
            assert_eq!(Delivery::of(status, None).name(), expected, "{status}");
        }
        assert_eq!(Delivery::of(503, wait), Delivery::Throttled { status: 503, retry_after: wait });
        assert_eq!(Delivery::of(429, wait), Delivery::Throttled { status: 429, retry_after: wait });
        assert_eq!(Delivery::of(500, wait), Delivery::Refused { status: 500 });
        assert_eq!(Delivery::of(302, wait), Delivery::Refused { status: 302 });
    }

    #[test]
    fn a_cause_is_found_behind_io_errors_too() {
        let inner = io::Error::other(rustls::Error::DecryptError);
        assert_eq!(cause::<rustls::Error>(&io::Error::other(inner)), Some(&rustls::Error::DecryptError));
        assert_eq!(cause::<rustls::Error>(&io::Error::other("x")), None);
    }
}
