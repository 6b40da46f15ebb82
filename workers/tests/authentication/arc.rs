//! ARC through a child, with keys from the stub.

use mail_auth::{ArcOutput, AuthenticatedMessage, AuthenticationResults, arc::ArcSealer, headers::HeaderWriter};
use mailtri::auth::results::{ArcResult, DmarcResult, Why};
use shared::testing::dns::Fault;

use crate::world::{Keys, World, mail, sign};

pub(crate) async fn arc_has_each_of_its_results() {
    let (world, keys) = World::with_alpha().await;
    let signed = sign(&mail("a@alpha.example"), "alpha.example", &keys, "ed");
    world.dns.txt("ed._domainkey.list.example", keys.ed_record());
    world.dns.fault("sf._domainkey.list.example", Fault::Fails);
    let sealed = seal(&signed, &keys, "ed");
    for (what, raw, result, why) in [
        ("sealed", sealed.clone(), ArcResult::Pass, None),
        ("not sealed", signed.clone(), ArcResult::None, None),
        ("body changed", sealed.replace("Hi.", "Ho."), ArcResult::Fail, Some(Why::BodyChanged)),
        (
            "subject changed",
            sealed.replace("Subject: Hello", "Subject: Hullo"),
            ArcResult::Fail,
            Some(Why::BadSignature),
        ),
        ("results changed", sealed.replacen("arc=none", "arc=pass", 1), ArcResult::Fail, Some(Why::BadSignature)),
        ("seal taken away", sealed.replacen("ARC-Seal:", "X-Seal:", 1), ArcResult::Fail, Some(Why::BrokenChain)),
        ("no key", seal(&signed, &keys, "gone"), ArcResult::Fail, Some(Why::NoRecord)),
        ("servfail", seal(&signed, &keys, "sf"), ArcResult::TempError, Some(Why::DnsFailed)),
    ] {
        let arc = world.check(&raw).await.arc;
        assert_eq!((arc.result, arc.why), (result, why), "{what}");
        let sealer = (result == ArcResult::Pass).then_some("list.example");
        assert!(
            arc.sealer.is_none_or(|d| d.expose() == "list.example") && (sealer.is_none() || result == ArcResult::Pass)
        );
    }
    assert_eq!(world.check(&sealed).await.arc.sealer.unwrap().expose(), "list.example");
}

/// Whoever seals a mail says what he likes, and it verifies: that is a fact about him alone.
pub(crate) async fn a_chain_of_seals_makes_nobody_an_author() {
    let (world, keys) = World::with_alpha().await;
    world.dns.txt("ed._domainkey.list.example", keys.ed_record());
    let sealed = seal(&mail("a@alpha.example"), &keys, "ed");
    let results = world.check(&sealed).await;
    assert_eq!((results.arc.result, results.dmarc.result), (ArcResult::Pass, DmarcResult::Fail));
    assert_eq!((results.arc.sealer.as_ref().unwrap().expose(), results.aligned_domain()), ("list.example", None));
    // More sets than anybody needs are not verified.
    let many = (0..11).fold(sealed, |raw, _| seal(&raw, &keys, "ed"));
    let arc = world.check(&many).await.arc;
    assert_eq!((arc.result, arc.why), (ArcResult::Fail, Some(Why::TooMuch)));
}

/// The mail with a first set of seals by `list.example`.
pub(crate) fn seal(raw: &str, keys: &Keys, selector: &str) -> String {
    let message = AuthenticatedMessage::parse(raw.as_bytes()).unwrap();
    let none = ArcOutput::default();
    let results = AuthenticationResults::new("list.example").with_arc_result(&none, "192.0.2.1".parse().unwrap());
    let sealer = ArcSealer::from_key(keys.ed()).domain("list.example").selector(selector);
    let set = sealer.headers(["From", "To", "Subject", "DKIM-Signature"]).seal(&message, &results, &none).unwrap();
    format!("{}{raw}", set.to_header())
}
