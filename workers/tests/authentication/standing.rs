//! A child that lies: what it says of a mail's header makes us ask DNS about nothing that is not in the mail.

use mailtri::auth::{
    Domain, Evidence,
    evidence::{Author, Client, TrustedHop},
};
use shared::{pii::Pii, testing::dns::reverse};

use crate::world::{CLIENT, World, from_alpha, mail, sign};

pub(crate) async fn a_lying_child_asks_dns_about_nothing_that_is_not_in_the_mail() {
    let (world, keys) = World::with_alpha().await;
    // The sender's own policy puts what he chose into names of his.
    world.dns.txt("beta.example", "v=spf1 exists:%{l}.%{h}.leak.beta.example -all");
    let raw = from_alpha(&sign(&mail("a@alpha.example"), "alpha.example", &keys, "ed"));
    let honest = world.evidence(&raw).await;
    // With an honest child the mail's own names are asked about, and it passes.
    let results = world.check_lie(&raw, honest.clone()).await;
    assert!(results.aligned_domain().is_some() && results.spf.domain.is_some(), "{results:?}");
    let asked = world.dns.asked();
    for name in
        [&reverse(CLIENT.parse().unwrap()), "ed._domainkey.alpha.example", "_dmarc.alpha.example", "alpha.example"]
    {
        assert!(asked.iter().any(|one| one == name), "{name}: {asked:?}");
    }
    let domain = |name: &str| Domain::parse(name).unwrap();
    let hop = honest.hop.clone().unwrap();
    let client = |ip: &str, helo: &str| Client { ip: Pii::new(ip.parse().unwrap()), helo: Pii::new(helo.to_owned()) };
    let with_client = |client| Some(TrustedHop { client: Some(client), ..hop.clone() });
    let from = |path: &str| Some(TrustedHop { mail_from: Some(Pii::new(path.to_owned())), ..hop.clone() });
    let author = |author| Evidence { author, ..honest.clone() };
    let keyed = |name: &str| Evidence { keys: vec![domain(name)], ..honest.clone() };
    let secrets =
        ["secret".to_owned(), reverse("203.0.113.83".parse().unwrap()), reverse("2001:db8::53".parse().unwrap())];
    for (what, lie) in [
        ("a key's selector", keyed("secret._domainkey.alpha.example")),
        ("a key's domain", keyed("ed._domainkey.secret.example")),
        ("a key's domain with more before it", keyed("ed._domainkey.secret.alpha.example")),
        ("a key's selector with more behind it", keyed("ed._domainkey.secret._domainkey.alpha.example")),
        ("no key's name", keyed("secret.alpha.example")),
        ("an author", author(Author::One(domain("secret.example")))),
        ("an author below one that is there", author(Author::One(domain("secret.alpha.example")))),
        ("an author of another script", author(Author::One(domain("xn--secret-kva.example")))),
        ("one of the authors", author(Author::Some(vec![domain("alpha.example"), domain("secret.example")]))),
        ("a client", Evidence { hop: with_client(client("203.0.113.83", "mail.alpha.example")), ..honest.clone() }),
        (
            "a client of the other kind",
            Evidence { hop: with_client(client("2001:db8::53", "mail.alpha.example")), ..honest.clone() },
        ),
        ("a HELO", Evidence { hop: with_client(client(CLIENT, "secret.example")), ..honest.clone() }),
        ("a sender's domain", Evidence { hop: from("a@secret.example"), ..honest.clone() }),
        ("a sender's local part", Evidence { hop: from("secret@beta.example"), ..honest.clone() }),
    ] {
        world.check_lie(&raw, lie).await;
        let is_secret = |name: &String| secrets.iter().any(|secret| name.contains(secret));
        let told: Vec<String> = world.dns.asked().into_iter().filter(is_secret).collect();
        assert_eq!(told, Vec::<String>::new(), "{what}");
    }
}

pub(crate) async fn what_an_honest_child_tells_of_is_found_however_it_is_written() {
    let (world, keys) = World::with_alpha().await;
    for domain in ["xn--bcher-kva.example", "alpha.example"] {
        world.dns.txt(&format!("ed._domainkey.{domain}"), keys.ed_record());
        world.dns.txt(&format!("_dmarc.{domain}"), "v=DMARC1; p=reject");
    }
    let idn = |from: &str| sign(&mail(from), "xn--bcher-kva.example", &keys, "ed");
    for (what, raw) in [
        ("as DNS has it", idn("a@xn--bcher-kva.example")),
        ("in its script", idn("a@b\u{fc}cher.example")),
        ("in its script and capitals", idn("Ann <a@B\u{dc}CHER.example>")),
        ("decomposed", idn("a@bu\u{308}cher.example")),
        ("full stops of another script", idn("a@b\u{fc}cher\u{3002}example")),
        ("capitals", sign(&mail("a@ALPHA.Example"), "alpha.example", &keys, "ed")),
        ("a dot at the end", sign(&mail("a@alpha.example."), "alpha.example", &keys, "ed")),
        ("a domain on a line of its own", sign(&mail("Ann\r\n <a@alpha.example>"), "alpha.example", &keys, "ed")),
    ] {
        let results = world.check(&raw).await;
        assert!(results.aligned_domain().is_some(), "{what}: {results:?}");
    }
    // White space within a tag counts for nothing.
    world.dns.txt("ed._domainkey.gamma.example", keys.ed_record());
    let folded = sign(&mail("a@gamma.example"), "gamma.example", &keys, "ed").replacen(
        "d=gamma.example",
        "d = gamma.\r\n\texample",
        1,
    );
    world.check(&folded).await;
    assert!(world.dns.asked().contains(&"ed._domainkey.gamma.example".to_owned()), "{:?}", world.dns.asked());
}
