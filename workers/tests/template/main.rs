//! Holds the CloudFormation templates to the pipeline's table and the code, and proves least privilege.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test says what it expects by unwrapping")]

mod cfn;
mod pipeline;
mod policy;
mod privileges;
mod resources;
