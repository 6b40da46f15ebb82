//! DNS messages, as far as the stub speaks them (RFC 1035 §4).

use super::{Record, canonical};

/// The longest datagram that every resolver of today takes.
const MAX_DATAGRAM: usize = 1_232;

/// A question.
pub(super) struct Question<'a> {
    id: &'a [u8],
    section: &'a [u8],
    pub(super) name: String,
    pub(super) kind: u16,
}

/// What is said to it.
pub(super) enum Answer<'a> {
    Records(Vec<&'a Record>),
    NoSuchName,
    Failure,
}

/// The number of a record's type.
fn kind(record: &Record) -> u16 {
    match record {
        Record::A(_) => 1,
        Record::Cname(_) => 5,
        Record::Ptr(_) => 12,
        Record::Mx(..) => 15,
        Record::Txt(_) => 16,
        Record::Aaaa(_) => 28,
    }
}

impl<'a> Question<'a> {
    /// Reads the first question of a query.
    pub(super) fn read(query: &'a [u8]) -> Option<Self> {
        let (id, body) = (query.get(..2)?, query.get(12..)?);
        let (mut labels, mut at) = (Vec::new(), 0);
        loop {
            let len = usize::from(*body.get(at)?);
            at += 1;
            if len == 0 {
                break;
            }
            labels.push(String::from_utf8_lossy(body.get(at..at + len)?).into_owned());
            at += len;
        }
        let kind = u16::from_be_bytes(body.get(at..at + 2)?.try_into().ok()?);
        Some(Self { id, section: body.get(..at + 4)?, name: canonical(&labels.join(".")), kind })
    }

    /// Whether a record of its name answers it.
    pub(super) fn is_for(&self, record: &Record) -> bool {
        kind(record) == self.kind || matches!(record, Record::Cname(_))
    }

    /// The whole answer.
    pub(super) fn answer(&self, answer: &Answer<'_>, ttl: u32) -> Vec<u8> {
        let (code, records) = match answer {
            Answer::Records(records) => (0, records.as_slice()),
            Answer::NoSuchName => (3, [].as_slice()),
            Answer::Failure => (2, [].as_slice()),
        };
        let negative = records.is_empty() && code != 2;
        let mut out = self.id.to_vec();
        // An answer, recursion desired and available.
        out.extend([0x81, 0x80 | code, 0, 1]);
        out.extend(u16::try_from(records.len()).unwrap_or(u16::MAX).to_be_bytes());
        out.extend([0, u8::from(negative), 0, 0]);
        out.extend(self.section);
        for record in records {
            // The name is the question's.
            write(&mut out, &[0xc0, 12], kind(record), ttl, &data(record));
        }
        if negative {
            // The root's SOA: two empty names, then serial, refresh, retry, expire and the time to keep this.
            let soa = [vec![0, 0], [1, 60, 60, 60, ttl].iter().flat_map(|n: &u32| n.to_be_bytes()).collect()].concat();
            write(&mut out, &[0], 6, ttl, &soa);
        }
        out
    }
}

/// A datagram with an answer, or one that says to ask over TCP.
pub(super) fn fit_udp(mut answer: Vec<u8>) -> Vec<u8> {
    if answer.len() > MAX_DATAGRAM {
        let end = 12 + answer.get(12..).map_or(0, |rest| rest.iter().position(|b| *b == 0).unwrap_or(0)) + 5;
        answer.truncate(end);
        if let Some(counts) = answer.get_mut(6..12) {
            counts.fill(0);
        }
        if let Some(flags) = answer.get_mut(2) {
            *flags |= 0x02;
        }
    }
    answer
}

fn write(out: &mut Vec<u8>, name: &[u8], kind: u16, ttl: u32, data: &[u8]) {
    out.extend(name);
    out.extend(kind.to_be_bytes());
    out.extend([0, 1]);
    out.extend(ttl.to_be_bytes());
    out.extend(u16::try_from(data.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend(data);
}

fn data(record: &Record) -> Vec<u8> {
    let string = |bytes: &[u8]| [&[u8::try_from(bytes.len()).unwrap_or(u8::MAX)], bytes].concat();
    match record {
        Record::A(address) => address.octets().to_vec(),
        Record::Aaaa(address) => address.octets().to_vec(),
        Record::Txt(text) if text.is_empty() => vec![0],
        Record::Txt(text) => text.as_bytes().chunks(255).flat_map(string).collect(),
        Record::Mx(preference, host) => [preference.to_be_bytes().to_vec(), name(host)].concat(),
        Record::Ptr(host) | Record::Cname(host) => name(host),
    }
}

fn name(text: &str) -> Vec<u8> {
    let labels = text.trim_end_matches('.').split('.').filter(|label| !label.is_empty());
    let mut out: Vec<u8> =
        labels.flat_map(|label| [&[u8::try_from(label.len()).unwrap_or(63)], label.as_bytes()].concat()).collect();
    out.push(0);
    out
}
