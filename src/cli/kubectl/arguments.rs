//! The commands of the plugin.

use clap::{Parser, Subcommand};
use clap_complete::Shell;

use crate::cli::kubectl::access::Access;
use crate::cli::kubectl::{diff, edit, explain, history, rollout, status};

/// Shows which second factor is demanded, where, and why it is not.
#[derive(Parser)]
#[command(name = "kubectl-mfa", bin_name = "kubectl mfa", version, max_term_width = 100)]
pub struct Plugin {
    #[command(flatten)]
    pub access: Access,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
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
pub enum Rollout {
    /// Wait until a policy is ready; ends with 1 where it waits for an edit, or in vain
    Status(rollout::Options),
}
