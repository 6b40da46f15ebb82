//! The state on a real Redis: the conformance suite in real time, over both kinds of connections.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use super::{RedisState, State, millis};
use crate::{
    redis::{
        Redis,
        tests::{ask, settings},
    },
    state::conformance::Rig,
    testing::redis::TestRedis,
};

async fn rig_over(make: impl FnOnce(&crate::redis::Settings) -> Redis) -> Rig {
    let server = TestRedis::start().await.unwrap();
    let redis = make(&settings(&server.url()));
    Rig { state: Arc::new(RedisState::new(Arc::new(redis))), keep: Box::new(server) }
}

async fn multiplexed() -> Rig {
    rig_over(|settings| Redis::multiplexed(settings).unwrap()).await
}

async fn pooled() -> Rig {
    rig_over(|settings| Redis::pooled(settings, NonZeroUsize::new(4).unwrap()).unwrap()).await
}

mod over_one_connection {
    crate::state::conformance::conformance_tests!(super::multiplexed, ());
}

mod over_a_pool {
    crate::state::conformance::conformance_tests!(super::pooled, ());
}

#[tokio::test]
async fn comparison_survives_a_script_flush() {
    let server = TestRedis::start().await.unwrap();
    let state = RedisState::new(Arc::new(Redis::multiplexed(&settings(&server.url())).unwrap()));
    let long = Duration::from_secs(600);
    assert_eq!(state.compare_and_set("k", None, Some(b"1"), long).await, Ok(true));
    let _: () = ask(&server.url(), &["SCRIPT", "FLUSH"]).await;
    assert_eq!(state.compare_and_set("k", Some(b"1"), Some(b"2"), long).await, Ok(true));
    assert_eq!(state.get("k").await, Ok(Some(b"2".to_vec())));
}

#[tokio::test]
async fn errors_tell_no_key_and_no_value() {
    let server = TestRedis::start().await.unwrap();
    let state = RedisState::new(Arc::new(Redis::multiplexed(&settings(&server.url())).unwrap()));
    let _: () = ask(&server.url(), &["LPUSH", "state:secret-key", "secret-value"]).await;
    let read = state.get("secret-key").await.unwrap_err();
    let swap = state.compare_and_set("secret-key", None, Some(b"secret-value"), Duration::MAX).await.unwrap_err();
    for error in [read, swap] {
        let text = error.to_string();
        assert!(text.contains("WRONGTYPE") && !text.contains("secret"), "{text}");
    }
}

#[tokio::test]
async fn any_time_to_live_is_accepted() {
    let server = TestRedis::start().await.unwrap();
    let state = RedisState::new(Arc::new(Redis::multiplexed(&settings(&server.url())).unwrap()));
    state.set("short", b"v", Duration::ZERO).await.unwrap();
    state.set("long", b"v", Duration::MAX).await.unwrap();
    assert!(state.compare_and_set("long", Some(b"v"), Some(b"w"), Duration::MAX).await.unwrap());
    assert_eq!(state.get("long").await, Ok(Some(b"w".to_vec())));
    assert_eq!((millis(Duration::ZERO), millis(Duration::from_nanos(1_000_001))), (1, 2));
}
