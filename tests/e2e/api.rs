//! The API server asked directly. The tests look at the cluster some thirty times a second; a kubectl of its
//! own for each look was most of the work of a run.

use std::sync::OnceLock;

use serde_json::Value;

/// Where the objects of a kind are.
fn folder(namespace: &str, kind: &str) -> String {
    let api = match kind {
        "configmap" | "event" | "pod" | "resourcequota" | "service" | "serviceaccount" => "api/v1",
        "controllerrevision" | "daemonset" | "deployment" | "replicaset" | "statefulset" => "apis/apps/v1",
        "lease" => "apis/coordination.k8s.io/v1",
        "mfapolicy" => return format!("/apis/mfa-operator.dev/v1alpha1/namespaces/{namespace}/mfapolicies"),
        "role" | "rolebinding" => "apis/rbac.authorization.k8s.io/v1",
        "clusterrole" => return "/apis/rbac.authorization.k8s.io/v1/clusterroles".into(),
        "validatingadmissionpolicy" => {
            return "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies".into();
        }
        other => panic!("say here where a {other} is served"),
    };
    format!("/{api}/namespaces/{namespace}/{kind}s")
}

/// An object as it stands, or null.
pub fn object(namespace: &str, kind: &str, name: &str) -> Value {
    match ask(format!("{}/{name}", folder(namespace, kind))) {
        Ok(found) => found,
        // A kind that is not served is not found either, but that answer names no object.
        Err(kube::Error::Api(status))
            if status.is_not_found()
                && status.details.as_ref().is_some_and(|details| details.name == name) =>
        {
            Value::Null
        }
        Err(error) => panic!("{namespace}: {kind}/{name}: {error}"),
    }
}

/// The objects of a kind with these labels, written as kubectl takes them.
pub fn objects(namespace: &str, kind: &str, labels: &str) -> Vec<Value> {
    let found = ask(format!("{}?labelSelector={labels}", folder(namespace, kind)));
    match found.unwrap_or_else(|error| panic!("{namespace}: each {kind} with {labels}: {error}"))["items"]
        .take()
    {
        Value::Array(items) => items,
        other => panic!("{namespace}: each {kind} with {labels}: no list but {other}"),
    }
}

fn ask(path: String) -> Result<Value, kube::Error> {
    static SERVER: OnceLock<(tokio::runtime::Runtime, kube::Client)> = OnceLock::new();
    let (runtime, client) = SERVER.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let client =
            runtime.block_on(kube::Client::try_default()).expect("KUBECONFIG tells the way to the cluster");
        (runtime, client)
    });
    let request = http::Request::get(path).body(Vec::new()).expect("names and labels make a path");
    runtime.block_on(client.request(request))
}
