//! Logs: text for people, JSON for machines. Metrics have a folder of their own.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "the shell: it writes the log")]

mod directives;
mod foreign;
mod json;
pub mod metrics;

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{fmt, registry};

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

/// Starts logging to standard error.
///
/// # Errors
/// When `directives` is no filter, or logging was started before.
pub fn start(format: LogFormat, directives: &str) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let always =
        filter_fn(|metadata| metadata.target() == foreign::ALWAYS).with_max_level_hint(LevelFilter::INFO);
    let filter = directives::parse(directives)?.or(always);
    registry().with(lines(format, std::io::stderr).with_filter(filter)).try_init()?;
    Ok(())
}

fn lines<S, W>(format: LogFormat, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = fmt::layer().with_writer(writer);
    match format {
        LogFormat::Text => {
            lines.with_ansi(std::io::stderr().is_terminal()).map_event_format(foreign::Bounded).boxed()
        }
        LogFormat::Json => {
            lines.with_ansi(false).fmt_fields(JsonFields::new()).event_format(json::Flat).boxed()
        }
    }
}
