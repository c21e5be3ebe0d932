//! The command line: `mfa-operator run | crd | render | check | self-test | completion`, one file a
//! subcommand, and the kubectl plugin, which is the same program by another name.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    reason = "the command line is the shell: it reads, prints and exits"
)]
// They panic where nobody reads any more: see output.rs.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod check;
mod crd;
mod duration;
pub mod kubectl;
mod names;
mod output;
mod render;
mod run;
mod self_test;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use crate::document::{Document, Unreadable};
use crate::lint::Finding;
use crate::model::bounded;
use crate::server::kratos::{Root, root};

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
    /// Print the names that the chart's admission rules know; for make generate
    #[command(hide = true)]
    Names,
    /// Show what a policy becomes; needs no cluster
    Render(render::Options),
    /// Tell what is wrong with policies in files; needs no cluster
    Check(check::Options),
    /// Prove that an operator serves a namespace, by a policy over a Deployment without pods: helm test runs
    /// it
    SelfTest(self_test::Options),
    /// Print a script that completes this command line in a shell
    Completion { shell: Shell },
    /// What `kubectl mfa` does
    #[command(hide = true)]
    Mfa(kubectl::Plugin),
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    match kubectl::called_as() {
        Some(kubectl::Name::Plugin) => return kubectl::Plugin::parse().run(),
        Some(kubectl::Name::Completer) => return kubectl::complete(std::env::args().skip(1)),
        None => {}
    }
    match Cli::parse().command {
        Command::Run(options) => run::run(options),
        Command::Crd => crd::run(),
        Command::Names => names::run(),
        Command::Render(options) => render::run(&options),
        Command::Check(options) => check::run(&options),
        Command::SelfTest(options) => self_test::run(&options),
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "mfa-operator", &mut script);
            output::print(&String::from_utf8_lossy(&script))
        }
        Command::Mfa(plugin) => plugin.run(),
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
        let misread = |error: Unreadable| match error {
            Unreadable::NotYaml { line } => {
                let line = line.map(|line| format!(":{line}")).unwrap_or_default();
                format!(
                    "{}{line}: it is no configuration of Kratos: give one mapping in YAML",
                    path.display()
                )
            }
            Unreadable::TooMuch => {
                format!(
                    "{}: it is larger than a configuration of Kratos, or its aliases make it so: 256 KiB and 20,000 values are read",
                    path.display()
                )
            }
        };
        let document = Document::parse(&text).map_err(misread)?;
        // They would pass for a configuration that sets nothing.
        let wrong = match root(&document) {
            Root::Kratos { unknown } => {
                for key in unknown {
                    let warning = format!(
                        "{}: warning: {key} is no key of Kratos up to 26.2, which does not start with one",
                        path.display()
                    );
                    output::tell(&(bounded(&warning) + "\n"));
                }
                return Ok(document);
            }
            Root::Other { .. } if document.has("apiVersion") && document.has("kind") => {
                "this is a Kubernetes object: give the kratos.yaml in it".to_owned()
            }
            Root::Other { inside: Some(inside) } => {
                format!(
                    "this is no configuration of Kratos, but has one at {inside}: give what stands there, or what a chart makes of it"
                )
            }
            Root::Other { inside: None } => {
                "this is no configuration of Kratos: no key at its root is one of Kratos'".to_owned()
            }
        };
        Err(bounded(&format!("{}: {wrong}", path.display())))
    };
    let documents = paths.iter().map(document).collect::<Result<Vec<_>, _>>()?;
    Ok((!documents.is_empty()).then_some(documents))
}

/// A finding as compilers write theirs, so that editors find the place.
fn line(file: &str, finding: &Finding) -> String {
    let field = match finding.advice {
        Some(advice) => format!("advice {advice}: "),
        None if finding.field.is_empty() => String::new(),
        None => format!("{}: ", finding.field),
    };
    // Names of fields are another's words: a terminal and a CI log read more than text.
    bounded(&format!("{file}:{}:{}: {field}{}", finding.place.line, finding.place.column, finding.message))
}

fn fail(error: &dyn std::fmt::Display) -> ExitCode {
    output::tell(&format!("mfa-operator: {error}\n"));
    ExitCode::FAILURE
}
