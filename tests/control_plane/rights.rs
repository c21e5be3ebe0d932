//! Who a scene's operator is to the API server, and that it may do what the chart grants, no more.

use std::path::Path;

use kube::api::{DynamicObject, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::scene::{identity, resource};
use crate::support::control_plane::{ControlPlane, create_namespace};
use crate::support::operator::Options;

pub fn user(namespace: &str) -> String {
    format!("mfa-operator-of-{namespace}")
}

pub fn options(namespace: &str, kubeconfig: &Path) -> Options {
    Options { kubeconfig: kubeconfig.into(), namespaces: vec![namespace.into()], user: user(namespace) }
}

/// A namespace in which the operator's user has the rights that the chart gives it, and no other.
pub async fn namespace_with_operator(plane: &ControlPlane, name: &str) -> (Client, String) {
    let client = plane.client().await;
    let namespace = create_namespace(&client, name).await;
    let group = "rbac.authorization.k8s.io";
    let subjects = json!([{"apiGroup": group, "kind": "User", "name": user(&namespace)}]);
    let definition = json!([{
        "apiGroups": ["apiextensions.k8s.io"], "resources": ["customresourcedefinitions"],
        "resourceNames": ["mfapolicies.mfa-operator.dev"], "verbs": ["get"],
    }]);
    let objects = [
        json!({"kind": "ClusterRole", "metadata": {"name": "mfa-operator"}, "rules": chart_rules()}),
        json!({"kind": "ClusterRole", "metadata": {"name": "mfa-operator-definition"}, "rules": definition}),
        json!({
            "kind": "ClusterRoleBinding", "metadata": {"name": namespace}, "subjects": subjects,
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "mfa-operator-definition"},
        }),
        json!({
            "kind": "RoleBinding", "metadata": {"name": "mfa-operator", "namespace": namespace}, "subjects": subjects,
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "mfa-operator"},
        }),
    ];
    for mut object in objects {
        object["apiVersion"] = json!(format!("{group}/v1"));
        let (kind, name) = identity(&object);
        let api = match kind.as_str() {
            "RoleBinding" => Api::<DynamicObject>::namespaced_with(client.clone(), &namespace, &resource(&kind)),
            _ => Api::all_with(client.clone(), &resource(&kind)),
        };
        api.patch(&name, &PatchParams::apply("test").force(), &Patch::Apply(object)).await.expect("the rights are granted");
    }
    (client, namespace)
}

/// The rules that the chart gives the operator in a namespace.
fn chart_rules() -> Value {
    let templates = include_str!("../../charts/mfa-operator/templates/_helpers.tpl");
    let (_, rest) = templates.split_once("define \"mfa-operator.rules\" -}}").expect("the chart defines the rules");
    let (rules, _) = rest.split_once("{{- end }}").expect("the definition ends");
    serde_yaml::from_str(rules).expect("the rules are plain YAML")
}
