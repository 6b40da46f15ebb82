//! What every queue must do.
