//! Whom an operator lets vouch for an author (`authentication.trusted_sealers`): a list or forwarder that changes mail breaks its
//! signatures, and seals what it found before that (RFC 8617 §7.2).
//!
//! Invariant: nobody vouches but by a chain that verifies as a whole, and whose every set from the newest back to the one that
//! says so is of a trusted sealer. It overrides the author's policy and makes nothing a pass.

use mail_auth::arc::ChainLink;
use serde::{Deserialize, Serialize};

use super::{
    Domain,
    evidence::{MAX_READ, ascii_domain, bare, unfolded},
    results::{Override, OverrideReason},
};

/// What a sealer says that it found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Set {
    /// Who: `d=` of `ARC-Seal`.
    pub sealer: Domain,
    /// The domain in `From` that passed DMARC when the mail came to it.
    pub author: Option<Domain>,
}

/// The sets of a chain, newest first, up to one whose sealer has no name.
pub(super) fn sets(chain: &[ChainLink<'_>]) -> Vec<Set> {
    let set = |link: &ChainLink<'_>| {
        Some(Set { sealer: ascii_domain(&link.seal.header.d)?, author: passed(link.results.value) })
    };
    chain.iter().rev().map_while(set).collect()
}

/// Who vouches for an author.
pub(super) fn vouching(author: &Domain, sets: &[Set], trusted: &[Domain]) -> Option<Override> {
    let of_trusted = sets.iter().take_while(|set| trusted.contains(&set.sealer));
    let set = of_trusted.into_iter().find(|set| set.author.as_ref() == Some(author))?;
    Some(Override { reason: OverrideReason::Arc, sealer: set.sealer.clone() })
}

/// The domain in `From` for which `ARC-Authentication-Results` tells of a pass of DMARC. Sealers repeat what a client wrote, so
/// that a field with two such results, however the second one is hidden, tells of none.
fn passed(value: &[u8]) -> Option<Domain> {
    let text = Some(value).filter(|value| value.len() <= MAX_READ && is_as_sealed(value)).map(unfolded)?;
    let text = without_history(&text.to_ascii_lowercase());
    let words: Vec<&str> = text.split('=').map(str::trim_end).collect();
    let tight = words.join("=");
    if count(&tight, "dmarc=") != 1 || count(&tight, "header.from=") != 1 {
        return None;
    }
    let text = bare(&text)?;
    let mut results =
        text.split(';').filter_map(|result| result.split_once('=')).filter(|(method, _)| method.trim() == "dmarc");
    let ((_, result), None) = (results.next()?, results.next()) else { return None };
    let mut words = result.split_whitespace();
    let is_pass = words.next() == Some("pass");
    let author = words.find_map(|word| word.strip_prefix("header.from="));
    author.filter(|_| is_pass).and_then(Domain::parse)
}

/// Whether a field has no other white space than folds, blanks and tabs: `mail-auth` seals the others away, so that anybody may
/// put them between what a sealer wrote as one word.
fn is_as_sealed(value: &[u8]) -> bool {
    let text = String::from_utf8_lossy(value).replace("\r\n", " ");
    !text.contains(|c: char| c.is_control() && c != '\t')
}

/// A field without what it tells of the chain below, which has a result of DMARC in it: `arc=pass (i=1 … dmarc=pass
/// fromdomain=…)` by Google, `arc=pass (0 … dmarc=[1,1,header.from=…])` by Microsoft. A result of the sealer's own begins with a
/// semicolon, so that none can be left out with it.
fn without_history(text: &str) -> String {
    let cut =
        |result: &str| history(result).map_or_else(|| result.to_owned(), |(before, behind)| [before, behind].concat());
    text.split(';').map(cut).collect::<Vec<_>>().join(";")
}

/// What stands around the comment of a result of ARC.
fn history(result: &str) -> Option<(&str, &str)> {
    let (before, rest) = result.split_once('(')?;
    let (comment, behind) = rest.split_once(')')?;
    let word = before.trim().strip_prefix("arc=")?;
    let is_plain = !comment.contains(['(', '"', '\\']) && word.bytes().all(|b| b.is_ascii_lowercase());
    is_plain.then_some((before, behind))
}

/// How often a word stands in a text, other than as the end of another one (`policy.dmarc=`).
fn count(text: &str, word: &str) -> usize {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    text.match_indices(word).filter(|(at, _)| !text.get(..*at).is_some_and(|before| before.ends_with(is_part))).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_is_read_as_sealers_write_it() {
        for (value, author) in [
            // Google, Microsoft, Cloudflare, OpenARC.
            (
                "i=1; mx.google.com;\r\n       dkim=pass header.i=@alpha.example header.s=s header.b=AbCd;\r\n       spf=pass (google.com: \
                 domain of a@alpha.example designates 192.0.2.10 as permitted sender) smtp.mailfrom=a@alpha.example;\r\n       \
                 dmarc=pass (p=REJECT sp=REJECT dis=NONE) header.from=alpha.example",
                true,
            ),
            (
                "i=1; mx.microsoft.com 1; spf=pass smtp.mailfrom=alpha.example; dmarc=pass action=none header.from=alpha.example; \
                 dkim=pass header.d=alpha.example; arc=none",
                true,
            ),
            (
                "i=1; mx.cloudflare.net; dkim=pass header.d=alpha.example header.s=s header.b=Ab; dmarc=pass \
                 header.from=alpha.example policy.dmarc=reject; spf=none smtp.helo=m.alpha.example; arc=none smtp.remote-ip=192.0.2.10",
                true,
            ),
            // What they write of a mail that came with a chain.
            (
                "i=2; mx.google.com;\r\n       arc=pass (i=1 spf=pass spfdomain=alpha.example dkim=pass dkdomain=alpha.example dmarc=pass \
                 fromdomain=alpha.example);\r\n       spf=pass (google.com: domain of a@alpha.example designates 192.0.2.10 as \
                 permitted sender) smtp.mailfrom=a@alpha.example;\r\n       dmarc=pass (p=REJECT sp=REJECT dis=NONE) \
                 header.from=alpha.example",
                true,
            ),
            (
                "i=2; mx.microsoft.com 1; spf=pass (sender ip is\r\n 192.0.2.10) smtp.rcpttodomain=b.example \
                 smtp.mailfrom=alpha.example; dmarc=pass\r\n (p=reject sp=none pct=100) action=none header.from=alpha.example; \
                 dkim=pass\r\n (signature was verified) header.d=alpha.example; arc=pass (0 oda=1 ltdi=1\r\n \
                 spf=[1,1,smtp.mailfrom=alpha.example] dkim=[1,1,header.d=alpha.example]\r\n \
                 dmarc=[1,1,header.from=alpha.example])",
                true,
            ),
            // A pass of the chain below is none of theirs.
            (
                "i=2; mx.google.com; arc=pass (i=1 spf=pass spfdomain=b.example dmarc=pass fromdomain=alpha.example); spf=none \
                 (x) smtp.mailfrom=b.example",
                false,
            ),
            (
                "i=2; mx.microsoft.com 1; dmarc=fail (p=reject) action=oreject header.from=alpha.example; arc=pass (0 oda=1 \
                 ltdi=1 dmarc=[1,1,header.from=alpha.example])",
                false,
            ),
            ("i=2; mx.google.com; arc=pass (i=1); dmarc=pass header.from=alpha.example; arc=pass (;dmarc=fail)", false),
            ("i=2; mx.google.com; dmarc=pass header.from=alpha.example; arc=pass (x \\); dmarc=fail)", false),
            ("i=2; mx.google.com; dmarc=pass header.from=alpha.example; arc=pass (x (dmarc=fail))", false),
            ("i=2; mx.google.com; dmarc=pass header.from=alpha.example; x arc=pass (dmarc=fail)", false),
            // What does not count as a part of the field.
            ("i=1; list.example; dmarc=pass header.from=alpha.example\x0c.b.example", false),
            ("i=1; list.example; dmarc=pass header.from=alpha.example \r.b.example", false),
            ("i=1; list.example; dmarc=pass header.from=alpha.example\x0b", false),
            ("i=1; list.example; dmarc=pass\r\n\theader.from=alpha.example\r\n", true),
            ("i=2; list.example; DMARC = pass (p=none) header.from=Alpha.Example", true),
            ("i=1; list.example; dmarc=fail header.from=alpha.example", false),
            ("i=1; list.example; dmarc=bestguesspass header.from=alpha.example", false),
            ("i=1; list.example; dmarc=passed header.from=alpha.example", false),
            ("i=1; list.example; dmarc=pass", false),
            ("i=1; list.example; dmarc=none; spf=pass header.from=alpha.example", false),
            ("i=1; list.example; spf=pass smtp.mailfrom=alpha.example", false),
            // What a client wrote.
            (
                "i=1; list.example; spf=none smtp.mailfrom=\"x; dmarc=pass header.from=alpha.example; y\"@b.example",
                false,
            ),
            ("i=1; list.example; spf=none (of x; dmarc=pass header.from=alpha.example;)", false),
            (
                "i=1; list.example; spf=none (of x); dmarc=pass header.from=alpha.example; dmarc=fail header.from=alpha.example",
                false,
            ),
            ("i=1; list.example; spf=none (of x); dmarc=pass header.from=alpha.example; y=(; dmarc=fail)", false),
            ("i=1; list.example; dmarc=pass header.from=alpha.example; y=\"dmarc = fail\"", false),
            ("i=1; list.example; dmarc=pass header.from=alpha.example; dmarc (really)=fail", false),
            ("i=1; list.example; dmarc=pass header.from=alpha.example header.from=b.example", false),
            ("i=1; list.example; dmarc=pass header.from=\"alpha.example\"", false),
            ("i=1; list.example; dmarc=pass header.from=alpha.example (", false),
            ("", false),
        ] {
            let expected = author.then_some("alpha.example");
            assert_eq!(passed(value.as_bytes()).as_ref().map(Domain::expose), expected, "{value}");
        }
        let long = format!("i=1; list.example; dmarc=pass header.from=alpha.example; {}", "x".repeat(MAX_READ));
        assert_eq!(passed(long.as_bytes()), None);
    }

    #[test]
    fn only_an_unbroken_run_of_trusted_sealers_vouches() {
        let name = |text: &str| Domain::parse(text).unwrap();
        let set = |sealer: &str, author: Option<&str>| Set { sealer: name(sealer), author: author.map(name) };
        let trusted = [name("list.example"), name("relay.example")];
        let (alpha, list, relay) = (Some("alpha.example"), "list.example", "relay.example");
        for (sets, sealer) in [
            (vec![set(list, alpha)], Some(list)),
            (vec![set(relay, None), set(list, alpha)], Some(list)),
            (vec![set(relay, Some("beta.example")), set(list, alpha)], Some(list)),
            (vec![set(list, alpha), set("evil.example", None)], Some(list)),
            (vec![set("evil.example", alpha)], None),
            (vec![set(list, None), set("evil.example", alpha)], None),
            (vec![set("evil.example", None), set(list, alpha)], None),
            (vec![set(list, None), set("evil.example", None), set(relay, alpha)], None),
            (vec![set("sub.list.example", alpha)], None),
            (vec![set(list, Some("sub.alpha.example"))], None),
            (vec![], None),
        ] {
            let vouching = vouching(&name("alpha.example"), &sets, &trusted);
            assert_eq!(vouching.as_ref().map(|one| one.sealer.expose()), sealer, "{sets:?}");
        }
        assert_eq!(vouching(&name("alpha.example"), &[set(list, alpha)], &[]), None);
    }
}
