//! The second task for a child: it verifies signatures and seals from key records that the parent looked up.
//!
//! Runs in the sandbox's child only. Invariant: nothing is looked up here; a key that did not come along is a
//! `temperror`.

use std::sync::OnceLock;

use futures::FutureExt;
use mail_auth::{
    ArcOutput, AuthenticatedMessage, DkimOutput, DnsError, Error, MessageAuthenticator, Parameters,
    arc::ArcError,
    crypto::{Algorithm, CryptoError},
    dkim::{DkimError, Signature},
    hickory_resolver::config::{ResolveHosts, ResolverConfig, ResolverOpts},
};
use mail_parser::MessageParser;
use serde::{Deserialize, Serialize};
use shared::pii::Pii;

pub use super::key_records::KeyRecord;
use super::{
    Domain,
    evidence::{MAX_SETS, MAX_SIGNATURES, ascii_domain, is_named, key_name},
    key_records::Keys,
    results::{Arc, ArcResult, Dkim, DkimResult, Why},
    sealers::{self, Set},
};
use crate::sandbox::{Task, check::Untrue};

/// How a child ends that has nothing to verify with (`sysexits.h`). The worker itself does not start then.
const EX_UNAVAILABLE: i32 = 69;

/// To verify a mail's signatures and its chain of seals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verify {
    /// The longest mail, in bytes.
    pub max_mail: u64,
    /// The key records, by name.
    pub keys: Vec<(Domain, KeyRecord)>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// One entry a signature, in the order of the header.
    pub dkim: Vec<Dkim>,
    /// The chain of seals.
    pub arc: Arc,
    /// What its sealers found, newest first, where it verifies.
    pub sets: Vec<Set>,
}

impl Verified {
    /// Without signatures.
    pub(super) const fn unsigned(arc: Arc) -> Self {
        Self { dkim: Vec::new(), arc, sets: Vec::new() }
    }
}

impl Task for Verify {
    type Answer = Verified;

    const NAME: &'static str = "verify";

    fn max_body(&self) -> u64 {
        self.max_mail
    }

    fn max_answer(&self, _: u64) -> u64 {
        64 * 1024
    }

    fn run(&self, body: &[u8]) -> Verified {
        // A child that cannot verify must not answer as if there were nothing to verify.
        let Some(verifier) = prepare() else { std::process::exit(EX_UNAVAILABLE) };
        self.verify(verifier, body)
            .unwrap_or_else(|| Verified::unsigned(arc(ArcResult::Fail, Some(Why::Malformed), None)))
    }

    fn check(&self, answer: &Verified, _: u64) -> Result<(), Untrue> {
        let known =
            |key: &Domain| self.keys.iter().any(|(name, record)| name == key && matches!(record, KeyRecord::Texts(_)));
        let holds = |dkim: &Dkim| {
            let selector = dkim.selector.as_ref().map(|selector| selector.expose().as_str());
            let key = selector.zip(dkim.domain.as_ref()).and_then(|(selector, d)| key_name(selector, d.expose()));
            dkim.result != DkimResult::Pass || key.is_some_and(|key| known(&key))
        };
        let has_key = |sealer: &Domain| {
            let is_theirs =
                |key: &str| key.strip_suffix(sealer.expose()).is_some_and(|key| key.ends_with("._domainkey."));
            self.keys.iter().any(|(name, record)| is_theirs(name.expose()) && matches!(record, KeyRecord::Texts(_)))
        };
        let verifies = answer.sets.is_empty() || answer.arc.result == ArcResult::Pass;
        let sealed = verifies && answer.sets.len() <= MAX_SETS && answer.sets.iter().all(|set| has_key(&set.sealer));
        let bounded = answer.dkim.len() <= MAX_SIGNATURES + 1 && answer.dkim.iter().all(holds);
        if bounded && sealed { Ok(()) } else { Err(Untrue("signatures")) }
    }
}

/// Makes what verifying needs, once in a process: to be called before files are out of reach. It resolves nothing.
pub fn prepare() -> Option<&'static MessageAuthenticator> {
    static VERIFIER: OnceLock<Option<MessageAuthenticator>> = OnceLock::new();
    let options = || {
        let mut options = ResolverOpts::default();
        options.use_hosts_file = ResolveHosts::Never;
        options.cache_size = 0;
        options
    };
    VERIFIER
        .get_or_init(|| MessageAuthenticator::new(ResolverConfig::from_name_servers(Vec::new()), options()).ok())
        .as_ref()
}

impl Verify {
    fn verify(&self, verifier: &MessageAuthenticator, raw: &[u8]) -> Option<Verified> {
        // The same reader's header and body as everywhere else: what is verified is what is shown.
        let parsed = MessageParser::new().parse_headers(raw)?;
        let message = AuthenticatedMessage::from_parsed(&parsed, raw, true);
        let keys = Keys::of(&self.keys);
        // Every answer is at hand, so neither ever waits.
        let outputs = verifier.verify_dkim(Parameters::new(&message).with_cache(&keys)).now_or_never()?;
        let dkim = signatures(&message, &outputs);
        if message.arc_seals().len() > MAX_SETS {
            return Some(Verified { dkim, ..Verified::unsigned(arc(ArcResult::Fail, Some(Why::TooMuch), None)) });
        }
        let output = verifier.verify_arc(Parameters::new(&message).with_cache(&keys)).now_or_never()?;
        let arc = chain(&output);
        let sets = if arc.result == ArcResult::Pass { sealers::sets(output.chain()) } else { Vec::new() };
        Some(Verified { dkim, arc, sets })
    }
}

/// One result a `DKIM-Signature`, in the header's order. A result is told of the very signature that was verified: which
/// names of fields count is decided here and once more in `mail-auth`, so that the two need not count alike.
fn signatures(message: &AuthenticatedMessage<'_>, outputs: &[DkimOutput<'_>]) -> Vec<Dkim> {
    let mut verified: Vec<_> = outputs.iter().filter_map(|output| Some((output.signature()?, output))).collect();
    let fields = message.headers().iter().filter(|(name, _)| is_named(name, "DKIM-Signature"));
    let mut results = Vec::new();
    for (_, value) in fields {
        if results.len() == MAX_SIGNATURES {
            results.push(Dkim { result: DkimResult::Policy, why: Some(Why::TooMuch), domain: None, selector: None });
            break;
        }
        let (result, why, signature) = match Signature::parse(value) {
            Err(Error::Dkim(DkimError::UnsupportedAlgorithm)) => (DkimResult::Neutral, Some(Why::Algorithm), None),
            Err(_) => (DkimResult::Neutral, Some(Why::Malformed), None),
            // Whatever follows the signed length is the work of anybody.
            Ok(signature) if signature.l > 0 => (DkimResult::Policy, Some(Why::BodyLength), Some(signature)),
            Ok(signature) => {
                let at = verified.iter().position(|(theirs, _)| **theirs == signature);
                let output = at.map(|at| verified.remove(at).1);
                let (result, why) =
                    output.map_or((DkimResult::Neutral, Some(Why::Malformed)), |output| judge(output, &signature));
                (result, why, Some(signature))
            }
        };
        let key = signature.as_ref().and_then(|s| Some((ascii_domain(&s.d)?, key_name(&s.s, &s.d)?)));
        let selector = signature.filter(|_| key.is_some()).map(|signature| Pii::new(signature.s));
        results.push(Dkim { result, why, domain: key.map(|(domain, _)| domain), selector });
    }
    results
}

/// What a verified signature is worth.
fn judge(output: &DkimOutput<'_>, signature: &Signature) -> (DkimResult, Option<Why>) {
    use mail_auth::DkimResult as Theirs;
    let is_named = key_name(&signature.s, &signature.d).is_some();
    let signs_from = names_from(&signature.h);
    match output.result() {
        _ if !is_named => (DkimResult::PermError, Some(Why::Malformed)),
        _ if !signs_from => (DkimResult::PermError, Some(Why::FromNotSigned)),
        _ if signature.a == Algorithm::RsaSha1 => (DkimResult::Policy, Some(Why::Algorithm)),
        Theirs::Pass => (DkimResult::Pass, None),
        // Authorised third parties (RFC 6541) are not asked about: the signature itself has verified.
        _ if output.is_atps() => (DkimResult::Pass, None),
        Theirs::Neutral(error) => (neutral(error), Some(why(error))),
        Theirs::Fail(error) => (DkimResult::Fail, Some(why(error))),
        Theirs::PermError(error) => (DkimResult::PermError, Some(why(error))),
        Theirs::TempError(_) => (DkimResult::TempError, Some(Why::DnsFailed)),
        Theirs::None => (DkimResult::None, None),
    }
}

fn names_from(fields: &[String]) -> bool {
    fields.iter().any(|name| name.trim().eq_ignore_ascii_case("From"))
}

/// A changed body and a time that is over are failures of the signature (RFC 6376 §6.1.1, §6.1.3).
fn neutral(error: &Error) -> DkimResult {
    match error {
        Error::Dkim(DkimError::BodyHashMismatch | DkimError::SignatureExpired) => DkimResult::Fail,
        _ => DkimResult::Neutral,
    }
}

fn why(error: &Error) -> Why {
    match error {
        Error::Dkim(DkimError::BodyHashMismatch) | Error::Arc(ArcError::BodyHashMismatch) => Why::BodyChanged,
        Error::Dkim(DkimError::SignatureExpired) | Error::Arc(ArcError::SignatureExpired) => Why::Expired,
        Error::Dkim(DkimError::BodyLengthTag) | Error::Arc(ArcError::BodyLengthTag) => Why::BodyLength,
        Error::Dkim(DkimError::PublicKeyRevoked) => Why::KeyRevoked,
        Error::Dkim(DkimError::AuidMismatch) => Why::Identity,
        Error::Dkim(DkimError::UnsupportedAlgorithm | DkimError::UnsupportedKeyType)
        | Error::Crypto(CryptoError::IncompatibleAlgorithms) => Why::Algorithm,
        Error::Crypto(CryptoError::MalformedPublicKey) | Error::Parse | Error::Base64 | Error::MissingParameters => {
            Why::Malformed
        }
        Error::Crypto(_) => Why::BadSignature,
        Error::Arc(_) => Why::BrokenChain,
        Error::Dns(DnsError::RecordNotFound(_)) => Why::NoRecord,
        Error::Dns(DnsError::Resolver(_)) => Why::DnsFailed,
        _ => Why::Malformed,
    }
}

fn chain(output: &ArcOutput<'_>) -> Arc {
    use mail_auth::DkimResult as Theirs;
    let newest = output.chain().last();
    let sealer = newest.and_then(|set| ascii_domain(&set.seal.header.d));
    // As for signatures: RFC 8617 §4.1.2 has their form.
    let signs_from = newest.is_some_and(|set| names_from(&set.signature.header.h));
    let is_old = |a: Algorithm| a == Algorithm::RsaSha1;
    let has_old = output.chain().iter().any(|set| is_old(set.seal.header.a) || is_old(set.signature.header.a));
    match output.result() {
        Theirs::None => arc(ArcResult::None, None, None),
        Theirs::Pass if !signs_from => arc(ArcResult::Fail, Some(Why::FromNotSigned), sealer),
        Theirs::Pass if has_old => arc(ArcResult::Fail, Some(Why::Algorithm), sealer),
        Theirs::Pass if sealer.is_some() => arc(ArcResult::Pass, None, sealer),
        Theirs::Pass => arc(ArcResult::Fail, Some(Why::Malformed), None),
        Theirs::TempError(_) => arc(ArcResult::TempError, Some(Why::DnsFailed), sealer),
        Theirs::Neutral(error) | Theirs::Fail(error) | Theirs::PermError(error) => {
            arc(ArcResult::Fail, Some(why(error)), sealer)
        }
    }
}

fn arc(result: ArcResult, why: Option<Why>, sealer: Option<Domain>) -> Arc {
    Arc { result, why, sealer }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_cannot_pass_what_it_was_given_no_key_for() {
        let name = |text: &str| Domain::parse(text).unwrap();
        let task = Verify {
            max_mail: 1,
            keys: vec![
                (name("s._domainkey.a.example"), KeyRecord::Texts(vec!["v=DKIM1; p=".to_owned()])),
                (name("s._domainkey.b.example"), KeyRecord::Missing),
            ],
        };
        let said = |result, domain: Option<&str>, selector: &str| Verified {
            dkim: vec![Dkim {
                result,
                why: None,
                domain: domain.map(name),
                selector: Some(Pii::new(selector.to_owned())),
            }],
            ..Verified::unsigned(arc(ArcResult::None, None, None))
        };
        for (answer, holds) in [
            (said(DkimResult::Pass, Some("a.example"), "s"), true),
            (said(DkimResult::Pass, Some("a.example"), "t"), false),
            (said(DkimResult::Pass, Some("b.example"), "s"), false),
            (said(DkimResult::Pass, Some("c.example"), "s"), false),
            (said(DkimResult::Pass, None, "s"), false),
            (said(DkimResult::Fail, Some("c.example"), "s"), true),
        ] {
            assert_eq!(task.check(&answer, 1).is_ok(), holds, "{answer:?}");
        }
        let sealed = |sealer: &str, sets: usize| Verified {
            sets: vec![Set { sealer: name(sealer), author: None }; sets],
            ..Verified::unsigned(arc(ArcResult::Pass, None, None))
        };
        for (sealer, sets, holds) in [
            ("a.example", 1, true),
            ("a.example", MAX_SETS + 1, false),
            ("b.example", 1, false),
            ("c.example", 1, false),
        ] {
            assert_eq!(task.check(&sealed(sealer, sets), 1).is_ok(), holds, "{sealer} {sets}");
        }
        let broken = Verified { arc: arc(ArcResult::Fail, None, None), ..sealed("a.example", 1) };
        assert!(task.check(&broken, 1).is_err());
        let many = Verified {
            dkim: vec![said(DkimResult::Fail, None, "s").dkim.remove(0); MAX_SIGNATURES + 2],
            ..Verified::unsigned(arc(ArcResult::None, None, None))
        };
        assert!(task.check(&many, 1).is_err());
    }
}
