//! How large a scenario is, and from which seed: reduced by default, in full with `SOAK=1`.

use std::{env, future::Future, time::Duration};

use rand::{SeedableRng, rngs::StdRng};

/// `test`, or `soak` when the environment asks for the full scenario.
#[must_use]
pub fn scale<T>(test: T, soak: T) -> T {
    if env::var_os("SOAK").is_some_and(|v| v == "1") { soak } else { test }
}

/// The scenario's source of chance. Its seed is printed; `SEED` repeats a run.
#[must_use]
pub fn seeded(scenario: &str) -> StdRng {
    let seed = env::var("SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(0x6d61_696c);
    eprintln!("{scenario}: SEED={seed}");
    StdRng::seed_from_u64(seed)
}

/// Runs a scenario, for at most `limit` (six times that in a soak), so that nothing hangs the whole suite.
///
/// # Panics
/// When the limit passes.
pub async fn within<T>(limit: Duration, scenario: impl Future<Output = T>) -> T {
    let limit = scale(limit, limit * 6);
    tokio::pin!(scenario);
    // Panics while the scenario still lives, so that a fleet in it knows that it failed and keeps its logs.
    tokio::select! {
        done = &mut scenario => done,
        () = tokio::time::sleep(limit) => panic!("the scenario hangs: over {limit:?}"),
    }
}
