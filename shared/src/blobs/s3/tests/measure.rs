//! Measurements, which assert nothing about time: `cargo test --release -p shared s3::tests::measure -- --ignored --nocapture`.

use std::time::Instant;

use super::{
    super::super::{Blobs, Condition, conformance::streamed, read},
    Rig, noise,
};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn throughput() {
    let rig = Rig::start().await;
    let blobs = rig.blobs();
    for (len, count) in [(20_000, 500_usize), (1 << 20, 100), (25 << 20, 8)] {
        let content = noise(1, len);
        let report = |what: &str, start: Instant| {
            let seconds = start.elapsed().as_secs_f64();
            let total = (len * count) as f64;
            println!("{what:>12} {len:>9} bytes: {:8.1} MB/s {:8.0}/s", total / 1e6 / seconds, count as f64 / seconds);
        };
        let start = Instant::now();
        for n in 0..count {
            blobs.put(&format!("{len}/{n}"), content.clone().into(), Condition::Always).await.unwrap();
        }
        report("put bytes", start);
        let start = Instant::now();
        for n in 0..count {
            blobs.put(&format!("{len}/{n}"), streamed(&content, 64 << 10), Condition::Always).await.unwrap();
        }
        report("put stream", start);
        let start = Instant::now();
        for n in 0..count {
            assert_eq!(read(&blobs, &format!("{len}/{n}"), None, u64::MAX).await.unwrap().1.len(), len);
        }
        report("get", start);
    }
}
