//! The embedded queue: SQS semantics on one SQLite file, shared by several processes.
