//! DKIM through a child, with keys from the stub.

use std::time::Duration;

use mail_auth::{dkim::DkimSigner, headers::HeaderWriter};
use mailtri::auth::results::{DkimResult, Why};
use shared::testing::dns::Fault;

use crate::world::{Keys, World, from_alpha, mail, sign, sign_with};

pub(crate) async fn dkim_has_each_of_its_results() {
    let (world, keys) = World::with_alpha().await;
    let other = Keys::generate();
    let plain = mail("a@alpha.example");
    let [ed, rsa] = ["ed", "rsa"].map(|selector| sign(&plain, "alpha.example", &keys, selector));
    world.dns.fault("sf._domainkey.alpha.example", Fault::Fails);
    world.dns.txt("revoked._domainkey.alpha.example", "v=DKIM1; k=ed25519; p=");
    world.dns.txt("odd._domainkey.alpha.example", "v=DKIM1; k=ed25519; p=!!!!");
    world.dns.txt("other._domainkey.alpha.example", other.ed_record());
    let by = |selector: &str| sign_with(keys.ed(), &plain, "alpha.example", selector);
    let signer = || DkimSigner::from_key(keys.ed()).domain("alpha.example").selector("ed");
    let length = {
        let signature = signer().headers(["From"]).body_length(true).sign(plain.as_bytes()).unwrap();
        format!("{}{plain}More.\r\n", signature.to_header())
    };
    let no_from = format!("{}{plain}", signer().headers(["To"]).sign(plain.as_bytes()).unwrap().to_header());
    let stranger = {
        let signature = signer().headers(["From"]).identity("a@beta.example").sign(plain.as_bytes()).unwrap();
        format!("{}{plain}", signature.to_header())
    };
    let brief = {
        let signature = signer().headers(["From"]).expiration(Duration::from_secs(1)).sign(plain.as_bytes()).unwrap();
        signature.to_header()
    };
    // Two years back, in both of its times.
    let expired = format!("{}{plain}", shift(&brief, 2 * 365 * 86_400));
    for (what, raw, result, why) in [
        ("ed25519", ed.clone(), DkimResult::Pass, None),
        ("rsa", rsa, DkimResult::Pass, None),
        ("below SES's block", from_alpha(&ed), DkimResult::Pass, None),
        ("body changed", ed.replace("Hi.", "Ho."), DkimResult::Fail, Some(Why::BodyChanged)),
        ("body extended", format!("{ed}More.\r\n"), DkimResult::Fail, Some(Why::BodyChanged)),
        ("header changed", ed.replace("Subject: Hello", "Subject: Hullo"), DkimResult::Fail, Some(Why::BadSignature)),
        ("another key", by("other"), DkimResult::Fail, Some(Why::BadSignature)),
        ("l=", length, DkimResult::Policy, Some(Why::BodyLength)),
        ("expired", expired, DkimResult::Fail, Some(Why::Expired)),
        ("From not signed", no_from, DkimResult::PermError, Some(Why::FromNotSigned)),
        ("another identity", stranger, DkimResult::Fail, Some(Why::Identity)),
        ("revoked", by("revoked"), DkimResult::PermError, Some(Why::KeyRevoked)),
        ("no key", by("gone"), DkimResult::PermError, Some(Why::NoRecord)),
        ("a key that is none", by("odd"), DkimResult::PermError, Some(Why::Malformed)),
        ("servfail", by("sf"), DkimResult::TempError, Some(Why::DnsFailed)),
        (
            "no signature in it",
            format!("DKIM-Signature: v=1; d=alpha.example\r\n{plain}"),
            DkimResult::Neutral,
            Some(Why::Malformed),
        ),
        (
            "an algorithm of its own",
            ed.replacen("ed25519-sha256", "rot13-sha256", 1),
            DkimResult::Neutral,
            Some(Why::Algorithm),
        ),
    ] {
        let dkim = world.check(&raw).await.dkim;
        assert_eq!(dkim.iter().map(|one| (one.result, one.why)).collect::<Vec<_>>(), [(result, why)], "{what}");
    }
    assert_eq!(world.check(&plain).await.dkim, []);
}

/// A signature with `t=` and `x=` so many seconds earlier. What signs it does not matter: its time is looked at first.
fn shift(header: &str, seconds: u64) -> String {
    let tag = |tag: &str| -> String {
        let part = header.split(';').find(|part| part.trim_start().starts_with(&format!("{tag}="))).unwrap();
        let value: u64 = part.trim().trim_start_matches(&format!("{tag}=")).parse().unwrap();
        (value - seconds).to_string()
    };
    let (t, x) = (tag("t"), tag("x"));
    let parts = header.split(';').map(|part| match part.trim_start().split_once('=') {
        Some(("t", _)) => format!(" t={t}"),
        Some(("x", _)) => format!(" x={x}"),
        _ => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join(";")
}

pub(crate) async fn dkim_keys_that_do_not_count() {
    let (world, keys) = World::with_alpha().await;
    let plain = mail("a@alpha.example");
    // Nobody can have looked these up: a name with a NUL, a parenthesis or a space in it is another name to others.
    let signed = sign(&plain, "alpha.example", &keys, "ed");
    for domain in ["alpha.example\0.beta.example", "alpha.example(.beta.example", "älpha.example", "example"] {
        let raw = signed.replacen("d=alpha.example", &format!("d={domain}"), 1);
        let results = world.check(&raw).await;
        assert!(results.dkim.iter().all(|one| one.result != DkimResult::Pass && one.domain.is_none()), "{domain:?}");
        assert_eq!(results.aligned_domain(), None);
    }
    // The same for the selector.
    for selector in ["ed\0", "ed(", "e d", ""] {
        let raw = signed.replacen("s=ed", &format!("s={selector}"), 1);
        assert!(world.check(&raw).await.dkim.iter().all(|one| one.result != DkimResult::Pass), "{selector:?}");
    }
    // rsa-sha1 counts for nothing (RFC 8301), whether it would verify or not.
    let sha1 = sign(&plain, "alpha.example", &keys, "rsa").replacen("rsa-sha256", "rsa-sha1", 1);
    let results = world.check(&sha1).await.dkim;
    assert_eq!((results[0].result, results[0].why), (DkimResult::Policy, Some(Why::Algorithm)));
}

pub(crate) async fn dkim_signatures_are_told_apart_and_bounded() {
    let (world, keys) = World::with_alpha().await;
    world.dns.txt("ed._domainkey.beta.example", keys.ed_record());
    let plain = mail("a@alpha.example");
    let twice = sign(&sign(&plain, "alpha.example", &keys, "ed"), "beta.example", &keys, "ed");
    let broken = twice.replacen("d=beta.example", "d=gamma.example", 1);
    let results = world.check(&broken).await.dkim;
    let named: Vec<_> = results.iter().map(|one| (one.domain.as_ref().unwrap().expose(), one.result)).collect();
    assert_eq!(named, [("gamma.example", DkimResult::PermError), ("alpha.example", DkimResult::Pass)]);

    // The ninth and later are not looked at, and their keys are not asked for.
    let many = (0..30).fold(plain, |raw, i| sign_with(keys.ed(), &raw, &format!("d{i}.example"), "ed"));
    world.dns.forget();
    let results = world.check(&many).await.dkim;
    assert_eq!(results.len(), 9);
    assert_eq!((results[8].result, results[8].why), (DkimResult::Policy, Some(Why::TooMuch)));
    let asked = world.dns.asked().iter().filter(|name| name.contains("_domainkey")).count();
    assert!(asked <= 16, "{asked} questions for eight keys");
}
