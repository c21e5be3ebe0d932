//! The wire format: what users write, what the operator answers, and every name that the
//! cluster sees. No logic lives here.

mod advisories;
mod conditions;
mod events;
mod remedies;
pub mod rules;
mod spec;
mod status;

pub use advisories::{Advice, Risk};
pub use conditions::{ConditionType, Reason};
pub use events::EventReason;
pub use remedies::Remedy;
pub use spec::{
    Code, Delivery, LookupSecret, Methods, MfaPolicy, MfaPolicySpec, RelyingParty, RequiredAal, Rollout,
    TargetRef, Totp, Verification, Webauthn,
};
pub use status::{Advisory, Condition, MfaPolicyStatus, RunningAal, TargetStatus, Transition};

/// API group of the resource, and the prefix of every label and annotation.
pub const GROUP: &str = "mfa-operator.dev";
pub const VERSION: &str = "v1alpha1";
/// API group of every workload, and the only one that a target may name.
pub const APPS: &str = "apps";
pub const KIND: &str = "MfaPolicy";
pub const PLURAL: &str = "mfapolicies";

/// Name of the `CustomResourceDefinition` object.
pub const CRD_NAME: &str = "mfapolicies.mfa-operator.dev";

/// Field manager of every write. It is API: another name would orphan all fields owned so far.
pub const MANAGER: &str = "mfa-operator";

/// On governed workloads, config maps and controller revisions: the name of the policy.
pub const POLICY_LABEL: &str = "mfa-operator.dev/policy";

/// On governed workloads and config maps: a [`crate::model::OwnershipNote`] as JSON.
pub const GOVERNED_ANNOTATION: &str = "mfa-operator.dev/governed";

/// On the newest controller revision: what was applied where, as JSON.
pub const APPLIED_ANNOTATION: &str = "mfa-operator.dev/applied";

/// On the newest controller revision: a [`crate::model::FailedRevision`] as JSON, while one stands.
pub const VERDICT_ANNOTATION: &str = "mfa-operator.dev/verdict";

/// On a policy, set to another value by whoever wants a revision tried again that was rolled back.
pub const RETRY_ANNOTATION: &str = "mfa-operator.dev/retry";

/// On a workload, set to `"true"` by its owner: its image counts as an identity server.
pub const ALLOW_ANNOTATION: &str = "mfa-operator.dev/allow";

/// The one key of the rendered config map.
pub const CONFIG_KEY: &str = "kratos.yaml";

/// The custom resource definition as `crds/mfapolicies.yaml` holds it.
///
/// # Panics
/// Never: the definition comes from the types alone, and a test builds it.
#[must_use]
pub fn crd() -> k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition {
    use kube::CustomResourceExt;
    let mut crd = serde_json::to_value(MfaPolicy::crd()).expect("a definition is JSON");
    adapt(&mut crd);
    // kstatus takes an object without any status for one that is as it should be: a new policy has
    // one from the beginning, of a generation that no object has.
    let status = crd
        .pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/status")
        .expect("it has a status");
    status["default"] = serde_json::json!({"observedGeneration": -1});
    serde_json::from_value(crd).expect("it stays a definition")
}

/// Removes `nullable`, and joins the lines of each description: `kubectl explain` breaks them itself.
///
/// A nullable field keeps an explicit `null`, which counts as set in `has()` and would slip past
/// the rules. Any other field loses it, as if it had been left out.
fn adapt(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(fields) => {
            fields.remove("nullable");
            if let Some(serde_json::Value::String(text)) = fields.get_mut("description") {
                *text =
                    text.split("\n\n").map(|lines| lines.replace('\n', " ")).collect::<Vec<_>>().join("\n\n");
            }
            fields.values_mut().for_each(adapt);
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(adapt),
        _ => {}
    }
}
