//! Limits as the operator declares them: what is counted, how much of it, and what becomes of the rest.

use std::num::NonZeroU32;

use shared::limit::{OnError, Rate};

use crate::rules::Glob;

/// What a limit counts by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// The envelope's sender, else From.
    Sender,
    /// The registrable domain of the sender, so that subdomains do not make more of it.
    SenderDomain,
    /// The address of the client that handed the mail over: an IPv4 address or an IPv6 network of 64 bits. Counted over
    /// all tenants.
    ClientIp,
    /// Each of the envelope's recipients; To, Cc and Bcc where there is no envelope.
    Recipient,
    /// Whose mail it is.
    Tenant,
    /// Each rule that chose a destination, `default` where none did.
    Route,
    /// Where it is delivered to. Counted over all tenants.
    Destination,
    /// The way in: `submit` or `incoming`.
    Ingress,
    /// The client that handed the mail in, if it has a name.
    ApiClient,
}

/// Where a limit acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Before a mail is taken in.
    Intake,
    /// Before the mail is fetched and parsed; after it, where only the mail itself tells.
    Parse,
    /// After the rules have decided.
    Route,
    /// Before each attempt.
    Deliver,
}

impl Scope {
    /// Every scope with its name in the configuration and on the command line.
    pub const NAMED: [(&'static str, Self); 9] = [
        ("sender", Self::Sender),
        ("sender-domain", Self::SenderDomain),
        ("client-ip", Self::ClientIp),
        ("recipient", Self::Recipient),
        ("tenant", Self::Tenant),
        ("route", Self::Route),
        ("destination", Self::Destination),
        ("ingress", Self::Ingress),
        ("api-client", Self::ApiClient),
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMED.iter().find(|(_, scope)| *scope == self).map_or("", |(name, _)| name)
    }

    /// The scope of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMED.iter().find(|(known, _)| *known == name).map(|(_, scope)| *scope)
    }

    /// Where limits of this scope act.
    #[must_use]
    pub const fn place(self) -> Place {
        match self {
            Self::Sender | Self::SenderDomain | Self::ClientIp | Self::Recipient | Self::Tenant => Place::Parse,
            Self::Route => Place::Route,
            Self::Destination => Place::Deliver,
            Self::Ingress | Self::ApiClient => Place::Intake,
        }
    }

    /// Whether it is counted over all tenants.
    #[must_use]
    pub const fn is_shared(self) -> bool {
        matches!(self, Self::ClientIp | Self::Destination)
    }
}

/// A declared limit.
#[derive(Debug, Clone, PartialEq)]
pub struct Limit {
    /// Its name: in the configuration, in metrics, in keys.
    pub name: String,
    /// What it counts by.
    pub scope: Scope,
    /// What it bounds, and how.
    pub kind: Kind,
    /// Whether it stops anything; otherwise it only counts.
    pub enforce: bool,
    /// What to do when the limiter does not answer.
    pub on_error: OnError,
    /// What becomes of a job whose turn does not come in time.
    pub expired: Expired,
}

impl Limit {
    /// Whether a tenant's mails are counted apart under it, where those of all tenants are counted together otherwise.
    pub fn is_own(&self, tenant: &str, subject: &str) -> bool {
        self.scope.is_shared()
            && match &self.kind {
                Kind::Rate { bounds, .. } => bounds.is_own(tenant, subject),
                Kind::Slots(bounds) => bounds.is_own(tenant, subject),
            }
    }

    /// Whether it limits any subject of a tenant's.
    pub fn binds(&self, tenant: &str) -> bool {
        match &self.kind {
            Kind::Rate { bounds, .. } => bounds.binds(tenant),
            Kind::Slots(bounds) => bounds.binds(tenant),
        }
    }
}

/// What a limit bounds.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Passes in a period.
    Rate {
        /// How many.
        bounds: Bounds<Rate>,
        /// What a pass costs.
        cost: Cost,
    },
    /// Jobs at once.
    Slots(Bounds<NonZeroU32>),
}

/// What a pass costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    /// One.
    Message,
    /// The raw mail's length, in units of [`Rate::BYTES_A_UNIT`].
    Bytes,
}

/// The declared end of a job that waited for its turn for the stage's `max_age`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expired {
    /// The mail is kept aside.
    Quarantine,
    /// The mail is refused.
    Reject,
    /// The mail is left aside.
    Drop,
    /// The job is a dead letter.
    DeadLetter,
}

impl Expired {
    /// Every end with its name.
    pub const NAMED: [(&'static str, Self); 4] = [
        ("quarantine", Self::Quarantine),
        ("reject", Self::Reject),
        ("drop", Self::Drop),
        ("dead-letter", Self::DeadLetter),
    ];
}

/// How much, and for whom it is otherwise.
#[derive(Debug, Clone, PartialEq)]
pub struct Bounds<T> {
    /// For whom no exception is made; `None` is no limit.
    pub base: Option<T>,
    /// The first that fits counts.
    pub exceptions: Vec<Exception<T>>,
}

/// An exception to a limit.
#[derive(Debug, Clone, PartialEq)]
pub struct Exception<T> {
    /// For this tenant only.
    pub tenant: Option<String>,
    /// For subjects of this pattern only.
    pub pattern: Option<Glob>,
    /// What holds instead; `None` is no limit.
    pub bound: Option<T>,
}

impl<T> Exception<T> {
    /// The same for a part of what holds.
    pub(crate) fn map<U>(self, part: impl FnOnce(T) -> Option<U>) -> Exception<U> {
        Exception { tenant: self.tenant, pattern: self.pattern, bound: self.bound.and_then(part) }
    }
}

impl<T: Copy> Bounds<T> {
    /// What holds for a subject of a tenant's.
    pub fn of(&self, tenant: &str, subject: &str) -> Option<T> {
        self.exception(tenant, subject).map_or(self.base, |exception| exception.bound)
    }

    /// Whether anything holds for any subject of a tenant's.
    pub fn binds(&self, tenant: &str) -> bool {
        let fits = |exception: &&Exception<T>| exception.tenant.as_ref().is_none_or(|name| name == tenant);
        let first = self.exceptions.iter().filter(fits).find(|e| e.bound.is_some() || e.pattern.is_none());
        first.map_or(self.base, |exception| exception.bound).is_some()
    }

    /// Whether that was declared for the tenant alone.
    pub fn is_own(&self, tenant: &str, subject: &str) -> bool {
        self.exception(tenant, subject).is_some_and(|exception| exception.tenant.is_some())
    }

    fn exception(&self, tenant: &str, subject: &str) -> Option<&Exception<T>> {
        let fits = |exception: &&Exception<T>| {
            exception.tenant.as_ref().is_none_or(|name| name == tenant)
                && exception.pattern.as_ref().is_none_or(|pattern| pattern.matches(subject))
        };
        self.exceptions.iter().find(fits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_exception_that_fits_counts() {
        let exception = |tenant: Option<&str>, pattern: Option<&str>, bound| Exception {
            tenant: tenant.map(str::to_owned),
            pattern: pattern.and_then(Glob::parse),
            bound,
        };
        let bounds = Bounds {
            base: Some(1),
            exceptions: vec![
                exception(Some("acme"), Some("*@partner.example"), Some(2)),
                exception(Some("acme"), None, Some(3)),
                exception(None, Some("*@partner.example"), None),
            ],
        };
        for (tenant, subject, expected, own) in [
            ("acme", "a@partner.example", Some(2), true),
            ("acme", "a@other.example", Some(3), true),
            ("else", "a@partner.example", None, false),
            ("else", "a@other.example", Some(1), false),
        ] {
            let said = (bounds.of(tenant, subject), bounds.is_own(tenant, subject));
            assert_eq!(said, (expected, own), "{tenant} {subject}");
            assert!(bounds.binds(tenant), "somebody of {tenant}'s");
        }
        let partner = || exception(None, Some("*@partner.example"), Some(1));
        for (base, exceptions, expected) in [
            (Some(1), vec![exception(Some("acme"), None, None), partner()], false),
            (Some(1), vec![exception(Some("else"), None, None)], true),
            (Some(1), vec![exception(Some("acme"), Some("*@partner.example"), None)], true),
            (None, vec![partner(), exception(Some("acme"), None, None)], true),
            (None, vec![exception(Some("else"), None, Some(1))], false),
            (None, vec![], false),
        ] {
            assert_eq!(Bounds { base, exceptions: exceptions.clone() }.binds("acme"), expected, "{exceptions:?}");
        }
    }

    #[test]
    fn names_read_back() {
        for (name, scope) in Scope::NAMED {
            assert_eq!((scope.name(), Scope::named(name)), (name, Some(scope)));
        }
    }
}
