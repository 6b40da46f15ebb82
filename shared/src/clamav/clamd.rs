//! A clamd over a Unix socket or TCP.
