//! `mailtri dlq show`.

use std::{cell::RefCell, time::Duration};

use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};
use shared::blobs;

use super::{PassArgs, filter::all_stages, list::place};
use crate::{
    cli::{
        error::CommandError,
        letters::{Fate, Need, Place, Summary, Terms, interrupts, snapshot},
        output,
    },
    plane::Plane,
};

/// The longest raw mail that is printed.
const LONGEST: u64 = 64 << 20;

#[derive(Debug, Args)]
pub(in crate::cli) struct ShowArgs {
    /// The letter's id, as `list --each` prints it
    id: String,
    /// How old an answer may be: an index of the last pass then saves a pass
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    fresh: u64,
    /// Also its job or body, and the raw mail: what others have written
    #[arg(long)]
    content: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pass: PassArgs,
}

pub(super) async fn show(args: &ShowArgs) -> Result<(), CommandError> {
    let (plane, stop, stages) = (args.pass.plane().await?, interrupts()?, all_stages());
    let terms = args.pass.terms(&plane, &stages, &stop);
    let missing =
        || CommandError::no_input(format!("there is no dead letter {}: see `mailtri dlq list --each`", args.id));
    if args.content {
        let (letter, content) = with_content(terms, &args.id).await?.ok_or_else(missing)?;
        let mail = raw(&plane, letter.raw.as_ref()).await?;
        return print(args.json, &letter, Some((content, mail)));
    }
    let index = snapshot(terms, Need::Letters, Duration::from_secs(args.fresh)).await?;
    let letter = index.letters.iter().find(|letter| letter.id == args.id).ok_or_else(missing)?;
    print(args.json, letter, None)
}

type Content = (Value, Option<String>);

async fn with_content(terms: Terms<'_>, id: &str) -> Result<Option<(Summary, Value)>, CommandError> {
    let found = RefCell::new(None);
    super::work::work(terms, async |letter| {
        if letter.summary.id == id {
            let content = letter.content(&*terms.plane.blobs).await?;
            found.replace(Some((letter.summary.clone(), content)));
        }
        Ok(Fate::Stays)
    })
    .await?;
    Ok(found.into_inner())
}

/// The raw mail as text. Bytes that are none are shown as replacement characters.
async fn raw(plane: &Plane, place: Option<&Place>) -> Result<Option<String>, CommandError> {
    let Some((place, bucket)) = place.and_then(|place| Some((place, plane.sources.get(&place.bucket)?))) else {
        return Ok(None);
    };
    match blobs::read(&**bucket, &place.key, None, LONGEST).await {
        Ok((_, bytes)) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(blobs::BlobError::NotFound) => Ok(None),
        Err(error) => Err(CommandError::failed(format!("the raw mail: {error}"))),
    }
}

fn print(as_json: bool, letter: &Summary, content: Option<Content>) -> Result<(), CommandError> {
    if as_json {
        let mut shown = json!(letter);
        if let (Some((content, mail)), Some(fields)) = (content, shown.as_object_mut()) {
            fields.insert("content".to_owned(), content);
            fields.insert("mail_text".to_owned(), mail.into());
        }
        return output::json(&shown);
    }
    output::line(text(letter))?;
    let Some((content, mail)) = content else { return Ok(()) };
    output::line(format_args!("content\n{}", harmless(&content)))?;
    mail.map_or(Ok(()), |mail| output::line(format_args!("raw mail\n{}", harmless_lines(&mail))))
}

fn harmless(content: &Value) -> String {
    content.as_str().map_or_else(|| format!("{content:#}"), harmless_lines)
}

/// Without what would control the terminal.
fn harmless_lines(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { ' ' } else { c }).collect()
}

fn text(letter: &Summary) -> String {
    let optional = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let time = |at: Option<Timestamp>| optional(at.map(|at| at.to_string()));
    let raw = letter.raw.as_ref().map(|place| format!("{}/{}", place.bucket, place.key));
    let mut lines = vec![
        format!("letter       {}", letter.id),
        format!("fingerprint  {}", letter.fingerprint),
        format!("mail         {}", optional(letter.mail.as_ref().map(ToString::to_string))),
        format!("raw          {}", optional(raw)),
        format!("tenant       {}", letter.tenant),
        format!("stage        {}", place(letter.stage.clone(), &letter.branch)),
        format!("class        {}", letter.class),
        format!("reason       {}", harmless_lines(&letter.reason)),
        format!("attempts     {}", letter.attempts),
        format!("first seen   {}", time(letter.first_seen)),
        format!("dead since   {}", time(letter.at)),
        format!("trace        {}", optional(letter.trace.clone())),
        "history".to_owned(),
    ];
    let attempts = letter.history.iter();
    lines.extend(attempts.map(|a| format!("  {}  {}  {}: {}", a.at, a.stage, a.class, harmless_lines(&a.reason))));
    lines.join("\n")
}
