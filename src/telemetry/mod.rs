//! Logs: text for people, JSON for machines.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "the shell: it writes the log")]

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

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
    // Whatever else is silenced: who weakened sign-in, and when, is always on record.
    let filter = EnvFilter::try_new(directives)?.add_directive("audit=info".parse()?);
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    }
}
