//! What every limiter must do.
