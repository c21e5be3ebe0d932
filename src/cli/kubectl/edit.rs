//! `kubectl mfa retry`, `suspend` and `resume`: the only commands that write, one field each.

use std::process::ExitCode;

use clap::Args;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::api;
use crate::cli::kubectl::cluster::Cluster;
use crate::cli::kubectl::failure::Ended;
use crate::cli::output::show;
use crate::model::bounded;

/// Field manager of these writes.
pub const MANAGER: &str = "kubectl-mfa";

#[derive(Args)]
pub struct Named {
    /// The policy
    name: String,
}

pub async fn retry(cluster: &Cluster, named: &Named) -> Ended {
    let annotations = json!({api::RETRY_ANNOTATION: Timestamp::now().as_second().to_string()});
    patch(cluster, named, json!({"metadata": {"annotations": annotations}}), "is tried again").await
}

/// Holds the policy still, or ends that.
pub async fn suspend(cluster: &Cluster, named: &Named, suspend: bool) -> Ended {
    let done = if suspend { "is suspended" } else { "is resumed" };
    patch(cluster, named, json!({"spec": {"suspend": suspend}}), done).await
}

async fn patch(cluster: &Cluster, named: &Named, patch: Value, done: &str) -> Ended {
    let params = PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() };
    cluster.policies().patch(&named.name, &params, &Patch::Merge(patch)).await?;
    show(&format!("mfapolicy {} {done}\n", bounded(&named.name)))?;
    Ok(ExitCode::SUCCESS)
}
