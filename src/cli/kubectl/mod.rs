//! `kubectl mfa`: the program as a kubectl plugin, one file a command. Reads are in `cluster.rs`, what
//! is shown is plain values (`view.rs`), and a screen is a function of them.

pub mod access;
pub mod arguments;
pub mod cluster;
pub mod completion;
mod diff;
mod edit;
pub mod explain;
pub mod failure;
pub mod foreseen;
pub mod history;
mod patience;
mod pods;
pub mod reach;
mod revisions;
mod rollout;
pub mod screen;
pub mod status;
mod terminal;
pub mod view;

use std::path::PathBuf;
use std::process::ExitCode;

use crate::cli::kubectl::access::Access;
use crate::cli::kubectl::arguments::{Command, Plugin, Rollout};
use crate::cli::kubectl::cluster::Cluster;
use crate::cli::kubectl::failure::{Ended, reached, words};
use crate::cli::kubectl::terminal::style;
use crate::cli::output::tell;
use crate::model::bounded;

/// By which of its names the program was called.
pub enum Name {
    Plugin,
    /// As kubectl asks a plugin what could come next.
    Completer,
}

pub fn called_as() -> Option<Name> {
    let program = PathBuf::from(std::env::args_os().next()?);
    match program.file_stem()?.to_str()? {
        "kubectl-mfa" | "kubectl_mfa" => Some(Name::Plugin),
        "kubectl_complete-mfa" => Some(Name::Completer),
        _ => None,
    }
}

impl Plugin {
    pub fn run(self) -> ExitCode {
        // As kubectl diff has it: one means that there are differences.
        let failed = ExitCode::from(if matches!(self.command, Command::Diff(_)) { 2 } else { 1 });
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return crate::cli::output::fail(&error),
        };
        match runtime.block_on(self.obey()) {
            Ok(code) => code,
            Err(error) => {
                tell(&format!("error: {}\n", bounded(&words(&*error))));
                failed
            }
        }
    }

    async fn obey(self) -> Ended {
        if let Command::Completion { shell } = self.command {
            return completion::script(shell);
        }
        let cluster = Cluster::connect(&self.access).await?;
        let server = cluster.server.clone();
        self.command.obey(self.access, cluster).await.map_err(|error| reached(error, &server))
    }
}

impl Command {
    async fn obey(self, access: Access, cluster: Cluster) -> Ended {
        let style = style(access.no_color);
        match self {
            Command::Status(options) => status::run(&cluster, &style, &options).await,
            Command::Explain(options) => explain::run(&cluster, &style, &options).await,
            Command::Diff(options) => diff::run(&cluster, &style, &options).await,
            Command::History(options) => history::run(&cluster, &style, &options).await,
            Command::Rollout(Rollout::Status(options)) => rollout::run(&cluster, &style, &options).await,
            Command::Retry(named) => edit::retry(&cluster, &named).await,
            Command::Suspend(named) => edit::suspend(&cluster, &named, true).await,
            Command::Resume(named) => edit::suspend(&cluster, &named, false).await,
            Command::Completion { .. } => Ok(ExitCode::SUCCESS),
        }
    }
}
