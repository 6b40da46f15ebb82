//! `[senders]` and `[recipients]`: who may send, and to whom.

use shared::config::Reader;

use super::Tenants;
use crate::{
    names::TenantName,
    senders::{Addresses, Domains, Lists, Recipients, Senders},
};

const ADDRESSES: &str = "such as \"box@example.org\", \"example.org\" or \"*.example.org\"; \"*\" is a whole local part or a \
                         whole label at the start";

pub(super) fn read(root: &Reader<'_>, tenants: &Tenants) -> Senders {
    let section = root.section("senders");
    let own = tenant_sections(&section, tenants);
    Senders { all: lists(&section), tenants: own.into_iter().map(|(name, own)| (name, lists(&own))).collect() }
}

fn lists(section: &Reader<'_>) -> Lists {
    let domain = |text: &str| Domains::parse(text).filter(|domains| !domains.is_of_many());
    let expected =
        "a domain, such as \"example.org\", or \"*.example.org\" for those below one that somebody registered";
    let mut known = section.list("known", &[], expected, domain);
    let expected = "a registered domain, such as \"example.co.uk\": one label below a public suffix";
    known.extend(section.list("known_organisations", &[], expected, Domains::parse_organisation));
    Lists {
        known,
        blocked: section.list("blocked", &[], &format!("an address or a domain, {ADDRESSES}"), Addresses::parse),
    }
}

/// Accepted recipients: those of the list, and every domain of `[tenants]`.
pub(super) fn recipients(root: &Reader<'_>, tenants: &Tenants) -> Recipients {
    let section = root.section("recipients");
    let Some(words) = section.words("accepted") else { return Recipients::default() };
    let mut accepted: Vec<Addresses> = tenants.domains().filter_map(Addresses::parse).collect();
    for word in &words {
        match Addresses::parse(word) {
            Some(addresses) => accepted.push(addresses),
            None => section.reject("accepted", &format!("expected addresses and domains, {ADDRESSES}")),
        }
    }
    Recipients { accepted: Some(accepted) }
}

/// The sections in `tenant` of a section, of tenants that there are.
pub(super) fn tenant_sections<'d>(section: &Reader<'d>, tenants: &Tenants) -> Vec<(TenantName, Reader<'d>)> {
    let mut sections = Vec::new();
    for (name, own) in section.subsections("tenant") {
        match TenantName::parse(&name).filter(|_| tenants.is_tenant(&name)) {
            Some(tenant) => sections.push((tenant, own)),
            None => own.reject_section("no tenant has this name; [tenants] names them, and there is \"default\""),
        }
    }
    sections
}
