//! `kubectl mfa status`: everything about policies on one screen.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use k8s_openapi::jiff::Timestamp;

use crate::api::{ConditionType, Reason};
use crate::cli::kubectl::cluster::{Cluster, Everywhere};
use crate::cli::kubectl::failure::Ended;
use crate::cli::kubectl::patience::Patience;
use crate::cli::kubectl::screen::{Cell, Colour, Output, Style, Tone, cell, or_dash, table, toned};
use crate::cli::kubectl::terminal::{note, width};
use crate::cli::kubectl::view::{Overview, Pod, Policy, Revision, Target};
use crate::cli::output::{Reader, show, tell};
use crate::model::bounded;

/// How often it is looked at again.
const LOOK: Duration = Duration::from_secs(2);

/// Older revisions are in the history.
const REVISIONS: usize = 3;

#[derive(Args)]
pub struct Options {
    /// The policy; all of the namespace by default
    name: Option<String>,

    /// Policies of all namespaces
    #[arg(short = 'A', long, conflicts_with = "name")]
    all_namespaces: bool,

    /// A screen for people, or JSON of a stable structure
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,

    /// Show it again whenever it changes
    #[arg(short, long)]
    watch: bool,
}

pub async fn run(cluster: &Cluster, style: &Style, options: &Options) -> Ended {
    let everywhere = if options.all_namespaces { Everywhere::Yes } else { Everywhere::No };
    let mut patience = Patience::new(cluster, None);
    let mut shown = None;
    loop {
        let look = async || match &options.name {
            Some(name) => cluster.policy(name).await,
            None => cluster.all(everywhere).await,
        };
        let overview = patience.look(look).await?;
        let json = serde_json::to_string_pretty(&overview)? + "\n";
        let style = Style { now: Timestamp::now(), width: width(), ..*style };
        let text = screen(&style, &overview);
        // A terminal is wiped, and ages move on it; a file keeps every screen.
        let (wipe, seen) = match (options.output, style.colour) {
            (Output::Text, Colour::Always) => ("\u{1b}[H\u{1b}[2J", &text),
            (Output::Text, Colour::Never) => ("---\n", &json),
            (Output::Json, _) => ("", &json),
        };
        if shown.as_ref() != Some(seen) {
            let wipe = if shown.is_some() { wipe } else { "" };
            let reader = match options.output {
                Output::Json => show(&json)?,
                Output::Text => {
                    let reader = show(&(wipe.to_owned() + &text))?;
                    if overview.policies.is_empty() {
                        let place = if options.all_namespaces {
                            "any namespace".into()
                        } else {
                            format!("the namespace {}", cluster.namespace)
                        };
                        tell(&format!("No MfaPolicy found in {}.\n", bounded(&place)));
                    }
                    note(&overview.not_seen);
                    reader
                }
            };
            if reader == Reader::Gone {
                return Ok(ExitCode::SUCCESS);
            }
        }
        if !options.watch {
            return Ok(ExitCode::SUCCESS);
        }
        shown = Some(seen.clone());
        tokio::time::sleep(LOOK).await;
    }
}

/// All policies, an empty line between them.
#[must_use]
pub fn screen(style: &Style, overview: &Overview) -> String {
    overview.policies.iter().map(|policy| self::policy(style, policy)).collect::<Vec<_>>().join("\n")
}

fn policy(style: &Style, policy: &Policy) -> String {
    let mut out = headline(style, policy);
    let levels = |settings: &str, whoami: &str| format!("settings {settings}, whoami {whoami}");
    let asked = levels(&or_dash(policy.asked.settings.as_deref()), &or_dash(policy.asked.whoami.as_deref()));
    let running = policy.running.as_ref().map(|running| levels(&running.settings, &running.whoami));
    let differs = running.as_ref() != Some(&asked);
    let mut rows = vec![
        vec![cell("asks for"), cell(&asked)],
        vec![
            cell("in force"),
            toned(if differs { Tone::Waiting } else { Tone::Good }, &or_dash(running.as_deref())),
        ],
        vec![cell("revision"), cell(&or_dash(policy.revision.as_deref()))],
    ];
    rows.extend(
        policy.failed_revision.as_deref().map(|failed| vec![cell("failed"), toned(Tone::Bad, failed)]),
    );
    rows.push(vec![cell("pods"), cell(&or_dash(policy.pods.as_deref()))]);
    out += &table(style, "  ", &rows);
    for condition in policy.conditions.iter().filter(|condition| is_worth_a_line(policy, &condition.type_)) {
        let reason = if condition.reason == condition.type_ {
            String::new()
        } else {
            format!("{}: ", condition.reason)
        };
        out += &style.paragraph("  ", &format!("{}: {reason}{}", condition.type_, condition.message));
    }
    out += &targets(style, &policy.targets);
    if let Some(revisions) = policy.revisions.as_deref().filter(|revisions| !revisions.is_empty()) {
        out += &section(style, "revisions");
        let rows: Vec<_> =
            revisions.iter().take(REVISIONS).map(|revision| self::revision(style, revision)).collect();
        out += &table(style, "    ", &rows);
        if revisions.len() > REVISIONS {
            out += &style.paragraph(
                "    ",
                &format!("and {} more: kubectl mfa history {}", revisions.len() - REVISIONS, policy.name),
            );
        }
    }
    if !policy.advisories.is_empty() {
        out += &section(style, "advice");
        for advice in &policy.advisories {
            out += &format!("    {}\n", style.paint(Tone::Waiting, &bounded(&advice.type_)));
            out += &style.paragraph("      ", &advice.message);
        }
    }
    out
}

/// The name, and in one word how it is.
pub fn headline(style: &Style, policy: &Policy) -> String {
    let stalled = policy.condition(ConditionType::Stalled.as_str()).is_some();
    let (tone, sign) = match policy.ready.as_str() {
        "True" => (Tone::Good, "✔"),
        _ if stalled => (Tone::Bad, "✖"),
        _ => (Tone::Waiting, "◌"),
    };
    let name = style.paint(Tone::Title, &bounded(&format!("{}/{}", policy.namespace, policy.name)));
    let word = if policy.reason.is_empty() { "Unknown" } else { &policy.reason };
    let mut out = format!("{} {name}  {}", style.paint(tone, sign), style.paint(tone, &bounded(word)));
    if policy.suspended && policy.reason != Reason::Suspended.as_str() {
        out += &format!("  {}", style.paint(Tone::Waiting, "suspended"));
    }
    if policy.deleting {
        out += &format!("  {}", style.paint(Tone::Waiting, "being deleted"));
    }
    out.push('\n');
    if !policy.message.is_empty() {
        out += &style.paragraph("  ", &policy.message);
    }
    if !policy.is_current() {
        let seen = policy.observed_generation.filter(|seen| *seen >= 0);
        let seen = seen.map_or("no generation".to_owned(), |seen| format!("generation {seen}"));
        let text = format!(
            "the status speaks of {seen} of the spec, which is at {}: the operator has not looked yet, or does not run",
            policy.generation
        );
        out += &style.paragraph("  ", &text);
    }
    out
}

/// What the headline does not say already.
fn is_worth_a_line(policy: &Policy, type_: &str) -> bool {
    let Some(condition) = policy.condition(type_) else { return false };
    let told = condition.reason == policy.reason;
    match ConditionType::from_word(type_) {
        Some(ConditionType::Overridden) => !told,
        // What is not asked yet, or not at all, is no news.
        Some(ConditionType::Effective) => {
            !told && ![Reason::Off, Reason::Progressing].iter().any(|idle| idle.as_str() == condition.reason)
        }
        Some(ConditionType::Accepted | ConditionType::RolledOut) => !told && condition.status != "True",
        Some(ConditionType::Ready | ConditionType::Reconciling | ConditionType::Stalled) | None => false,
    }
}

fn section(style: &Style, title: &str) -> String {
    format!("  {}\n", style.paint(Tone::Title, title))
}

/// Targets with their pods below them, in common columns.
fn targets(style: &Style, targets: &[Target]) -> String {
    if targets.is_empty() {
        return String::new();
    }
    let head = ["", "NODE", "REVISION", "STATE", "AGE"].map(|text| toned(Tone::Dim, text));
    let mut rows: Vec<Vec<Cell>> = vec![head.to_vec()];
    let mut notes = Vec::new();
    for target in targets {
        let status = &target.status;
        let name = format!("{} {}", status.kind, status.name);
        let ready =
            status.total_pods.map(|total| format!("{}/{total} ready", status.ready_pods.unwrap_or_default()));
        let version = status.server_version.as_deref().map(|version| format!("Kratos {version}"));
        let state = ready.into_iter().chain(version).collect::<Vec<_>>().join(", ");
        rows.push(vec![cell(&name), cell(""), cell(&or_dash(status.revision.as_deref())), cell(&state)]);
        rows.extend(
            target.pods.iter().flatten().map(|pod| self::pod(style, status.revision.as_deref(), pod)),
        );
        notes.extend(status.not_checked.iter().map(|not| format!("{name}: not checked: {not}")));
    }
    rows[0][0] = toned(Tone::Dim, "TARGETS AND PODS");
    let mut out = table(style, "  ", &rows);
    out.extend(notes.iter().map(|note| style.paragraph("  ", note)));
    out
}

fn pod(style: &Style, revision: Option<&str>, pod: &Pod) -> Vec<Cell> {
    let (tone, word) = match pod {
        Pod { terminating: true, .. } => (Tone::Dim, "ending"),
        Pod { ready: true, .. } => (Tone::Good, "ready"),
        Pod { trouble: Some(trouble), .. } => (Tone::Bad, trouble.as_str()),
        _ => (Tone::Waiting, "not ready"),
    };
    let restarts = if pod.restarts > 0 { format!(", {} restarts", pod.restarts) } else { String::new() };
    // One that reads a file names none.
    let older = pod.revision.is_some() && pod.revision.as_deref() != revision;
    vec![
        cell(&format!("  {}", pod.name)),
        cell(&or_dash(pod.node.as_deref())),
        toned(if older { Tone::Waiting } else { Tone::Plain }, &or_dash(pod.revision.as_deref())),
        toned(tone, &format!("{word}{restarts}")),
        cell(&style.age(&pod.created)),
    ]
}

/// Number, digest, what became of it, age.
pub fn revision(style: &Style, revision: &Revision) -> Vec<Cell> {
    let (tone, word) = match revision {
        Revision { failed: Some(_), .. } => (Tone::Bad, "failed"),
        Revision { rolling_on, .. } if !rolling_on.is_empty() => (Tone::Waiting, "rolling out"),
        Revision { in_force_on, .. } if !in_force_on.is_empty() => (Tone::Good, "in force"),
        Revision { good_on, .. } if !good_on.is_empty() => (Tone::Plain, "good"),
        _ => (Tone::Dim, "not rolled out"),
    };
    vec![
        cell(&revision.number.to_string()),
        cell(&revision.revision),
        toned(tone, word),
        cell(&style.age(&revision.created)),
    ]
}
