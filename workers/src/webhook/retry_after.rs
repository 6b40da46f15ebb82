//! `Retry-After` (RFC 9110 §10.2.3): seconds, or a date in any of the three forms of §5.6.7.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use shared::clock;

/// The longest wait that a receiver can ask for: the longest of the default schedule.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// The wait that the receiver asks for, at most 24 h; `None` where it asks for none or it cannot be read.
///
/// A date counts from `sent`, when the attempt was made, so that the wait never ends before it.
pub(super) fn retry_after(headers: &HeaderMap, sent: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait =
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) { seconds(text) } else { date(text, sent)? };
    Some(wait.min(LONGEST))
}

/// A number too large to hold is longer than the longest wait in any case.
fn seconds(digits: &str) -> Duration {
    digits.parse().map_or(LONGEST, Duration::from_secs)
}

fn date(text: &str, sent: Timestamp) -> Option<Duration> {
    let at = Timestamp::try_from(httpdate::parse_http_date(text).ok()?).ok()?;
    Some(clock::until(sent, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_all_three_date_forms_are_read_and_capped() {
        let sent = "1994-11-06T08:49:07Z".parse().unwrap();
        let wait = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            retry_after(&headers, sent).map(|d| d.as_secs())
        };
        assert_eq!(wait("0"), Some(0));
        assert_eq!(wait(" 120 "), Some(120));
        assert_eq!(wait("86401"), Some(86_400));
        assert_eq!(wait("99999999999999999999999999"), Some(86_400));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:37 GMT"), Some(30));
        assert_eq!(wait("Sunday, 06-Nov-94 08:49:37 GMT"), Some(30));
        assert_eq!(wait("Sun Nov  6 08:49:37 1994"), Some(30));
        assert_eq!(wait("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0));
        assert_eq!(wait("Sat, 06 Nov 2094 08:49:37 GMT"), Some(86_400));
        for unreadable in ["", "soon", "-5", "1.5", "1e3", "+5", "Sun, 99 Nov 1994 08:49:37 GMT"] {
            assert_eq!(wait(unreadable), None, "{unreadable:?}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), sent), None);
    }
}
