//! What there is to look at afterwards: what the receiver got, and commands to try.

use std::{env, fs, path::Path};

use super::{Scene, cast::Role};

/// The mail whose payload is pointed at, since most was done to it.
const EXAMPLE: &str = "newsletter";

/// Writes down what the receiver took, one file a mail.
pub(crate) fn received(scene: &Scene, cast: &[Role]) {
    let folder = scene.fleet.config().with_file_name("received");
    fs::create_dir_all(&folder).unwrap();
    scene.receiver.book(|book| {
        for arrival in book.arrivals().iter().filter(|arrival| arrival.taken()) {
            let role = cast.iter().find(|role| role.mail.sha256() == arrival.sha256);
            let role = role.expect("nothing but the cast was submitted");
            let text = serde_json::to_string_pretty(&arrival.payload).unwrap();
            fs::write(folder.join(format!("{}.json", role.mail.name)), text).unwrap();
        }
    });
    println!("what it got is in {0}/: {0}/{EXAMPLE}.json was made of tests/fixtures/{EXAMPLE}.eml", shown(&folder));
}

/// Says what to try.
pub(crate) fn tips(scene: &Scene) {
    let (binary, config) = (shown(&tests::process::binary()), shown(&scene.fleet.config()));
    let logs = shown(&scene.fleet.logs());
    let submit = format!("{binary} submit tests/fixtures/pdf.eml --wait");
    if scene.cloud.is_none() {
        let data = shown(&scene.fleet.data());
        println!(
            "\nWhat to try next:
  {binary} inspect tests/fixtures/{EXAMPLE}.eml --config {config}
  {binary} pipeline
  {binary} quarantine list --data {data}
  {binary} dlq list --data {data}
  {binary} config show --config {config}
  KEEP=1 make demo        leaves everything running; then, in another terminal:
    cp tests/fixtures/plain.eml {data}/incoming/
    {submit} --data {data} --config {config}
    tail -f {logs}/*.log"
        );
        return;
    }
    let environment = scene.fleet.config().with_file_name("environment");
    fs::write(&environment, scene.fleet.exports()).unwrap();
    println!(
        "\nWhat to try next: KEEP=1 make demo-aws leaves everything running; then, in another terminal:
    . {}        tells the commands where everything is
    {binary} quarantine list
    {binary} dlq list
    {submit}
    tail -f {logs}/*.log",
        shown(&environment)
    );
}

/// A path as short as it can be typed from here.
pub(crate) fn shown(path: &Path) -> String {
    let here = env::current_dir().unwrap_or_default();
    path.strip_prefix(here).unwrap_or(path).display().to_string()
}
