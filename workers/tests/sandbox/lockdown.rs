//! Each restriction by itself, tried from inside and seen from outside.

use std::fs;

use mailtri::sandbox::{Death, Require, Sandbox, SandboxConfig};

use super::given::{Named, REAL, WITHOUT_SECCOMP, assert_passes, deaths, sandbox, told};
use super::naughty::FORBIDDEN;

pub(crate) async fn forbidden() {
    let sandbox = sandbox().await;
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("x");
    for order in FORBIDDEN {
        let both = deaths(&sandbox, &format!("X-Do: {order} {}", target.display())).await;
        assert!(matches!(both, (Death::Forbidden, Death::Forbidden)), "{order}: {both:?}");
        assert_passes(&sandbox).await;
    }
    assert!(!target.exists());
}

pub(crate) async fn from_outside() {
    let sandbox = sandbox().await;
    let pid = told(&sandbox, "X-Do: tell pid").await;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let of = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    // seccomp mode 2: a filter.
    assert_eq!((&*of("Seccomp:"), &*of("NoNewPrivs:"), &*of("Threads:")), ("2", "1", "1"));
    // Only root may look, since the child is not dumpable.
    match fs::read(format!("/proc/{pid}/environ")) {
        Ok(environment) => assert_eq!(environment, b""),
        Err(_) => assert!(!rustix::process::geteuid().is_root()),
    }
}

pub(crate) async fn landlock_alone() {
    let child = Named::new(WITHOUT_SECCOMP);
    let config = SandboxConfig { require: Require::BestEffort, ..child.config() };
    let sandbox = Sandbox::start(config).await.unwrap();
    let target = child.folder().join("made");
    let made = told(&sandbox, &format!("X-Do: tell mkdir {}", target.display())).await;
    let signalled = told(&sandbox, "X-Do: tell signal").await;
    // The limit of open files, which is checked first.
    let opened = told(&sandbox, "X-Do: tell open").await;
    let kernel = kernel().await;
    assert_eq!(opened, "Uncategorized");
    assert!(!target.exists() || kernel < 1);
    assert_eq!(made, if kernel >= 1 { "PermissionDenied" } else { "done" });
    assert_eq!(signalled, if kernel >= 6 { "PermissionDenied" } else { "done" });
}

/// The version of Landlock's interface that this kernel has, as a real child says.
async fn kernel() -> u8 {
    let real = Named::new(REAL);
    let output = std::process::Command::new(real.config().program).arg("sandbox").output().unwrap();
    let lockdown: mailtri::sandbox::Lockdown = serde_json::from_slice(&output.stdout[8..]).unwrap();
    lockdown.landlock
}
