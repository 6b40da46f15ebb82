//! DMARC (RFC 7489, policies discovered as in RFC 9989): whether SPF or DKIM passed for the domain in `From`.
//!
//! Invariant: a pass needs the record's alignment and the public suffix list's, so that a record which a registry
//! publishes for everybody below it aligns nobody with his neighbour.

use futures::future::join_all;
use mail_auth::{
    AuthenticatedMessage, DkimOutput, DkimResult as TheirDkim, DmarcResult as Theirs, DnsError, Error,
    MessageAuthenticator, Parameters, SpfOutput, SpfResult as TheirSpf,
    dkim::Signature,
    dmarc::{DmarcRecord, Policy as TheirPolicy, verify::DmarcParameters},
};

use super::{
    Domain,
    allowance::{Allowance, Texts},
    discovery,
    evidence::{Author, MAX_SIGNATURES},
    results::{Dkim, DkimResult, Dmarc, DmarcResult, Mechanism, Policy, Spf, SpfResult, Why},
};

/// Lookups for one author: eight for each walk up from a name (RFC 9989 §4.10), for the author, for `MAIL FROM` and for
/// each signature, and one whether the author exists. More cannot be asked, so that no mail talks its way out of a policy
/// by asking for more.
const LOOKUPS: usize = 8 * (2 + MAX_SIGNATURES) + 1;

impl Dmarc {
    /// A result without a policy and without a pass.
    pub(super) const fn without(result: DmarcResult, why: Why) -> Self {
        Self { result, why: Some(why), policy: None, aligned_by: None, overridden: None }
    }

    /// What results for several domains come to where nobody can say which of them is the author's: the strictest policy
    /// that the mail fails (RFC 7489 §6.6.1), never a pass.
    fn strictest(results: &[Self]) -> Self {
        let failed = results.iter().filter(|one| one.result == DmarcResult::Fail).filter_map(|one| one.policy);
        let strictest = failed.filter(|policy| *policy != Policy::None).max_by_key(|policy| *policy == Policy::Reject);
        match strictest {
            Some(policy) => Self { policy: Some(policy), ..Self::without(DmarcResult::Fail, Why::NoAuthor) },
            _ if results.iter().any(|one| one.result == DmarcResult::TempError) => {
                Self::without(DmarcResult::TempError, Why::DnsFailed)
            }
            _ => Self::without(DmarcResult::PermError, Why::NoAuthor),
        }
    }
}

/// Asks for the authors' policies ahead of time, so that the answers are at hand when the signatures are verified.
pub(super) async fn warm(dns: &MessageAuthenticator, authors: &[Domain]) -> bool {
    let none = None::<&Allowance>;
    let ask = |author: &Domain| dns.txt_lookup::<DmarcRecord>(format!("_dmarc.{}.", author.expose()), none);
    let asked = join_all(authors.iter().map(ask)).await;
    asked.iter().all(|answer| !matches!(answer, Err(Error::Dns(DnsError::Resolver(_)))))
}

/// The result for whoever is the author.
pub(super) async fn evaluate(dns: &MessageAuthenticator, author: &Author, spf: &Spf, dkim: &[Dkim]) -> Dmarc {
    match author {
        Author::One(author) => evaluate_one(dns, author, spf, dkim).await,
        Author::Some(authors) => {
            let each = authors.iter().map(|author| evaluate_one(dns, author, spf, dkim));
            Dmarc::strictest(&join_all(each).await)
        }
        Author::Local => Dmarc::without(DmarcResult::PermError, Why::NoAuthor),
        Author::Unreadable => Dmarc::without(DmarcResult::PermError, Why::AuthorUnreadable),
    }
}

async fn evaluate_one(dns: &MessageAuthenticator, author: &Domain, spf: &Spf, dkim: &[Dkim]) -> Dmarc {
    // The mail itself never comes here: its author is all that counts, and is a domain of one form.
    let synthetic = format!("From: author@{}\r\n\r\n", author.expose());
    let Some(message) = AuthenticatedMessage::parse(synthetic.as_bytes()) else {
        return Dmarc::without(DmarcResult::PermError, Why::NoAuthor);
    };
    let signatures: Vec<(TheirDkim, Signature)> = dkim.iter().filter_map(signature).collect();
    let outputs: Vec<DkimOutput<'_>> = signatures
        .iter()
        .map(|(result, signature)| DkimOutput::from(result.clone()).with_signature(signature))
        .collect();
    let mail_from = spf.domain.as_ref().map_or("", Domain::expose);
    let spf_output = SpfOutput::new(mail_from.to_owned()).with_result(their_spf(spf.result));
    let mut corrected = Texts::new();
    let output = loop {
        let parameters = DmarcParameters::new(&message, &outputs, mail_from, &spf_output);
        let allowance = Allowance::new(LOOKUPS).replacing(corrected.clone());
        let output = dns.verify_dmarc(Parameters::new(parameters).with_cache(&allowance)).await;
        // What is corrected is not asked for again, so that this ends.
        let further = discovery::corrected(dns, &allowance.answered()).await;
        if further.is_empty() {
            break output;
        }
        corrected.extend(further);
    };
    let policy = output.record().map(|_| policy(output.policy()));
    let aligned = Aligned { author, spf, dkim };
    match output.result() {
        Theirs::Pass => aligned.by(output.dkim_result() == &Theirs::Pass, output.spf_result() == &Theirs::Pass).map_or(
            Dmarc { policy, ..Dmarc::without(DmarcResult::Fail, Why::NotAligned) },
            |mechanism| Dmarc {
                result: DmarcResult::Pass,
                why: None,
                policy,
                aligned_by: Some(mechanism),
                overridden: None,
            },
        ),
        Theirs::Fail(_) => Dmarc { policy, ..Dmarc::without(DmarcResult::Fail, Why::NotAligned) },
        Theirs::TempError(_) => Dmarc { policy, ..Dmarc::without(DmarcResult::TempError, Why::DnsFailed) },
        Theirs::PermError(_) => Dmarc::without(DmarcResult::PermError, Why::Malformed),
        Theirs::None => {
            let why = if corrected.is_empty() { Why::NoRecord } else { Why::Malformed };
            Dmarc { aligned_by: aligned.by(true, true), ..Dmarc::without(DmarcResult::None, why) }
        }
    }
}

/// What passed, against the author.
struct Aligned<'a> {
    author: &'a Domain,
    spf: &'a Spf,
    dkim: &'a [Dkim],
}

impl Aligned<'_> {
    /// Which mechanism passed for the author's organisation, among those that may count.
    fn by(&self, dkim: bool, spf: bool) -> Option<Mechanism> {
        let is_aligned = |domain: &Option<Domain>| domain.as_ref().is_some_and(|d| d.is_aligned_with(self.author));
        let by_dkim = || self.dkim.iter().any(|one| one.result == DkimResult::Pass && is_aligned(&one.domain));
        if dkim && by_dkim() {
            Some(Mechanism::Dkim)
        } else if spf && self.spf.result == SpfResult::Pass && is_aligned(&self.spf.domain) {
            Some(Mechanism::Spf)
        } else {
            None
        }
    }
}

/// A signature as DMARC sees it: whose it is, and whether it passed or may yet.
fn signature(dkim: &Dkim) -> Option<(TheirDkim, Signature)> {
    let result = match dkim.result {
        DkimResult::Pass => TheirDkim::Pass,
        DkimResult::TempError => TheirDkim::TempError(Error::Dns(DnsError::Resolver(String::new()))),
        _ => return None,
    };
    let d = dkim.domain.as_ref()?.expose().to_owned();
    Some((result, Signature { d, ..Signature::default() }))
}

fn their_spf(result: SpfResult) -> TheirSpf {
    match result {
        SpfResult::Pass => TheirSpf::Pass,
        SpfResult::TempError => TheirSpf::TempError,
        _ => TheirSpf::None,
    }
}

fn policy(policy: TheirPolicy) -> Policy {
    match policy {
        TheirPolicy::Quarantine => Policy::Quarantine,
        TheirPolicy::Reject => Policy::Reject,
        TheirPolicy::None | TheirPolicy::Unspecified => Policy::None,
    }
}
