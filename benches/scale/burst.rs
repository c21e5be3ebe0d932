//! Many policies changed at once, and a bare client that writes the same objects with as many
//! requests under way.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures::stream::{self, StreamExt, TryStreamExt};
use serde_json::{Value, json};

use crate::Result;
use crate::cluster::Cluster;
use crate::follow::Both;
use crate::load::{each, name, namespace};
use crate::object::Name;
use crate::objects::{
    CONFIG_MAPS, DEPLOYMENTS, NAMESPACES, POLICIES, REVISIONS, bare_deployment, change, deployment, policy,
};
use crate::sizes::AT_ONCE;

#[derive(Clone, Copy, Debug)]
pub struct Burst {
    /// Until the API server had answered the last change of a policy.
    pub asked: Duration,
    /// Until the last status spoke of its policy's new generation.
    pub told: Duration,
    /// Until the last policy was enforced.
    pub enforced: Duration,
}

/// A bare client's part of the same.
#[derive(Clone, Copy, Debug)]
pub struct Bare {
    /// What the operator writes.
    pub writes: Duration,
    /// The changes of the policies, which no operator answers.
    pub changes: Duration,
}

/// Changes the last `count` of the policies, which nothing has changed before.
pub async fn ours(cluster: &Cluster, follow: &Both, policies: usize, count: usize) -> Result<Burst> {
    let names: Vec<_> = (policies - count..policies).map(name).collect();
    let mut generations = HashMap::new();
    for name in &names {
        generations.insert(name.clone(), follow.policies.get(name)?.generation);
    }
    let started = Instant::now();
    each(names.iter().map(|name| async move {
        POLICIES.merge(&cluster.bare, name, &change(5_000)).await?;
        Ok(())
    }))
    .await?;
    let asked = started.elapsed();
    let told = follow
        .policies
        .until_all(&names, |name, seen| seen.generation > generations[name] && seen.observed.is_some())
        .await?;
    let told = told.iter().filter_map(|seen| seen.observed).max().unwrap_or(started);
    follow.policies.until_all(&names, |_, seen| seen.is_enforced()).await?;
    Ok(Burst { asked, told: told - started, enforced: started.elapsed() })
}

/// Where the bare client works.
const NAMESPACE: &str = "bare";

/// What the operator wrote for one policy, to be written in the same form.
struct Example {
    config_map: Value,
    revision: Value,
    status: Value,
}

/// The same writes without an operator, which must not run: config map and controller revision side
/// by side, then the workload, then the revision's annotation and the policy's status side by side.
pub async fn bare(cluster: &Cluster, follow: &Both, count: usize) -> Result<Bare> {
    let example = Example::read(cluster, &name(0)).await?;
    let names: Vec<_> = (0..count).map(|number| Name::new(NAMESPACE, &format!("bare-{number:05}"))).collect();
    if NAMESPACES.get(&cluster.admin, &Name::new("", NAMESPACE)).await.is_err() {
        namespace(cluster, NAMESPACE).await?;
    }
    let prepared = names.iter().enumerate().map(|(index, name)| prepare(cluster, &example, index, name));
    let prepared: Vec<(Name, String)> =
        stream::iter(prepared).buffer_unordered(AT_ONCE).try_collect().await?;
    all_observed(follow, &names).await?;
    let started = Instant::now();
    each(prepared.iter().map(|(name, uid)| write(cluster, &example, name, uid))).await?;
    let writes = started.elapsed();
    all_observed(follow, &names).await?;
    let started = Instant::now();
    each(names.iter().map(|name| async move {
        POLICIES.merge(&cluster.bare, name, &change(5_000)).await?;
        Ok(())
    }))
    .await?;
    let changes = started.elapsed();
    all_observed(follow, &names).await?;
    // What an operator would see of it must be gone before the next starts.
    each(names.iter().map(|name| async move { POLICIES.delete(&cluster.admin, name).await })).await?;
    each(names.iter().map(|name| async move { DEPLOYMENTS.delete(&cluster.admin, name).await })).await?;
    each(names.iter().map(|name| async move { CONFIG_MAPS.delete(&cluster.admin, name).await })).await?;
    each(names.iter().map(|name| async move { REVISIONS.delete(&cluster.admin, &revision_of(name)).await }))
        .await?;
    Ok(Bare { writes, changes })
}

fn revision_of(name: &Name) -> Name {
    Name::new(&name.namespace, &format!("{}-mfa-0123456789-01234567", name.name))
}

async fn all_observed(follow: &Both, names: &[Name]) -> Result<()> {
    follow.deployments.until_all(names, |_, seen| seen.observed.is_some()).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    Ok(())
}

impl Example {
    async fn read(cluster: &Cluster, policy: &Name) -> Result<Self> {
        let first =
            |objects: Vec<Value>| objects.into_iter().next().ok_or("the operator has written nothing");
        let config_map = first(CONFIG_MAPS.of_policy(&cluster.admin, policy).await?)?;
        let revision = first(REVISIONS.of_policy(&cluster.admin, policy).await?)?;
        let mut status = POLICIES.get(&cluster.admin, policy).await?;
        Ok(Self { config_map, revision, status: status["status"].take() })
    }

    /// The annotations under keys that mean nothing to the operator; all of one length.
    fn metadata(object: &Value, name: &str) -> Value {
        let text: String = object["metadata"]["annotations"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(_, value)| value.to_string())
            .collect();
        json!({"name": name, "annotations": {"bare.example.com/text": text}, "labels": {"bare.example.com/policy": name}})
    }
}

/// Returns the uid of the policy.
async fn prepare(cluster: &Cluster, example: &Example, index: usize, name: &Name) -> Result<(Name, String)> {
    let config_map = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": Example::metadata(&example.config_map, &name.name),
        "data": example.config_map["data"],
    });
    CONFIG_MAPS.create(&cluster.bare, NAMESPACE, &config_map).await?;
    DEPLOYMENTS.create(&cluster.bare, NAMESPACE, &deployment(index, name)).await?;
    DEPLOYMENTS.apply(&cluster.bare, name, &bare_deployment(name, 0)).await?;
    let created = POLICIES.create(&cluster.bare, NAMESPACE, &policy(name, "nobody", 900)).await?;
    Ok((name.clone(), created.metadata.uid))
}

async fn write(cluster: &Cluster, example: &Example, name: &Name, uid: &str) -> Result<()> {
    let client = &cluster.bare;
    let file = example.config_map["data"]["kratos.yaml"].as_str().unwrap_or_default();
    let config_map = json!({"metadata": Example::metadata(&example.config_map, &name.name), "data": {"kratos.yaml": format!("{file}#")}});
    let revision_name = revision_of(name);
    let mut metadata = Example::metadata(&example.revision, &revision_name.name);
    metadata["ownerReferences"] = example.revision["metadata"]["ownerReferences"].clone();
    metadata["ownerReferences"][0]["name"] = json!(name.name);
    metadata["ownerReferences"][0]["uid"] = json!(uid);
    let revision = json!({
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": metadata,
        "revision": 2,
        "data": example.revision["data"],
    });
    tokio::try_join!(
        CONFIG_MAPS.merge(client, name, &config_map),
        REVISIONS.create(client, NAMESPACE, &revision)
    )?;
    DEPLOYMENTS.apply(client, name, &bare_deployment(name, 5_000)).await?;
    let applied = metadata["annotations"]["bare.example.com/text"].as_str().unwrap_or_default();
    let note = json!({"metadata": {"annotations": {"bare.example.com/text": format!("{applied} ")}}});
    let status = json!({
        "apiVersion": "mfa-operator.dev/v1alpha1",
        "kind": "MfaPolicy",
        "metadata": {"name": name.name, "namespace": NAMESPACE},
        "status": example.status,
    });
    tokio::try_join!(
        REVISIONS.merge(client, &revision_name, &note),
        POLICIES.apply_status(client, name, &status)
    )?;
    Ok(())
}
