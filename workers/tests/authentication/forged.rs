//! Mail that claims to be from `alpha.example` and is not, in the ways that are known (espoofer and others): in the
//! envelope, in the signature, in `From`, in the results of others. None may come out as an aligned pass.
//!
//! `beta.example` is the attacker's: it has SPF for his client, keys, and no policy.

use mailtri::{
    auth::{Authentication, header},
    mail::model::HeaderField,
};
use shared::pii::Pii;

use crate::world::{CLIENT, Keys, STRANGER, World, mail, ses, sign, sign_with};

/// A forgery: what it is, the mail, and the envelope's sender where the transport tells.
struct Forgery(&'static str, String, Option<&'static str>);

pub(crate) async fn no_forgery_is_an_aligned_pass() {
    let (world, alphas) = World::with_alpha().await;
    let keys = Keys::generate();
    world.dns.txt("beta.example", format!("v=spf1 ip4:{STRANGER} -all"));
    for selector in ["ed", "x"] {
        world.dns.txt(&format!("{selector}._domainkey.beta.example"), keys.ed_record());
    }
    world.dns.txt("x._domainkey.alpha.example.beta.example", keys.ed_record());
    let all: Vec<Forgery> = [envelopes(), signatures(&keys, &alphas), authors(&keys), claims(&keys)].concat();
    assert!(all.len() >= 45, "{}", all.len());
    for Forgery(what, raw, mail_from) in &all {
        let results = world.check_from(raw, *mail_from).await;
        let aligned = results.aligned_domain().map(|domain| domain.expose().to_owned());
        assert!(aligned.as_deref().is_none_or(|domain| domain.ends_with("beta.example")), "{what}: {aligned:?}");
        assert!(!header::value(&results).contains("header.from=alpha.example") || results.aligned_domain().is_none());
        assert!(!header::value(&results).contains("dmarc=pass header.from=alpha.example"), "{what}");
    }
    // A quoted local part is its domain's, and no other's.
    for (from, domain, signer) in [
        ("\"a@alpha.example\"@beta.example", "beta.example", &keys),
        ("Ann <\"a@alpha.example\"@beta.example>", "beta.example", &keys),
        ("\"ann lee\"@alpha.example", "alpha.example", &alphas),
        ("\"x@beta.example\"@alpha.example", "alpha.example", &alphas),
    ] {
        let results = world.check(&sign(&mail(from), domain, signer, "ed")).await;
        assert_eq!(results.aligned_domain().map(|aligned| aligned.expose()), Some(domain), "{from}");
    }
    // And the genuine mail is one.
    let genuine = world.check(&sign(&mail("a@alpha.example"), "alpha.example", &alphas, "ed")).await;
    assert_eq!(genuine.aligned_domain().unwrap().expose(), "alpha.example");
}

impl Clone for Forgery {
    fn clone(&self) -> Self {
        Self(self.0, self.1.clone(), self.2)
    }
}

/// SPF passes for somebody else, or about somebody else.
fn envelopes() -> Vec<Forgery> {
    let plain = mail("a@alpha.example");
    let by = |helo: &str, mail_from: &str| ses(STRANGER, helo, mail_from, &plain);
    vec![
        Forgery("a sender of his own", by("m.beta.example", "x@beta.example"), None),
        Forgery("a bounce with HELO of his own", by("beta.example", ""), None),
        Forgery("a bounce with alpha's HELO", by("alpha.example", ""), None),
        Forgery("alpha's sender from a stranger", by("m.beta.example", "a@alpha.example"), None),
        Forgery("two at signs", by("m.beta.example", "x@beta.example@alpha.example"), None),
        Forgery("a quoted sender", by("m.beta.example", "\"x@alpha.example\"@beta.example"), None),
        Forgery("a route", by("m.beta.example", "@alpha.example:x@beta.example"), None),
        Forgery("a NUL in the sender", by("m.beta.example", "x@beta.example\0.alpha.example"), None),
        Forgery(
            "a sender of the envelope against the header's",
            by("m.beta.example", "a@alpha.example"),
            Some("x@beta.example"),
        ),
        Forgery("his client written into the HELO", by(&format!("m ([{CLIENT}])"), "a@alpha.example"), None),
        Forgery("alpha's client as his HELO", by(&format!("[{CLIENT}]"), "a@alpha.example"), None),
        Forgery("no server in between", format!("Return-Path: <a@alpha.example>\r\n{plain}"), Some("a@alpha.example")),
        Forgery(
            "a server of his own",
            ses(CLIENT, "m", "a@alpha.example", &plain).replace("amazonaws.com", "amazonaws.com.beta.example"),
            None,
        ),
        Forgery(
            "a false session beneath the true one",
            by("m.beta.example", "a@alpha.example")
                .replace(&plain, &ses(CLIENT, "m.alpha.example", "a@alpha.example", &plain)),
            None,
        ),
        Forgery(
            "a false run beneath the true one",
            by("m.beta.example", "a@alpha.example")
                .replace(&plain, &format!("Received-SPF: pass client-ip={CLIENT}; helo=alpha.example;\r\n{plain}")),
            None,
        ),
    ]
}

/// Signatures that are his, or not for this mail.
fn signatures(keys: &Keys, alphas: &Keys) -> Vec<Forgery> {
    let plain = mail("a@alpha.example");
    let his = sign(&plain, "beta.example", keys, "ed");
    let d = |domain: &str| his.replacen("d=beta.example", &format!("d={domain}"), 1);
    let genuine = sign(&plain, "alpha.example", alphas, "ed");
    let replayed = sign(&mail("a@alpha.example"), "alpha.example", alphas, "ed");
    let cut_in = |line: &str| format!("From: ceo@alpha.example\r\nSubject: Pay\r\n{line}Text: Pay.\r\n{replayed}");
    vec![
        Forgery("his own domain", his.clone(), None),
        Forgery("d= of alpha over his key", d("alpha.example"), None),
        Forgery("d= with a NUL (a3)", d("alpha.example\0.beta.example"), None),
        Forgery("d= with a parenthesis (a4)", d("alpha.example(.beta.example"), None),
        Forgery("d= with a quotation mark (a5)", d("alpha.example'a.beta.example"), None),
        Forgery("d= below his domain", sign_with(keys.ed(), &plain, "alpha.example.beta.example", "x"), None),
        Forgery(
            "s= that leads elsewhere",
            his.replacen("d=beta.example", "d=alpha.example", 1).replacen("s=ed", "s=x._domainkey.beta.example.", 1),
            None,
        ),
        Forgery("s= with a NUL", his.replacen("s=ed", "s=x.beta.example\0", 1), None),
        Forgery("d= twice", his.replacen("d=beta.example", "d=alpha.example; d=beta.example", 1), None),
        Forgery("i= of alpha", his.replacen("d=beta.example", "d=beta.example; i=a@alpha.example", 1), None),
        // Names that one reader takes for a signature's and another does not: what is verified of one field is no
        // result of the next.
        Forgery("a name with a form feed", renamed("DKIM-Signature\x0c", &d("alpha.example")) + &his, None),
        Forgery("a name with a vertical tab", renamed("DKIM-Signature\x0b", &d("alpha.example")) + &his, None),
        Forgery(
            "a name behind a bare CR",
            [renamed("\rDKIM-Signature", &his), field(&d("alpha.example")), his.clone()].concat(),
            None,
        ),
        Forgery(
            "a name behind a space",
            [renamed(" DKIM-Signature", &his), field(&d("alpha.example")), his.clone()].concat(),
            None,
        ),
        Forgery(
            "a name with a space in it",
            [renamed("DKIM- Signature", &his), field(&d("alpha.example")), his.clone()].concat(),
            None,
        ),
        Forgery("another body", genuine.replace("Hi.", "Pay."), None),
        Forgery("more body", format!("{genuine}Pay.\r\n"), None),
        Forgery("another subject", genuine.replace("Subject: Hello", "Subject: Pay"), None),
        Forgery("another From on top", format!("From: b@alpha.example\r\n{replayed}"), None),
        Forgery("another From below", genuine.replacen("To:", "From: b@alpha.example\r\nTo:", 1), None),
        // A line that ends the header to one reader alone: the genuine one would follow in the body that is shown.
        Forgery("a line of no field", cut_in("nothing\r\n"), None),
        Forgery("a line of no field with a bare LF", cut_in("nothing\n"), None),
        Forgery("a line of white space", cut_in(" \r\n"), None),
        Forgery("a line of white space with a bare LF", cut_in(" \n"), None),
        Forgery("a line of a bare CR", cut_in("\r\r\n"), None),
        Forgery("a bare CR", cut_in("\r"), None),
        Forgery("a line of a colon", cut_in(":\r\n"), None),
        Forgery("a line of a NUL", cut_in("\0\r\n"), None),
        Forgery("a line of no field, folded", cut_in("nothing\n more\n"), None),
        Forgery("a line of no field without its CR, folded", cut_in("nothing\n\tmore\r\n"), None),
        Forgery(
            "a From with a space before its colon",
            format!("From : b@alpha.example\r\n{}", mail("x@beta.example")),
            None,
        ),
        Forgery(
            "no signature, but a field of that name",
            format!("DKIM-Signature: v=1; d=alpha.example; s=ed\r\n{plain}"),
            None,
        ),
    ]
}

/// The first field of a mail.
fn field(raw: &str) -> String {
    raw[..raw.find("From:").unwrap()].to_owned()
}

/// That field under another name.
fn renamed(name: &str, raw: &str) -> String {
    field(raw).replacen("DKIM-Signature", name, 1)
}

/// `From` fields that are read in several ways; each mail is truly signed by beta.
fn authors(keys: &Keys) -> Vec<Forgery> {
    let by_beta = |what, from: &str| Forgery(what, sign(&mail(from), "beta.example", keys, "ed"), None);
    vec![
        by_beta("two authors", "a@alpha.example, x@beta.example"),
        by_beta("two authors, his first", "x@beta.example, a@alpha.example"),
        by_beta("two angles", "<a@alpha.example><x@beta.example>"),
        by_beta("a comment in between", "<a@alpha.example>(comment)<x@beta.example>"),
        by_beta("a comment with an address", "a@alpha.example (x@beta.example)"),
        by_beta("a name that is an address", "a@alpha.example <x@beta.example>"),
        by_beta("a route", "<@alpha.example,@b.example:x@beta.example>"),
        by_beta("a group named like an address", "a@alpha.example: x@beta.example;"),
        by_beta("a group behind", "x@beta.example, alpha: a@alpha.example;"),
        by_beta("a group of nobody", "a@alpha.example:;"),
        by_beta("a name of another form", "x@ａlpha.example, x@beta.example"),
        by_beta("a percent sign", "a%alpha.example@beta.example <a@alpha.example>"),
        by_beta("a bang path", "alpha.example!a <a@alpha.example>"),
        by_beta("a literal", "a@[192.0.2.10]"),
        by_beta("a second one far behind", &format!("x@beta.example{}<a@alpha.example>", " ".repeat(9_000))),
        by_beta("a second From of an odd name", "x@beta.example\r\nFrom\x0c: a@alpha.example"),
        by_beta("a second From of a folded name", "x@beta.example\r\nFr om: a@alpha.example"),
        by_beta("a second From behind a bare CR", "x@beta.example\r\n\rFrom: a@alpha.example"),
        by_beta("two at signs", "a@alpha.example@beta.example"),
        by_beta("a quoted local part", "\"a@alpha.example\"@beta.example"),
        by_beta("a quoted local part in brackets", "A <\"a@alpha.example\"@beta.example>"),
        by_beta("a quoted local part with brackets", "\"A <a@alpha.example>\"@beta.example"),
        by_beta("a quoted local part with an escaped mark", "\"a@alpha.example\\\"\"@beta.example"),
        by_beta("a quoted domain", "a@\"alpha.example\"@beta.example"),
        by_beta("a comment within the address", "x(a@alpha.example)@beta.example"),
        by_beta("a comment within the domain", "x@(alpha.example)beta.example"),
        by_beta("a domain that goes on after white space", "a@alpha.example .beta.example"),
        by_beta("a domain literal", "a@[alpha.example]@beta.example"),
        by_beta("a group", "alpha: a@alpha.example, x@beta.example;"),
        by_beta("an encoded word", "=?utf-8?B?YUBhbHBoYS5leGFtcGxl?= <x@beta.example>"),
        by_beta("an encoded address", "=?utf-8?Q?a=40alpha.example?=, x@beta.example"),
        by_beta("an open quotation mark", "\"a@alpha.example <x@beta.example>"),
        by_beta("an open comment", "a@alpha.example (<x@beta.example>"),
        by_beta("a NUL", "a@alpha.example\0 <x@beta.example>"),
        by_beta("a backslash", "a@alpha.example\\,x@beta.example"),
        by_beta("a folded second one", "a@alpha.example,\r\n x@beta.example"),
        by_beta("a semicolon", "a@alpha.example; x@beta.example"),
        by_beta("a Sender of alpha", "x@beta.example\r\nSender: a@alpha.example"),
        by_beta("no From", "\r\nSender: a@alpha.example"),
    ]
}

/// Results of others, which are claims.
fn claims(keys: &Keys) -> Vec<Forgery> {
    let plain = mail("a@alpha.example");
    let claim = |id: &str| {
        format!(
            "Authentication-Results: {id}; spf=pass smtp.mailfrom=alpha.example; dkim=pass header.d=alpha.example; dmarc=pass header.from=alpha.example\r\n"
        )
    };
    let by = |claims: &str| format!("{claims}{plain}");
    vec![
        Forgery("our name", by(&claim("mailtri")), None),
        Forgery("SES's name", by(&claim("amazonses.com")), None),
        Forgery("a trusted server's name without its line", by(&claim("mx.ours.example")), None),
        Forgery(
            "a trusted server's name beneath its line",
            ses(STRANGER, "m", "x@beta.example", &by(&claim("mx.ours.example"))),
            None,
        ),
        Forgery(
            "even where SES itself says so",
            ses(STRANGER, "m", "x@beta.example", &plain).replace("dmarc=none", "dmarc=pass header.from=alpha.example"),
            None,
        ),
        Forgery(
            "a Received-SPF",
            by("Received-SPF: pass client-ip=192.0.2.10; envelope-from=a@alpha.example; helo=alpha.example\r\n"),
            None,
        ),
        Forgery(
            "seals of his own",
            format!("ARC-Authentication-Results: i=1; {}", &claim("beta.example")[24..])
                + &sign(&plain, "beta.example", keys, "ed"),
            None,
        ),
    ]
}

pub(crate) async fn a_header_that_claims_to_be_ours_is_renamed() {
    let field =
        |value: &str| HeaderField { name: "Authentication-Results".to_owned(), value: Pii::new(value.to_owned()) };
    for (value, claims) in [
        ("mailtri; dmarc=pass", true),
        ("MailTri; dmarc=pass", true),
        ("  mailtri 1; dmarc=pass", true),
        ("(a comment) mailtri (another); dmarc=pass", true),
        ("\"mailtri\"; dmarc=pass", true),
        ("(open mailtri; dmarc=pass", true),
        ("\"mailtr\\i\"; dmarc=pass", true),
        ("\"mail\\tri\" 1; dmarc=pass", true),
        ("(a;b) mailtri; dmarc=pass", true),
        ("(a (nested) one) mailtri; dmarc=pass", true),
        ("(\\)) mailtri; dmarc=pass", true),
        ("(\") mailtri (\"); dmarc=pass", true),
        ("mailtri(a comment); dmarc=pass", true),
        ("mailtri/1; dmarc=pass", true),
        ("mailtri\t1; dmarc=pass", true),
        ("; dmarc=pass", true),
        ("mailtri", true),
        ("mx.theirs.example; dmarc=pass", false),
        ("mailtri.theirs.example; dmarc=pass", false),
    ] {
        let mut fields = vec![field(value)];
        header::rename_claims(&mut fields, "mailtri");
        assert_eq!(fields[0].name == header::UNTRUSTED, claims, "{value}");
    }
    // Each of several, and in whatever case its name is.
    let mut several: Vec<HeaderField> =
        ["a.example; x", "mailtri; x", "b.example; x", "MAILTRI 1; x"].map(field).into();
    several.iter_mut().for_each(|field| field.name = "AUTHENTICATION-results".to_owned());
    header::rename_claims(&mut several, "mailtri");
    let renamed: Vec<bool> = several.iter().map(|field| field.name == header::UNTRUSTED).collect();
    assert_eq!(renamed, [false, true, false, true]);
    // What we say ourselves holds nothing but our words and names of one form.
    let (world, keys) = World::with_alpha().await;
    let said = |results: &Authentication| header::value(results);
    let genuine = world.check(&sign(&mail("a@alpha.example"), "alpha.example", &keys, "ed")).await;
    assert_eq!(
        said(&genuine),
        "mailtri; spf=none reason=no_trusted_hop; dkim=pass header.d=alpha.example; \
         dmarc=pass header.from=alpha.example; arc=none"
    );
    let odd = world
        .check(&ses(CLIENT, "m;x", "a@alpha.example; dmarc=pass", &mail("\"; dmarc=pass\" <a@alpha.example>")))
        .await;
    assert_eq!(said(&odd).matches("dmarc=").count(), 1);
}
