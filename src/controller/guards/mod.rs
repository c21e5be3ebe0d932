//! Whether the cluster holds the operator, and everybody else, to what docs/security.md says: each is an
//! object of the cluster that may not be there, and without which nothing else would look different. Whether
//! the operator is confined it finds out by trying, without effect: confinement, and not a missing right, has
//! to refuse a Lease of another name.

pub mod known;

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::admissionregistration::v1::{
    MatchResources, ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use smol_str::SmolStr;
use tracing::{info, warn};

use crate::api::MANAGER;
use crate::controller::context::Context;
use crate::controller::guards::known::{Guard, Guards, Known};
use crate::telemetry::metrics::requests::is_by_confinement;

/// Longer than any answer of an API server that works.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often it is asked again: seldom, for each try leaves an entry in the audit log.
const AGAIN: Duration = Duration::from_secs(300);

const AGAIN_WHERE_ONE_IS_MISSING: Duration = Duration::from_secs(30);

/// A client that is not fenced, for what has no effect, and where the operator's Lease lies.
pub struct Probe {
    pub client: Client,
    pub namespace: SmolStr,
}

/// Asks for ever. Without `probe`, or where the operator does not know its own name, nothing can be asked.
pub async fn watch(context: Arc<Context>, probe: Option<Probe>) {
    let mut told = false;
    loop {
        let found = look(&context, probe.as_ref()).await;
        let changed = context.guards.learn(found);
        if !told || !changed.is_empty() {
            tell(&found);
            told = true;
        }
        let whole = found.iter().all(|(_, guard)| *guard == Guard::InForce);
        tokio::time::sleep(if whole { AGAIN } else { AGAIN_WHERE_ONE_IS_MISSING }).await;
    }
}

async fn look(context: &Context, probe: Option<&Probe>) -> Guards {
    let mut found = Known::default().all();
    for (name, guard) in &mut found {
        let asked = async {
            match (*name, probe, &context.settings.own_deployment) {
                ("confinement", Some(probe), _) => confinement(probe).await,
                ("confinement", None, _) | (_, _, None) => Guard::Unknown,
                (name, _, Some(own_deployment)) => {
                    let guard = bound(
                        &context.client,
                        &format!("{}-{name}", own_deployment.name),
                        &context.settings.namespaces,
                    )
                    .await;
                    guard.unwrap_or_default()
                }
            }
        };
        *guard = tokio::time::timeout(PATIENCE, asked).await.unwrap_or_default();
    }
    found
}

pub async fn confinement(probe: &Probe) -> Guard {
    let name = Some(format!("{MANAGER}-is-confined"));
    let lease = Lease { metadata: ObjectMeta { name, ..ObjectMeta::default() }, spec: None };
    let params = PostParams { dry_run: true, field_manager: Some(MANAGER.into()) };
    match Api::<Lease>::namespaced(probe.client.clone(), &probe.namespace).create(&params, &lease).await {
        Ok(_) => Guard::Absent,
        Err(kube::Error::Api(status)) if is_by_confinement(&status.message) => Guard::InForce,
        Err(_) => Guard::Unknown,
    }
}

/// Whether the policy of this name is there, and its binding. One without the other refuses nothing.
async fn bound(client: &Client, name: &str, namespaces: &[String]) -> kube::Result<Guard> {
    let binding = Api::<ValidatingAdmissionPolicyBinding>::all(client.clone()).get_opt(name).await?;
    if !binding.is_some_and(|binding| binds(binding, name, namespaces)) {
        return Ok(Guard::Absent);
    }
    let policy = Api::<ValidatingAdmissionPolicy>::all(client.clone()).get_opt(name).await?;
    Ok(if policy.is_some_and(refuses) { Guard::InForce } else { Guard::Absent })
}

/// By the chart a binding is of the policy of its own name, without parameters, which could be missing, and
/// for every object of the namespaces that the operator works in.
fn binds(binding: ValidatingAdmissionPolicyBinding, name: &str, namespaces: &[String]) -> bool {
    let spec = binding.spec.unwrap_or_default();
    let denies = spec.validation_actions.iter().flatten().any(|action| action == "Deny");
    let covers = match spec.match_resources {
        None => true,
        Some(MatchResources {
            namespace_selector,
            object_selector,
            resource_rules,
            exclude_resource_rules,
            ..
        }) => {
            object_selector.unwrap_or_default() == LabelSelector::default()
                && resource_rules.unwrap_or_default().is_empty()
                && exclude_resource_rules.unwrap_or_default().is_empty()
                && namespace_selector.is_none_or(|selector| selects(&selector, namespaces))
        }
    };
    binding.metadata.deletion_timestamp.is_none()
        && denies
        && covers
        && spec.policy_name.as_deref() == Some(name)
        && spec.param_ref.is_none()
}

/// Whether the selector is of all these namespaces by their names; of all that there are, where none is
/// given.
fn selects(selector: &LabelSelector, namespaces: &[String]) -> bool {
    if selector.match_labels.as_ref().is_some_and(|labels| !labels.is_empty()) {
        return false;
    }
    let selected = |LabelSelectorRequirement { key, operator, values }: &LabelSelectorRequirement| {
        let values = values.as_deref().unwrap_or_default();
        !namespaces.is_empty()
            && key == "kubernetes.io/metadata.name"
            && operator == "In"
            && namespaces.iter().all(|name| values.contains(name))
    };
    selector.match_expressions.iter().flatten().all(selected)
}

fn refuses(policy: ValidatingAdmissionPolicy) -> bool {
    let spec = policy.spec.unwrap_or_default();
    policy.metadata.deletion_timestamp.is_none()
        && spec.failure_policy.as_deref() != Some("Ignore")
        && !spec.validations.unwrap_or_default().is_empty()
}

fn tell(found: &Guards) {
    let [confinement, weakening, history] = found.map(|(_, guard)| guard.word());
    if found.iter().any(|(_, guard)| *guard == Guard::Absent) {
        warn!(
            confinement,
            weakening,
            history,
            "the cluster does not hold to all admission policies of the chart: see docs/security.md"
        );
    } else {
        info!(
            confinement,
            weakening, history, "what the cluster holds by the admission policies of the chart"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const NAME: &str = "mfa-operator-history";

    fn is_bound(edit: Value, namespaces: &[&str]) -> bool {
        let mut spec = json!({"policyName": NAME, "validationActions": ["Deny", "Audit"]});
        spec.as_object_mut().expect("a map").extend(edit.as_object().cloned().unwrap_or_default());
        let binding =
            serde_json::from_value(json!({"metadata": {"name": NAME}, "spec": spec})).expect("a binding");
        let namespaces: Vec<_> = namespaces.iter().map(|name| (*name).to_owned()).collect();
        binds(binding, NAME, &namespaces)
    }

    #[test]
    fn a_binding_counts_where_it_is_for_all_that_the_operator_works_on() {
        let of = |values: Value| {
            json!({"matchResources": {"namespaceSelector": {
                "matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "In", "values": values}],
            }}})
        };
        assert!(is_bound(json!({}), &[]) && is_bound(json!({}), &["a"]));
        assert!(
            is_bound(json!({"matchResources": {"namespaceSelector": {}, "objectSelector": {}}}), &[]),
            "as the API server completes it"
        );
        assert!(is_bound(of(json!(["a", "b"])), &["a"]) && is_bound(of(json!(["a", "b"])), &["b", "a"]));
        assert!(!is_bound(of(json!(["a", "b"])), &[]), "it works in all namespaces");
        assert!(!is_bound(of(json!(["b"])), &["a"]) && !is_bound(of(json!(["b"])), &["a", "b"]));
        for spared in [
            json!({"validationActions": ["Audit"]}),
            json!({"policyName": "another"}),
            json!({"paramRef": {"name": "nowhere"}}),
            json!({"matchResources": {"objectSelector": {"matchLabels": {"a": "b"}}}}),
            json!({"matchResources": {"namespaceSelector": {"matchLabels": {"a": "b"}}}}),
            json!({"matchResources": {"excludeResourceRules": [{"resourceNames": ["a"]}]}}),
        ] {
            assert!(!is_bound(spared.clone(), &["a"]), "{spared}");
        }
    }

    #[test]
    fn a_policy_that_refuses_nothing_is_none() {
        let refuses = |metadata: Value, spec: Value| {
            crate::controller::guards::refuses(
                serde_json::from_value(json!({"metadata": metadata, "spec": spec})).expect("a policy"),
            )
        };
        let validations = json!([{"expression": "false"}]);
        assert!(refuses(json!({}), json!({"validations": validations, "failurePolicy": "Fail"})));
        assert!(refuses(json!({}), json!({ "validations": validations })));
        assert!(!refuses(json!({}), json!({"validations": validations, "failurePolicy": "Ignore"})));
        assert!(!refuses(json!({}), json!({"validations": []})));
        assert!(!refuses(
            json!({"deletionTimestamp": "2026-01-01T00:00:00Z"}),
            json!({ "validations": validations })
        ));
    }
}
