//! Values for the tests of this room.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::api;
pub use crate::model::fixtures::{container, crash, pod, trouble, workload};
use crate::model::{
    Applied, Before, Data, EnvFrom, Key, LastStatus, OwnFields, OwnershipNote, Pauses, PolicyObject,
    ProbesSkipped, Record, Selected, TargetData, Workload, record_name,
};
use crate::plan::desired::in_force::Standing;
use crate::plan::input::{Absence, History, Observed, TargetView};
use crate::policy::{DeletionPolicy, Delivery, Verification, parse};
use crate::server::kratos::{Overlay, render};

pub fn target(workload: Workload) -> TargetView {
    TargetView {
        kind: workload.kind,
        name: "kratos".into(),
        container: None,
        workload: Some(Arc::new(workload)),
        unreadable: None,
        holder: None,
        over: None,
        pods: None,
        selected: Selected::OwnAlone,
        content: None,
        well_since: None,
        proof: None,
        listed: None,
        disagrees_since: None,
        base: None,
        env_from: EnvFrom::default(),
        server_version: None,
        history: History::default(),
    }
}

/// A policy called mfa over these targets, and nothing else yet.
pub fn observed(targets: Vec<TargetView>) -> Observed {
    Observed {
        now: 1_000_000_000,
        pauses: Pauses::default(),
        key: Key::new("identity", "mfa"),
        policy: Some(Arc::new(policy("mfa"))),
        absence: Absence::Uncertain,
        crd_uid: "crd".into(),
        targets,
        governed: Vec::new(),
        config_maps: Vec::new(),
        records: Vec::new(),
        untargeted: Vec::new(),
        ignored: Vec::new(),
        unreadable: Vec::new(),
        standing: Standing::default(),
        left_file: None,
        probes_skipped: ProbesSkipped::default(),
        server_images: Arc::new(["kratos".to_owned()]),
        own_deployment: None,
    }
}

/// Makes the input of `observed`, with this spec.
pub fn observed_with(
    spec: Result<crate::policy::Policy, Vec<crate::policy::Rejection>>,
    targets: Vec<TargetView>,
) -> Observed {
    Observed { policy: Some(Arc::new(PolicyObject { spec, ..policy("mfa") })), ..observed(targets) }
}

/// A policy of this name that asks for `highest_available` at whoami.
pub fn policy(name: &str) -> PolicyObject {
    PolicyObject {
        key: Key::new("identity", name),
        uid: uid_of(name).into(),
        resource_version: "1".into(),
        generation: 1,
        created: 0,
        deleting: false,
        spec: parse(name, &spec("highest_available")),
        deletion_policy: DeletionPolicy::Revert,
        suspend: false,
        retry: "".into(),
        manager: None,
        verification: Verification::default(),
        status: LastStatus::default(),
    }
}

fn uid_of(policy: &str) -> String {
    format!("00000000-of-{policy}")
}

fn spec(whoami: &str) -> api::MfaPolicySpec {
    let target = json!({"name": "kratos", "container": "kratos"});
    serde_json::from_value(json!({"targetRefs": [target], "requiredAAL": {"whoami": whoami}}))
        .expect("a spec")
}

/// A record of the policy of this name, with this level at whoami.
pub fn record(policy: &str, revision: i64, whoami: &str) -> Arc<Record> {
    let parsed = parse(policy, &spec(whoami)).expect("it breaks no rule");
    let target = TargetData { kind: "Deployment".into(), name: "kratos".into(), container: "kratos".into() };
    let data = Data {
        overlay: Overlay::of(&parsed),
        delivery: Delivery::Environment,
        config_map_name: parsed.config_map.to_string(),
        targets: vec![target],
    };
    let uid = uid_of(policy);
    let name = record_name(policy, &uid, &data.digest()).into();
    Arc::new(Record {
        name,
        owner_uid: uid.into(),
        revision,
        data,
        applied: Vec::new(),
        verdict: None,
        unread: None,
    })
}

/// The record with this digest, as it was applied to the workload.
pub fn applied(record: &str, before: Before) -> Applied {
    Applied {
        kind: "Deployment".into(),
        name: "kratos".into(),
        uid: "uid".into(),
        container: "kratos".into(),
        record: record.into(),
        revision: "mfa-0123456789".into(),
        first: Some(1),
        rolled_out: true,
        reload: None,
        answer: None,
        good: Vec::new(),
        before,
        ran_well: None,
    }
}

/// A workload to which the policy of this name applied the record.
pub fn governed(policy: &str, record: &Record) -> Workload {
    let rendered = render(policy, record.data.overlay.clone(), record.data.delivery);
    let env: Vec<_> =
        rendered.variables.iter().map(|variable| (variable.name.as_str(), variable.value.as_str())).collect();
    let memory = OwnershipNote {
        deletion_policy: DeletionPolicy::Revert,
        policy: uid_of(policy),
        crd: "crd".into(),
        workload: Some("uid".into()),
    };
    Workload {
        policy_label: Some(policy.into()),
        governed: Some(memory.write().into()),
        own: OwnFields {
            policy_label: true,
            governed: true,
            env: env.iter().map(|(name, _)| ("kratos".into(), (*name).into())).collect(),
            changed: None,
        },
        containers: vec![container(&env)].into(),
        ..workload(1)
    }
}

/// One pod each, and old ones that run well.
pub fn targets(number: usize) -> Vec<TargetView> {
    let named = |index: usize| {
        let name = format!("kratos-{index}");
        let mut workload = Workload { uid: format!("uid-{index}").into(), ..workload(1) };
        workload.key.name = name.as_str().into();
        TargetView { name: name.into(), pods: None, ..target(workload) }
    };
    (0..number).map(named).collect()
}

/// A new generation of the policy, with this spec.
pub fn edit(observed: &mut Observed, spec: Value) {
    let mut policy = (**observed.policy.as_ref().expect("a policy")).clone();
    let names: Vec<_> =
        observed.targets.iter().map(|view| json!({"name": view.name, "container": "kratos"})).collect();
    let mut whole = json!({"targetRefs": names});
    whole.as_object_mut().expect("a map").extend(spec.as_object().cloned().expect("a map"));
    let spec: api::MfaPolicySpec = serde_json::from_value(whole).expect("a spec");
    policy.spec = parse(&policy.key.name, &spec);
    policy.generation += 1;
    observed.policy = Some(Arc::new(policy));
    stand(observed);
}

pub fn stand(observed: &mut Observed) {
    let policy = observed.policy.clone().expect("a policy");
    let workloads: Vec<_> = observed.targets.iter().filter_map(|view| view.workload.clone()).collect();
    observed.standing =
        Standing::of(&policy, &observed.records, workloads.iter().map(|workload| &**workload));
}
