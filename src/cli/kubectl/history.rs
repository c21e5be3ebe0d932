//! `kubectl mfa history`: the revisions of a policy, and how the enforced level changed.

use std::process::ExitCode;

use clap::Args;

use crate::api::RunningAal;
use crate::cli::kubectl::cluster::Cluster;
use crate::cli::kubectl::failure::Ended;
use crate::cli::kubectl::screen::{Output, Style, Tone, cell, or_dash, table, toned};
use crate::cli::kubectl::status;
use crate::cli::kubectl::terminal::note;
use crate::cli::kubectl::view::Policy;
use crate::cli::output::show;

#[derive(Args)]
pub struct Options {
    /// The policy
    name: String,

    /// A screen for people, or JSON of a stable structure
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,
}

pub async fn run(cluster: &Cluster, style: &Style, options: &Options) -> Ended {
    let overview = cluster.policy(&options.name).await?;
    show(&match options.output {
        Output::Json => serde_json::to_string_pretty(&overview)? + "\n",
        Output::Text => overview.policies.iter().map(|policy| screen(style, policy)).collect(),
    })?;
    note(&overview.not_seen);
    Ok(ExitCode::SUCCESS)
}

/// Revisions, the newest first, and the changes of the level, the newest last.
#[must_use]
pub fn screen(style: &Style, policy: &Policy) -> String {
    let head = |names: &[&str]| names.iter().map(|name| toned(Tone::Dim, name)).collect::<Vec<_>>();
    let mut out = String::new();
    if let Some(revisions) = &policy.revisions {
        let mut rows = vec![head(&[
            "NO",
            "REVISION",
            "STATE",
            "AGE",
            "SETTINGS",
            "WHOAMI",
            "METHODS",
            "DELIVERY",
            "IN FORCE ON",
            "GOOD ON",
        ])];
        for revision in revisions {
            let mut row = status::revision(style, revision);
            let methods = revision.methods.join(",");
            let (in_force, good) = (revision.in_force_on.join(", "), revision.good_on.join(", "));
            row.extend(
                [revision.settings.as_deref(), revision.whoami.as_deref(), Some(&*methods)]
                    .map(|text| cell(&or_dash(text))),
            );
            row.extend([&*revision.delivery, &*or_dash(Some(&in_force)), &*or_dash(Some(&good))].map(cell));
            rows.push(row);
        }
        out += &if revisions.is_empty() {
            "No revision is remembered.\n".into()
        } else {
            table(style, "", &rows)
        };
        for (revision, failed) in
            revisions.iter().filter_map(|revision| Some((revision, revision.failed.as_ref()?)))
        {
            out += &style.paragraph("", &format!("{} failed on {failed}", revision.revision));
        }
    }
    if !policy.transitions.is_empty() {
        let mut rows =
            vec![head(&["LEVEL CHANGED", "SETTINGS", "WHOAMI", "CAUSE", "GENERATION", "REVISION", "BY"])];
        let arrow =
            |from: &str, to: &str| if from == to { to.to_owned() } else { format!("{from} → {to}") };
        let change = |from: &RunningAal, to: &RunningAal| {
            [arrow(&from.settings, &to.settings), arrow(&from.whoami, &to.whoami)]
        };
        for transition in &policy.transitions {
            let mut row = vec![cell(&transition.time)];
            row.extend(change(&transition.from, &transition.to).map(|text| cell(&text)));
            row.extend([cell(&transition.cause), cell(&transition.generation.to_string())]);
            row.extend(
                [&transition.revision, &transition.manager].map(|text| cell(&or_dash(text.as_deref()))),
            );
            rows.push(row);
        }
        if !out.is_empty() {
            out.push('\n');
        }
        out += &table(style, "", &rows);
    }
    out
}
