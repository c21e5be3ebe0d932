//! Sets the cluster up: workloads first, then the policies that the operator carries out.

use std::future::Future;
use std::time::{Duration, Instant};

use futures::stream::{self, StreamExt, TryStreamExt};
use serde_json::json;

use crate::Result;
use crate::cluster::Cluster;
use crate::follow::Both;
use crate::object::Name;
use crate::objects::{DEPLOYMENTS, NAMESPACES, POLICIES, deployment, policy};
use crate::sizes::AT_ONCE;

/// Seconds of privilegedSessionMaxAge before any change.
const SECONDS: usize = 900;
/// Where the bare client's own objects are.
pub const FLOOR: &str = "floor";
const POLICIES_IN_A_NAMESPACE: usize = 100;

/// Runs all, so many at once.
pub async fn each<F: Future<Output = Result<()>>>(tasks: impl Iterator<Item = F>) -> Result<()> {
    stream::iter(tasks).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
    Ok(())
}

pub fn name(index: usize) -> Name {
    Name::new(&format!("tenant-{:03}", index / POLICIES_IN_A_NAMESPACE), &format!("kratos-{index:05}"))
}

/// The policy and the workload of the measurement with a single policy.
pub fn single() -> Name {
    Name::new("single", "kratos")
}

pub async fn namespace(cluster: &Cluster, name: &str) -> Result<()> {
    NAMESPACES.create(&cluster.admin, "", &json!({"metadata": {"name": name}})).await?;
    Ok(())
}

pub async fn one(cluster: &Cluster, follow: &Both) -> Result<()> {
    let single = single();
    namespace(cluster, &single.namespace).await?;
    namespace(cluster, FLOOR).await?;
    DEPLOYMENTS.create(&cluster.admin, &single.namespace, &deployment(0, &single)).await?;
    POLICIES.create(&cluster.admin, &single.namespace, &policy(&single, &single.name, SECONDS)).await?;
    follow.policies.until(&single, |seen| seen.is_enforced()).await?;
    Ok(())
}

pub async fn workloads(cluster: &Cluster, follow: &Both, count: usize) -> Result<()> {
    let names: Vec<_> = (0..count).map(name).collect();
    let mut namespaces: Vec<_> = names.iter().map(|name| name.namespace.as_str()).collect();
    namespaces.dedup();
    each(namespaces.into_iter().map(|name| namespace(cluster, name))).await?;
    each(names.iter().enumerate().map(|(index, name)| async move {
        DEPLOYMENTS.create(&cluster.admin, &name.namespace, &deployment(index, name)).await?;
        Ok(())
    }))
    .await?;
    follow.deployments.until_all(&names, |_, seen| seen.observed.is_some()).await?;
    Ok(())
}

/// Returns how long it took until all were enforced.
pub async fn policies(cluster: &Cluster, follow: &Both, count: usize) -> Result<Duration> {
    let started = Instant::now();
    let names: Vec<_> = (0..count).map(name).collect();
    each(names.iter().map(|name| async move {
        POLICIES.create(&cluster.admin, &name.namespace, &policy(name, &name.name, SECONDS)).await?;
        Ok(())
    }))
    .await?;
    follow.policies.until_all(&names, |_, seen| seen.is_enforced()).await?;
    Ok(started.elapsed())
}
