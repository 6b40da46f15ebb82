//! `mailtri dlq export`.

use clap::Args;

use super::{PassArgs, filter::Filter};
use crate::cli::{
    error::CommandError,
    letters::{Fate, interrupts},
    output,
};

#[derive(Debug, Args)]
pub(in crate::cli) struct ExportArgs {
    #[command(flatten)]
    of: Filter,
    /// Also jobs and bodies, which hold what others have written
    #[arg(long)]
    content: bool,
    #[command(flatten)]
    pass: PassArgs,
}

pub(super) async fn export(args: &ExportArgs) -> Result<(), CommandError> {
    let (plane, stop, stages) = (args.pass.plane().await?, interrupts()?, args.of.stages());
    let now = plane.clock.now();
    super::work::work(args.pass.terms(&plane, &stages, &stop), async |letter| {
        if args.of.takes(&letter.summary, now) {
            let mut line = letter.bare();
            if let (true, Some(fields)) = (args.content, line.as_object_mut()) {
                fields.insert("content".to_owned(), letter.content(&*plane.blobs).await?);
            }
            output::json(&line)?;
        }
        Ok(Fate::Stays)
    })
    .await
}
