//! Whose mail it is: by the domain of its envelope recipients.

use std::{collections::BTreeMap, sync::Arc};

use shared::ids::TenantId;

use crate::jobs::SmtpEnvelope;

/// The configured map of accepted domain → tenant.
#[derive(Debug, Clone, Default)]
pub struct Tenants(Arc<BTreeMap<String, TenantId>>);

impl Tenants {
    /// A map of domains, in lower case.
    #[must_use]
    pub fn new(domains: BTreeMap<String, TenantId>) -> Self {
        Self(Arc::new(domains))
    }

    /// The tenant of the first recipient whose domain is known, else `default`.
    #[must_use]
    pub fn of(&self, envelope: &SmtpEnvelope) -> TenantId {
        let domains = envelope.to.iter().filter_map(|to| to.expose().rsplit_once('@'));
        domains
            .filter_map(|(_, domain)| self.0.get(&domain.to_ascii_lowercase()))
            .next()
            .cloned()
            .unwrap_or_else(TenantId::default_tenant)
    }
}
