//! What authentication says about a sender, a line a method.

use crate::{
    announce::Status,
    auth::{
        Authentication, Domain,
        results::{DkimResult, DmarcResult, SpfResult, Why},
    },
};

/// The results, with the domain that each is about and why it is what it is.
pub(super) fn lines(results: &Authentication) -> Vec<String> {
    let name = |domain: &Option<Domain>| domain.as_ref().map_or(String::new(), |d| format!(" {}", d.expose()));
    let because = |why: Option<Why>| why.map_or(String::new(), |why| format!(" ({})", why.name().replace('_', " ")));
    let Authentication { spf, dkim, dmarc, arc, iprev, .. } = results;
    let line = |method, result, domain: &Option<Domain>, why| {
        format!("{method:<6} {result:<9}{}{}", name(domain), because(why)).trim_end().to_owned()
    };
    let mut lines = vec![line("spf", spf.result.name(), &spf.domain, spf.why)];
    lines.extend(results.spf_helo.iter().map(|helo| line("helo", helo.result.name(), &helo.domain, helo.why)));
    lines.extend(dkim.iter().map(|dkim| line("dkim", dkim.result.name(), &dkim.domain, dkim.why)));
    let policy = dmarc.policy.map_or(String::new(), |policy| format!(", its policy is {}", policy.name()));
    let spared = dmarc.overridden.as_ref();
    let spared = spared.map_or(String::new(), |by| format!(", not enforced: {} vouches", by.sealer.expose()));
    lines.push(line("dmarc", dmarc.result.name(), &results.author, dmarc.why) + &policy + &spared);
    lines.push(line("arc", arc.result.name(), &arc.sealer, arc.why));
    let client = iprev.client_ip.as_ref().map_or(String::new(), |ip| format!(", the client is {}", ip.expose()));
    lines.push(line("iprev", iprev.result.name(), &iprev.name, iprev.why) + &client);
    if let Some(reported) = &results.reported {
        let word = |method: &str, word: Option<&str>| word.map_or(String::new(), |word| format!(" {method}={word}"));
        let words = [
            word("spf", reported.spf.map(SpfResult::name)),
            word("dkim", reported.dkim.map(DkimResult::name)),
            word("dmarc", reported.dmarc.map(DmarcResult::name)),
            word("spam", reported.spam.map(Status::name)),
            word("virus", reported.virus.map(Status::name)),
        ];
        lines.push(format!("reported by {}:{}", reported.by, words.concat()));
    }
    lines
}

#[cfg(test)]
mod tests {
    use shared::pii::Pii;

    use super::*;
    use crate::auth::results::{Iprev, IprevResult, Override, OverrideReason, Policy, Reported, Spf, SpfIdentity};

    #[test]
    fn every_method_has_a_line() {
        let domain = |text| Domain::parse(text);
        let mut results = Authentication::unchecked(Why::NoRecord, "mailtri");
        results.author = domain("alpha.example");
        results.spf = Spf {
            result: SpfResult::Pass,
            why: None,
            domain: domain("alpha.example"),
            identity: Some(SpfIdentity::MailFrom),
        };
        let failed = Some(Why::DnsFailed);
        let identity = Some(SpfIdentity::Helo);
        results.spf_helo =
            Some(Spf { result: SpfResult::TempError, why: failed, domain: domain("mx.alpha.example"), identity });
        let client_ip = Some(Pii::new([192, 0, 2, 10].into()));
        results.iprev = Iprev {
            result: IprevResult::Pass,
            why: None,
            client_ip: client_ip.clone(),
            name: domain("mx.alpha.example"),
        };
        results.reported = Some(Reported {
            spf: Some(SpfResult::Fail),
            spam: Some(Status::Gray),
            virus: Some(Status::ProcessingFailed),
            ..Reported::by("amazonses.com")
        });
        assert_eq!(
            lines(&results),
            [
                "spf    pass      alpha.example",
                "helo   temperror mx.alpha.example (dns failed)",
                "dmarc  none      alpha.example (no record)",
                "arc    none      (no record)",
                "iprev  pass      mx.alpha.example, the client is 192.0.2.10",
                "reported by amazonses.com: spf=fail spam=gray virus=processing_failed",
            ]
        );
        results.iprev = Iprev { result: IprevResult::Fail, why: Some(Why::NoMatch), client_ip, name: None };
        assert_eq!(lines(&results)[4], "iprev  fail      (no match), the client is 192.0.2.10");
        (results.dmarc.result, results.dmarc.policy) = (DmarcResult::Fail, Some(Policy::Reject));
        results.dmarc.overridden =
            Some(Override { reason: OverrideReason::Arc, sealer: domain("list.example").unwrap() });
        let expected =
            "dmarc  fail      alpha.example (no record), its policy is reject, not enforced: list.example vouches";
        assert_eq!(lines(&results)[2], expected);
    }
}
