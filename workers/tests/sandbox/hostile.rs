//! Hostile mails.

pub(crate) async fn generated() {}

pub(crate) async fn collected() {}
