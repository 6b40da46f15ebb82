//! Logs, metrics and panics, none of which ever carry personal data.
//!
//! Logs go to standard error, one line an outcome, as JSON unless a person is looking. A panic is logged by
//! its place only: its message may hold what a mail said.

pub mod metric;

use std::io::IsTerminal;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tracing::{Level, Metadata};
use tracing_subscriber::{
    EnvFilter,
    filter::{LevelFilter, ParseError, filter_fn},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// Whether a text is a log filter. A word that is no level would be a target, and silence all others: it is none.
#[must_use]
pub fn is_filter(text: &str) -> bool {
    let is_clear = |part: &str| part.contains('=') || part.trim().parse::<LevelFilter>().is_ok();
    text.split(',').all(is_clear) && EnvFilter::try_new(text).is_ok()
}

/// Starts logging to standard error.
///
/// # Errors
/// When the filter (such as `info` or `mailtri=debug,info`) does not parse.
pub fn init_logs(filter: &str, format: LogFormat) -> Result<(), ParseError> {
    let filter = EnvFilter::try_new(filter)?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let json = match format {
        LogFormat::Auto => !std::io::stderr().is_terminal(),
        LogFormat::Json => true,
        LogFormat::Text => false,
    };
    // A second start in one process (as in tests) keeps the first.
    let _already = if json {
        let json = builder.json().flatten_event(true).with_current_span(true).with_span_list(false);
        json.finish().with(filter_fn(is_loggable)).try_init()
    } else {
        builder.with_ansi(std::io::stderr().is_terminal()).finish().with(filter_fn(is_loggable)).try_init()
    };
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panic");
    }));
    Ok(())
}

/// Whether an event may be logged whatever the filter says: the AWS SDK traces whole requests and answers, and with them
/// jobs, mails and signatures; the resolver tells every name that it asks about, and those come from mails.
pub(crate) fn is_loggable(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    !target.starts_with("hickory_") && (*metadata.level() != Level::TRACE || !target.starts_with("aws_"))
}

/// Starts collecting metrics; the handle renders them in the Prometheus text format.
///
/// # Errors
/// When a recorder is installed already.
pub fn init_metrics() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), metric::SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_size".to_owned()), metric::SIZES)?
        .install_recorder()?;
    metric::describe();
    Ok(handle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_names_levels_and_a_word_that_is_none_is_no_filter() {
        for filter in ["info", "WARN", "off", "info,mailtri=debug", "mailtri=trace", "info,[job{mail}]=debug"] {
            assert!(is_filter(filter), "{filter}");
        }
        for text in ["inf", "warning", "loud", "mailtri", "info,mailtri", "mailtri=loud", "a=b=c"] {
            assert!(!is_filter(text), "{text}");
        }
    }
}
