//! x
pub(crate) async fn spf() {}
pub(crate) async fn dkim_and_arc() {}
