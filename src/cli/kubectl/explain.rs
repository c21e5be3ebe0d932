//! `kubectl mfa explain`: why a policy is in its state, and what to do.

use std::process::ExitCode;

use clap::Args;

use crate::api::{ConditionType, Reason};
use crate::cli::kubectl::cluster::Cluster;
use crate::cli::kubectl::failure::Ended;
use crate::cli::kubectl::screen::{Style, Tone, cell, table, toned};
use crate::cli::kubectl::status;
use crate::cli::kubectl::terminal::note;
use crate::cli::kubectl::view::{Event, Policy};
use crate::cli::output::show;
use crate::model::bounded;
use crate::policy::Level;

/// More are in `kubectl describe`.
const EVENTS: usize = 8;

/// What holds whatever a status says, and what people expect otherwise.
const TRUTHS: [&str; 3] = [
    "highest_available demands the highest level that the identity has set up. It forces nobody to enrol: who has no second factor goes on with the password alone.",
    "Sessions that run are challenged too: from the roll on, who has a second factor and signed in by password alone gets 403 session_aal2_required until they step up.",
    "Recovery by mail signs in with one factor: who loses the device needs recovery codes (methods.lookupSecret), or an administrator who takes the factor away.",
];

#[derive(Args)]
pub struct Options {
    /// The policy
    name: String,
}

pub async fn run(cluster: &Cluster, style: &Style, options: &Options) -> Ended {
    let mut overview = cluster.policy(&options.name).await?;
    for policy in &overview.policies {
        let events = cluster.events(policy, &mut overview.not_seen).await?;
        show(&screen(style, policy, events.as_deref().unwrap_or_default()))?;
    }
    note(&overview.not_seen);
    Ok(ExitCode::SUCCESS)
}

/// The whole explanation.
#[must_use]
pub fn screen(style: &Style, policy: &Policy, events: &[Event]) -> String {
    let mut out = status::headline(style, policy);
    out += &reasons(style, policy);
    if !policy.conditions.is_empty() {
        out += &title(style, "How it knows");
        let rows: Vec<_> = policy
            .conditions
            .iter()
            .filter(|condition| condition.type_ != ConditionType::Ready.as_str())
            .map(|condition| {
                let age = style.age(&condition.last_transition_time);
                let since = if age.is_empty() { age } else { format!("for {age}") };
                vec![
                    cell(&condition.type_),
                    toned(tone(condition.status.as_str(), &condition.type_), &condition.status),
                    cell(&condition.reason),
                    cell(&since),
                ]
            })
            .collect();
        out += &table(style, "  ", &rows);
    }
    let unseen = policy.targets.iter().flat_map(|target| &target.status.not_checked);
    out.extend(
        unseen.map(|what| style.paragraph("  ", &format!("Not checked, and may beat the policy: {what}"))),
    );
    if !policy.advisories.is_empty() {
        out += &title(style, "Advice");
        for advice in &policy.advisories {
            let anchor = format!("docs/advisories.md#{}", advice.type_.to_lowercase());
            out += &format!(
                "  {}  {}\n",
                style.paint(Tone::Waiting, &bounded(&advice.type_)),
                style.paint(Tone::Dim, &bounded(&anchor))
            );
            out += &style.paragraph("    ", &advice.message);
        }
        out += &style.paragraph(
            "  ",
            "Nothing is wrong. Each ends with its cause, or when its name stands in spec.acknowledge.",
        );
    }
    if !events.is_empty() {
        out += &title(style, "What happened lately");
        for event in &events[events.len().saturating_sub(EVENTS)..] {
            let tone = if event.type_ == "Warning" { Tone::Bad } else { Tone::Plain };
            let often = if event.count > 1 { format!(", {} times", event.count) } else { String::new() };
            let reason = style.paint(tone, &bounded(&event.reason));
            out += &format!(
                "  {reason}  {}\n",
                style.paint(Tone::Dim, &format!("{} ago{often}", style.age(&event.last_seen)))
            );
            out += &style.paragraph("    ", &event.message);
        }
    }
    let strict = [&policy.asked.settings, &policy.asked.whoami];
    if strict.into_iter().flatten().any(|level| level == Level::HighestAvailable.as_str()) {
        out += &title(style, "What always holds");
        out.extend(TRUTHS.iter().map(|truth| style.paragraph("  ", truth)));
    }
    out
}

/// Everything that is not in order, the first first.
fn reasons(style: &Style, policy: &Policy) -> String {
    let mut out = String::new();
    if policy.ready == "True" {
        out += &title(style, "What it means");
        out += &style.paragraph(
            "  ",
            "The policy and its targets are in order, and every pod that runs has what it asks for.",
        );
    }
    let mut told = Vec::new();
    let ready = policy.conditions.iter().filter(|condition| condition.type_ == ConditionType::Ready.as_str());
    let others =
        policy.conditions.iter().filter(|condition| condition.type_ != ConditionType::Ready.as_str());
    for condition in ready.chain(others) {
        let is_well = condition.status == "True" && condition.type_ != ConditionType::Overridden.as_str();
        let Some(reason) =
            Reason::not_ready(&condition.reason).filter(|reason| !is_well && !told.contains(reason))
        else {
            continue;
        };
        let Some(remedy) = reason.remedy() else { continue };
        // A proof that is not required, and is missing, is no reason for anything.
        let idle = condition.type_ == ConditionType::Effective.as_str()
            && condition.status == "Unknown"
            && policy.reason != condition.reason;
        // Nor is it news that what is refused is not rolled out.
        if idle || (reason == Reason::Progressing && policy.reason != reason.as_str()) {
            continue;
        }
        told.push(reason);
        if condition.reason != policy.reason {
            out += &format!(
                "\n{}  {}\n",
                style.paint(Tone::Title, &bounded(&condition.type_)),
                style.paint(Tone::Waiting, reason.as_str())
            );
            out += &style.paragraph("  ", &condition.message);
        }
        out += &title(style, "What it means");
        out += &style.paragraph("  ", remedy.means);
        out += &title(style, "What to do");
        out += &style.paragraph("  ", remedy.to_do);
    }
    out
}

fn tone(status: &str, type_: &str) -> Tone {
    let good_when_false = [ConditionType::Overridden, ConditionType::Reconciling, ConditionType::Stalled];
    match (status, good_when_false.iter().any(|bad| bad.as_str() == type_)) {
        ("True", false) => Tone::Good,
        ("True", true) | ("False", false) => Tone::Bad,
        _ => Tone::Waiting,
    }
}

fn title(style: &Style, text: &str) -> String {
    format!("\n{}\n", style.paint(Tone::Title, text))
}
