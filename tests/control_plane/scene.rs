//! A scene: a namespace of its own with an operator that serves it alone, under the chart's rules,
//! and the words in which tests act on it and wait for it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::ApiResource;
use kube::core::response::Status;
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::audit::{self, Write};
use crate::rights;
use crate::support::cluster_part;
use crate::support::control_plane::{ControlPlane, control_plane, install_definition};
use crate::support::operator::{Operator, Options};

/// Everything that takes no pause by design happens within this time, also on a busy machine.
pub const SOON: Duration = Duration::from_secs(40);
/// How long a policy must be gone before anything is undone, and some more.
pub const AFTER_THE_PAUSE: Duration = Duration::from_secs(120);

/// Field manager of whoever else writes.
pub const OWNER: &str = "owner";

pub struct Scene {
    pub namespace: String,
    pub client: Client,
    pub operator: Operator,
    pub kubeconfig: PathBuf,
    audit: PathBuf,
}

impl Scene {
    /// On the control plane that all tests share.
    pub async fn start(name: &str) -> Self {
        let plane = control_plane();
        install_definition(&plane.client().await).await;
        Self::start_on(plane, name).await
    }

    /// Its operator writes a log for machines.
    pub async fn start_with_json(name: &str) -> Self {
        let plane = control_plane();
        install_definition(&plane.client().await).await;
        Self::start_logging(plane, name, "json").await
    }

    pub async fn start_on(plane: &ControlPlane, name: &str) -> Self {
        Self::start_logging(plane, name, "text").await
    }

    async fn start_logging(plane: &ControlPlane, name: &str, log_format: &'static str) -> Self {
        let (client, namespace) = rights::namespace_with_operator(plane, name).await;
        let kubeconfig = plane.folder().join("kubeconfig");
        let operator = Operator::start(Options { log_format, ..rights::options(&namespace, &kubeconfig) });
        Self { namespace, client, operator, kubeconfig, audit: plane.folder().join("audit.log") }
    }

    /// Its operator reaches the API server by another kubeconfig, and is not waited for.
    pub async fn launch_through(plane: &ControlPlane, name: &str, kubeconfig: &Path) -> Self {
        let (client, namespace) = rights::namespace_with_operator(plane, name).await;
        let operator = Operator::launch(rights::options(&namespace, kubeconfig));
        Self {
            namespace,
            client,
            operator,
            kubeconfig: kubeconfig.into(),
            audit: plane.folder().join("audit.log"),
        }
    }

    /// Its operator is run like that, and not waited for.
    pub async fn launch_as(
        plane: &ControlPlane,
        name: &str,
        options: impl AsyncFnOnce(&Client, &str) -> Options,
    ) -> Self {
        let (client, namespace) = rights::namespace_with_operator(plane, name).await;
        let options = options(&client, &namespace).await;
        let kubeconfig = plane.folder().join("kubeconfig");
        Self {
            namespace,
            client,
            operator: Operator::launch(options),
            kubeconfig,
            audit: plane.folder().join("audit.log"),
        }
    }

    pub fn api(&self, kind: &str) -> Api<DynamicObject> {
        let resource = resource(kind);
        match kind {
            "Namespace"
            | "CustomResourceDefinition"
            | "ValidatingAdmissionPolicy"
            | "ValidatingAdmissionPolicyBinding"
            | "MutatingAdmissionPolicy"
            | "MutatingAdmissionPolicyBinding"
            | "ValidatingWebhookConfiguration" => Api::all_with(self.client.clone(), &resource),
            _ => Api::namespaced_with(self.client.clone(), &self.namespace, &resource),
        }
    }

    pub async fn find(&self, kind: &str, name: &str) -> Option<Value> {
        self.api(kind).get_opt(name).await.unwrap_or_else(|error| panic!("{kind} {name}: {error}")).map(value)
    }

    pub async fn get(&self, kind: &str, name: &str) -> Value {
        self.find(kind, name).await.unwrap_or_else(|| panic!("{kind} {name} is not there"))
    }

    pub async fn deployment(&self, name: &str) -> Value {
        self.get("Deployment", name).await
    }

    pub async fn list(&self, kind: &str) -> Vec<Value> {
        let list = self
            .api(kind)
            .list(&ListParams::default())
            .await
            .unwrap_or_else(|error| panic!("{kind}: {error}"));
        list.items.into_iter().map(value).collect()
    }

    pub async fn create(&self, object: Value) -> Value {
        let (kind, name) = identity(&object);
        let params = PostParams { field_manager: Some(OWNER.into()), ..PostParams::default() };
        let created = self.api(&kind).create(&params, &dynamic(object)).await;
        value(created.unwrap_or_else(|error| panic!("{kind} {name}: {error}")))
    }

    /// As `kubectl edit` writes: lists of a Deployment merge by their keys.
    pub async fn edit(&self, kind: &str, name: &str, patch: Value) -> Value {
        self.edit_as(OWNER, kind, name, patch).await
    }

    pub async fn edit_as(&self, manager: &str, kind: &str, name: &str, patch: Value) -> Value {
        let edited = self.try_edit_as(manager, kind, name, patch).await;
        edited.unwrap_or_else(|status| panic!("{kind} {name}: {}", status.message))
    }

    pub async fn try_edit_as(
        &self,
        manager: &str,
        kind: &str,
        name: &str,
        patch: Value,
    ) -> Result<Value, Box<Status>> {
        let params = PatchParams { field_manager: Some(manager.into()), ..PatchParams::default() };
        let patch = if kind == "MfaPolicy" { Patch::Merge(patch) } else { Patch::Strategic(patch) };
        self.api(kind).patch(name, &params, &patch).await.map(value).map_err(refused)
    }

    /// A patch of the status, as the kubelet writes it.
    pub async fn edit_status(&self, kind: &str, name: &str, status: Value) {
        let patch = Patch::Strategic(json!({ "status": status }));
        self.api(kind)
            .patch_status(name, &PatchParams::default(), &patch)
            .await
            .unwrap_or_else(|error| panic!("{kind} {name}: {error}"));
    }

    /// Refuses every update of Deployments of this scene that `expression` does not hold for, until
    /// [`Scene::let_pass`]. It must not hold for a Deployment with the metadata `breaks`.
    pub async fn refuse_unless(&self, expression: &str, message: &str, breaks: Value) {
        let rules = json!([{"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["deployments"]}]);
        self.create(json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": self.namespace},
            "spec": {
                "matchConstraints": {"resourceRules": rules},
                "validations": [{"expression": expression, "message": message}],
            },
        }))
        .await;
        let only_here =
            json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": self.namespace}}});
        self.create(json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": self.namespace},
            "spec": {"policyName": self.namespace, "validationActions": ["Deny"], "matchResources": only_here},
        }))
        .await;
        self.until_refused(breaks).await;
    }

    /// Waits until an edit that leaves a Deployment of its own with this metadata is refused.
    pub async fn until_refused(&self, metadata: Value) {
        let mut probe = crate::objects::kratos("probe");
        probe["spec"]["template"]["spec"]["containers"][0]["image"] = json!("probe");
        self.create(probe).await;
        let mut edit = json!({ "metadata": metadata });
        let mut number = 0;
        self.until("the edit is refused", SOON, async || {
            number += 1;
            edit["metadata"]["annotations"] = json!({"edit": number.to_string()});
            self.try_edit_as(OWNER, "Deployment", "probe", edit.clone())
                .await
                .map_or(Ok(()), |_| Err("it passes".into()))
        })
        .await;
    }

    pub async fn let_pass(&self) {
        self.delete("ValidatingAdmissionPolicyBinding", &self.namespace).await;
        self.delete("ValidatingAdmissionPolicy", &self.namespace).await;
    }

    /// Server-side apply, as Helm 4 and the GitOps controllers do it.
    pub async fn apply(&self, manager: &str, object: Value) -> Result<Value, Box<Status>> {
        let (kind, name) = identity(&object);
        self.api(&kind)
            .patch(&name, &PatchParams::apply(manager), &Patch::Apply(object))
            .await
            .map(value)
            .map_err(refused)
    }

    /// Writes the object whole, as `kubectl replace` and `helm upgrade --force` do.
    pub async fn replace(&self, object: Value) -> Value {
        let (kind, name) = identity(&object);
        let params = PostParams { field_manager: Some(OWNER.into()), ..PostParams::default() };
        let replaced = self.api(&kind).replace(&name, &params, &dynamic(object)).await;
        value(replaced.unwrap_or_else(|error| panic!("{kind} {name}: {error}")))
    }

    pub async fn delete(&self, kind: &str, name: &str) {
        self.api(kind)
            .delete(name, &DeleteParams::default())
            .await
            .unwrap_or_else(|error| panic!("{kind} {name}: {error}"));
    }

    /// A shell whose kubectl reaches this scene's control plane.
    pub fn shell(&self, script: &str) -> Command {
        let folders = format!("{}:{}", kubectl_folder().display(), std::env::var("PATH").unwrap_or_default());
        let mut shell = Command::new("sh");
        shell
            .args(["-euc", script])
            .env("KUBECONFIG", &self.kubeconfig)
            .env("PATH", folders)
            .stdin(Stdio::null());
        shell
    }

    pub fn kubectl(&self, arguments: &[&str]) {
        self.try_kubectl(arguments, "")
            .unwrap_or_else(|complaint| panic!("kubectl {arguments:?}: {complaint}"));
    }

    /// What kubectl complains about, with this on its standard input.
    pub fn try_kubectl(&self, arguments: &[&str], input: &str) -> Result<(), String> {
        let mut kubectl = Command::new(kubectl_folder().join("kubectl"))
            .args(["--namespace", &self.namespace])
            .args(arguments)
            .env("KUBECONFIG", &self.kubeconfig)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("kubectl runs");
        kubectl.stdin.take().expect("it is piped").write_all(input.as_bytes()).expect("kubectl reads it");
        let output = kubectl.wait_with_output().expect("kubectl ends");
        if output.status.success() {
            Ok(())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// Waits until `check` has an answer; its last complaint tells what was missing.
    pub async fn until<T>(
        &self,
        what: &str,
        limit: Duration,
        mut check: impl AsyncFnMut() -> Result<T, String>,
    ) -> T {
        let deadline = Instant::now() + limit;
        loop {
            match check().await {
                Ok(found) => return found,
                Err(missing) if Instant::now() > deadline => {
                    panic!(
                        "{what}: not after {limit:?}: {missing}\nthe operator's log ends:\n{}",
                        tail(&self.operator.log(), 25)
                    )
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }

    /// Holds `check` true for all of `span`.
    pub async fn throughout(
        &self,
        what: &str,
        span: Duration,
        mut check: impl AsyncFnMut() -> Result<(), String>,
    ) {
        let end = Instant::now() + span;
        while Instant::now() < end {
            // What it found may be of after the span.
            if let Err(complaint) = check().await
                && Instant::now() < end
            {
                panic!("{what}: {complaint}\nthe operator's log ends:\n{}", tail(&self.operator.log(), 25));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Waits until the condition of the current generation is so; answers its message.
    pub async fn until_condition(&self, policy: &str, type_: &str, status: &str, reason: &str) -> String {
        self.until_condition_within(SOON, policy, type_, status, reason).await
    }

    pub async fn until_condition_within(
        &self,
        limit: Duration,
        policy: &str,
        type_: &str,
        status: &str,
        reason: &str,
    ) -> String {
        let what = format!("condition {type_} of the policy {policy} is {status}/{reason}");
        self.until(&what, limit, async || {
            let object = self.get("MfaPolicy", policy).await;
            let found =
                condition(&object, type_).ok_or_else(|| format!("there is none: {}", object["status"]))?;
            let as_said = found["status"] == status && found["reason"] == reason;
            let current = found["observedGeneration"] == object["metadata"]["generation"];
            if as_said && current { Ok(text(&found["message"])) } else { Err(format!("it is {found}")) }
        })
        .await
    }

    /// Waits until the policy is in force everywhere, and nothing is left to write.
    pub async fn until_ready(&self, policy: &str) -> Value {
        self.until_condition(policy, "Ready", "True", "Ready").await;
        let what = format!("the records of the policy {policy} say that its rolls are done");
        self.until(&what, SOON, async || {
            let newest = self.newest_record(policy).await.ok_or("there is no record")?;
            let applied = text(&newest["metadata"]["annotations"]["mfa-operator.dev/applied"]);
            if applied.contains("\"rolledOut\":true") && !applied.contains("\"rolledOut\":false") {
                Ok(())
            } else {
                Err(applied)
            }
        })
        .await;
        self.get("MfaPolicy", policy).await
    }

    /// The same where the targets want no pods, and no pod can be asked.
    pub async fn until_ready_without_pods(&self, policy: &str) -> Value {
        // Targets roll one after the other.
        self.until_condition_within(AFTER_THE_PAUSE, policy, "RolledOut", "True", "NoPods").await;
        self.until_ready(policy).await
    }

    /// The ControllerRevision with the highest number, of the policy that bears this name now.
    pub async fn newest_record(&self, policy: &str) -> Option<Value> {
        let uid = self.get("MfaPolicy", policy).await["metadata"]["uid"].clone();
        let records = self.list("ControllerRevision").await.into_iter();
        records
            .filter(|record| record["metadata"]["ownerReferences"][0]["uid"] == uid)
            .max_by_key(|record| record["revision"].as_i64())
    }

    /// Waits for an Event with this reason that says all of `words`.
    pub async fn until_event(&self, reason: &str, words: &[&str]) {
        self.until(&format!("an Event {reason} that says {words:?}"), SOON, async || {
            let notes: Vec<_> = self.events(reason).await;
            let found = notes.iter().any(|note| words.iter().all(|word| note.contains(word)));
            if found { Ok(()) } else { Err(format!("there are: {notes:?}")) }
        })
        .await;
    }

    /// Notes of the Events with this reason.
    pub async fn events(&self, reason: &str) -> Vec<String> {
        self.list("Event")
            .await
            .iter()
            .filter(|event| event["reason"] == reason)
            .map(|event| text(&event["note"]))
            .collect()
    }

    /// A place in the audit log, to read on from.
    pub fn audit_mark(&self) -> u64 {
        std::fs::metadata(&self.audit).map_or(0, |metadata| metadata.len())
    }

    /// How many objects of this kind its operator read by name since `mark`.
    pub fn reads_since(&self, mark: u64, resource: &str) -> usize {
        let requests = audit::requests(&self.audit, mark, &rights::user(&self.namespace));
        requests.iter().filter(|request| request.verb == "get" && request.resource == resource).count()
    }

    /// What this scene's operator wrote since `mark`, with the answers.
    pub fn writes_since(&self, mark: u64) -> Vec<Write> {
        audit::read(&self.audit, mark, &rights::user(&self.namespace))
    }

    /// What another user wrote since `mark`, with the answers.
    pub fn writes_of(&self, user: &str, mark: u64) -> Vec<Write> {
        audit::read(&self.audit, mark, user)
    }

    /// How often this scene's operator listed a resource since `mark`.
    pub fn lists_since(&self, mark: u64, resource: &str) -> usize {
        audit::lists(&self.audit, mark, &rights::user(&self.namespace), resource)
    }
}

fn kubectl_folder() -> &'static Path {
    static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| cluster_part("node"));
    &FOLDER
}

pub fn resource(kind: &str) -> ApiResource {
    let (group, version, plural) = match kind {
        "Deployment" => ("apps", "v1", "deployments"),
        "StatefulSet" => ("apps", "v1", "statefulsets"),
        "DaemonSet" => ("apps", "v1", "daemonsets"),
        "ReplicaSet" => ("apps", "v1", "replicasets"),
        "ControllerRevision" => ("apps", "v1", "controllerrevisions"),
        "MfaPolicy" => ("mfa-operator.dev", "v1alpha1", "mfapolicies"),
        "Event" => ("events.k8s.io", "v1", "events"),
        "CustomResourceDefinition" => ("apiextensions.k8s.io", "v1", "customresourcedefinitions"),
        "ValidatingAdmissionPolicy" => ("admissionregistration.k8s.io", "v1", "validatingadmissionpolicies"),
        "ValidatingAdmissionPolicyBinding" => {
            ("admissionregistration.k8s.io", "v1", "validatingadmissionpolicybindings")
        }
        "MutatingAdmissionPolicy" => ("admissionregistration.k8s.io", "v1", "mutatingadmissionpolicies"),
        "MutatingAdmissionPolicyBinding" => {
            ("admissionregistration.k8s.io", "v1", "mutatingadmissionpolicybindings")
        }
        "ValidatingWebhookConfiguration" => {
            ("admissionregistration.k8s.io", "v1", "validatingwebhookconfigurations")
        }
        "ClusterRole" => ("rbac.authorization.k8s.io", "v1", "clusterroles"),
        "ClusterRoleBinding" => ("rbac.authorization.k8s.io", "v1", "clusterrolebindings"),
        "Role" => ("rbac.authorization.k8s.io", "v1", "roles"),
        "RoleBinding" => ("rbac.authorization.k8s.io", "v1", "rolebindings"),
        "Job" => ("batch", "v1", "jobs"),
        "Lease" => ("coordination.k8s.io", "v1", "leases"),
        "ConfigMap" => ("", "v1", "configmaps"),
        "Namespace" => ("", "v1", "namespaces"),
        "Pod" => ("", "v1", "pods"),
        "ResourceQuota" => ("", "v1", "resourcequotas"),
        "Secret" => ("", "v1", "secrets"),
        "ServiceAccount" => ("", "v1", "serviceaccounts"),
        other => panic!("add the kind {other} here"),
    };
    ApiResource {
        group: group.into(),
        version: version.into(),
        api_version: if group.is_empty() { version.into() } else { format!("{group}/{version}") },
        kind: kind.into(),
        plural: plural.into(),
    }
}

pub fn identity(object: &Value) -> (String, String) {
    (text(&object["kind"]), text(&object["metadata"]["name"]))
}

fn dynamic(object: Value) -> DynamicObject {
    serde_json::from_value(object).expect("an object has kind and metadata")
}

fn value(object: DynamicObject) -> Value {
    serde_json::to_value(object).expect("an object is JSON")
}

fn refused(error: kube::Error) -> Box<Status> {
    match error {
        kube::Error::Api(status) => status,
        error => panic!("no answer from the API server: {error}"),
    }
}

pub fn condition<'a>(policy: &'a Value, type_: &str) -> Option<&'a Value> {
    policy["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == type_)
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().into()
}

pub fn tail(text: &str, lines: usize) -> String {
    let all: Vec<_> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
