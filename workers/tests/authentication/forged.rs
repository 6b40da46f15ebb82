//! x
pub(crate) async fn no_aligned_pass() {}
pub(crate) async fn renamed() {}
