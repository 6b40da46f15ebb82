//! The embedded state: one SQLite file.
