//! What every implementation of [`State`] must do, as checks that each runs over its own store.
//!
//! Instantiate it with [`conformance_tests`]. Time is tokio's, so that a store whose clock is tokio's too runs the
//! suite under paused time.

use std::{any::Any, sync::Arc, time::Duration};

use futures::future::join_all;
use tokio::time::{sleep, timeout};

use super::State;

const LONG: Duration = Duration::from_secs(600);

/// An empty store to check.
pub struct Rig {
    /// The store.
    pub state: Arc<dyn State>,
    /// What must live as long as the store does, such as its folder.
    pub keep: Box<dyn Any + Send + Sync>,
}

/// Makes a test of each check: `conformance_tests!(make_rig, (start_paused = true));` where `make_rig` is an
/// `async fn() -> Rig` and the second part what `#[tokio::test]` takes.
macro_rules! conformance_tests {
    ($make:path, $flags:tt) => {
        $crate::state::conformance::conformance_tests!(@each $make, $flags,
            sets_and_gets entries_expire a_new_set_renews sets_if_absent sets_if_equal removes_if_equal
            an_expired_value_is_absent one_of_fifty_wins counts_every_increment);
    };
    (@each $make:path, $flags:tt, $($check:ident)+) => {
        $($crate::state::conformance::conformance_tests!(@one $make, $flags, $check);)+
    };
    (@one $make:path, ($($flag:tt)*), $check:ident) => {
        #[tokio::test($($flag)*)]
        async fn $check() {
            $crate::state::conformance::$check($make().await).await;
        }
    };
}
pub(crate) use conformance_tests;

async fn get(rig: &Rig, key: &str) -> Option<Vec<u8>> {
    rig.state.get(key).await.expect("get")
}

async fn set(rig: &Rig, key: &str, value: &[u8], ttl: Duration) {
    rig.state.set(key, value, ttl).await.expect("set");
}

async fn swap(rig: &Rig, expected: Option<&[u8]>, value: Option<&[u8]>) -> bool {
    rig.state.compare_and_set("k", expected, value, LONG).await.expect("compare_and_set")
}

async fn vanishes(rig: &Rig, key: &str) {
    let gone = async {
        while get(rig, key).await.is_some() {
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(Duration::from_secs(60), gone).await.expect("the value expires");
}

/// A value is read as it was set, whatever its bytes; keys do not touch one another.
pub async fn sets_and_gets(rig: Rig) {
    assert_eq!(get(&rig, "k").await, None);
    let bytes: Vec<u8> = (0..=255).collect();
    set(&rig, "k", &bytes, LONG).await;
    set(&rig, "K", b"", LONG).await;
    assert_eq!(get(&rig, "k").await, Some(bytes));
    assert_eq!(get(&rig, "K").await, Some(Vec::new()), "an empty value is a value");
    set(&rig, "k", b"other", LONG).await;
    assert_eq!(get(&rig, "k").await.as_deref(), Some(b"other".as_slice()));
}

/// A value is gone after its time to live, and another one is not.
pub async fn entries_expire(rig: Rig) {
    set(&rig, "stays", b"v", LONG).await;
    set(&rig, "goes", b"v", Duration::from_secs(2)).await;
    vanishes(&rig, "goes").await;
    assert!(get(&rig, "stays").await.is_some());
}

/// A new set replaces the time to live too.
pub async fn a_new_set_renews(rig: Rig) {
    set(&rig, "renewed", b"v", Duration::from_secs(2)).await;
    set(&rig, "witness", b"v", Duration::from_secs(2)).await;
    set(&rig, "renewed", b"v", LONG).await;
    vanishes(&rig, "witness").await;
    assert!(get(&rig, "renewed").await.is_some());
}

/// `None` expects absence.
pub async fn sets_if_absent(rig: Rig) {
    assert!(swap(&rig, None, Some(b"1")).await);
    assert!(!swap(&rig, None, Some(b"2")).await);
    assert_eq!(get(&rig, "k").await.as_deref(), Some(b"1".as_slice()));
}

/// A value is replaced only if it is the expected one.
pub async fn sets_if_equal(rig: Rig) {
    assert!(!swap(&rig, Some(b"1"), Some(b"2")).await, "absent is not equal");
    set(&rig, "k", b"1", LONG).await;
    assert!(!swap(&rig, Some(b"0"), Some(b"2")).await);
    assert!(!swap(&rig, Some(b""), Some(b"2")).await);
    assert!(swap(&rig, Some(b"1"), Some(b"2")).await);
    assert_eq!(get(&rig, "k").await.as_deref(), Some(b"2".as_slice()));
}

/// `None` as the new value removes.
pub async fn removes_if_equal(rig: Rig) {
    set(&rig, "k", b"1", LONG).await;
    assert!(!swap(&rig, Some(b"0"), None).await);
    assert!(get(&rig, "k").await.is_some());
    assert!(swap(&rig, Some(b"1"), None).await);
    assert_eq!(get(&rig, "k").await, None);
    assert!(swap(&rig, None, None).await, "absent and to stay so");
}

/// What has expired counts as absent in a comparison.
pub async fn an_expired_value_is_absent(rig: Rig) {
    set(&rig, "k", b"1", Duration::from_secs(1)).await;
    vanishes(&rig, "k").await;
    assert!(!swap(&rig, Some(b"1"), Some(b"2")).await);
    assert!(swap(&rig, None, Some(b"2")).await);
}

/// Of fifty that set at once if absent, one does.
pub async fn one_of_fifty_wins(rig: Rig) {
    let values: Vec<String> = (0..50).map(|n| n.to_string()).collect();
    let won = join_all(values.iter().map(|value| swap(&rig, None, Some(value.as_bytes())))).await;
    let winners: Vec<&String> = values.iter().zip(won).filter_map(|(value, won)| won.then_some(value)).collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(get(&rig, "k").await.as_deref(), Some(winners[0].as_bytes()));
}

/// A counter kept by compare-and-set loses no increment of ten at once.
pub async fn counts_every_increment(rig: Rig) {
    set(&rig, "k", b"0", LONG).await;
    let increment = async || loop {
        let old = get(&rig, "k").await.expect("the counter");
        let new = std::str::from_utf8(&old).expect("text").parse::<u32>().expect("a number") + 1;
        if swap(&rig, Some(&old), Some(new.to_string().as_bytes())).await {
            return;
        }
    };
    join_all((0..10).map(|_| increment())).await;
    assert_eq!(get(&rig, "k").await.as_deref(), Some(b"10".as_slice()));
}
