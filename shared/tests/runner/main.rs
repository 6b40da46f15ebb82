//! The runner on the real embedded queue, in real time: leases, deadlines, retries, dead letters, shutdown.

mod bench;
mod leases;
mod outcomes;
mod stopping;
