//! Authentication with a DNS server of the test's own and with real children of the sandbox. This binary is its own
//! child, so it has its own `main`, since the standard harness writes to standard output.

#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test binary")]

mod arc;
mod dkim;
mod dmarc;
mod failures;
mod forged;
mod hops;
mod spf;
mod suites;
mod world;

use std::process::ExitCode;

use mailtri::sandbox::{child::child_main, pool::SUBCOMMAND};

type Case = (&'static str, fn(&tokio::runtime::Runtime));

const CASES: [Case; 18] = [
    ("spf_has_each_of_its_results", |rt| rt.block_on(spf::each_result())),
    ("spf_asks_about_the_right_identity", |rt| rt.block_on(spf::identities())),
    ("the_client_is_the_one_that_a_trusted_server_saw", |rt| rt.block_on(hops::clients())),
    ("results_of_others_are_reported_only_where_they_are_theirs", |rt| rt.block_on(hops::reported())),
    ("dkim_has_each_of_its_results", |rt| rt.block_on(dkim::each_result())),
    ("dkim_keys_that_do_not_count", |rt| rt.block_on(dkim::keys())),
    ("dkim_signatures_are_told_apart_and_bounded", |rt| rt.block_on(dkim::several())),
    ("arc_has_each_of_its_results", |rt| rt.block_on(arc::each_result())),
    ("dmarc_has_each_of_its_results", |rt| rt.block_on(dmarc::each_result())),
    ("alignment_goes_by_record_and_organisation", |rt| rt.block_on(dmarc::alignment())),
    ("no_forgery_is_an_aligned_pass", |rt| rt.block_on(forged::no_aligned_pass())),
    ("a_header_that_claims_to_be_ours_is_renamed", |rt| rt.block_on(forged::renamed())),
    ("answers_are_remembered", |rt| rt.block_on(failures::remembered())),
    ("dns_that_is_down_is_no_pass_and_no_long_wait", |rt| rt.block_on(failures::down())),
    ("one_silent_domain_is_not_a_silent_server", |rt| rt.block_on(failures::one_silent_domain())),
    ("switched_off_says_so", |rt| rt.block_on(failures::off())),
    ("the_suite_of_spf", |rt| rt.block_on(suites::spf())),
    ("the_suites_of_dkim_and_arc", |rt| rt.block_on(suites::dkim_and_arc())),
];

fn main() -> ExitCode {
    let argument = std::env::args().nth(1);
    if argument.as_deref() == Some(SUBCOMMAND) {
        return child_main();
    }
    let wanted = argument.filter(|argument| !argument.starts_with('-'));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    for (name, case) in CASES.iter().filter(|(name, _)| wanted.as_ref().is_none_or(|part| name.contains(part))) {
        case(&runtime);
        println!("test {name} ... ok");
    }
    ExitCode::SUCCESS
}
