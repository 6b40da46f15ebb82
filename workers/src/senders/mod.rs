//! Who may send here, and to whom: block lists, known domains that have to be verified, accepted recipients.
//!
//! Nothing here is said about a person: findings name the field, never the address.

pub mod lookalike;
pub mod pattern;

use std::collections::BTreeMap;

use crate::{auth::domain::Domain, names::TenantName};

pub use lookalike::Protected;
pub use pattern::{Addresses, Domains};

/// What is known of senders.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lists {
    /// Domains whose mail has to be verified as theirs.
    pub known: Vec<Domains>,
    /// Whose mail is not taken.
    pub blocked: Vec<Addresses>,
}

/// The lists of every tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Senders {
    /// For everybody.
    pub all: Lists,
    /// For one tenant, beside what is for everybody.
    pub tenants: BTreeMap<TenantName, Lists>,
}

impl Senders {
    /// Whether a tenant takes no mail from an address.
    #[must_use]
    pub fn block(&self, tenant: &str, address: &str) -> bool {
        self.of(tenant).any(|lists| lists.blocked.iter().any(|blocked| blocked.contain(address)))
    }

    /// Whether a tenant asks that mail from a domain is verified.
    #[must_use]
    pub fn know(&self, tenant: &str, domain: &Domain) -> bool {
        self.of(tenant).any(|lists| lists.known.iter().any(|known| known.contain(domain)))
    }

    fn of(&self, tenant: &str) -> impl Iterator<Item = &Lists> {
        let own = TenantName::parse(tenant).and_then(|name| self.tenants.get(&name));
        std::iter::once(&self.all).chain(own)
    }
}

/// Whose mail is taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recipients {
    /// Accepted recipients; `None` when everybody's mail is taken.
    pub accepted: Option<Vec<Addresses>>,
}

impl Recipients {
    /// Whether there are any whose mail is not taken.
    #[must_use]
    pub fn is_restricted(&self) -> bool {
        self.accepted.is_some()
    }

    /// Whether mail for an address is taken.
    #[must_use]
    pub fn accept(&self, address: &str) -> bool {
        self.accepted.as_ref().is_none_or(|accepted| accepted.iter().any(|own| own.contain(address)))
    }
}
