//! The command line: `mfa-operator run | crd | render`, one file a subcommand.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    reason = "the command line is the shell: it reads, prints and exits"
)]

mod crd;
mod render;
mod run;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

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
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run(options) => run::run(options),
        Command::Crd => crd::run(),
        Command::Render(options) => render::run(&options),
    }
}

fn fail(error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("mfa-operator: {error}");
    ExitCode::FAILURE
}
