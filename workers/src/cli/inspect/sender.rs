//! What was found out about a mail's sender, a line a result.

use crate::auth::{
    Authentication, Domain,
    results::{DkimResult, DmarcResult, Reported, SpfResult, Why},
};

pub(super) fn lines(results: &Authentication) -> Vec<String> {
    let Authentication { spf, dkim, dmarc, arc, .. } = results;
    let mut lines = vec![line("spf", spf.result.name(), spf.domain.as_ref(), spf.why)];
    lines.extend(dkim.iter().map(|one| line("dkim", one.result.name(), one.domain.as_ref(), one.why)));
    let policy = dmarc.policy.map_or(String::new(), |policy| format!(", its policy is {}", policy.name()));
    lines.push(line("dmarc", dmarc.result.name(), results.author.as_ref(), dmarc.why) + &policy);
    lines.push(line("arc", arc.result.name(), arc.sealer.as_ref(), arc.why));
    lines.extend(results.reported.as_ref().map(reported));
    lines
}

fn line(method: &str, result: &str, domain: Option<&Domain>, why: Option<Why>) -> String {
    let domain = domain.map_or(String::new(), |domain| format!(" {}", domain.expose()));
    let why = why.map_or(String::new(), |why| format!(" ({})", why.name()));
    format!("{method:<6}{result}{domain}{why}")
}

fn reported(reported: &Reported) -> String {
    let word = |method: &str, word: Option<&str>| word.map_or(String::new(), |word| format!(" {method}={word}"));
    let results = [
        word("spf", reported.spf.map(SpfResult::name)),
        word("dkim", reported.dkim.map(DkimResult::name)),
        word("dmarc", reported.dmarc.map(DmarcResult::name)),
    ];
    format!("reported by {}:{}", reported.by, results.concat())
}
