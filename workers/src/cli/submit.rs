//! `mailtri submit`: hands mails in, and waits for their ends if asked to.

mod ends;
mod sources;

use std::{io::IsTerminal, path::PathBuf, sync::Arc, time::Duration};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use shared::{ids::WorkId, pii::Pii};

use super::{DataArgs, boot, error::CommandError, output};
use crate::{
    intake::{Intake, IntakeError},
    jobs::SmtpEnvelope,
    limiting::Limiting,
    names::{self, ClientName},
    plane::Plane,
};
use sources::{Mail, Sources};

#[derive(Debug, Args)]
pub(super) struct SubmitArgs {
    /// Files (one mail each, or an mbox), directories of files, or - for standard input
    #[arg(required = true, value_name = "FILE")]
    paths: Vec<PathBuf>,
    /// The envelope's sender (MAIL FROM)
    #[arg(long, value_name = "ADDRESS")]
    from: Option<String>,
    /// An envelope recipient (RCPT TO); may be repeated
    #[arg(long, value_name = "ADDRESS")]
    to: Vec<String>,
    /// On whose behalf: a name of your choice, which limits by "api-client" count by
    #[arg(long, value_name = "NAME", value_parser = client)]
    client: Option<ClientName>,
    /// Wait until every mail has ended, for at most so many seconds [300], and say how
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "300", require_equals = true)]
    wait: Option<u64>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    data: DataArgs,
}

/// A mail that was taken in.
struct Submitted {
    mail: WorkId,
    name: String,
}

pub(super) fn run(args: &SubmitArgs) -> Result<(), CommandError> {
    let sources = Sources::find(&args.paths);
    boot::block_on(async {
        let (settings, plane) = args.data.make_plane().await?;
        if plane.announces && (args.from.is_some() || !args.to.is_empty()) {
            return Err(CommandError::usage("--from and --to: here the bucket announces mails, without an envelope"));
        }
        let intake =
            Intake::new(&plane, settings.tenants.clone(), settings.limits.max_mail).map_err(CommandError::failed)?;
        let limiting = Arc::new(Limiting::open(&settings, &plane).map_err(CommandError::failed)?);
        let intake = intake.limited(limiting, "submit");
        let (submitted, failure) = take_in(args, sources, &intake, settings.limits.max_mail).await?;
        if let Some(seconds) = args.wait {
            report_ends(args, &plane, &submitted, Duration::from_secs(seconds)).await?;
        }
        failure.map_or(Ok(()), Err)
    })
}

/// Takes in what can be taken in; says what cannot. The first failure's code becomes the command's.
async fn take_in(
    args: &SubmitArgs,
    sources: Sources,
    intake: &Intake,
    max: u64,
) -> Result<(Vec<Submitted>, Option<CommandError>), CommandError> {
    let bar = progress(&sources);
    let (mut submitted, mut failure) = (Vec::new(), None);
    for mail in sources.mails(max) {
        let taken = match mail {
            Ok(mail) => accept(intake, mail, args).await,
            Err(error) => Err(error),
        };
        match taken {
            Ok(taken) => {
                // What cannot be said, because nobody listens any more, is no reason not to take the rest.
                if args.wait.is_none()
                    && let Err(error) = bar.suspend(|| announce(args, &taken))
                {
                    failure.get_or_insert(error);
                }
                submitted.push(taken);
            }
            Err(error) => {
                bar.suspend(|| error.report());
                failure.get_or_insert_with(|| CommandError::said(error.code()));
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok((submitted, failure))
}

async fn accept(intake: &Intake, mail: Mail, args: &SubmitArgs) -> Result<Submitted, CommandError> {
    let key = format!("raw/submit/{}", uuid::Uuid::now_v7());
    match intake.accept(&key, mail.raw.into(), envelope(args), args.client.as_ref()).await {
        Ok(work) => Ok(Submitted { mail: work, name: mail.name }),
        Err(error @ (IntakeError::Empty | IntakeError::NotAMail | IntakeError::TooLarge { .. })) => {
            Err(CommandError::data(format!("{}: {error}", mail.name)))
        }
        Err(error @ IntakeError::OverLimit { .. }) => Err(CommandError::try_again(format!("{}: {error}", mail.name))),
        Err(error) => Err(CommandError::failed(format!("{}: {error}", mail.name))),
    }
}

fn client(text: &str) -> Result<ClientName, String> {
    ClientName::parse(text).ok_or_else(|| format!("expected {}, at most 40 long", names::EXPECTED))
}

fn envelope(args: &SubmitArgs) -> SmtpEnvelope {
    SmtpEnvelope { from: args.from.clone().map(Pii::new), to: args.to.iter().cloned().map(Pii::new).collect() }
}

fn announce(args: &SubmitArgs, taken: &Submitted) -> Result<(), CommandError> {
    if args.json {
        output::json(&json!({ "mail": taken.mail, "name": taken.name }))
    } else {
        output::line(format_args!("{}  {}", taken.mail, taken.name))
    }
}

fn progress(sources: &Sources) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} mails  {eta}");
    ProgressBar::new(sources.len() as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

async fn report_ends(
    args: &SubmitArgs,
    plane: &Plane,
    submitted: &[Submitted],
    patience: Duration,
) -> Result<(), CommandError> {
    let mails: Vec<&WorkId> = submitted.iter().map(|s| &s.mail).collect();
    let ended = ends::wait(&*plane.blobs, &mails, patience).await?;
    if args.json {
        for (submitted, ended) in submitted.iter().zip(&ended) {
            output::json(&json!({ "mail": submitted.mail, "name": submitted.name, "ends": ended.records }))?;
        }
    } else {
        let named = submitted.iter().map(|s| s.name.as_str()).zip(&ended);
        output::line(ends::table(named))?;
    }
    let open = ended.iter().filter(|ended| !ended.is_closed()).count();
    if open == 0 {
        return Ok(());
    }
    Err(CommandError::failed(format!(
        "{open} of {} mails did not end within {} s; they go on, look again later",
        ended.len(),
        patience.as_secs()
    )))
}
