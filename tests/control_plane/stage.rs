//! A namespace under the chart's admission policies, and its people: each with an account of its own, who
//! come with the token of that account.

use std::process::Command;
use std::time::{Duration, Instant};

use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use kube::core::response::Status;
use kube::{Api, Client, Config};
use serde_json::{Value, json};

use crate::scene::{identity, resource};
use crate::support::cluster_part;
use crate::support::control_plane::{ControlPlane, control_plane, create_namespace, install_definition};

/// A change of the admission policies takes a moment until it holds, and on a busy machine more than one.
const SOON: Duration = Duration::from_secs(120);
/// The controllers that remove things serve all tests at once.
const GOING: Duration = Duration::from_secs(120);

type Answer = Result<Value, Box<Status>>;

/// Somebody before the API server, with what this one may do there.
pub struct Person {
    client: Client,
    namespace: String,
}

/// The pod of the operator's account.
pub const POD: &str = "operator-0";

/// One of this account, which nothing runs.
pub fn pod(name: &str, account: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"serviceAccountName": account, "containers": [{"name": "a", "image": "b"}]},
    })
}

pub struct Stage {
    pub namespace: String,
    /// May everything.
    pub admin: Person,
    /// With the roles that the chart gives it.
    pub operator: Person,
}

impl Stage {
    /// Has the policy called `policies` alone, so that each test knows what refuses.
    pub async fn set(name: &str, policies: &str) -> Self {
        Self::set_by(name, &[&format!("admission.{policies}.enabled=true")]).await
    }

    /// Has what the chart installs with these values.
    pub async fn set_by(name: &str, values: &[&str]) -> Self {
        let plane = control_plane();
        let client = plane.client().await;
        install_definition(&client).await;
        let namespace = create_namespace(&client, name).await;
        let mut settings =
            vec![format!("watchNamespaces={{{namespace}}}"), format!("fullnameOverride={namespace}")];
        settings.extend(
            ["confinement", "weakening", "history"].map(|policy| format!("admission.{policy}.enabled=false")),
        );
        settings.extend(values.iter().map(|value| (*value).to_owned()));
        for object in rendered(&namespace, &settings) {
            // Its rights and their limits; the rest of the chart stays away.
            let kind = identity(&object).0;
            if ["Role", "ServiceAccount", "ValidatingAdmission"].iter().any(|word| kind.contains(word)) {
                apply(&client, &namespace, object).await;
            }
        }
        let admin = Person { client, namespace: namespace.clone() };
        // It runs nowhere, and is there: a token for it says that it is of this pod.
        admin.create(pod(POD, &namespace)).await.expect("the account has a pod");
        let operator = Person::with_the_token_of(plane, &namespace, &namespace, Some(POD)).await;
        Self { namespace, admin, operator }
    }

    /// An account that has this role in the namespace.
    pub async fn person(&self, name: &str, role: &str) -> Person {
        self.admin
            .create(json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}))
            .await
            .expect("an account");
        self.grant(name, role).await;
        Person::with_the_token_of(control_plane(), &self.namespace, name, None).await
    }

    /// One for the operator's pod.
    pub async fn token(&self) -> String {
        token(control_plane(), &self.namespace, &self.namespace, Some(POD)).await
    }

    /// The admin in the name of somebody else.
    pub async fn acting_as(&self, user: &str) -> Person {
        let mut config = config(control_plane()).await;
        config.auth_info.impersonate = Some(user.into());
        config.auth_info.impersonate_groups = Some(vec!["system:masters".into()]);
        Person { client: Client::try_from(config).expect("a client"), namespace: self.namespace.clone() }
    }

    pub async fn grant(&self, account: &str, role: &str) {
        let group = "rbac.authorization.k8s.io";
        let binding = json!({
            "apiVersion": format!("{group}/v1"), "kind": "RoleBinding", "metadata": {"name": format!("{account}-{role}")},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": self.namespace}],
        });
        self.admin.create(binding).await.expect("the role can be given");
    }

    /// Waits until `attempt` is refused, as the admission policy holds.
    pub async fn until_refused(&self, mut attempt: impl AsyncFnMut() -> Answer) -> Box<Status> {
        let deadline = Instant::now() + SOON;
        loop {
            match attempt().await {
                Err(status) if status.code == 403 && status.message.contains("denied request") => {
                    return status;
                }
                answer => assert!(Instant::now() < deadline, "it is not refused: {answer:?}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until `check` says that it is so.
    pub async fn until(&self, what: &str, mut check: impl AsyncFnMut() -> Result<(), String>) {
        let deadline = Instant::now() + SOON;
        while let Err(found) = check().await {
            assert!(Instant::now() < deadline, "{what}: not after {SOON:?}: {found}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until there is no such object any more.
    pub async fn until_gone(&self, kind: &str, name: &str) {
        let deadline = Instant::now() + GOING;
        while let Some(left) = self.admin.find(kind, name).await {
            assert!(Instant::now() < deadline, "{kind} {name} stays: {left}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for Stage {
    /// What is cluster-wide would otherwise be asked at every write of the other tests.
    fn drop(&mut self) {
        let kubeconfig = control_plane().folder().join("kubeconfig");
        let kinds = "validatingadmissionpolicybindings,validatingadmissionpolicies,mutatingadmissionpolicybindings,mutatingadmissionpolicies,clusterrolebindings";
        let _ = Command::new(cluster_part("node").join("kubectl"))
            .args([
                "delete",
                kinds,
                "--wait=false",
                "--selector",
                &format!("app.kubernetes.io/instance={}", self.namespace),
            ])
            .env("KUBECONFIG", kubeconfig)
            .output();
    }
}

impl Person {
    /// With a token for this pod of the account, or for none.
    pub async fn with_the_token_of(
        plane: &ControlPlane,
        namespace: &str,
        account: &str,
        pod: Option<&str>,
    ) -> Self {
        Self::with(plane, namespace, &token(plane, namespace, account, pod).await).await
    }

    /// Whoever has this token.
    pub async fn with(plane: &ControlPlane, namespace: &str, token: &str) -> Self {
        let mut config = config(plane).await;
        let token: AuthInfo =
            serde_json::from_value(json!({ "token": token })).expect("a token is a credential");
        config.auth_info = token;
        Self { client: Client::try_from(config).expect("a client"), namespace: namespace.into() }
    }

    pub fn of(client: Client, namespace: &str) -> Self {
        Self { client, namespace: namespace.into() }
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    fn api(&self, kind: &str) -> Api<DynamicObject> {
        match kind {
            "Namespace"
            | "ClusterRoleBinding"
            | "ValidatingAdmissionPolicy"
            | "ValidatingAdmissionPolicyBinding" => Api::all_with(self.client.clone(), &resource(kind)),
            _ => Api::namespaced_with(self.client.clone(), &self.namespace, &resource(kind)),
        }
    }

    pub async fn find(&self, kind: &str, name: &str) -> Option<Value> {
        let found =
            self.api(kind).get_opt(name).await.unwrap_or_else(|error| panic!("{kind} {name}: {error}"));
        found.map(|object| serde_json::to_value(object).expect("an object is JSON"))
    }

    pub async fn get(&self, kind: &str, name: &str) -> Value {
        self.find(kind, name).await.unwrap_or_else(|| panic!("{kind} {name} is not there"))
    }

    pub async fn list(&self, kind: &str) -> Vec<Value> {
        let list = self
            .api(kind)
            .list(&kube::api::ListParams::default())
            .await
            .unwrap_or_else(|error| panic!("{kind}: {error}"));
        list.items
            .into_iter()
            .map(|object| serde_json::to_value(object).expect("an object is JSON"))
            .collect()
    }

    pub async fn create(&self, object: Value) -> Answer {
        let kind = identity(&object).0;
        let object = serde_json::from_value(object).expect("an object has kind and metadata");
        answer(self.api(&kind).create(&PostParams::default(), &object).await)
    }

    /// As `kubectl replace` does.
    pub async fn replace(&self, object: Value) -> Answer {
        let (kind, name) = identity(&object);
        let object = serde_json::from_value(object).expect("an object has kind and metadata");
        answer(self.api(&kind).replace(&name, &PostParams::default(), &object).await)
    }

    /// As `kubectl patch` does: lists of a built-in kind merge by their keys.
    pub async fn patch(&self, kind: &str, name: &str, patch: Value) -> Answer {
        let patch = if kind == "MfaPolicy" { Patch::Merge(patch) } else { Patch::Strategic(patch) };
        answer(self.api(kind).patch(name, &PatchParams::default(), &patch).await)
    }

    pub async fn patch_status(&self, kind: &str, name: &str, status: Value) -> Answer {
        let patch = Patch::Merge(json!({ "status": status }));
        answer(self.api(kind).patch_status(name, &PatchParams::default(), &patch).await)
    }

    pub async fn scale(&self, kind: &str, name: &str, replicas: u32) -> Result<(), Box<Status>> {
        let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
        self.api(kind).patch_scale(name, &PatchParams::default(), &patch).await.map(drop).map_err(refused)
    }

    /// As the operator writes.
    pub async fn apply(&self, object: Value) -> Answer {
        self.apply_by(&PatchParams::apply("mfa-operator"), object).await
    }

    /// As `kubectl apply --server-side --force-conflicts` does.
    pub async fn seize(&self, object: Value) -> Answer {
        self.apply_by(&PatchParams::apply("kubectl").force(), object).await
    }

    async fn apply_by(&self, params: &PatchParams, object: Value) -> Answer {
        let (kind, name) = identity(&object);
        answer(self.api(&kind).patch(&name, params, &Patch::Apply(object)).await)
    }

    pub async fn delete(&self, kind: &str, name: &str) -> Result<(), Box<Status>> {
        self.delete_by(kind, name, &DeleteParams::default()).await
    }

    /// As `kubectl delete --force` does.
    pub async fn delete_by_force(&self, kind: &str, name: &str) -> Result<(), Box<Status>> {
        self.delete_by(kind, name, &DeleteParams::default().grace_period(0)).await
    }

    async fn delete_by(&self, kind: &str, name: &str, params: &DeleteParams) -> Result<(), Box<Status>> {
        self.api(kind).delete(name, params).await.map(drop).map_err(refused)
    }

    /// As `kubectl --raw` does: the body is JSON, or what the verb makes of none.
    pub async fn send(&self, method: &str, path: &str, body: &Value) -> Result<(), Box<Status>> {
        let kind = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        let request = http::Request::builder().method(method).uri(path).header("content-type", kind);
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        self.client.request_text(request.body(body).expect("a request")).await.map(drop).map_err(refused)
    }

    /// As `kubectl delete --cascade=orphan` does.
    pub async fn delete_leaving_dependents(&self, kind: &str, name: &str) -> Result<(), Box<Status>> {
        self.api(kind).delete(name, &DeleteParams::orphan()).await.map(drop).map_err(refused)
    }

    pub async fn delete_all(&self, kind: &str) -> Result<(), Box<Status>> {
        let all = kube::api::ListParams::default();
        self.api(kind).delete_collection(&DeleteParams::default(), &all).await.map(drop).map_err(refused)
    }
}

/// Whoever has the token of a pod that was deleted.
pub async fn with_the_token_of_a_pod_that_is_gone(plane: &ControlPlane, namespace: &str) -> Client {
    let person = Person::of(plane.client().await, namespace);
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "gone"}});
    person.create(account).await.expect("an account");
    person.create(pod(POD, "gone")).await.expect("a pod");
    let token = token(plane, namespace, "gone", Some(POD)).await;
    person.delete_by_force("Pod", POD).await.expect("it can be deleted");
    Person::with(plane, namespace, &token).await.client
}

/// One for this pod of the account, or for none.
async fn token(plane: &ControlPlane, namespace: &str, account: &str, pod: Option<&str>) -> String {
    let accounts =
        Api::<DynamicObject>::namespaced_with(plane.client().await, namespace, &resource("ServiceAccount"));
    let bound = pod.map(|name| json!({"apiVersion": "v1", "kind": "Pod", "name": name}));
    let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"boundObjectRef": bound}});
    let answer: Value = accounts
        .create_subresource("token", account, &PostParams::default(), &request)
        .await
        .expect("a token");
    answer["status"]["token"].as_str().expect("a token").into()
}

/// The admin's.
async fn config(plane: &ControlPlane) -> Config {
    let kubeconfig = Kubeconfig::read_from(plane.folder().join("kubeconfig"))
        .expect("a ready control plane has a kubeconfig");
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .expect("it names one cluster");
    config.default_retry = false;
    config
}

fn answer(answer: kube::Result<DynamicObject>) -> Answer {
    answer.map(|object| serde_json::to_value(object).expect("an object is JSON")).map_err(refused)
}

fn refused(error: kube::Error) -> Box<Status> {
    match error {
        kube::Error::Api(status) => status,
        error => panic!("no answer from the API server: {error}"),
    }
}

/// What the chart installs as a release of this name, in a namespace of this name.
pub fn rendered(release: &str, settings: &[String]) -> Vec<Value> {
    let mut helm = Command::new(cluster_part("helm").join("helm"));
    helm.args([
        "template",
        release,
        concat!(env!("CARGO_MANIFEST_DIR"), "/charts/mfa-operator"),
        "--namespace",
        release,
        "--kube-version",
        "1.30.0",
    ]);
    let output =
        helm.args(settings.iter().flat_map(|setting| ["--set", setting])).output().expect("helm runs");
    assert!(output.status.success(), "helm: {}", String::from_utf8_lossy(&output.stderr));
    let documents = String::from_utf8(output.stdout).expect("YAML is text");
    let objects = serde_yaml::Deserializer::from_str(&documents)
        .map(|document| <Value as serde::Deserialize>::deserialize(document).expect("helm renders objects"));
    objects.filter(|object| !object.is_null()).collect()
}

/// Applies an object where it belongs; in `namespace` where it names none and is namespaced.
pub async fn apply(client: &Client, namespace: &str, object: Value) {
    let (kind, name) = identity(&object);
    let resource: ApiResource = resource(&kind);
    let api = match kind.as_str() {
        "Role" | "RoleBinding" | "ServiceAccount" | "Service" | "ConfigMap" | "Pod" => {
            Api::<DynamicObject>::namespaced_with(
                client.clone(),
                object["metadata"]["namespace"].as_str().unwrap_or(namespace),
                &resource,
            )
        }
        _ => Api::all_with(client.clone(), &resource),
    };
    let applied = api.patch(&name, &PatchParams::apply("test").force(), &Patch::Apply(object)).await;
    applied.unwrap_or_else(|error| panic!("{kind} {name}: {error}"));
}
