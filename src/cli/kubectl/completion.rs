//! What could come next: scripts for a shell, and the answer to kubectl, which asks a program called
//! `kubectl_complete-mfa` with the words so far and reads lines like those of its own completion.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory as _, Parser as _};
use clap_complete::Shell;
use kube::ResourceExt;
use kube::api::ListParams;

use crate::cli::kubectl::arguments::Plugin;
use crate::cli::kubectl::cluster::Cluster;
use crate::cli::kubectl::failure::Ended;
use crate::cli::output::show;
use crate::model::bounded;

/// A shell that waits is a nuisance.
const PATIENCE: Duration = Duration::from_secs(2);

pub fn script(shell: Shell) -> Ended {
    let mut text = Vec::new();
    let mut command = Plugin::command();
    // Scripts complete the program; kubectl's own completion has the words `kubectl mfa`.
    command.set_bin_name("kubectl-mfa");
    clap_complete::generate(shell, &mut command, "kubectl-mfa", &mut text);
    show(&String::from_utf8_lossy(&text))?;
    Ok(ExitCode::SUCCESS)
}

/// Answers kubectl. The last word is the one to complete.
pub(in crate::cli) fn complete(words: impl Iterator<Item = String>) -> ExitCode {
    let words: Vec<_> = words.collect();
    let (begun, before) = words.split_last().map_or(("", &[][..]), |(last, before)| (last.as_str(), before));
    let command = before
        .iter()
        .fold(Plugin::command(), |command, word| command.find_subcommand(word).cloned().unwrap_or(command));
    let mut candidates: Vec<(String, String)> = Vec::new();
    let mut after = Directive::NoFiles;
    if matches!(before.last().map(String::as_str), Some("-f" | "--filename" | "--kubeconfig")) {
        after = Directive::Files;
    } else if begun.starts_with('-') {
        let plugin = Plugin::command();
        let all =
            command.get_arguments().chain(plugin.get_arguments().filter(|argument| argument.is_global_set()));
        let long =
            |argument: &clap::Arg| Some((format!("--{}", argument.get_long()?), help(argument.get_help())));
        candidates.extend(all.filter_map(long));
        candidates.sort();
        candidates.dedup();
    } else if command.has_subcommands() {
        candidates
            .extend(command.get_subcommands().map(|sub| (sub.get_name().into(), help(sub.get_about()))));
    } else if let Some(argument) = command.get_positionals().next() {
        let values = argument.get_possible_values();
        candidates.extend(values.iter().map(|value| (value.get_name().to_owned(), String::new())));
        if values.is_empty() {
            candidates.extend(names(before).into_iter().map(|name| (name, String::new())));
        }
    }
    let mut answer = String::new();
    for (candidate, help) in candidates.iter().filter(|(candidate, _)| candidate.starts_with(begun)) {
        let _ = writeln!(answer, "{}{}{}", bounded(candidate), if help.is_empty() { "" } else { "\t" }, help);
    }
    let _ = writeln!(answer, ":{}", after as u8);
    show(&answer).map_or(ExitCode::FAILURE, |_| ExitCode::SUCCESS)
}

/// What a shell does beside offering these, in the words of Cobra.
#[derive(Clone, Copy)]
enum Directive {
    Files = 0,
    NoFiles = 4,
}

fn help(text: Option<&clap::builder::StyledStr>) -> String {
    text.map(ToString::to_string).unwrap_or_default().lines().next().unwrap_or_default().to_owned()
}

/// Names of policies, as far as the words so far say where, and without a word where that fails.
fn names(before: &[String]) -> Vec<String> {
    let words = ["kubectl-mfa".to_owned()].into_iter().chain(before.iter().cloned());
    // A name is needed where one is to be completed.
    let access = Plugin::try_parse_from(words.clone())
        .or_else(|_| Plugin::try_parse_from(words.chain(["name".to_owned()])));
    let Ok(Plugin { access, .. }) = access else { return Vec::new() };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return Vec::new();
    };
    let listed = async {
        let cluster = Cluster::connect(&access).await.ok()?;
        let list = cluster.policies().list_metadata(&ListParams::default()).await.ok()?;
        Some(list.items.iter().map(ResourceExt::name_any).collect())
    };
    runtime
        .block_on(async { tokio::time::timeout(PATIENCE, listed).await })
        .ok()
        .flatten()
        .unwrap_or_default()
}
