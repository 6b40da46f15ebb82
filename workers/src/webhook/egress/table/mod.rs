//! The judgement, by table.

mod addresses;
mod hosts;

use std::{collections::HashSet, net::IpAddr};

use addresses::{DENIED, PUBLIC};
use hosts::{DISGUISED, NO_URL};
use url::Url;

use super::{EgressPolicy, Range, UrlError, special_range};

#[test]
fn every_special_address_is_denied_for_its_range() {
    for (range, addresses) in DENIED {
        for address in *addresses {
            let ip: IpAddr = address.parse().unwrap();
            assert_eq!(special_range(ip), Some(*range), "{address}");
            assert_eq!(EgressPolicy::default().check(ip), Err(*range), "{address}");
        }
    }
}

#[test]
fn no_public_address_is_denied() {
    for address in PUBLIC {
        assert_eq!(special_range(address.parse().unwrap()), None, "{address}");
    }
}

#[test]
fn a_disguised_address_is_judged_as_the_address_it_is() {
    for (range, hosts) in DISGUISED {
        for host in *hosts {
            for text in [format!("https://{host}/hook"), format!("https://{host}:8443"), format!("https:\\\\{host}\\")]
            {
                let url = Url::parse(&text).unwrap_or_else(|e| panic!("{text}: {e}"));
                assert_eq!(EgressPolicy::default().check_url(&url), Err(UrlError::Denied(*range)), "{text}");
                // What the client connects to is what was judged: the URL's host is the plain address by now.
                let connected = url.host_str().unwrap().trim_matches(['[', ']']).parse().unwrap();
                assert_eq!(special_range(connected), Some(*range), "{text}");
            }
        }
    }
}

#[test]
fn what_is_no_url_is_refused_by_the_parser() {
    for text in NO_URL {
        assert!(Url::parse(text).is_err(), "{text}");
    }
}

#[test]
fn urls_need_https_and_carry_no_credentials() {
    let check = |text: &str, allow_http| {
        EgressPolicy { allow_http, ..EgressPolicy::default() }.check_url(&Url::parse(text).unwrap())
    };
    for good in
        ["https://example.com/a?b#c", "https://example.com:8443", "https://localhost.example.com", "https://8.8.8.8"]
    {
        assert_eq!(check(good, false), Ok(()), "{good}");
    }
    assert_eq!(check("http://example.com/", false), Err(UrlError::Scheme));
    assert_eq!(check("http://example.com/", true), Ok(()));
    assert_eq!(check("http://127.0.0.1/", true), Err(UrlError::Denied(Range::Loopback)));
    let others = [
        "ftp://e.com",
        "file:///etc/passwd",
        "gopher://127.0.0.1:6379/_x",
        "data:,x",
        "unix:/s",
        "ws://e.com",
        "HTTPSX://e.com",
    ];
    for other in others {
        assert_eq!(check(other, true), Err(UrlError::Scheme), "{other}");
    }
    for credentials in ["https://u:p@e.com", "https://u@e.com", "https://:p@e.com", "https://8.8.8.8@127.0.0.1/"] {
        assert_eq!(check(credentials, false), Err(UrlError::Credentials), "{credentials}");
    }
    assert_eq!(check("https://8.8.8.8/#@127.0.0.1", false), Ok(()));
    assert_eq!(check("https://127.0.0.1/#@8.8.8.8", false), Err(UrlError::Denied(Range::Loopback)));
    assert_eq!(check("https://example.com:0/", false), Err(UrlError::Port));
}

#[test]
fn an_allowed_network_opens_itself_and_nothing_else() {
    let policy = |nets: &[&str]| EgressPolicy {
        allow_cidrs: nets.iter().map(|net| net.parse().unwrap()).collect(),
        allow_http: false,
    };
    let allowed = |nets: &[&str], ip: &str| policy(nets).check(ip.parse().unwrap()).is_ok();
    for ip in ["10.0.0.1", "::ffff:10.0.0.1", "64:ff9b::10.0.0.1", "8.8.8.8"] {
        assert!(allowed(&["10.0.0.0/24"], ip), "{ip}");
    }
    for ip in ["10.0.1.0", "127.0.0.1", "::10.0.0.1", "::1", "169.254.169.254", "fd00::1"] {
        assert!(!allowed(&["10.0.0.0/24"], ip), "{ip}");
    }
    assert!(allowed(&["::1/128", "fd00:1::/32"], "::1") && allowed(&["::1/128", "fd00:1::/32"], "fd00:1::9"));
    assert!(!allowed(&["::1/128", "fd00:1::/32"], "127.0.0.1") && !allowed(&["fd00:1::/32"], "fd00:2::9"));
    let url = Url::parse("https://0x7f.1:8443/").unwrap();
    assert_eq!(policy(&["127.0.0.1/32"]).check_url(&url), Ok(()));
    assert_eq!(policy(&["127.0.0.2/32"]).check_url(&url), Err(UrlError::Denied(Range::Loopback)));
}

#[test]
fn the_tables_are_large_and_without_repeats() {
    let listed =
        |table: &[(Range, &[&'static str])]| table.iter().flat_map(|(_, all)| all.to_vec()).collect::<Vec<_>>();
    let all: Vec<_> = [listed(DENIED), PUBLIC.to_vec(), listed(DISGUISED), NO_URL.to_vec()].concat();
    let distinct: HashSet<_> = all.iter().map(|entry| entry.to_owned()).collect();
    // A literal and its plain URL host may be written alike.
    assert!(distinct.len() >= 250, "{}", distinct.len());
    let ranges: HashSet<_> = DENIED.iter().map(|(range, _)| range.name()).collect();
    assert_eq!(ranges.len(), 14, "each range is in the table");
}

#[test]
fn errors_show_neither_the_url_nor_the_address() {
    for text in ["https://user-canary:p@x.com", "https://10.11.12.13/canary", "ftp://canary", "https://canary:0"] {
        let error = EgressPolicy::default().check_url(&Url::parse(text).unwrap()).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("canary") && !shown.contains("10.11"), "{shown}");
    }
}
