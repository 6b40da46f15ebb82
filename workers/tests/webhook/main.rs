//! Webhooks over real sockets on the loopback: what arrives, what is refused, and where nothing is connected to.

#[cfg(test)]
mod answers;
#[cfg(test)]
mod egress;
#[cfg(test)]
mod http2;
#[cfg(test)]
mod proxy;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tls;
