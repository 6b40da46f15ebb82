//! Sealers that an operator lets vouch for an author: lists and forwarders that change mail.

use mail_auth::{
    AuthenticatedMessage, AuthenticationResults, MessageAuthenticator,
    arc::ArcSealer,
    headers::HeaderWriter,
    hickory_resolver::config::{NameServerConfig, ResolverConfig, ResolverOpts},
};
use mailtri::auth::{
    header,
    results::{ArcResult, DmarcResult, OverrideReason, Policy, Why},
};

use crate::world::{CLIENT, Keys, STRANGER, World, mail, sign};

const FIELDS: [&str; 3] = ["From", "To", "Subject"];
const PASSED: &str = "dmarc=pass (p=REJECT) header.from=alpha.example";
/// Of a mail that came to it with a chain.
const PASSED_AGAIN: &str = "arc=pass (i=1 spf=pass spfdomain=b.example dmarc=pass fromdomain=alpha.example); \
                            dmarc=pass (p=REJECT) header.from=alpha.example";
const FAILED: &str = "dmarc=fail (p=REJECT) header.from=alpha.example";

/// Domains with keys, and what seals with them.
struct Sealers {
    world: World,
    keys: Keys,
    resolver: MessageAuthenticator,
}

impl Sealers {
    async fn new() -> Self {
        let (world, keys) = World::with_alpha().await;
        for domain in ["trusted.example", "relay.example", "list.example", "sub.trusted.example", "known.example"] {
            world.dns.txt(&format!("ed._domainkey.{domain}"), keys.ed_record());
        }
        world.dns.txt("_dmarc.known.example", "v=DMARC1; p=reject");
        let mut server = NameServerConfig::udp_and_tcp(world.dns.address().ip());
        server.connections.iter_mut().for_each(|one| one.port = world.dns.address().port());
        let resolver =
            MessageAuthenticator::new(ResolverConfig::from_name_servers(vec![server]), ResolverOpts::default());
        Self { world, keys, resolver: resolver.unwrap() }
    }

    /// The author's signed mail as a list hands it on: with another subject, which breaks the signature.
    fn changed(&self) -> String {
        sign(&mail("a@alpha.example"), "alpha.example", &self.keys, "ed")
            .replace("Subject: Hello", "Subject: [list] Hello")
    }

    /// One more set of seals on top: what the sealer says that he found, and of what he finds of the chain so far.
    async fn seal(&self, raw: &str, sealer: &str, said: &str, fields: &[&str]) -> String {
        let message = AuthenticatedMessage::parse(raw.as_bytes()).unwrap();
        let chain = self.resolver.verify_arc(&message).await;
        let said = format!("{sealer}; {said}");
        let results = AuthenticationResults::new(&said);
        let sealer = ArcSealer::from_key(self.keys.ed()).domain(sealer).selector("ed").headers(fields.to_vec());
        format!("{}{raw}", sealer.seal(&message, &results, &chain).unwrap().to_header())
    }

    async fn sealed(&self, raw: &str, sets: &[(&str, &str)]) -> String {
        let mut raw = raw.to_owned();
        for (sealer, said) in sets {
            raw = self.seal(&raw, sealer, said, &FIELDS).await;
        }
        raw
    }
}

/// A mail that a client hands over to our own server.
fn arriving(raw: &str) -> String {
    let from = format!("from m (m [{STRANGER}]) by mx.ours.example (Postfix) with ESMTP id 1");
    format!("Return-Path: <bounces@list.example>\r\nReceived: {from}; Tue, 24 Nov 2026 09:00:01 +0000\r\n{raw}")
}

pub(crate) async fn a_trusted_sealer_overrides_a_policy_and_makes_no_pass() {
    let sealers = Sealers::new().await;
    let changed = sealers.changed();
    for (what, sets) in [
        ("one", vec![("trusted.example", PASSED)]),
        ("one that another one found broken", vec![("trusted.example", PASSED), ("relay.example", FAILED)]),
        ("two that agree", vec![("relay.example", PASSED), ("trusted.example", PASSED)]),
        ("behind one that nobody trusts", vec![("list.example", "none"), ("trusted.example", PASSED)]),
        ("one that tells of a chain below", vec![("list.example", PASSED), ("trusted.example", PASSED_AGAIN)]),
    ] {
        let raw = arriving(&sealers.sealed(&changed, &sets).await);
        let results = sealers.world.check(&raw).await;
        let dmarc = &results.dmarc;
        assert_eq!(
            (dmarc.result, dmarc.why, dmarc.policy),
            (DmarcResult::Fail, Some(Why::NotAligned), Some(Policy::Reject))
        );
        assert_eq!((results.arc.result, results.aligned_domain()), (ArcResult::Pass, None), "{what}");
        let by = dmarc.overridden.as_ref().unwrap();
        assert_eq!(
            (by.reason, by.sealer.expose()),
            (OverrideReason::Arc, sets.iter().rfind(|(_, said)| [PASSED, PASSED_AGAIN].contains(said)).unwrap().0)
        );
        let expected = "; dmarc=fail reason=not_aligned header.from=alpha.example policy.override=arc; arc=pass";
        assert!(header::value(&results).contains(expected), "{}", header::value(&results));
        let json = serde_json::to_value(&results).unwrap();
        assert_eq!(json["dmarc"]["override"]["reason"], "arc");
        assert_eq!(sealers.world.end(&raw).await, "admitted", "{what}");
    }
    // What passes needs nobody's word.
    let genuine = sign(&mail("a@alpha.example"), "alpha.example", &sealers.keys, "ed");
    let results = sealers.world.check(&sealers.sealed(&genuine, &[("trusted.example", PASSED)]).await).await;
    assert_eq!((results.dmarc.result, results.dmarc.overridden), (DmarcResult::Pass, None));
    // A known domain has to be authenticated, whoever vouches for it.
    let said = PASSED.replace("alpha", "known");
    let raw = arriving(&sealers.sealed(&mail("a@known.example"), &[("trusted.example", &said)]).await);
    assert!(sealers.world.check(&raw).await.dmarc.overridden.is_some());
    assert_eq!(sealers.world.end(&raw).await, "quarantined: finding");
}

pub(crate) async fn nobody_else_overrides_a_policy() {
    let sealers = Sealers::new().await;
    let (changed, vouched) = (sealers.changed(), [("trusted.example", PASSED)]);
    let sealed = sealers.sealed(&changed, &vouched).await;
    let spoofed = mail("a@alpha.example");
    let two = format!("spf=none (x); {PASSED}; {FAILED}");
    let hidden = format!("spf=none smtp.mailfrom=\"x; {PASSED}; y\"@list.example");
    let mut all = Vec::new();
    for (what, sets) in [
        ("nobody trusts it", vec![("list.example", PASSED)]),
        ("nobody trusts what is below it", vec![("sub.trusted.example", PASSED)]),
        ("it says that it failed", vec![("trusted.example", FAILED)]),
        ("it says nothing", vec![("trusted.example", "none")]),
        ("it says so of another", vec![("trusted.example", "dmarc=pass header.from=beta.example")]),
        ("it says so of what is below", vec![("trusted.example", "dmarc=pass header.from=m.alpha.example")]),
        ("it says both", vec![("trusted.example", &two)]),
        ("a client made it say so", vec![("trusted.example", &hidden)]),
        ("the one that says so is not trusted", vec![("list.example", PASSED), ("trusted.example", FAILED)]),
        ("one above it is not trusted", vec![("trusted.example", PASSED), ("list.example", PASSED)]),
        (
            "one between is not trusted",
            vec![("trusted.example", PASSED), ("list.example", PASSED), ("relay.example", FAILED)],
        ),
    ] {
        all.push((what, sealers.sealed(&changed, &sets).await));
    }
    let first = sealed.replacen("Subject: [list] Hello", "Subject: Pay", 1);
    let keyless = Sealers { keys: Keys::generate(), ..Sealers::new().await };
    all.extend([
        ("changed behind it", first.clone()),
        ("changed, and sealed again", sealers.sealed(&first, &[("trusted.example", FAILED)]).await),
        ("the body changed behind it", sealed.replace("Hi.", "Pay.")),
        (
            "the author changed behind it",
            sealers.sealed(&mail("x@beta.example"), &vouched).await.replace("x@beta.example", "a@alpha.example"),
        ),
        (
            "its words changed",
            sealers.sealed(&spoofed, &[("trusted.example", FAILED)]).await.replacen("dmarc=fail", "dmarc=pass", 1),
        ),
        ("its set on another mail", sealed.replacen(&changed, &spoofed.replace("Hello", "Pay"), 1)),
        (
            "the author is not sealed",
            sealers
                .seal(&mail("x@beta.example"), "trusted.example", PASSED, &["To", "Subject"])
                .await
                .replace("x@beta.example", "a@alpha.example"),
        ),
        ("another's key", keyless.sealed(&spoofed, &vouched).await),
        (
            "an author on top",
            format!("From: a@alpha.example\r\n{}", sealers.sealed(&mail("x@beta.example"), &vouched).await),
        ),
        ("a line of no seal", format!("ARC-Authentication-Results: i=1; trusted.example; {PASSED}\r\n{spoofed}")),
    ]);
    for (what, raw) in all {
        let raw = arriving(&raw);
        let results = sealers.world.check(&raw).await;
        assert_eq!((results.dmarc.overridden.as_ref(), results.aligned_domain()), (None, None), "{what}");
        let end = sealers.world.end(&raw).await;
        assert!(end.starts_with("quarantined"), "{what}: {end}");
    }
    // The chain that leaves out the author verifies to nobody.
    let raw = sealers.seal(&spoofed, "trusted.example", PASSED, &["To", "Subject"]).await;
    let arc = sealers.world.check(&raw).await.arc;
    assert_eq!((arc.result, arc.why), (ArcResult::Fail, Some(Why::FromNotSigned)));
    // Nor does DNS that fails make anybody vouch.
    assert!(sealers.world.check(&sealed.replace(CLIENT, STRANGER)).await.dmarc.overridden.is_some());
    sealers.world.dns.fault("late._domainkey.trusted.example", shared::testing::dns::Fault::Fails);
    let results = sealers.world.check(&arriving(&sealed.replace("s=ed;", "s=late;"))).await;
    assert_eq!((results.arc.result, results.dmarc.overridden), (ArcResult::TempError, None));
}

/// For a signature a field is put in one form, which leaves out more than white space: a result about one domain is nowhere one
/// about another that its name begins with.
pub(crate) async fn no_result_of_a_sealers_is_cut_short() {
    let sealers = Sealers::new().await;
    let said = "dmarc=pass (p=NONE) header.from=alpha.example.evil.example";
    let sealed = sealers.sealed(&mail("a@alpha.example.evil.example"), &[("trusted.example", said)]).await;
    for cut in ["\x0c", "\x0b", " \r", "\r", "\x0c\r", "\t\x0c", "\r\r"] {
        let cut = format!("alpha.example{cut}.evil.example");
        for whole in ["header.from=alpha.example.evil.example", "alpha.example.evil.example"] {
            let raw = sealed.replace(whole, &whole.replace("alpha.example.evil.example", &cut));
            assert_ne!(raw, sealed);
            assert_eq!(sealers.world.check(&arriving(&raw)).await.dmarc.overridden, None, "{cut:?} in {whole}");
        }
    }
}
