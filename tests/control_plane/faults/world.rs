//! The objects of the test: what the specs ask for, how faults change that, and whether it has come about.

use std::collections::BTreeMap;
use std::time::Duration;

use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::fault::{Edit, POLICIES, WORKLOADS};
use super::judge::{self, Asked, MAX_AGE};
use super::{config_map, policy_of};
use crate::between::BROKEN;
use crate::objects::{
    GOVERNED, LABEL, SETTINGS, WHOAMI, env, env_patch, env_removal, generation, kratos, kratos_reading,
    policy_with,
};
use crate::scene::{OWNER, condition, identity, resource, text};

/// One that no other is equal to.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    policy: &'static str,
    seconds: u32,
    settings: &'static str,
    whoami: &'static str,
    targets: Vec<&'static str>,
}

impl Spec {
    pub fn age(&self) -> String {
        format!("{}s", self.seconds)
    }

    pub fn variables(&self) -> BTreeMap<&'static str, String> {
        let mut variables =
            BTreeMap::from([(SETTINGS, self.settings.to_owned()), (WHOAMI, self.whoami.to_owned())]);
        if self.policy != "file" {
            variables.insert(MAX_AGE, self.age());
        }
        variables
    }

    fn object(&self) -> Value {
        let delivery = if self.policy == "file" { "ConfigFile" } else { "Environment" };
        let spec = json!({
            "requiredAAL": {"settings": self.settings, "whoami": self.whoami},
            "privilegedSessionMaxAge": self.age(),
            "fieldConflicts": "TakeOver",
            "delivery": {"type": delivery},
        });
        policy_with(self.policy, &self.targets, spec)
    }
}

struct Policy {
    there: bool,
    spec: Spec,
}

pub struct World {
    client: Client,
    namespace: String,
    policies: BTreeMap<&'static str, Policy>,
    edits: u32,
    pub asked: Asked,
}

impl World {
    pub async fn new(client: Client, namespace: String) -> Self {
        let spec = |policy, targets: &[&'static str]| Spec {
            policy,
            seconds: 60,
            settings: "highest_available",
            whoami: "highest_available",
            targets: targets.to_vec(),
        };
        let specs = [spec(POLICIES[0], &WORKLOADS[..2]), spec(POLICIES[1], &WORKLOADS[2..])];
        let policies = specs.map(|spec| (spec.policy, Policy { there: true, spec }));
        let mut world =
            Self { client, namespace, policies: policies.into(), edits: 60, asked: Asked::default() };
        world.begin();
        for workload in WORKLOADS {
            world.create(made(workload)).await;
            world.may_change(workload);
        }
        for policy in POLICIES {
            world.create(world.policies[policy].spec.object()).await;
        }
        world
    }

    /// A new step: what was asked for before it is in force.
    pub fn begin(&mut self) {
        let there = self.policies.values().filter(|policy| policy.there);
        let specs = there.clone().map(|policy| (policy.spec.policy, vec![policy.spec.clone()])).collect();
        let named: Vec<_> = there.flat_map(|policy| &policy.spec.targets).collect();
        let let_go = WORKLOADS
            .iter()
            .filter(|workload| !named.contains(workload))
            .map(|workload| (*workload).to_owned())
            .collect();
        self.asked = Asked { specs, let_go, changes: BTreeMap::new() };
    }

    fn may_change(&mut self, workload: &str) {
        *self.asked.changes.entry(workload.into()).or_default() += 1;
    }

    fn api(&self, kind: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource(kind))
    }

    async fn create(&self, object: Value) {
        let (kind, _) = identity(&object);
        let object: DynamicObject = serde_json::from_value(object).expect("an object has kind and metadata");
        let params = PostParams { field_manager: Some(OWNER.into()), ..PostParams::default() };
        insist(async || self.api(&kind).create(&params, &object).await.map(drop)).await;
    }

    async fn delete(&self, kind: &str, name: &str) {
        insist(async || self.api(kind).delete(name, &DeleteParams::default()).await.map(drop)).await;
    }

    async fn patch(&self, kind: &str, name: &str, patch: Value) {
        let params = PatchParams { field_manager: Some(OWNER.into()), ..PatchParams::default() };
        let patch = if kind == "MfaPolicy" { Patch::Merge(patch) } else { Patch::Strategic(patch) };
        insist(async || self.api(kind).patch(name, &params, &patch).await.map(drop)).await;
    }

    /// What the operator cannot read for a while.
    pub fn unreadable(
        &self,
        kind: &'static str,
        name: &'static str,
        time: Duration,
    ) -> impl Future<Output = ()> + use<> {
        let api = self.api(kind);
        async move {
            for value in [Some(BROKEN.1), None] {
                let patch = Patch::Merge(json!({"metadata": {"annotations": { BROKEN.0: value }}}));
                insist(async || api.patch(name, &PatchParams::default(), &patch).await.map(drop)).await;
                tokio::time::sleep(time).await;
            }
        }
    }

    /// The spec as it is now is asked for.
    fn ask(&mut self, policy: &'static str) {
        let spec = self.policies[policy].spec.clone();
        spec.targets.iter().for_each(|workload| self.may_change(workload));
        self.asked.specs.entry(policy).or_default().push(spec);
    }

    /// Edits the spec; a policy that is not there is made.
    async fn write(&mut self, policy: &'static str, edit: impl FnOnce(&mut Spec)) {
        self.edits += 1;
        let known = self.policies.get_mut(policy).expect("it is known");
        known.spec.seconds = self.edits;
        edit(&mut known.spec);
        let object = known.spec.object();
        let there = std::mem::replace(&mut known.there, true);
        self.ask(policy);
        if there {
            self.patch("MfaPolicy", policy, json!({ "spec": object["spec"] })).await;
        } else {
            self.create(object).await;
        }
    }

    async fn remove(&mut self, policy: &'static str) {
        let known = self.policies.get_mut(policy).expect("it is known");
        known.there = false;
        for workload in known.spec.targets.clone() {
            self.may_change(workload);
            self.asked.let_go.insert(workload.into());
        }
        self.delete("MfaPolicy", policy).await;
    }

    pub async fn play(&mut self, edit: Edit) {
        match edit {
            Edit::Levels { policy, settings, whoami } => {
                self.write(policy, |spec| (spec.settings, spec.whoami) = (settings, whoami)).await;
            }
            Edit::Targets => {
                let second = WORKLOADS[1];
                if self.policies[POLICIES[0]].spec.targets.contains(&second) {
                    self.may_change(second);
                    self.asked.let_go.insert(second.into());
                    self.write(POLICIES[0], |spec| spec.targets.retain(|target| *target != second)).await;
                } else {
                    self.write(POLICIES[0], |spec| spec.targets.push(second)).await;
                }
            }
            Edit::Deleted(policy) => self.remove(policy).await,
            Edit::Blink(policy) => {
                self.remove(policy).await;
                self.write(policy, |_| {}).await;
            }
            Edit::ConfigMapDeleted(policy) => self.delete("ConfigMap", config_map(policy)).await,
            Edit::ConfigMapOverwritten(policy) => {
                self.patch(
                    "ConfigMap",
                    config_map(policy),
                    json!({"data": {"kratos.yaml": "session: {whoami: {required_aal: aal1}}\n"}}),
                )
                .await;
            }
            Edit::Variable { workload, name, value } => {
                self.may_change(workload);
                self.patch("Deployment", workload, env_patch(&[(name, value)])).await;
            }
            Edit::VariableRemoved { workload } => {
                self.may_change(workload);
                self.patch("Deployment", workload, env_removal(WHOAMI)).await;
            }
            Edit::Remade(workload) => {
                self.may_change(workload);
                self.delete("Deployment", workload).await;
                self.create(made(workload)).await;
            }
            Edit::ImageChanged(workload) => {
                self.edits += 1;
                let image = format!("example.com/{}/kratos:v1.3.1", self.edits);
                let pod = json!({"containers": [{"name": "kratos", "image": image}]});
                self.patch("Deployment", workload, json!({"spec": {"template": {"spec": pod}}})).await;
            }
        }
    }

    /// Whether everything is as the specs ask; the versions of the objects that are so.
    pub async fn is_as_asked(&self) -> Result<Vec<Value>, String> {
        let find = async |kind: &str, name: &str| {
            let found =
                self.api(kind).get_opt(name).await.map_err(|error| format!("{kind} {name}: {error}"))?;
            Ok::<_, String>(found.map(|object| serde_json::to_value(object).expect("an object is JSON")))
        };
        let mut found = Vec::new();
        for workload in WORKLOADS {
            let object =
                find("Deployment", workload).await?.ok_or_else(|| format!("there is no {workload}"))?;
            let policy = &self.policies[policy_of(workload)];
            if policy.there && policy.spec.targets.contains(&workload) {
                has(&object, &policy.spec)?;
            } else {
                is_free(&object)?;
            }
            found.push(object);
        }
        for (name, Policy { there, spec }) in &self.policies {
            let map = find("ConfigMap", config_map(name)).await?.map(|map| text(&map["data"]["kratos.yaml"]));
            let policy = find("MfaPolicy", name).await?;
            match (policy, map) {
                (Some(policy), Some(file)) if *there => {
                    is_ready(&policy)?;
                    spec.targets.iter().try_for_each(|target| tells(&policy, target, spec, &found))?;
                    let of_file = [
                        format!("required_aal: \"{}\"", spec.whoami),
                        format!("privileged_session_max_age: \"{}\"", spec.age()),
                    ];
                    if !of_file.iter().all(|line| file.contains(line)) {
                        return Err(format!("the file of {spec:?} is {file}"));
                    }
                    found.push(policy);
                }
                // One that is still mounted is emptied.
                (None, None) if !there => {}
                (None, Some(file)) if !there && file == "{}\n" => {}
                (policy, map) => {
                    return Err(format!("{name} is to be there: {there}, and is {policy:?} with {map:?}"));
                }
            }
        }
        Ok(found)
    }
}

fn made(workload: &str) -> Value {
    if policy_of(workload) == "file" {
        kratos_reading(workload, config_map("file"))
    } else {
        kratos(workload)
    }
}

fn has(workload: &Value, spec: &Spec) -> Result<(), String> {
    let (values, own) = (env(workload, "kratos"), judge::own(workload));
    let as_asked = |(name, value): (&str, String)| own.contains(name) && values.get(name) == Some(&value);
    let is_asked = spec.variables().into_iter().all(as_asked);
    if is_asked && workload["metadata"]["labels"][LABEL] == spec.policy {
        Ok(())
    } else {
        Err(format!("{spec:?} asks, there is {workload}"))
    }
}

/// Whether nothing of the operator is left on it.
fn is_free(workload: &Value) -> Result<(), String> {
    let metadata = &workload["metadata"];
    let is_free = judge::own(workload).is_empty()
        && metadata["labels"][LABEL].is_null()
        && metadata["annotations"][GOVERNED].is_null();
    if is_free { Ok(()) } else { Err(format!("nobody names it, and there is {workload}")) }
}

fn is_ready(policy: &Value) -> Result<(), String> {
    for (type_, reason) in [("Ready", "Ready"), ("RolledOut", "NoPods")] {
        let told = condition(policy, type_).filter(|told| told["observedGeneration"] == generation(policy));
        if told.is_none_or(|told| told["status"] != "True" || told["reason"] != reason) {
            return Err(format!("it is not {type_}: {policy}"));
        }
    }
    Ok(())
}

/// Whether the status tells of the workload as it is now: the operator writes it after the workload, and a
/// step is over with it.
fn tells(policy: &Value, target: &str, spec: &Spec, workloads: &[Value]) -> Result<(), String> {
    let workload = workloads.iter().find(|workload| workload["metadata"]["name"] == target).map(generation);
    let told =
        policy["status"]["targets"].as_array().into_iter().flatten().find(|told| told["name"] == target);
    let levels = json!({"settings": spec.settings, "whoami": spec.whoami});
    let is_so =
        |told: &&Value| told["requiredAAL"] == levels && told["observedGeneration"].as_i64() == workload;
    told.filter(is_so)
        .map(drop)
        .ok_or_else(|| format!("of {target} at {workload:?} it does not tell: {policy}"))
}

/// Until the API server answers. What is there already, or is not there, was done by an attempt whose answer
/// was lost, or has nothing done to it.
async fn insist(mut attempt: impl AsyncFnMut() -> kube::Result<()>) {
    let deadline = tokio::time::Instant::now() + super::PATIENCE;
    loop {
        match attempt().await {
            Ok(()) => return,
            Err(kube::Error::Api(status)) if status.code == 404 || status.is_already_exists() => return,
            Err(error) => assert!(tokio::time::Instant::now() < deadline, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
