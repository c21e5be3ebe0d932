//! The command line: `mfa-operator run | crd | render | check`, one file a subcommand.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    reason = "the command line is the shell: it reads, prints and exits"
)]

mod check;
mod crd;
mod render;
mod run;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::document::{Document, Unreadable};
use crate::lint::Finding;
use crate::plan::bounded;

/// Makes Ory Kratos demand the assurance level that an MfaPolicy states.
#[derive(Parser)]
#[command(name = "mfa-operator", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the operator
    Run(run::Options),
    /// Print the custom resource definition, for kubectl apply -f -
    Crd,
    /// Show what a policy becomes; needs no cluster
    Render(render::Options),
    /// Tell what is wrong with policies in files; needs no cluster
    Check(check::Options),
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run(options) => run::run(options),
        Command::Crd => crd::run(),
        Command::Render(options) => render::run(&options),
        Command::Check(options) => check::run(&options),
    }
}

/// Reads a file, or standard input where the path is a dash.
fn read(path: &Path) -> std::io::Result<String> {
    if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        return Ok(text);
    }
    std::fs::read_to_string(path)
}

/// The server's own configuration from its files; none where none is named. What stands in them may
/// be secret: no error repeats it.
fn base(paths: &[PathBuf]) -> Result<Option<Vec<Document>>, String> {
    let document = |path: &PathBuf| {
        let text = read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let misread = |error: Unreadable| {
            let line = error.line.map(|line| format!(":{line}")).unwrap_or_default();
            format!("{}{line}: it is no configuration of Kratos: one mapping in YAML, 256 KiB at most", path.display())
        };
        let document = Document::parse(&text).map_err(misread)?;
        // They would pass for a configuration that sets nothing.
        let instead = if document.has("apiVersion") && document.has("kind") {
            "this is a Kubernetes object: give the kratos.yaml in it"
        } else if document.has("kratos.config") {
            "these are values of Ory's chart: give what it makes of kratos.config"
        } else {
            return Ok(document);
        };
        Err(format!("{}: {instead}", path.display()))
    };
    let documents = paths.iter().map(document).collect::<Result<Vec<_>, _>>()?;
    Ok((!documents.is_empty()).then_some(documents))
}

/// A finding as compilers write theirs, so that editors find the place.
fn line(file: &str, finding: &Finding) -> String {
    let field = if finding.field.is_empty() { String::new() } else { format!("{}: ", finding.field) };
    // Names of fields are another's words: a terminal and a CI log read more than text.
    bounded(&format!("{file}:{}:{}: {field}{}", finding.place.line, finding.place.column, finding.message))
}

fn fail(error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("mfa-operator: {error}");
    ExitCode::FAILURE
}
