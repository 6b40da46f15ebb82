//! Name resolution that yields judged addresses only.

use std::{fmt, io, net::IpAddr, net::SocketAddr, sync::Arc};

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::EgressPolicy;

/// Finds the addresses of a name. Addresses only: a port could overrule the destination's own.
#[async_trait]
pub trait Lookup: Send + Sync {
    /// Every address of `host`.
    async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The operating system's resolver.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemLookup;

#[async_trait]
impl Lookup for SystemLookup {
    async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect())
    }
}

/// Why a name gave no address to connect to. Never shows the name or an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// It could not be resolved, or has no address.
    #[error("the host's name does not resolve")]
    Unresolved,
    /// It has addresses, and none of them is public or allowed.
    #[error("the host's name resolves to denied addresses only")]
    Denied,
}

/// Resolves a name, judges each address, and hands on those that pass.
#[derive(Clone)]
pub struct GuardedResolver {
    policy: EgressPolicy,
    lookup: Arc<dyn Lookup>,
}

impl GuardedResolver {
    /// A resolver for one destination.
    pub fn new(policy: EgressPolicy, lookup: Arc<dyn Lookup>) -> Self {
        Self { policy, lookup }
    }

    /// The addresses of `host` that may be connected to; never none.
    pub async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, ResolveError> {
        let mut found = self.lookup.lookup(host).await.map_err(|_| ResolveError::Unresolved)?;
        if found.is_empty() {
            return Err(ResolveError::Unresolved);
        }
        found.retain(|ip| self.policy.check(*ip).is_ok());
        if found.is_empty() { Err(ResolveError::Denied) } else { Ok(found) }
    }
}

impl fmt::Debug for GuardedResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedResolver").field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let this = self.clone();
        Box::pin(async move {
            let addresses = this.addresses(name.as_str()).await?;
            // Port 0 leaves the choice to the URL.
            Ok(Box::new(addresses.into_iter().map(|ip| SocketAddr::new(ip, 0))) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(&'static [&'static str]);

    #[async_trait]
    impl Lookup for Fixed {
        async fn lookup(&self, _host: &str) -> io::Result<Vec<IpAddr>> {
            Ok(self.0.iter().map(|ip| ip.parse().unwrap()).collect())
        }
    }

    async fn kept(found: &'static [&'static str], allowed: &[&str]) -> Result<Vec<String>, ResolveError> {
        let allow_cidrs = allowed.iter().map(|net| net.parse().unwrap()).collect();
        let policy = EgressPolicy { allow_cidrs, allow_http: false };
        let resolver = GuardedResolver::new(policy, Arc::new(Fixed(found)));
        Ok(resolver.addresses("example.com").await?.iter().map(ToString::to_string).collect())
    }

    #[tokio::test]
    async fn only_addresses_that_pass_are_handed_on() {
        let mixed = &["127.0.0.1", "1.1.1.1", "10.0.0.1", "2606:4700::1111", "::ffff:169.254.169.254"];
        assert_eq!(kept(mixed, &[]).await.unwrap(), ["1.1.1.1", "2606:4700::1111"]);
        assert_eq!(kept(mixed, &["10.0.0.0/8"]).await.unwrap(), ["1.1.1.1", "10.0.0.1", "2606:4700::1111"]);
    }

    #[tokio::test]
    async fn denied_and_unresolved_are_told_apart() {
        assert_eq!(kept(&["127.0.0.1", "::1", "fd00:ec2::254"], &[]).await, Err(ResolveError::Denied));
        assert_eq!(kept(&[], &[]).await, Err(ResolveError::Unresolved));
        let system = GuardedResolver::new(EgressPolicy::default(), Arc::new(SystemLookup));
        assert_eq!(system.addresses("localhost").await, Err(ResolveError::Denied));
    }
}
