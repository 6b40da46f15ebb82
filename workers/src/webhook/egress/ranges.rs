//! The address ranges that are not the public Internet.
//!
//! From the IANA special-purpose registries (RFC 6890 and its updates). IPv6 is public only within 2000::/3, the one
//! block that is given out, so that what nobody has defined yet is denied. An address that carries an IPv4 address is
//! what the IPv4 address is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// A range that is not public; its name is fit for a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Range {
    /// "This network": 0.0.0.0/8 (RFC 791 §3.2), `::` (RFC 4291).
    Unspecified,
    /// 127.0.0.0/8 (RFC 1122), `::1`.
    Loopback,
    /// RFC 1918.
    Private,
    /// IPv6's private networks, fc00::/7 (RFC 4193): cloud metadata such as fd00:ec2::254 among them.
    UniqueLocal,
    /// Between a provider and its customers: 100.64.0.0/10 (RFC 6598).
    SharedAddress,
    /// 169.254.0.0/16 (RFC 3927), fe80::/10.
    LinkLocal,
    /// fec0::/10, deprecated (RFC 3879).
    SiteLocal,
    /// Where a cloud hands out credentials, inside a range of another kind or none.
    Metadata,
    /// For examples: RFC 5737, 3849, 9637.
    Documentation,
    /// For benchmarks: RFC 2544, 5180.
    Benchmarking,
    /// 224.0.0.0/4, ff00::/8.
    Multicast,
    /// 255.255.255.255.
    Broadcast,
    /// Protocol assignments and transition mechanisms (192.0.0.0/24, 192.88.99.0/24, 2001::/23 with Teredo, the local
    /// NAT64 prefix of RFC 8215).
    Protocol,
    /// Reserved, discarded, deprecated or not given out.
    Reserved,
}

impl Range {
    /// The range's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::UniqueLocal => "unique_local",
            Self::SharedAddress => "shared_address",
            Self::LinkLocal => "link_local",
            Self::SiteLocal => "site_local",
            Self::Metadata => "metadata",
            Self::Documentation => "documentation",
            Self::Benchmarking => "benchmarking",
            Self::Multicast => "multicast",
            Self::Broadcast => "broadcast",
            Self::Protocol => "protocol",
            Self::Reserved => "reserved",
        }
    }
}

/// The first match counts.
const IPV4: [(Ipv4Net, Range); 20] = [
    (v4([0, 0, 0, 0], 8), Range::Unspecified),
    (v4([10, 0, 0, 0], 8), Range::Private),
    // Alibaba Cloud's metadata.
    (v4([100, 100, 100, 200], 32), Range::Metadata),
    (v4([100, 64, 0, 0], 10), Range::SharedAddress),
    (v4([127, 0, 0, 0], 8), Range::Loopback),
    // Metadata of AWS, Google, Azure and most others; the ECS tasks' is 169.254.170.2.
    (v4([169, 254, 169, 254], 32), Range::Metadata),
    (v4([169, 254, 170, 2], 32), Range::Metadata),
    (v4([169, 254, 0, 0], 16), Range::LinkLocal),
    // Azure's host agent, an address that looks public.
    (v4([168, 63, 129, 16], 32), Range::Metadata),
    (v4([172, 16, 0, 0], 12), Range::Private),
    (v4([192, 0, 0, 0], 24), Range::Protocol),
    (v4([192, 0, 2, 0], 24), Range::Documentation),
    (v4([192, 88, 99, 0], 24), Range::Protocol),
    (v4([192, 168, 0, 0], 16), Range::Private),
    (v4([198, 18, 0, 0], 15), Range::Benchmarking),
    (v4([198, 51, 100, 0], 24), Range::Documentation),
    (v4([203, 0, 113, 0], 24), Range::Documentation),
    (v4([224, 0, 0, 0], 4), Range::Multicast),
    (v4([255, 255, 255, 255], 32), Range::Broadcast),
    (v4([240, 0, 0, 0], 4), Range::Reserved),
];

/// The first match counts; what matches none and is outside [`GIVEN_OUT`] is reserved.
const IPV6: [(Ipv6Net, Range); 11] = [
    (v6([0, 0, 0, 0, 0, 0, 0, 0], 128), Range::Unspecified),
    (v6([0, 0, 0, 0, 0, 0, 0, 1], 128), Range::Loopback),
    (v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48), Range::Protocol),
    (v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7), Range::UniqueLocal),
    (v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), Range::LinkLocal),
    (v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10), Range::SiteLocal),
    (v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), Range::Multicast),
    (v6([0x2001, 2, 0, 0, 0, 0, 0, 0], 48), Range::Benchmarking),
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), Range::Protocol),
    (v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), Range::Documentation),
    (v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), Range::Documentation),
];

/// The block that IANA gives out.
const GIVEN_OUT: Ipv6Net = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

const fn v4(octets: [u8; 4], prefix: u8) -> Ipv4Net {
    let [a, b, c, d] = octets;
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(segments: [u16; 8], prefix: u8) -> Ipv6Net {
    let [a, b, c, d, e, f, g, h] = segments;
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), prefix)
}

/// The special range that an address lies in, or `None` for a public address.
pub fn special_range(ip: IpAddr) -> Option<Range> {
    match (carried_ipv4(ip), ip) {
        (Some(v4), _) | (None, IpAddr::V4(v4)) => {
            IPV4.iter().find(|(net, _)| net.contains(&v4)).map(|(_, range)| *range)
        }
        (None, IpAddr::V6(v6)) => special_ipv6(v6),
    }
}

fn special_ipv6(ip: Ipv6Addr) -> Option<Range> {
    let listed = IPV6.iter().find(|(net, _)| net.contains(&ip)).map(|(_, range)| *range);
    listed.or_else(|| (!GIVEN_OUT.contains(&ip)).then_some(Range::Reserved))
}

/// The IPv4 address that an IPv6 address stands for: mapped (`::ffff:a.b.c.d`, RFC 4291 §2.5.5.2), 6to4 (2002::/16,
/// RFC 3056) or NAT64's well-known prefix (64:ff9b::/96, RFC 6052).
///
/// The deprecated compatible form (`::a.b.c.d`) and the translated one (`::ffff:0:a.b.c.d`) stand for nothing that could
/// be reached: they are reserved whatever they carry. A network's own NAT64 prefix cannot be told from other addresses.
pub(super) fn carried_ipv4(ip: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(ip) = ip else { return None };
    let (high, low) = match ip.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            (high, low)
        }
        _ => return None,
    };
    Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
}
