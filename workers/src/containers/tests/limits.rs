//! Bombs: each ends at the limit it is made for.

use super::forge::{Member, forged, gzip, nested, tar, zip};
use super::{assert_clean, codes, walked};
use crate::containers::{Code, Kind, WalkLimits, walk};

#[test]
fn depth_is_bounded() {
    assert_clean(&nested(b"text", 12), "12 zips");
    for depth in [13, 18, 40] {
        assert_eq!(codes(&nested(b"text", depth)), [Code::TooDeep], "{depth}");
    }
    let found = walked(&nested(b"text", 18));
    assert_eq!(found.obstacles[0].member.expose().matches("inner.zip").count(), 12);
    let mixed =
        (0..18).fold(b"text".to_vec(), |inner, i| if i % 2 == 0 { gzip(&inner) } else { tar(&[("t", &inner)]) });
    assert_eq!(codes(&mixed), [Code::TooDeep]);
}

#[test]
fn members_are_bounded() {
    let names: Vec<String> = (0..12_000).map(|i| format!("{i}.txt")).collect();
    let members: Vec<(&str, &[u8])> = names.iter().map(|name| (&**name, &b"x"[..])).collect();
    assert_eq!(codes(&zip(&members)), [Code::TooManyMembers]);
    assert_eq!(codes(&gzip(&tar(&members))), [Code::TooManyMembers]);
    assert_clean(&zip(&members[..7_000]), "7,000 members");
    // Also where they are spread over several archives.
    let part = zip(&members[..3_000]);
    assert_eq!(codes(&zip(&[("a.zip", &part), ("b.zip", &part), ("c.zip", &part)])), [Code::TooManyMembers]);
}

#[test]
fn bytes_and_ratio_are_bounded() {
    let zeros = |len: usize| zip(&[("zeros", &vec![0; len])]);
    assert_eq!(codes(&zeros(200_000_000)), [Code::MemberTooLarge]);
    assert_eq!(codes(&zeros(80_000_000)), [Code::RatioExceeded]);
    assert_eq!(codes(&gzip(&vec![0; 200_000_000])), [Code::MemberTooLarge]);
    assert_eq!(codes(&zip(&[("z.gz", &gzip(&vec![0; 50_000_000]))])), [Code::RatioExceeded]);
    assert_clean(&zeros(10_000_000), "a small member of zeros");
    let limits = WalkLimits { ratio: 1_000_000, ..WalkLimits::default() };
    let five = Member::deflated("", &vec![0; 90_000_000]);
    let members: Vec<Member> = (0..5).map(|i| Member { name: vec![b'a' + i], ..five.clone() }).collect();
    let found = walk(&forged(&members, &members), None, "", &limits);
    assert_eq!(found.obstacles[0].code, Code::TooLarge);
    assert!(found.expanded <= limits.expanded + limits.member, "no more is made than is allowed");
}

#[test]
fn what_is_held_at_once_is_bounded() {
    let limits = WalkLimits { held: 5_000_000, ratio: 1_000, ..WalkLimits::default() };
    let inner = Member::deflated("text", &vec![0; 3_000_000]);
    // The middle one is compressed, and stays large: both are held while the inner one is looked at.
    let noise: Vec<u8> = (0..3_000_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0]).collect();
    let middle = forged(&[Member::stored("noise", &noise), inner.clone()], &[Member::stored("noise", &noise), inner]);
    let outer = forged(&[Member::deflated("m", &middle)], &[Member::deflated("m", &middle)]);
    assert_eq!(walk(&outer, None, "", &limits).obstacles[0].code, Code::TooLarge);
    assert_clean(&outer, "within the default");
}

#[test]
fn a_length_that_lies_makes_no_more_than_it_says() {
    let mut member = Member::deflated("a", &vec![0; 50_000_000]);
    member.len = 100;
    let found = walked(&forged(&[member.clone()], &[member]));
    assert_eq!((found.obstacles[0].code, found.expanded), (Code::Contradictory, 100));
}

#[test]
fn a_stream_that_unpacks_to_itself_ends_at_the_depth() {
    // What a quine asks of a walk: the same bytes again at every level. Here every level is as it would be.
    let found = walked(&nested(&zip(&[("q.zip", b"PK\x05\x06")]), 30));
    assert_eq!((found.obstacles[0].code, found.obstacles[0].kind), (Code::TooDeep, Kind::Zip));
    assert!(found.members <= 13);
}
