//! `[findings]`: what each finding does to a mail.

use shared::config::Reader;

use super::{Tenants, senders::tenant_sections};
use crate::{
    findings::{Action, Actions, Policy},
    mail::model::FindingCode,
};

pub(super) fn read(root: &Reader<'_>, tenants: &Tenants) -> Policy {
    let section = root.section("findings");
    let all = FindingCode::ALL.iter().filter_map(|code| action(&section, *code)).collect();
    let tenants = tenant_sections(&section, tenants);
    Policy { all, tenants: tenants.into_iter().map(|(name, section)| (name, of_tenant(&section))).collect() }
}

/// The action for a code, which is noted as the default where it is not set.
fn action(section: &Reader<'_>, code: FindingCode) -> Option<(FindingCode, Action)> {
    let default = code.default_action();
    let action =
        section.parsed_or(&code.name(), &expected(code), (default.name(), default), |text| read_for(code, text));
    Some((code, action))
}

/// Only what is set: the rest is as for everybody.
fn of_tenant(section: &Reader<'_>) -> Actions {
    let mut actions = Actions::new();
    for (key, text) in section.texts() {
        let Some(code) = FindingCode::ALL.iter().find(|code| code.name() == key) else {
            section.reject(&key, "no finding has this code; mailtri.example.toml lists them");
            continue;
        };
        match read_for(*code, &text) {
            Some(action) => {
                actions.insert(*code, action);
            }
            None => section.reject(&key, &format!("expected {}", expected(*code))),
        }
    }
    actions
}

fn read_for(code: FindingCode, text: &str) -> Option<Action> {
    allowed(code).find(|action| action.name() == text)
}

/// What can be read in two ways is not let through, so it is no choice.
fn allowed(code: FindingCode) -> impl Iterator<Item = Action> {
    let least = if code.is_always_ambiguous() { Action::Quarantine } else { Action::Accept };
    Action::ALL.into_iter().filter(move |action| *action >= least)
}

fn expected(code: FindingCode) -> String {
    let names: Vec<String> = allowed(code).map(|action| format!("{:?}", action.name())).collect();
    format!("one of {}", names.join(", "))
}
