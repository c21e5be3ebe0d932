//! Who a scene's operator is to the API server, and that it may do what the chart grants and its confinement
//! allows, no more: whatever a test sees an operator do has passed both.

use std::path::Path;
use std::sync::LazyLock;

use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::scene::{identity, resource};
use crate::stage;
use crate::support::control_plane::{ControlPlane, create_namespace};
use crate::support::operator::Options;

/// The Lease of an election, in the namespace of its scene.
pub const LEASE: &str = "mfa-operator";

pub fn user(namespace: &str) -> String {
    format!("mfa-operator-of-{namespace}")
}

pub fn options(namespace: &str, kubeconfig: &Path) -> Options {
    Options {
        kubeconfig: kubeconfig.into(),
        namespaces: vec![namespace.into()],
        user: user(namespace),
        log_format: "text",
        log: "info,mfa_operator=debug",
        arguments: Vec::new(),
    }
}

/// A namespace in which the operator's user has the rights that the chart gives it, and no other.
pub async fn namespace_with_operator(plane: &ControlPlane, name: &str) -> (Client, String) {
    let client = plane.client().await;
    let namespace = create_namespace(&client, name).await;
    grant(&client, &namespace, &user(&namespace)).await;
    (client, namespace)
}

/// Gives this user the rights of an operator in a namespace.
pub async fn grant(client: &Client, namespace: &str, user: &str) {
    let group = "rbac.authorization.k8s.io";
    let subjects = json!([{"apiGroup": group, "kind": "User", "name": user}]);
    let definition = json!([{
        "apiGroups": ["apiextensions.k8s.io"], "resources": ["customresourcedefinitions"],
        "resourceNames": ["mfapolicies.mfa-operator.dev"], "verbs": ["get"],
    }]);
    let objects = [
        json!({"kind": "ClusterRole", "metadata": {"name": "mfa-operator"}, "rules": chart_rules()}),
        json!({"kind": "ClusterRole", "metadata": {"name": "mfa-operator-definition"}, "rules": definition}),
        json!({
            "kind": "ClusterRoleBinding", "metadata": {"name": user}, "subjects": subjects,
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "mfa-operator-definition"},
        }),
        json!({
            "kind": "RoleBinding", "metadata": {"name": user, "namespace": namespace}, "subjects": subjects,
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "mfa-operator"},
        }),
    ];
    for mut object in objects {
        object["apiVersion"] = json!(format!("{group}/v1"));
        let (kind, name) = identity(&object);
        let api = match kind.as_str() {
            "RoleBinding" => {
                Api::<DynamicObject>::namespaced_with(client.clone(), namespace, &resource(&kind))
            }
            _ => Api::all_with(client.clone(), &resource(&kind)),
        };
        api.patch(&name, &PatchParams::apply("test").force(), &Patch::Apply(object))
            .await
            .expect("the rights are granted");
    }
    for object in CONFINEMENT.iter() {
        stage::apply(client, namespace, object.clone()).await;
    }
}

/// Takes the right to this resource from the operator of a namespace, as an older chart never gave it.
pub async fn revoke(client: &Client, namespace: &str, resource_name: &str) {
    let (group, user) = ("rbac.authorization.k8s.io", user(namespace));
    let bindings = Api::<DynamicObject>::namespaced_with(client.clone(), namespace, &resource("RoleBinding"));
    bindings.delete(&user, &DeleteParams::default()).await.expect("it was granted");
    let mut rules = chart_rules();
    let rules = rules.as_array_mut().expect("a list");
    rules.retain(|rule| rule["resources"] != json!([resource_name]));
    let role = json!({"apiVersion": format!("{group}/v1"), "kind": "Role", "metadata": {"name": "fewer"}, "rules": rules});
    let binding = json!({
        "apiVersion": format!("{group}/v1"), "kind": "RoleBinding", "metadata": {"name": user},
        "roleRef": {"apiGroup": group, "kind": "Role", "name": "fewer"},
        "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
    });
    for object in [role, binding] {
        stage::apply(client, namespace, object).await;
    }
}

/// Gives back what was revoked.
pub async fn give_back(client: &Client, namespace: &str) {
    let user = user(namespace);
    let bindings = Api::<DynamicObject>::namespaced_with(client.clone(), namespace, &resource("RoleBinding"));
    bindings.delete(&user, &DeleteParams::default()).await.expect("fewer were granted");
    grant(client, namespace, &user).await;
}

/// Lets this user stand for election, as the chart does.
pub async fn may_lead(client: &Client, namespace: &str, user: &str) {
    let group = "rbac.authorization.k8s.io";
    let role = json!({
        "apiVersion": format!("{group}/v1"), "kind": "Role", "metadata": {"name": "lease"},
        "rules": [
            {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"]},
            {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "resourceNames": [LEASE], "verbs": ["get", "update"]},
        ],
    });
    let binding = json!({
        "apiVersion": format!("{group}/v1"), "kind": "RoleBinding", "metadata": {"name": format!("{user}-lease")},
        "roleRef": {"apiGroup": group, "kind": "Role", "name": "lease"},
        "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
    });
    for (kind, name, object) in
        [("Role", "lease".to_owned(), role), ("RoleBinding", format!("{user}-lease"), binding)]
    {
        let api = Api::<DynamicObject>::namespaced_with(client.clone(), namespace, &resource(kind));
        api.patch(&name, &PatchParams::apply("test").force(), &Patch::Apply(object))
            .await
            .expect("the rights are granted");
    }
}

/// The chart's own, for the operators of all scenes instead of the one account.
static CONFINEMENT: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let off = ["weakening", "history"].map(|policy| format!("admission.{policy}.enabled=false"));
    // The longest that any of the elections has.
    let lease = ["extraEnv[0].name=MFA_OPERATOR_LEASE_DURATION".into(), "extraEnv[0].value=900s".into()];
    let all = stage::rendered("scenes", &[off.as_slice(), &lease].concat());
    let mut policies: Vec<_> =
        all.into_iter().filter(|object| identity(object).0.contains("ValidatingAdmission")).collect();
    let operator = policies
        .iter_mut()
        .find_map(|object| object.pointer_mut("/spec/matchConditions/0/expression"))
        .expect("it is of one user");
    assert_eq!(
        *operator,
        json!("request.userInfo.username == 'system:serviceaccount:scenes:scenes-mfa-operator'")
    );
    *operator = json!(format!("request.userInfo.username.startsWith('{}')", user("")));
    // They act in the name of a user, which is of no pod; each election has a Lease of its own.
    let spec = policies
        .iter_mut()
        .find_map(|object| object.pointer_mut("/spec/variables"))
        .expect("it has variables");
    for (name, expression) in
        [("pod", "'mfa-operator'"), ("lease", &*format!("request.namespace + '/{LEASE}'"))]
    {
        let variable =
            spec.as_array_mut().and_then(|all| all.iter_mut().find(|variable| variable["name"] == name));
        variable.unwrap_or_else(|| panic!("there is no variable {name}"))["expression"] = json!(expression);
    }
    policies
});

/// The rules that the chart gives the operator in a namespace.
fn chart_rules() -> Value {
    let rules =
        ["mfa-operator.rules", "mfa-operator.podRules"].into_iter().flat_map(|name| defined_rules(name, ""));
    rules.collect()
}

/// The rules of one definition in the chart, which may name objects by its argument.
pub fn defined_rules(definition: &str, argument: &str) -> Vec<Value> {
    let templates = include_str!("../../charts/mfa-operator/templates/_helpers.tpl");
    let (_, rest) =
        templates.split_once(&format!("define \"{definition}\" -}}}}")).expect("the chart defines the rules");
    let (rules, _) = rest.split_once("{{- end }}").expect("the definition ends");
    serde_yaml::from_str(&rules.replace("{{ . }}", argument)).expect("the rules are plain YAML")
}
