//! The policy, every code by a mail that raises it and one that nearly does, and ordinary mail, which passes.

mod attachments;
mod codes;
mod evasion;
mod examples;
mod ordinary;
mod policy;
mod producers;
mod spoofs;
