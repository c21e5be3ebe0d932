//! `kubectl mfa rollout status`: waits for a policy as `kubectl rollout status` does for a workload.

use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgAction, Args};
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;

use crate::api::{self, ConditionType, Reason};
use crate::cli::duration::duration;
use crate::cli::kubectl::cluster::{Cluster, policy};
use crate::cli::kubectl::failure::Ended;
use crate::cli::kubectl::patience::{Late, Patience};
use crate::cli::kubectl::screen::{Style, Tone};
use crate::cli::kubectl::view::Policy;
use crate::cli::output::{show, tell};
use crate::model::bounded;

/// In seconds: until then the operator has begun with what it was asked for.
const ANSWER: i64 = 30;

/// How often it is looked at.
const LOOK: Duration = Duration::from_secs(1);

#[derive(Args)]
pub struct Options {
    /// The policy
    name: String,

    /// How long to wait, for example 10m or 1h30m; 0s is for ever
    #[arg(long, default_value = "0s", value_parser = duration)]
    timeout: Duration,

    /// Wait; with =false only say how it is
    #[arg(short, long, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_value_t = true, default_missing_value = "true")]
    watch: bool,
}

/// How far a policy is.
#[derive(Debug, PartialEq, Eq)]
enum Progress {
    Done(String),
    Waiting(String),
    /// It goes on with an edit alone.
    Stuck(String),
}

pub async fn run(cluster: &Cluster, style: &Style, options: &Options) -> Ended {
    let deadline = (!options.timeout.is_zero()).then(|| Instant::now() + options.timeout);
    let begun = Timestamp::now();
    let mut patience = Patience::new(cluster, deadline);
    let mut last = String::new();
    loop {
        let stored = match patience.look(async || cluster.stored(&options.name).await).await {
            Err(error) if error.is::<Late>() => {
                tell(&format!("error: timed out: {}\n", bounded(last.trim_end_matches('.'))));
                return Ok(ExitCode::FAILURE);
            }
            answer => answer?,
        };
        let policy = policy(&stored);
        let said = match progress(&policy) {
            Progress::Stuck(_) if is_asked_for(&stored, begun, Timestamp::now()) => {
                format!("Waiting for the operator to try the policy {} again...", policy.name)
            }
            Progress::Done(said) => {
                show(&format!("{}\n", style.paint(Tone::Good, &bounded(&said))))?;
                return Ok(ExitCode::SUCCESS);
            }
            Progress::Stuck(said) => {
                tell(&format!("error: {}\n", bounded(&said)));
                if let Some(remedy) = Reason::not_ready(&policy.reason).and_then(Reason::remedy) {
                    tell(&style.paragraph("", remedy.to_do));
                }
                return Ok(ExitCode::FAILURE);
            }
            Progress::Waiting(said) => said,
        };
        if said != last {
            show(&format!("{}\n", bounded(&said)))?;
            last = said;
        }
        if !options.watch {
            return Ok(ExitCode::SUCCESS);
        }
        tokio::time::sleep(
            deadline.map_or(LOOK, |deadline| LOOK.min(deadline.duration_since(Instant::now()))),
        )
        .await;
    }
}

/// Whether another attempt was asked for since the policy got stuck, and the operator may not have seen it:
/// that changes no generation. `begun` is when the wait did.
fn is_asked_for(stored: &Value, begun: Timestamp, now: Timestamp) -> bool {
    let asked = stored["metadata"]["annotations"][api::RETRY_ANNOTATION]
        .as_str()
        .and_then(|seconds| seconds.parse::<i64>().ok());
    let stalled = stored["status"]["conditions"].as_array().into_iter().flatten();
    let mut stalled = stalled.filter(|condition| condition["type"] == ConditionType::Stalled.as_str());
    let since =
        stalled.find_map(|condition| condition["lastTransitionTime"].as_str()?.parse::<Timestamp>().ok());
    let now = now.as_second();
    asked.zip(since).is_some_and(|(asked, since)| {
        asked >= since.as_second() && now - asked.min(begun.as_second()) < ANSWER
    })
}

fn progress(policy: &Policy) -> Progress {
    let name = &policy.name;
    if !policy.is_current() {
        let seen = policy.observed_generation.filter(|seen| *seen >= 0);
        let seen = seen.map_or("it has not looked at any".to_owned(), |seen| format!("it looked at {seen}"));
        return Progress::Waiting(format!(
            "Waiting for the operator to look at generation {} of the policy {name} ({seen})...",
            policy.generation
        ));
    }
    let told = format!("{}: {}", policy.reason, policy.message);
    if policy.ready == "True" {
        return Progress::Done(format!("policy {name} is in force: {}", policy.message));
    }
    if policy.condition(ConditionType::Stalled.as_str()).is_some() {
        return Progress::Stuck(format!("policy {name} needs an edit: {told}"));
    }
    let pods = policy.pods.as_deref().map(|pods| format!(" ({pods} pods)")).unwrap_or_default();
    Progress::Waiting(format!("Waiting for the policy {name}{pods}: {told}..."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_status_of_an_older_spec_ends_nothing() {
        let mut policy = Policy {
            name: "p".into(),
            generation: 2,
            observed_generation: Some(1),
            ready: "True".into(),
            ..Policy::default()
        };
        assert!(matches!(progress(&policy), Progress::Waiting(said) if said.contains("looked at 1")));
        policy.observed_generation = Some(2);
        assert!(matches!(progress(&policy), Progress::Done(_)));
        policy.ready = "False".into();
        assert!(matches!(progress(&policy), Progress::Waiting(_)));
        policy.conditions = vec![crate::api::Condition {
            type_: "Stalled".into(),
            status: "True".into(),
            ..Default::default()
        }];
        assert!(matches!(progress(&policy), Progress::Stuck(_)));
    }

    #[test]
    fn what_was_stuck_before_another_attempt_was_asked_for_is_waited_for_a_while() {
        let time = |seconds: i64| Timestamp::from_second(1_800_000_000 + seconds).expect("a time");
        let stored = |asked: &Value| {
            json!({
                "metadata": {"annotations": {api::RETRY_ANNOTATION: asked}},
                "status": {"conditions": [{"type": "Stalled", "status": "True", "lastTransitionTime": time(0).to_string()}]},
            })
        };
        let at = |seconds: i64| json!(time(seconds).as_second().to_string());
        let is_asked_for = |asked: &Value, begun: i64, now: i64| {
            crate::cli::kubectl::rollout::is_asked_for(&stored(asked), time(begun), time(now))
        };
        assert!(is_asked_for(&at(100), 101, 120));
        assert!(is_asked_for(&at(0), 1, 2), "both in one second");
        assert!(!is_asked_for(&at(-1), 1, 2), "that attempt was made");
        assert!(!is_asked_for(&at(100), 101, 130), "the operator had its time");
        assert!(!is_asked_for(&at(900), 101, 131), "by a clock that is ahead");
        assert!(!is_asked_for(&json!("once more"), 101, 120) && !is_asked_for(&json!(null), 101, 120));
    }
}
