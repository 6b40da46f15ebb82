//! The mails of the demo: every fixture, a large one, and one for each further end.

use rand::{SeedableRng, rngs::StdRng};
use tests::{
    config::Config,
    fixtures::{Expect, FIXTURES},
    fleet::Ended,
    mails::{Mail, Mails},
    receiver::{Answer, Receiver},
};

/// The large attachment.
const LARGE: usize = 20 << 20;

/// A mail and how it has to end.
pub(crate) struct Role {
    pub(crate) mail: Mail,
    pub(crate) about: &'static str,
    end: &'static str,
}

impl Role {
    /// Whether it ended as it had to.
    pub(crate) fn is_fulfilled(&self, ended: &Ended) -> bool {
        ended.names() == [self.end]
    }
}

/// Destinations and rules that bring each mail to its end.
pub(crate) fn rules(config: Config, receiver: &Receiver) -> Config {
    receiver.plan("/gone", &[], Answer::Status(410));
    receiver.plan("/flaky", &[Answer::Status(500), Answer::Status(503)], Answer::Status(200));
    let rule = |name: &str, does: &str| format!("name = \"{name}\"\nwhen = {{ subject = \"*{name}-*\" }}\n{does}");
    config
        .destination("hook", receiver, "/hook", "")
        .destination("gone", receiver, "/gone", "")
        .destination("flaky", receiver, "/flaky", "")
        .section("route", "default = [\"hook\"]")
        .rule(&rule("gone", "deliver = [\"gone\"]"))
        .rule(&rule("flaky", "deliver = [\"flaky\"]"))
        .rule(&rule("refused", "action = \"reject\"\nreason = \"the demo's rule\""))
        .rule(&rule("dropped", "action = \"drop\"\nreason = \"the demo's rule\""))
}

/// All mails; the receiver is told what to expect.
pub(crate) fn cast(receiver: &Receiver) -> Vec<Role> {
    let mut roles: Vec<Role> = FIXTURES
        .iter()
        .map(|fixture| {
            let end = if fixture.expect == Expect::Delivered { "delivered" } else { "quarantined" };
            Role { mail: fixture.mail(), about: fixture.about, end }
        })
        .collect();
    let made = |name: &str| Mails::new(name, StdRng::seed_from_u64(1));
    let named = |name: &str, mail: Mail| Mail { name: name.to_owned(), ..mail };
    roles.extend([
        Role { mail: named("large", made("large").attachment(LARGE)), about: "20 MB attached", end: "delivered" },
        Role { mail: named("flaky", made("flaky").html()), about: "its receiver fails twice", end: "delivered" },
        Role { mail: named("gone", made("gone").text()), about: "its receiver is gone", end: "dead_lettered" },
        Role { mail: named("refused", made("refused").text()), about: "a rule refuses it", end: "rejected" },
        Role { mail: named("dropped", made("dropped").text()), about: "a rule drops it", end: "dropped" },
    ]);
    for role in &roles {
        match (role.mail.name.as_str(), role.end) {
            ("flaky", _) => receiver.expect("/flaky", &role.mail),
            ("gone", _) => receiver.allow("/gone", &role.mail),
            (_, "delivered") => receiver.expect("/hook", &role.mail),
            _ => {}
        }
    }
    roles
}
