//! DKIM through a child, with keys from the stub.

use std::time::Duration;

use mail_auth::{dkim::DkimSigner, headers::HeaderWriter};
use mailtri::auth::results::{DkimResult, DmarcResult, Why};
use shared::testing::dns::{Fault, Record};

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

/// Signatures of `mail("a@alpha.example")` with RSA keys of 768 and 1,024 bits: the key and what it makes of it.
const SHORT: [(&str, &str, &str); 2] = [
    (
        "r768",
        "MHwwDQYJKoZIhvcNAQEBBQADawAwaAJhAJPtkeKkZcPuI8N1eaPiYbxg1PBGjHS9FaERrl4Sar8rI71TVVQzMxRdnay5+STCmn0gnawRU6CsbJhMtmxl2FGRSfYtZ244Ca7msFZUxjQmCOlSyW5oCwiwIVS2UYb+4wIDAQAB",
        "GDQpioRjBcqyl6B9+nhe/aw6wmPVnV5KxWTKzRtDfddHO8w9gPEMFOq2VXbw1tvd92Amd4YD4BPJ5tO4+Nud+pTDUUWWlB938D0BWwQSFjb0y4ZTNrGBz0OKjQIC1/lA",
    ),
    (
        "r1024",
        "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDKX/8jAR/Cf6dlNMcne/UjjRNaun3fAo5uy+90rJqd9xZYrhKQB5fbQ3SZIlZoY3Fly0GKyHyTpTVMuohqCS/PKQ8u8CANbEjBThj1RYYmNNAzra8RemLxygzj743gXeUEy21IAxFf//6cxYKjVyb1YbEJRBhDq/Y2whzxrHSoTQIDAQAB",
        "xlFOlz3xaIPcwwJdEA0kwxbI7c5Ngy2+rxIvPZ7fUc9tgpTnpcAefM4Gvx0ifYmwgS9OLcQ6CjdM09R+NJjPPm6P7j8XutMQv2hYsLbMSZYh6jQic8Is0Qoz2Q5UOd6sghbPE9nKehWMhGC6x9meoGrsY3mBVJVlCwa+hf6QAfE=",
    ),
];

pub(crate) async fn dkim_keys_that_are_too_short_do_not_count() {
    let world = World::new().await;
    let mut results = Vec::new();
    for (selector, key, signature) in SHORT {
        world.dns.txt(&format!("{selector}._domainkey.alpha.example"), format!("v=DKIM1; k=rsa; p={key}"));
        let raw = format!(
            "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=alpha.example; s={selector}; \
             h=from:to:subject:date; bh=UrA8rmgY3eNBotmDWtzAmHyn5RyZv8Gea45sNGsP0zw=; b={signature}\r\n{}",
            mail("a@alpha.example")
        );
        results.extend(world.check(&raw).await.dkim.iter().map(|one| (one.result, one.why)));
    }
    // RFC 8301 §3.2.
    assert_eq!(results, [(DkimResult::Fail, Some(Why::BadSignature)), (DkimResult::Pass, None)]);
}

pub(crate) async fn dkim_keys_that_do_not_count() {
    let (world, keys) = World::with_alpha().await;
    let plain = mail("a@alpha.example");
    // Nobody can have looked these up: a name with a NUL, a parenthesis or a space in it is another name to others.
    let signed = sign(&plain, "alpha.example", &keys, "ed");
    for domain in
        ["alpha.example.", "alpha.example\0.beta.example", "alpha.example(.beta.example", "älpha.example", "example"]
    {
        let raw = signed.replacen("d=alpha.example", &format!("d={domain}"), 1);
        let results = world.check(&raw).await;
        assert!(results.dkim.iter().all(|one| one.result != DkimResult::Pass && one.domain.is_none()), "{domain:?}");
        assert_eq!(results.aligned_domain(), None);
    }
    // Nor is a name with a dot at its end what was looked up: that would be for DNS to answer one day.
    let dotted = world.check(&signed.replacen("d=alpha.example", "d=alpha.example.", 1)).await;
    assert_eq!((dotted.dkim[0].result, dotted.dmarc.result), (DkimResult::PermError, DmarcResult::Fail));
    // Keys as DNS may have them: too many texts in front, too long, under another name, or in a circle.
    for text in 0..20 {
        world.dns.txt("many._domainkey.alpha.example", format!("text {text}"));
    }
    world
        .dns
        .txt("long._domainkey.alpha.example", format!("v=DKIM1; n={}; {}", "a".repeat(30_000), &keys.ed_record()[8..]));
    world.dns.add("far._domainkey.alpha.example", Record::Cname("ed._domainkey.alpha.example".to_owned()));
    world.dns.add("loop._domainkey.alpha.example", Record::Cname("pool._domainkey.alpha.example".to_owned()));
    world.dns.add("pool._domainkey.alpha.example", Record::Cname("loop._domainkey.alpha.example".to_owned()));
    world.dns.txt("strict._domainkey.alpha.example", format!("t=s; {}", keys.ed_record()));
    for (selector, passes) in [("many", false), ("long", false), ("far", true), ("loop", false)] {
        world.dns.forget();
        let results = world.check(&sign_with(keys.ed(), &plain, "alpha.example", selector)).await;
        assert_eq!(results.dkim[0].result == DkimResult::Pass, passes, "{selector}: {:?}", results.dkim);
        assert!(world.dns.asked().len() < 60, "{selector}: {:?}", world.dns.asked());
    }
    // A key for something else (RFC 6376 §3.6.1); one that is being tried out is the domain's all the same.
    for (selector, tags, passes) in [
        ("tls", "s=tlsrpt", false),
        ("old", "h=sha1", false),
        ("mail", "s=tlsrpt:email; h=sha256", true),
        ("trial", "t=y", true),
    ] {
        world.dns.txt(
            &format!("{selector}._domainkey.alpha.example"),
            keys.ed_record().replace("k=ed25519", &format!("{tags}; k=ed25519")),
        );
        let results = world.check(&sign_with(keys.ed(), &plain, "alpha.example", selector)).await;
        let result = if passes { DkimResult::Pass } else { DkimResult::PermError };
        assert_eq!(results.dkim[0].result, result, "{selector}: {:?}", results.dkim);
    }
    // Whose mail it is may be below the signature's domain, where the key allows that.
    for (identity, selector, result) in [
        ("a@news.alpha.example", "ed", DkimResult::Pass),
        ("a@news.alpha.example", "strict", DkimResult::Fail),
        ("a@alpha.example", "strict", DkimResult::Pass),
        ("a@newsalpha.example", "ed", DkimResult::Fail),
        ("a@beta.example@alpha.example", "ed", DkimResult::Fail),
        ("alpha.example", "ed", DkimResult::Fail),
    ] {
        let signer = DkimSigner::from_key(keys.ed()).domain("alpha.example").selector(selector).headers(["From"]);
        let signature = signer.identity(identity).sign(plain.as_bytes()).unwrap();
        let results = world.check(&format!("{}{plain}", signature.to_header())).await.dkim;
        assert_eq!(results[0].result, result, "{identity} by {selector}: {:?}", results[0].why);
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
