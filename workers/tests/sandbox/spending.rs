//! Limits of time and memory, and the ways in which a child ends.

use std::num::NonZeroUsize;
use std::time::Duration;

use mailtri::sandbox::{Budget, Death, Sandbox, SandboxConfig};

use super::given::{assert_passes, config, deaths, mail, sandbox, send, told};

pub(crate) async fn ways_to_end() {
    let sandbox = sandbox().await;
    let (first, _) = deaths(&sandbox, "X-Do: panic").await;
    assert!(matches!(first, Death::Ended(Some(status)) if status.code() == Some(101)), "{first:?}");
    // SIGSEGV or, from the runtime's own handler, SIGABRT.
    let (first, _) = deaths(&sandbox, "X-Do: recurse").await;
    assert!(matches!(first, Death::Ended(Some(_)) | Death::Aborted), "{first:?}");
    let (first, second) = deaths(&sandbox, "X-Do: abort").await;
    assert!(matches!((&first, &second), (Death::Aborted, Death::Aborted)), "{first:?} {second:?}");
    assert_passes(&sandbox).await;
}

pub(crate) async fn wall_limit() {
    let mut config = config();
    config.budget.wall = Duration::from_secs(1);
    let sandbox = Sandbox::start(config).await.unwrap();
    let both = deaths(&sandbox, "X-Do: hang").await;
    assert!(matches!(both, (Death::WallLimit, Death::WallLimit)), "{both:?}");
    assert_passes(&sandbox).await;
}

pub(crate) async fn cpu_limit() {
    // So much time that only the CPU limit can be what ends it.
    let budget = Budget { wall: Duration::from_secs(600), cpu: Duration::from_secs(1) };
    let sandbox = Sandbox::start(SandboxConfig { budget, ..config() }).await.unwrap();
    let both = tokio::join!(deaths(&sandbox, "X-Do: spin"), assert_passes(&sandbox)).0;
    assert!(matches!(both, (Death::CpuLimit, Death::CpuLimit)), "{both:?}");
    assert_passes(&sandbox).await;
}

pub(crate) async fn memory_limit() {
    let sandbox = sandbox().await;
    assert!(send(&sandbox, mail("X-Do: allocate 300")).await.unwrap().is_ok());
    for megabytes in [600, 2_048] {
        let both = deaths(&sandbox, &format!("X-Do: allocate {megabytes}")).await;
        assert!(matches!(both, (Death::Aborted, Death::Aborted)), "{megabytes}: {both:?}");
        assert_passes(&sandbox).await;
    }
}

pub(crate) async fn kernel_limits() {
    let sandbox = sandbox().await;
    let pid = told(&sandbox, "X-Do: tell pid").await;
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    // Soft and hard, which a child cannot raise again.
    for (name, value) in [
        ("Max address space", 512 << 20),
        ("Max cpu time", 120),
        ("Max open files", 0),
        ("Max processes", 0),
        ("Max file size", 0),
        ("Max core file size", 0),
        ("Max stack size", 8 << 20),
    ] {
        let line = limits.lines().find(|line| line.starts_with(name)).unwrap();
        let values: Vec<u64> = line[name.len()..].split_whitespace().take(2).map(|v| v.parse().unwrap()).collect();
        assert_eq!(values, [value, value], "{line}");
    }
}

pub(crate) async fn bloated() {
    let sandbox = Sandbox::start(SandboxConfig { processes: NonZeroUsize::MIN, ..config() }).await.unwrap();
    let before = told(&sandbox, "X-Do: tell pid").await;
    assert!(send(&sandbox, mail("X-Do: keep 200")).await.unwrap().is_ok());
    // It is looked at now and then, after a number of mails.
    let mut replaced = false;
    for _ in 0..200 {
        replaced |= told(&sandbox, "X-Do: tell pid").await != before;
    }
    assert!(replaced, "a child keeps 200 MB");
}
