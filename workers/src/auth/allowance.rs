//! How much one mail may ask of DNS: counted where `mail-auth` looks into its cache, which is before every lookup.
//!
//! Invariant: past the allowance nothing is asked any more, and whoever used it up gets no result from what it was
//! answered instead.

use std::{
    borrow::Borrow,
    hash::Hash,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    time::Instant,
};

use mail_auth::{
    DnsCache, DnsError, Error, Negative, RecordSet, ResolverCache, TxtRecord, hickory_resolver::proto::op::ResponseCode,
};

/// Lookups for the policies of one mail. SPF alone may ask for ten records and ten mail servers of each (RFC 7208
/// §4.6.4); honest policies stay far below.
const LOOKUPS: u32 = 60;

/// What is left of it.
#[derive(Debug)]
pub(super) struct Allowance {
    left: AtomicU32,
    exceeded: AtomicBool,
}

impl Allowance {
    pub(super) fn new() -> Self {
        Self { left: AtomicU32::new(LOOKUPS), exceeded: AtomicBool::new(false) }
    }

    /// Whether more was asked for than there is.
    pub(super) fn is_exceeded(&self) -> bool {
        self.exceeded.load(Ordering::Relaxed)
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

impl<K> ResolverCache<K, TxtRecord> for Allowance {
    fn get<Q>(&self, _: &Q) -> Option<TxtRecord>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.take(TxtRecord::Error(Error::Dns(DnsError::Resolver(String::new()))))
    }

    fn remove<Q>(&self, _: &Q) -> Option<TxtRecord>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        None
    }

    fn insert(&self, _: K, _: TxtRecord, _: Instant) {}
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

impl DnsCache for Allowance {
    type Txt = Self;
    type Mx = Self;
    type Ipv4 = Self;
    type Ipv6 = Self;
    type Ptr = Self;

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

    fn ptr(&self) -> Option<&Self> {
        Some(self)
    }
}
