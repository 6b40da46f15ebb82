//! The limiter in process memory.
