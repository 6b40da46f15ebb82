//! The embedded store: a directory.
