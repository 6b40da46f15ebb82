//! The cases of listings: order, prefixes, pages.

use std::collections::BTreeSet;

use bytes::Bytes;
use futures::future::join_all;

use super::{
    super::{Blobs, MAX_KEY, MAX_SEGMENT},
    content, put,
};

/// The whole listing, in pages of `limit`.
pub async fn list_all(blobs: &dyn Blobs, prefix: &str, after: Option<&str>, limit: usize) -> Vec<String> {
    let (mut keys, mut after) = (Vec::new(), after.map(str::to_owned));
    loop {
        let page = blobs.list(prefix, after.as_deref(), limit).await.unwrap();
        assert!(page.keys.len() <= limit, "{} keys in a page of {limit}", page.keys.len());
        keys.extend(page.keys);
        match page.next {
            Some(next) => after = Some(next),
            None => return keys,
        }
    }
}

pub(super) async fn listing_order(blobs: &dyn Blobs, base: String) {
    let names =
        ["a", "a+b", "a-b", "a.b", "a/b", "a/b/c", "a/b-c", "a/b0", "a0", "a=", "A", "a_b", "a/b/c/d/e", "b/x", "aa"];
    let longest = "k/".repeat((MAX_KEY - base.len()) / 2 - 1) + "k";
    let segment = "s".repeat(MAX_SEGMENT);
    let keys: BTreeSet<String> =
        names.into_iter().chain([longest.as_str(), &segment]).map(|name| format!("{base}/{name}")).collect();
    for key in &keys {
        put(blobs, key, &key.clone().into()).await;
    }
    for key in &keys {
        assert_eq!(content(blobs, key).await.unwrap(), key, "every key has its own object");
    }
    let prefixes =
        ["", "a", "a/", "a/b", "a/b/", "a/b/c/d", "a-", "A", "zz", "a/b/c/d/e/f", "k/k/k", "sss", "a//", "../", "/"];
    for prefix in prefixes.map(|prefix| format!("{base}/{prefix}")) {
        let matching: Vec<&String> = keys.iter().filter(|key| key.starts_with(&prefix)).collect();
        for limit in [1, 2, 3, 1000] {
            assert_eq!(list_all(blobs, &prefix, None, limit).await.iter().collect::<Vec<_>>(), matching, "{prefix}");
        }
        // After every key that is there, and some that are not.
        for after in keys.iter().cloned().chain(["a/", "a/b/", "a,", "0", "zzz"].map(|a| format!("{base}/{a}"))) {
            let rest: Vec<&String> = matching.iter().filter(|key| ***key > after).copied().collect();
            let page = list_all(blobs, &prefix, Some(&after), 1000).await;
            assert_eq!(page.iter().collect::<Vec<_>>(), rest, "{prefix} after {after}");
        }
    }
    assert_eq!(list_all(blobs, &base, Some("0"), 7).await.len(), keys.len(), "an `after` before the prefix");
    assert_eq!(list_all(blobs, &base, Some("zzz"), 7).await.len(), 0, "an `after` behind the prefix");
}

pub(super) async fn listing_pages(blobs: &dyn Blobs, base: String) {
    let keys: Vec<String> = (0..30).map(|n| format!("{base}/{}/{n:02}", n / 10)).collect();
    join_all(keys.iter().map(async |key| put(blobs, key, &Bytes::new()).await)).await;
    assert_eq!(list_all(blobs, &base, None, 10).await, keys);
    // Keys deleted between pages vanish, and nothing else does.
    let page = blobs.list(&base, None, 5).await.unwrap();
    let next = page.next.clone().expect("there are more");
    blobs.delete(&next).await.unwrap();
    blobs.delete(&keys[20]).await.unwrap();
    let mut seen = page.keys.clone();
    seen.extend(list_all(blobs, &base, Some(&next), 5).await);
    let left: Vec<String> = keys.iter().filter(|key| **key != keys[20]).cloned().collect();
    assert_eq!(seen, left);
}
