//! How much one mail may ask of DNS: counted where `mail-auth` looks into its cache, which is before every lookup.
//!
//! Invariant: past the allowance nothing is asked any more, and whoever used it up gets no result from what it was
//! answered instead.

use std::{
    borrow::Borrow,
    collections::HashMap,
    hash::Hash,
    net::IpAddr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Instant,
};

use mail_auth::{
    DnsCache, DnsError, DnssecStatus, Error, Negative, RecordSet, ResolverCache, TxtRecord,
    hickory_resolver::proto::op::ResponseCode,
};

/// Texts by the name at which they stand, with a dot at its end.
pub(super) type Texts = HashMap<Box<str>, TxtRecord>;

/// What is left of it.
#[derive(Default)]
pub(super) struct Allowance {
    left: AtomicUsize,
    exceeded: AtomicBool,
    replaced: Texts,
    names: ClientNames,
    answered: Mutex<Vec<(Box<str>, TxtRecord)>>,
}

impl Allowance {
    /// So many lookups.
    pub(super) fn new(lookups: usize) -> Self {
        Self { left: AtomicUsize::new(lookups), ..Self::default() }
    }

    /// Texts that count in place of those in DNS.
    pub(super) fn replacing(self, replaced: Texts) -> Self {
        Self { replaced, ..self }
    }

    /// The client's names that count in place of those in DNS, without a dot at their ends.
    pub(super) fn naming(self, names: Vec<Box<str>>) -> Self {
        let records = RecordSet { records: names.into(), dnssec_status: DnssecStatus::Indeterminate };
        Self { names: ClientNames(Some(records)), ..self }
    }

    /// Whether more was asked for than there is.
    pub(super) fn is_exceeded(&self) -> bool {
        self.exceeded.load(Ordering::Relaxed)
    }

    /// The names at which DNS was asked for texts and answered, and what was read there.
    pub(super) fn answered(&self) -> Vec<(Box<str>, TxtRecord)> {
        self.answered.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// `None` lets the lookup happen; the resolver behind it remembers answers.
    fn take<V>(&self, refusal: V) -> Option<V> {
        let took = self.left.try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if took.is_ok() {
            return None;
        }
        self.exceeded.store(true, Ordering::Relaxed);
        Some(refusal)
    }
}

impl ResolverCache<Box<str>, TxtRecord> for Allowance {
    fn get<Q>(&self, name: &Q) -> Option<TxtRecord>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let refusal = || TxtRecord::Error(Error::Dns(DnsError::Resolver(String::new())));
        self.replaced.get(name).cloned().or_else(|| self.take(refusal()))
    }

    fn remove<Q>(&self, _: &Q) -> Option<TxtRecord>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        None
    }

    fn insert(&self, name: Box<str>, record: TxtRecord, _: Instant) {
        self.answered.lock().unwrap_or_else(PoisonError::into_inner).push((name, record));
    }
}

impl<K, T> ResolverCache<K, Result<RecordSet<T>, Negative>> for Allowance {
    fn get<Q>(&self, _: &Q) -> Option<Result<RecordSet<T>, Negative>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.take(Err(Negative { code: ResponseCode::ServFail }))
    }

    fn remove<Q>(&self, _: &Q) -> Option<Result<RecordSet<T>, Negative>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        None
    }

    fn insert(&self, _: K, _: Result<RecordSet<T>, Negative>, _: Instant) {}
}

/// The names of the one client. They cost nothing: the resolver remembers them.
#[derive(Default)]
pub(super) struct ClientNames(Option<RecordSet<Box<str>>>);

impl ResolverCache<IpAddr, Result<RecordSet<Box<str>>, Negative>> for ClientNames {
    fn get<Q>(&self, _: &Q) -> Option<Result<RecordSet<Box<str>>, Negative>>
    where
        IpAddr: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.0.clone().map(Ok)
    }

    fn remove<Q>(&self, _: &Q) -> Option<Result<RecordSet<Box<str>>, Negative>>
    where
        IpAddr: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        None
    }

    fn insert(&self, _: IpAddr, _: Result<RecordSet<Box<str>>, Negative>, _: Instant) {}
}

impl DnsCache for Allowance {
    type Txt = Self;
    type Mx = Self;
    type Ipv4 = Self;
    type Ipv6 = Self;
    type Ptr = ClientNames;

    fn txt(&self) -> Option<&Self> {
        Some(self)
    }

    fn mx(&self) -> Option<&Self> {
        Some(self)
    }

    fn ipv4(&self) -> Option<&Self> {
        Some(self)
    }

    fn ipv6(&self) -> Option<&Self> {
        Some(self)
    }

    fn ptr(&self) -> Option<&ClientNames> {
        Some(&self.names)
    }
}
