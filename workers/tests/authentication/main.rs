//! Authentication with a DNS server of the test's own and with real children of the sandbox. This binary is its own
//! child, so it has its own `main`, since the standard harness writes to standard output.

#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test binary")]

mod arc;
mod dkim;
mod dmarc;
mod enforced;
mod failures;
mod forged;
mod formats;
mod hops;
mod iprev;
mod ordinary;
mod sealers;
mod spf;
mod standing;
mod suites;
mod world;

use std::process::ExitCode;

use mailtri::sandbox::{child::child_main, pool::SUBCOMMAND};

type Case = (&'static str, fn(&tokio::runtime::Runtime));

/// A case by the name of its function.
macro_rules! case {
    ($file:ident :: $name:ident) => {
        (stringify!($name), |rt| rt.block_on($file::$name()))
    };
}

const CASES: [Case; 41] = [
    case!(spf::spf_has_each_of_its_results),
    case!(spf::the_policies_of_ordinary_senders_pass),
    case!(spf::spf_asks_about_the_right_identity),
    case!(spf::spf_goes_by_names_of_the_client_that_lead_back),
    case!(spf::spf_tells_of_helo_beside_mail_from),
    case!(iprev::iprev_has_each_of_its_results),
    case!(iprev::a_silent_name_server_of_the_clients_costs_nobody_his_pass),
    case!(hops::the_client_is_the_one_that_a_trusted_server_saw),
    case!(hops::a_server_named_beside_the_one_that_wrote_the_line_hides_nobody),
    case!(hops::results_of_others_are_reported_only_where_they_are_theirs),
    case!(formats::the_lines_of_the_common_servers_are_read),
    case!(formats::a_literal_as_helo_is_no_client_in_any_format),
    case!(dkim::dkim_has_each_of_its_results),
    case!(dkim::dkim_keys_that_do_not_count),
    case!(dkim::dkim_keys_that_are_too_short_do_not_count),
    case!(dkim::dkim_signatures_are_told_apart_and_bounded),
    case!(arc::arc_has_each_of_its_results),
    case!(dmarc::dmarc_has_each_of_its_results),
    case!(dmarc::two_policies_are_none),
    case!(dmarc::a_mistake_in_a_policy_frees_no_mail_of_it),
    case!(dmarc::no_number_of_names_frees_a_mail_of_a_policy),
    case!(sealers::a_trusted_sealer_overrides_a_policy_and_makes_no_pass),
    case!(sealers::nobody_else_overrides_a_policy),
    case!(sealers::no_result_of_a_sealers_is_cut_short),
    case!(dmarc::alignment_goes_by_record_and_organisation),
    case!(forged::no_forgery_is_an_aligned_pass),
    case!(arc::a_chain_of_seals_makes_nobody_an_author),
    case!(forged::a_header_that_claims_to_be_ours_is_renamed),
    case!(enforced::no_client_talks_its_way_round_a_policy),
    case!(enforced::no_author_is_written_round_a_policy),
    case!(enforced::an_odd_way_to_write_an_author_is_no_reason_to_stop_his_mail),
    case!(ordinary::no_more_than_one_in_a_thousand_genuine_mails_is_stopped),
    case!(standing::a_lying_child_asks_dns_about_nothing_that_is_not_in_the_mail),
    case!(standing::what_an_honest_child_tells_of_is_found_however_it_is_written),
    case!(failures::answers_are_remembered_and_asked_once),
    case!(failures::one_mail_asks_once_whatever_may_be_kept),
    case!(failures::dns_that_is_down_is_no_pass_and_no_long_wait),
    case!(failures::one_silent_domain_is_not_a_silent_server),
    case!(failures::switched_off_says_so_everywhere),
    case!(suites::the_suite_of_spf_passes),
    case!(suites::the_suites_of_dkim_and_arc_pass),
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
