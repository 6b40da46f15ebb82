//! A DNS server with a few records of a test's own (RFC 1035), over UDP and TCP on 127.0.0.1.
//!
//! What it has no record for does not exist (NXDOMAIN, with an SOA record, RFC 2308). A name can be made to fail or to
//! stay without an answer, and so can the whole server. It ends with its owner.

mod wire;

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use wire::{Answer, Question};

/// How long the servers' threads wait before they look whether they should end.
const PAUSE: Duration = Duration::from_millis(20);

/// A record's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// An IPv4 address.
    A(Ipv4Addr),
    /// An IPv6 address.
    Aaaa(Ipv6Addr),
    /// A text, cut into strings of 255 bytes on the wire.
    Txt(String),
    /// A mail server with its preference.
    Mx(u16, String),
    /// A name.
    Ptr(String),
    /// Another name of this one, which is the answer to every question; what it leads to is to be asked for.
    Cname(String),
}

/// What becomes of every question about a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// `SERVFAIL`.
    Fails,
    /// Nothing comes.
    Silent,
}

#[derive(Debug, Default)]
struct Zone {
    records: BTreeMap<String, Vec<Record>>,
    faults: BTreeMap<String, Fault>,
    asked: Vec<String>,
    down: bool,
    ttl: u32,
}

/// The server.
#[derive(Debug)]
pub struct DnsStub {
    address: SocketAddr,
    zone: Arc<Mutex<Zone>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl DnsStub {
    /// Starts an empty server on a free port.
    ///
    /// # Errors
    /// When there is no port to be had.
    pub fn start() -> io::Result<Self> {
        let (udp, tcp) = bind()?;
        let address = udp.local_addr()?;
        udp.set_read_timeout(Some(PAUSE))?;
        tcp.set_nonblocking(true)?;
        let zone = Arc::new(Mutex::new(Zone { ttl: 300, ..Zone::default() }));
        let stop = Arc::new(AtomicBool::new(false));
        let datagrams = {
            let (zone, stop) = (Arc::clone(&zone), Arc::clone(&stop));
            thread::spawn(move || serve_udp(&udp, &zone, &stop))
        };
        let connections = {
            let (zone, stop) = (Arc::clone(&zone), Arc::clone(&stop));
            thread::spawn(move || serve_tcp(&tcp, &zone, &stop))
        };
        Ok(Self { address, zone, stop, threads: vec![datagrams, connections] })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Adds a record.
    pub fn add(&self, name: &str, record: Record) {
        self.zone().records.entry(canonical(name)).or_default().push(record);
    }

    /// Adds a text.
    pub fn txt(&self, name: &str, text: impl Into<String>) {
        self.add(name, Record::Txt(text.into()));
    }

    /// Adds an address.
    pub fn host(&self, name: &str, address: IpAddr) {
        self.add(
            name,
            match address {
                IpAddr::V4(address) => Record::A(address),
                IpAddr::V6(address) => Record::Aaaa(address),
            },
        );
    }

    /// Adds a name of an address (RFC 1035 §3.5, RFC 3596 §2.5).
    pub fn ptr(&self, address: IpAddr, name: &str) {
        self.add(&reverse(address), Record::Ptr(name.to_owned()));
    }

    /// Takes away everything about a name.
    pub fn remove(&self, name: &str) {
        let mut zone = self.zone();
        zone.records.remove(&canonical(name));
        zone.faults.remove(&canonical(name));
    }

    /// Lets every question about a name go wrong.
    pub fn fault(&self, name: &str, fault: Fault) {
        self.zone().faults.insert(canonical(name), fault);
    }

    /// Answers nothing at all, or answers again.
    pub fn set_down(&self, down: bool) {
        self.zone().down = down;
    }

    /// How long answers may be kept from now on, in seconds.
    pub fn set_ttl(&self, seconds: u32) {
        self.zone().ttl = seconds;
    }

    /// The names that were asked about, in order, those without an answer included.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        self.zone().asked.clone()
    }

    /// Forgets what was asked.
    pub fn forget(&self) {
        self.zone().asked.clear();
    }

    fn zone(&self) -> MutexGuard<'_, Zone> {
        self.zone.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for DnsStub {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A thread that panicked has ended as well.
            let _ = thread.join();
        }
    }
}

/// Where the names of an address stand.
#[must_use]
pub fn reverse(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(v6) => {
            let nibbles = v6.octets().into_iter().rev().flat_map(|b| [b & 15, b >> 4]);
            nibbles.map(|n| format!("{n:x}.")).collect::<String>() + "ip6.arpa"
        }
    }
}

/// The same free port for both.
fn bind() -> io::Result<(UdpSocket, TcpListener)> {
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..16 {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        match TcpListener::bind(udp.local_addr()?) {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn canonical(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

fn serve_udp(socket: &UdpSocket, zone: &Mutex<Zone>, stop: &AtomicBool) {
    let mut buffer = [0; 4096];
    while !stop.load(Ordering::Relaxed) {
        let Ok((len, from)) = socket.recv_from(&mut buffer) else { continue };
        let answer = buffer.get(..len).and_then(|query| respond(query, zone));
        if let Some(answer) = answer {
            // A client that is gone has no use for it.
            let _ = socket.send_to(&wire::fit_udp(answer), from);
        }
    }
}

fn serve_tcp(listener: &TcpListener, zone: &Mutex<Zone>, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        match listener.accept() {
            // A client that closes, or sends what is no query, is served no further.
            Ok((stream, _)) => drop(serve_connection(stream, zone)),
            Err(_) => thread::sleep(PAUSE),
        }
    }
}

/// One query a connection.
fn serve_connection(mut stream: TcpStream, zone: &Mutex<Zone>) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PAUSE * 50))?;
    let mut len = [0; 2];
    stream.read_exact(&mut len)?;
    let mut query = vec![0; usize::from(u16::from_be_bytes(len))];
    stream.read_exact(&mut query)?;
    if let Some(answer) = respond(&query, zone) {
        let len = u16::try_from(answer.len()).map_err(|_| io::ErrorKind::InvalidData)?;
        stream.write_all(&[len.to_be_bytes().as_slice(), &answer].concat())?;
    }
    Ok(())
}

fn respond(query: &[u8], zone: &Mutex<Zone>) -> Option<Vec<u8>> {
    let question = Question::read(query)?;
    let mut zone = zone.lock().unwrap_or_else(PoisonError::into_inner);
    zone.asked.push(question.name.clone());
    if zone.down {
        return None;
    }
    let answer = match zone.faults.get(&question.name) {
        Some(Fault::Silent) => return None,
        Some(Fault::Fails) => Answer::Failure,
        None => match zone.records.get(&question.name) {
            None => Answer::NoSuchName,
            Some(records) => Answer::Records(records.iter().filter(|r| question.is_for(r)).collect()),
        },
    };
    Some(question.answer(&answer, zone.ttl))
}
