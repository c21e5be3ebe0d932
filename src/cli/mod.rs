//! The command line: `mfa-operator run | crd | render | check | self-test | completion`, one file a
//! subcommand, and the kubectl plugin, which is the same program by another name.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    reason = "the command line is the shell: it reads, prints and exits"
)]
#![warn(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "they panic where nobody reads any more: see output.rs"
)]

mod check;
mod crd;
mod duration;
mod input;
pub mod kubectl;
mod names;
mod output;
mod render;
mod run;
mod self_test;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

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
    Mfa(kubectl::arguments::Plugin),
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    match kubectl::called_as() {
        Some(kubectl::Name::Plugin) => return kubectl::arguments::Plugin::parse().run(),
        Some(kubectl::Name::Completer) => return kubectl::completion::complete(std::env::args().skip(1)),
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
