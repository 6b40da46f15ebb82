//! `make demo`: mails of all kinds go through the fleet on this machine, and a table shows what became of each.
//!
//! Starts a clamd with its own test signatures, a receiver that verifies every signature with foreign code, and
//! `mailtri local`; ends them again, also on Ctrl-C and SIGTERM. Fails when a mail did not end as it should.
//!
//! `make demo-aws` (`demo aws`): the same on emulators of SQS, S3 and Redis with the template deployed, by three workers.

mod cast;
mod next;
mod table;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use tests::{aws::Cloud, clamd::Clamd, config::Config, fleet::Fleet, process::Process, receiver::Receiver};
use tokio::signal::unix::{SignalKind, signal};

const LIMIT: Duration = Duration::from_secs(300);
const INTERRUPTED: u8 = 130;

/// Everything that the demo runs on; ends with it.
struct Scene {
    processes: Vec<Process>,
    fleet: Fleet,
    receiver: Receiver,
    cloud: Option<Cloud>,
    _clamd: Clamd,
}

#[tokio::main]
async fn main() -> ExitCode {
    let interrupted = interrupted();
    tokio::pin!(interrupted);
    let scene = tokio::select! {
        scene = set_up() => scene,
        () = &mut interrupted => return ExitCode::from(INTERRUPTED),
    };
    let code = tokio::select! {
        good = play(&scene) => if good { ExitCode::SUCCESS } else { ExitCode::FAILURE },
        () = &mut interrupted => ExitCode::from(INTERRUPTED),
    };
    if env::var_os("KEEP").is_some_and(|keep| keep == "1") && code == ExitCode::SUCCESS {
        let pids: Vec<i32> = scene.processes.iter().map(Process::pid).collect();
        println!("\nThe fleet goes on running (pids {pids:?}). Ctrl-C ends it.");
        interrupted.await;
    }
    scene.processes.iter().for_each(Process::terminate);
    for process in scene.processes {
        process.stop(LIMIT).await;
    }
    code
}

/// Waits for Ctrl-C or SIGTERM.
async fn interrupted() {
    let mut interrupt = signal(SignalKind::interrupt()).expect("signals can be handled");
    let mut terminate = signal(SignalKind::terminate()).expect("signals can be handled");
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

async fn set_up() -> Scene {
    let on_aws = env::args().nth(1).is_some_and(|plane| plane == "aws");
    let root = fresh_folder(&env::current_dir().unwrap().join("demo-data"));
    let cloud = if on_aws { Some(deployed().await) } else { None };
    let clamd = Clamd::start().await;
    println!(
        "clamd      pid {}, with test signatures of its own, {}",
        clamd.pid().unwrap_or_default(),
        clamd.endpoint()
    );
    let receiver = Receiver::start_in(&root).await;
    println!("receiver   {}, verifies with the standardwebhooks crate", receiver.url("/hook"));
    let config = cast::rules(Config::new(&clamd).secrets_in_files(), &receiver);
    let config = match &cloud {
        Some(cloud) => config.on(cloud, &cloud.endpoint()),
        None => config,
    };
    let fleet = Fleet::at(&root, &config);
    let processes = if on_aws { fleet.workers(3).await } else { vec![fleet.local().await] };
    for process in &processes {
        let what = if on_aws {
            "worker of every stage".to_owned()
        } else {
            format!("local, data in {}", next::shown(&fleet.data()))
        };
        println!("mailtri    pid {}, {what}", process.pid());
    }
    Scene { processes, fleet, receiver, cloud, _clamd: clamd }
}

async fn deployed() -> Cloud {
    let cloud = Cloud::start().await;
    println!("emulator   {}, k8s/aws/mailtri.yaml deployed: mails in {}", cloud.endpoint(), cloud.output("MailBucket"));
    cloud
}

/// An empty folder; only a former demo's is emptied.
fn fresh_folder(root: &Path) -> PathBuf {
    if root.exists() {
        assert!(root.join("mailtri.toml").is_file(), "{} is not a former demo's; move it away", root.display());
        fs::remove_dir_all(root).unwrap();
    }
    fs::create_dir_all(root).unwrap();
    root.to_owned()
}

/// Submits the mails and shows what became of them; whether all was as it should be.
async fn play(scene: &Scene) -> bool {
    let cast = cast::cast(&scene.receiver);
    let mails: Vec<_> = cast.iter().map(|role| role.mail.clone()).collect();
    let bytes: usize = mails.iter().map(|mail| mail.raw.len()).sum();
    println!("\nsubmitting {} mails, {:.1} MB …\n", mails.len(), mb(bytes));
    let started = Instant::now();
    let ended = scene.fleet.submit_and_wait(&mails, LIMIT).await;
    let took = started.elapsed();
    table::print(&cast, &ended);

    let wrong: Vec<&str> = cast
        .iter()
        .zip(&ended)
        .filter(|(role, ended)| !role.is_fulfilled(ended))
        .map(|(r, _)| r.mail.name.as_str())
        .collect();
    let report = scene.receiver.report();
    let requests = scene.receiver.book(|book| book.arrivals().len());
    println!(
        "\n{} mails ended in {:.1} s; {} not as they should{}",
        cast.len(),
        took.as_secs_f64(),
        wrong.len(),
        names(&wrong)
    );
    println!(
        "the receiver got {requests} requests; the standardwebhooks crate refused the signatures of {}",
        report.unverified.len()
    );
    println!("compared with what was submitted: {report}");
    next::received(scene, &cast);
    let good =
        wrong.is_empty() && report == tests::receiver::Report { delivered: report.delivered, ..Default::default() };
    next::tips(scene);
    good
}

fn names(wrong: &[&str]) -> String {
    if wrong.is_empty() { String::new() } else { format!(": {}", wrong.join(", ")) }
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn mb(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}
