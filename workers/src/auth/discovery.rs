//! Which policies of DMARC count among the texts that stand at a name (RFC 9989 §4.10), where `mail-auth` reads them otherwise:
//! it takes the first of several, and gives up on a record for a mistake in any of its tags.
//!
//! Invariant: a mistake in a tag that decides nothing takes no policy away, and two policies at one name are none at that
//! name, so that the next name up is asked.

use mail_auth::{
    DnsError, Error, MessageAuthenticator, TxtRecord, dmarc::DmarcRecord, dns::TxtRecordParser,
    hickory_resolver::proto::op::ResponseCode,
};

use super::{allowance::Texts, dns::texts};

/// What counts at those of these names where `mail-auth` reads something else.
pub(super) async fn corrected(dns: &MessageAuthenticator, answered: &[(Box<str>, TxtRecord)]) -> Texts {
    let mut corrected = Texts::new();
    for (name, _) in answered {
        let read = at_name(&texts(dns, name).await);
        corrected.extend(read.map(|record| (name.clone(), record)));
    }
    corrected
}

fn at_name(texts: &[Vec<u8>]) -> Option<TxtRecord> {
    let mut policies = texts.iter().filter(|text| is_policy(text));
    let policy = policies.next()?;
    if policies.next().is_some() {
        return Some(TxtRecord::Error(Error::Dns(DnsError::RecordNotFound(ResponseCode::NXDomain))));
    }
    match DmarcRecord::parse(policy) {
        // Beside others `mail-auth` may have read another one.
        Ok(record) => (texts.len() > 1).then(|| record.into()),
        Err(_) => Some(DmarcRecord::parse(&mended(policy)).into()),
    }
}

/// Whether a text is a policy: its first tag is the version, to the letter (RFC 9989 §4.7).
fn is_policy(text: &[u8]) -> bool {
    let mut version =
        text.split(|b| *b == b';').next().unwrap_or_default().splitn(2, |b| *b == b'=').map(<[u8]>::trim_ascii);
    version.next().is_some_and(|name| name.eq_ignore_ascii_case(b"v")) && version.next() == Some(b"DMARC1")
}

/// A policy without the tags that cannot be read, which count for nothing (RFC 9989 §4.7). Where that is what the domain
/// asks for, it asks for nothing if it wants reports, and else there is no policy.
fn mended(policy: &[u8]) -> Vec<u8> {
    let tags = || policy.split(|b| *b == b';').skip(1);
    let alone = |tag: &[u8]| [b"v=DMARC1;", tag].concat();
    let is_readable = |tag: &&[u8]| DmarcRecord::parse(&alone(tag)).is_ok();
    if tags().any(|tag| is_request(tag) && !is_readable(&tag)) {
        let reports = tags().filter(|tag| !is_request(tag)).filter(is_readable);
        let asking_nothing = [b"v=DMARC1;".to_vec(), reports.collect::<Vec<_>>().join(&b';')].concat();
        let is_reported = DmarcRecord::parse(&asking_nothing).is_ok_and(|record| !record.rua().is_empty());
        return if is_reported { asking_nothing } else { policy.to_vec() };
    }
    alone(&tags().filter(is_readable).collect::<Vec<_>>().join(&b';'))
}

/// Whether a tag is what a domain asks for: `p`, `sp` or `np`.
fn is_request(tag: &[u8]) -> bool {
    let name = tag.split(|b| *b == b'=').next().unwrap_or_default().trim_ascii();
    [b"p".as_slice(), b"sp", b"np"].iter().any(|known| name.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_takes_no_policy_away() {
        for (policy, mended_to) in [
            ("v=DMARC1; p=reject; adkim=relaxed", "v=DMARC1; p=reject"),
            (
                "v=DMARC1; p=reject; fo=2; aspf=s; rua=mailto:x@a.example",
                "v=DMARC1; p=reject; aspf=s; rua=mailto:x@a.example",
            ),
            ("v=DMARC1;p=reject;aspf=", "v=DMARC1;p=reject"),
            ("v=DMARC1; p=reject; sp=all; rua=mailto:x@a.example", "v=DMARC1; rua=mailto:x@a.example"),
            ("v=DMARC1; p=all; adkim=s; rua=mailto:x@a.example", "v=DMARC1; adkim=s; rua=mailto:x@a.example"),
            // Without a report there is nothing left of it.
            ("v=DMARC1; p=all; adkim=s", "v=DMARC1; p=all; adkim=s"),
            ("v=DMARC1; p=all; rua=x", "v=DMARC1; p=all; rua=x"),
        ] {
            assert_eq!(String::from_utf8(mended(policy.as_bytes())).unwrap(), mended_to);
        }
    }

    #[test]
    fn a_policy_is_told_from_another_text() {
        for (text, is) in [
            ("v=DMARC1", true),
            ("v=DMARC1;", true),
            (" v = DMARC1 ; p=none", true),
            ("V=DMARC1; p=none", true),
            ("v=dmarc1; p=none", false),
            ("v=DM ARC1; p=none", false),
            ("v=DMARC12; p=none", false),
            ("v=DMARC", false),
            ("p=none; v=DMARC1", false),
            ("", false),
        ] {
            assert_eq!(is_policy(text.as_bytes()), is, "{text}");
        }
    }
}
