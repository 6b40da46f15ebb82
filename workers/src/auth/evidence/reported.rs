//! What trusted servers report of their own checks: `Authentication-Results` (RFC 8601) and Amazon SES's run of
//! fields, with its own form of them.

use std::net::IpAddr;

use super::{Field, MAX_NAME, SES, bare, received, unfolded};
use crate::{
    announce::Status,
    auth::results::{DkimResult, DmarcResult, Reported, SpfResult},
};

/// The fields that SES writes directly beneath its `Received`; `RECEIPT` is always there.
const RUN: [&str; 5] = ["X-SES-Spam-Verdict", "X-SES-Virus-Verdict", "Received-SPF", "Authentication-Results", RECEIPT];
/// The last of them but one: of what stands beneath it the sender can have written everything but a signature of SES's.
const RECEIPT: &str = "X-SES-RECEIPT";

/// What SES's run says.
#[derive(Default)]
pub(super) struct Run {
    pub(super) reported: Option<Reported>,
    /// The client's name for itself.
    pub(super) helo: Option<String>,
}

/// Reads SES's run. It ends with the receipt and each field stands once in it, so that one which the sender adds beneath is
/// not reached, also where SES has left it out; a run without a receipt, or about another client than the one that
/// connected, is none of SES's.
pub(super) fn ses(above: &[Field<'_>], beneath: &[Field<'_>], client_ip: Option<IpAddr>) -> Run {
    let mut run: Vec<Field<'_>> = Vec::new();
    for field in above.iter().filter(|field| in_run(field)).chain(beneath.iter().take_while(|field| in_run(field))) {
        if run.iter().any(|earlier| earlier.is(field.name)) {
            break;
        }
        run.push(*field);
        if field.is(RECEIPT) {
            break;
        }
    }
    let find = |name: &str| run.iter().find(|field| field.is(name)).map(|field| unfolded(field.value));
    let Some(ip) = client_ip.filter(|_| find(RECEIPT).is_some()) else { return Run::default() };
    let results = find("Authentication-Results").filter(|text| authserv_id(text).is_some_and(|id| id == SES));
    let spf = find("Received-SPF");
    let told: Vec<String> = [&spf, &results].into_iter().flatten().filter_map(|text| bare(text)).collect();
    if told.iter().filter_map(|text| value(text, "client-ip")).any(|told| received::address(told) != Some(ip)) {
        return Run::default();
    }
    let helo = told.iter().find_map(|text| value(text, "helo")).filter(|helo| helo.len() <= MAX_NAME);
    let status = |name| find(name).map(|text| status(&text));
    let mut reported = results.map_or_else(|| Reported::by(SES), |text| read(SES, &text));
    (reported.spam, reported.virus) = (status("X-SES-Spam-Verdict"), status("X-SES-Virus-Verdict"));
    Run { helo: helo.map(str::to_owned), reported: Some(reported) }
}

/// Reads the first results under a configured name, above the server's own `Received`.
pub(super) fn by_configured(above: &[Field<'_>], ids: &[String]) -> Option<Reported> {
    above.iter().filter(|field| field.is("Authentication-Results")).find_map(|field| {
        let text = unfolded(field.value);
        let id = authserv_id(&text)?;
        let known = ids.iter().find(|known| known.eq_ignore_ascii_case(&id))?;
        Some(read(known, &text))
    })
}

/// The name at the start of `Authentication-Results` (RFC 8601 §2.2), in lower case: a token, or a quoted string. `None`
/// where it cannot be read.
pub(in crate::auth) fn authserv_id(text: &str) -> Option<String> {
    // Quotation marks and backslashes have no part in a name, so that a quoted one is the same without them.
    let text = bare(&text.replace(['"', '\\'], ""))?;
    let is_end = |c: char| !(c.is_alphanumeric() || matches!(c, '.' | '-' | '_'));
    let id = text.split(';').next()?.trim_start().split(is_end).next()?;
    (!id.is_empty()).then(|| id.to_lowercase())
}

fn in_run(field: &Field<'_>) -> bool {
    RUN.iter().any(|name| field.is(name))
}

/// The results in a field. SES's bare `client-ip=…; helo=…;` are no methods, and are passed over like any unknown one.
fn read(by: &str, text: &str) -> Reported {
    let mut reported = Reported::by(by);
    let Some(text) = bare(text) else { return reported };
    for result in text.split(';').skip(1) {
        let Some((method, rest)) = result.split_once('=') else { continue };
        let word = rest.split_whitespace().next().unwrap_or_default();
        match method.trim().to_ascii_lowercase().as_str() {
            "spf" if reported.spf.is_none() => reported.spf = SpfResult::of_word(word),
            "dkim" if reported.dkim != Some(DkimResult::Pass) => {
                reported.dkim = DkimResult::of_word(word).or(reported.dkim);
            }
            "dmarc" if reported.dmarc.is_none() => reported.dmarc = DmarcResult::of_word(word),
            _ => {}
        }
    }
    reported
}

/// The value of `key=value;` outside comments.
fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let words = text.split([';', ' ']).map(str::trim);
    words.filter_map(|word| word.split_once('=')).find(|(name, _)| *name == key).map(|(_, value)| value)
}

fn status(text: &str) -> Status {
    match text {
        "PASS" => Status::Pass,
        "FAIL" => Status::Fail,
        "GRAY" => Status::Gray,
        "PROCESSING_FAILED" => Status::ProcessingFailed,
        "DISABLED" => Status::Disabled,
        _ => Status::Unknown,
    }
}
