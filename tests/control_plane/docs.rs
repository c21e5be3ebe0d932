//! The YAML of the documentation, as a reader would apply it: by a server-side dry run under strict
//! validation.
//!
//! A block that is no Kubernetes object says what it is in a comment right before it, `<!-- not applied: Helm
//! values -->`, so that nothing is passed over in silence. `<!-- part of an MfaPolicy -->` is completed here
//! and then applied, too.

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::{Api, Client, ResourceExt, discovery};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::control_plane::{control_plane, install_definition};
use crate::support::markdown::{Block, pages};

const PART: &str = "part of an MfaPolicy";

#[tokio::test]
async fn every_yaml_block_is_accepted() {
    let client = control_plane().client().await;
    install_definition(&client).await;
    let blocks: Vec<_> = pages().into_iter().flat_map(|page| page.blocks).collect();
    let unnamed =
        blocks.iter().filter(|block| block.language.is_empty() && block.text.starts_with("apiVersion:"));
    let mut wrong: Vec<_> = unnamed.map(|block| format!("{}: say that this is yaml", block.place)).collect();
    let mut accepted = 0;
    for block in blocks.iter().filter(|block| matches!(block.language.as_str(), "yaml" | "yml")) {
        for object in objects(block) {
            match object {
                Ok(object) => match dry_run(&client, object).await {
                    Ok(()) => accepted += 1,
                    Err(words) => wrong.push(format!("{}: {words}", block.place)),
                },
                Err(words) => wrong.push(format!("{}: {words}", block.place)),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(accepted > 5, "only {accepted} objects found: the search is broken");
}

/// What a reader would apply; nothing, where the block says why.
fn objects(block: &Block) -> Vec<Result<Value, String>> {
    match block.marker.as_deref() {
        Some(words) if words.strip_prefix("not applied:").is_some_and(|reason| !reason.trim().is_empty()) => {
            return Vec::new();
        }
        Some(PART) => {
            return vec![
                documents(block)
                    .and_then(|mut documents| Ok(completed(documents.pop().ok_or("it is empty")?))),
            ];
        }
        _ => {}
    }
    match documents(block) {
        Ok(documents) => documents
            .into_iter()
            .map(|object| is_object(&object).then_some(object).ok_or_else(no_object))
            .collect(),
        Err(words) => vec![Err(words)],
    }
}

fn no_object() -> String {
    format!("no Kubernetes object: put <!-- not applied: what it is --> or <!-- {PART} --> right before it")
}

fn documents(block: &Block) -> Result<Vec<Value>, String> {
    serde_yaml::Deserializer::from_str(&block.text)
        .map(|document| Value::deserialize(document).map_err(|error| error.to_string()))
        .collect()
}

fn is_object(document: &Value) -> bool {
    ["apiVersion", "kind", "metadata"].iter().all(|field| !document[field].is_null())
}

/// A policy of which the block is a part: its spec, or what stands in it.
fn completed(part: Value) -> Value {
    let mut spec = if part["spec"].is_object() { part["spec"].clone() } else { part };
    if spec["targetRefs"].is_null() {
        spec["targetRefs"] = json!([{"name": "kratos"}]);
    }
    if spec["requiredAAL"].is_null() {
        spec["requiredAAL"] = json!({"settings": "highest_available", "whoami": "highest_available"});
    }
    json!({
        "apiVersion": "mfa-operator.dev/v1alpha1",
        "kind": "MfaPolicy",
        "metadata": {"name": "kratos", "namespace": "identity"},
        "spec": spec,
    })
}

/// What the API server has against it, if anything: warnings of strict validation are refusals.
async fn dry_run(client: &Client, object: Value) -> Result<(), String> {
    let object: DynamicObject = serde_json::from_value(object).map_err(|error| error.to_string())?;
    let types = object.types.clone().ok_or_else(no_object)?;
    let kind = kube::core::GroupVersionKind::try_from(&types).map_err(|error| error.to_string())?;
    let (resource, capabilities) = discovery::pinned_kind(client, &kind).await.map_err(|_| {
        format!(
            "the API server does not know {}: put <!-- not applied: what it is --> right before it",
            types.kind
        )
    })?;
    let parameters =
        PatchParams { dry_run: true, ..PatchParams::apply("reader").force().validation_strict() };
    let api: Api<DynamicObject> = match (capabilities.scope, object.namespace()) {
        (discovery::Scope::Cluster, _) => Api::all_with(client.clone(), &resource),
        (discovery::Scope::Namespaced, None) => {
            return Err("it names no namespace, so that it lands wherever the reader happens to be".into());
        }
        (discovery::Scope::Namespaced, Some(namespace)) => {
            create(client, &namespace).await;
            Api::namespaced_with(client.clone(), &namespace, &resource)
        }
    };
    api.patch(&object.name_any(), &parameters, &Patch::Apply(&object))
        .await
        .map(drop)
        .map_err(|error| error.to_string())
}

/// The namespace that a reader has.
async fn create(client: &Client, name: &str) {
    let namespace: Namespace =
        serde_json::from_value(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}))
            .expect("it is one");
    let applied = Api::<Namespace>::all(client.clone())
        .patch(name, &PatchParams::apply("reader"), &Patch::Apply(namespace))
        .await;
    applied.expect("namespaces can be created");
}
