//! The runner on the real embedded queue, in real time: leases, visibility, deadlines, retries, dead letters, shutdown.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test says what it expects by unwrapping")]

mod auto;
mod bench;
mod leases;
mod outcomes;
mod pollers;
mod settling;
mod stopping;
