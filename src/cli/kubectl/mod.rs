//! `kubectl mfa`: the program as a kubectl plugin, one file a command. Reads are in `cluster.rs`, what
//! is shown is plain values (`view.rs`), and a screen is a function of them.

mod cluster;
mod completion;
mod diff;
mod edit;
pub mod explain;
pub mod foreseen;
pub mod history;
mod patience;
mod pods;
pub(super) mod reach;
mod revisions;
mod rollout;
pub mod screen;
pub mod status;
pub mod view;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use cluster::{Cluster, Failure};
use k8s_openapi::jiff::Timestamp;
use kube::config::KubeconfigError;
use screen::{Colour, Style};

use super::output::{Reader, show, tell};
use crate::model::bounded;

pub(super) use completion::complete;

/// By which of its names the program was called.
pub(super) enum Name {
    Plugin,
    /// As kubectl asks a plugin what could come next.
    Completer,
}

pub(super) fn called_as() -> Option<Name> {
    let program = PathBuf::from(std::env::args_os().next()?);
    match program.file_stem()?.to_str()? {
        "kubectl-mfa" | "kubectl_mfa" => Some(Name::Plugin),
        "kubectl_complete-mfa" => Some(Name::Completer),
        _ => None,
    }
}

/// Shows which second factor is demanded, where, and why it is not.
#[derive(Parser)]
#[command(name = "kubectl-mfa", bin_name = "kubectl mfa", version, max_term_width = 100)]
pub(super) struct Plugin {
    #[command(flatten)]
    access: Access,
    #[command(subcommand)]
    command: Command,
}

/// Which cluster, and as whom.
#[derive(Args)]
struct Access {
    /// Namespace; that of the context by default
    #[arg(short, long, global = true)]
    namespace: Option<String>,

    /// Kubeconfig file; by default those of KUBECONFIG, or ~/.kube/config
    #[arg(long, global = true, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    /// Context of the kubeconfig
    #[arg(long, global = true)]
    context: Option<String>,

    /// User to impersonate
    #[arg(long = "as", global = true, value_name = "USER")]
    as_user: Option<String>,

    /// Group to impersonate; may be repeated
    #[arg(long, global = true, value_name = "GROUP", requires = "as_user")]
    as_group: Vec<String>,

    /// Never colour; nor is it done where NO_COLOR is set or the output is no terminal
    #[arg(long, global = true)]
    no_color: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Show policies with their targets, pods, revisions and advice
    Status(status::Options),
    /// Say why a policy is in its state, and what to do
    Explain(explain::Options),
    /// Show what applying policies would change, and which pods would roll; ends with 0 where
    /// nothing would, 1 where something would, and more where that cannot be or is refused
    Diff(diff::Options),
    /// List the revisions of a policy and the changes of the enforced level
    History(history::Options),
    /// Follow a rollout
    #[command(subcommand)]
    Rollout(Rollout),
    /// Have a revision tried again that was rolled back
    Retry(edit::Named),
    /// Hold a policy still: from then on nothing new is written
    Suspend(edit::Named),
    /// End a suspension: what waits is written at once
    Resume(edit::Named),
    /// Print a script that completes kubectl-mfa in a shell; see docs/kubectl-mfa.md for kubectl itself
    Completion { shell: Shell },
}

#[derive(Subcommand)]
enum Rollout {
    /// Wait until a policy is ready; ends with 1 where it waits for an edit, or in vain
    Status(rollout::Options),
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

/// What a command ends with where it does not fail.
type Ended = Result<ExitCode, Failure>;

impl Plugin {
    pub(super) fn run(self) -> ExitCode {
        // As kubectl diff has it: one means that there are differences.
        let failed = ExitCode::from(if matches!(self.command, Command::Diff(_)) { 2 } else { 1 });
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return super::fail(&error),
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

/// An error as kubectl words it.
fn words(error: &(dyn std::error::Error + 'static)) -> String {
    if let Some(KubeconfigError::Parse(error)) = error.downcast_ref() {
        // It goes on with the text around the fault, which may hold a token.
        let all = error.to_string();
        let place = all.split_once("line ").map(|(_, rest)| rest.split(':').next().unwrap_or_default());
        return format!("the kubeconfig cannot be read, see line {}", place.unwrap_or("1"));
    }
    match error.downcast_ref::<kube::Error>() {
        // An object that is not there comes with details: here the API server knows no such path.
        Some(kube::Error::Api(status)) if status.code == 404 && status.details.is_none() => format!(
            "this cluster has no {} definition: another context may be meant, or the operator is not installed there",
            crate::api::KIND
        ),
        Some(kube::Error::Api(status)) => format!("from the API server ({}): {}", status.reason, status.message),
        // Its own words repeat the URL, which may hold a password.
        Some(kube::Error::ProxyProtocolUnsupported { .. } | kube::Error::ProxyProtocolDisabled { .. }) => {
            "a proxy has to be one of HTTP: correct proxy-url in the kubeconfig, or HTTPS_PROXY, to http://HOST:PORT".into()
        }
        _ => with_causes(error),
    }
}

/// An error with what lies behind it, each once.
fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut words = error.to_string();
    for cause in std::iter::successors(error.source(), |cause| cause.source()).map(ToString::to_string) {
        if !words.contains(&cause) {
            words = format!("{words}: {cause}");
        }
    }
    words
}

/// An error on the way to the server names the server.
fn reached(error: Failure, server: &str) -> Failure {
    match error.downcast_ref::<kube::Error>() {
        Some(kube::Error::Service(_) | kube::Error::HyperError(_)) => {
            format!("{server} does not answer: {}", words(&*error)).into()
        }
        _ => error,
    }
}

fn style(no_color: bool) -> Style {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    let plain = no_color || dumb || set("NO_COLOR") || !std::io::stdout().is_terminal();
    Style {
        colour: if plain { Colour::Never } else { Colour::Always },
        width: width(),
        now: Timestamp::now(),
    }
}

/// Of the terminal, in characters. A shell seldom passes COLUMNS on.
fn width() -> usize {
    let terminal = rustix::termios::tcgetwinsize(std::io::stdout()).ok().map(|size| usize::from(size.ws_col));
    let told = || std::env::var("COLUMNS").ok()?.parse().ok();
    terminal.filter(|columns| *columns > 0).or_else(told).map_or(100, |columns| columns.max(40))
}

/// What may not be read, a line each, where it is no part of the output.
fn note(not_seen: &[String]) {
    not_seen.iter().for_each(|note| tell(&format!("note: {}\n", bounded(note))));
}
