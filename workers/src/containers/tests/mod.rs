//! What a walk says of ordinary, hostile and damaged containers.

mod beside;
mod documents;
mod forge;
mod limits;
mod mails;
mod members;
mod mutations;
mod ordinary;
mod quine;
mod zips;

use super::obstacle::{Class, Code};
use super::{WalkLimits, Walked, walk};

fn walked(content: &[u8]) -> Walked {
    walk(content, None, "", &WalkLimits::default())
}

fn codes(content: &[u8]) -> Vec<Code> {
    walked(content).obstacles.iter().map(|obstacle| obstacle.code).collect()
}

fn classes(content: &[u8]) -> Vec<Class> {
    walked(content).obstacles.iter().map(|obstacle| obstacle.code.class()).collect()
}

fn assert_clean(content: &[u8], what: &str) {
    let found = walked(content);
    assert!(found.obstacles.is_empty(), "{what}: {:?}", codes(content));
}
