//! What is held of an object of 1.5 MB, whatever it consists of, and that what is cut off is unknown.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::controller::decode::Resource;
use crate::controller::decode::config_map::ConfigMap;
use crate::controller::decode::pod::PodView;
use crate::controller::decode::revision::Revision;
use crate::controller::decode::seen::Seen;
use crate::model::{FileSource, Workload};
use crate::plan::beside_ours;

/// As large as etcd takes an object.
const LARGEST: usize = 1_500_000;

const CEILING: usize = 64 * 1024;

fn workload(template: Value, rest: &[(&str, Value)]) -> Value {
    let mut object = json!({
        "metadata": {"name": "kratos", "namespace": "identity", "uid": "uid", "resourceVersion": "1"},
        "spec": {"selector": {"matchLabels": {"app": "kratos"}}, "template": template},
    });
    for (pointer, value) in rest {
        let (owner, key) = pointer.rsplit_once('/').expect("a pointer");
        object.pointer_mut(owner).expect("it is there")[key] = value.clone();
    }
    object
}

fn pod(container: Value, volumes: Value) -> Value {
    let mut whole = json!({"name": "kratos", "image": "oryd/kratos:v1.3.1", "args": ["serve"]});
    whole.as_object_mut().expect("a map").extend(container.as_object().expect("a map").clone());
    json!({"spec": {"containers": [whole], "volumes": volumes}})
}

fn pad() -> String {
    "p".repeat(60)
}

/// Items, as many as an object has room for.
fn filled(item: impl Fn(usize) -> Value) -> Value {
    let (mut all, mut room) = (Vec::new(), LARGEST);
    loop {
        let next = item(all.len());
        match room.checked_sub(next.to_string().len() + 1) {
            Some(left) => room = left,
            None => return all.into(),
        }
        all.push(next);
    }
}

fn map_of(list: &Value) -> Value {
    list.as_array()
        .into_iter()
        .flatten()
        .enumerate()
        .map(|(index, value)| (format!("k:{{\"name\":\"{index}\"}}"), value.clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn read(text: &str) -> Workload {
    let seen: Seen<Workload> = serde_json::from_str(text).expect("a workload");
    seen.value(&Resource::of(crate::policy::Kind::Deployment)).expect("it can be read")
}

/// Bytes, those on the heap among them, or few more.
fn held(workload: &Workload) -> usize {
    let text = |text: &str| if text.len() > 23 { text.len() + 16 } else { 0 };
    let optional = |own: &Option<smol_str::SmolStr>| own.as_deref().map_or(0, text);
    let texts = [&workload.key.namespace, &workload.key.name, &workload.uid, &workload.resource_version];
    let texts: usize = texts.into_iter().map(|own| text(own)).sum();
    let words = [&workload.policy_label, &workload.governed, &workload.selector, &workload.last_manager]
        .into_iter()
        .map(optional)
        .sum::<usize>();
    let env =
        workload.own.env.iter().map(|(container, name)| {
            size_of_val(container) + size_of_val(name) + text(container) + text(name)
        });
    let mounts = workload.mounts.iter().map(|name| size_of_val(name) + text(name)).sum::<usize>();
    let containers = workload
        .containers
        .iter()
        .map(|own| size_of_val(own) + text(&own.name) + text(&own.image) + own.weight());
    size_of::<Workload>() + texts + words + env.sum::<usize>() + mounts + containers.sum::<usize>()
}

fn hostile() -> Vec<(&'static str, Value)> {
    let one = |container: Value| workload(pod(container, json!([])), &[]);
    let name = |index: usize| format!("{index}-{}", "n".repeat(250));
    let spelled = |index: usize| {
        let bit =
            |at: usize, letter: char| if index >> at & 1 == 1 { letter.to_ascii_uppercase() } else { letter };
        "session_whoami_required_aal"
            .chars()
            .enumerate()
            .map(|(at, letter)| bit(at, letter))
            .collect::<String>()
    };
    let files = (0..300_000).map(|_| "/a").collect::<Vec<_>>().join(",");
    let volume = |index: usize| json!({"name": format!("v{index}"), "configMap": {"name": name(index)}});
    let full = |index: usize| {
        json!({
            "name": format!("c{index}"), "image": format!("{index}{}", "i".repeat(1_000)),
            "env": (0..60).map(|index| json!({"name": spelled(index), "value": "x"})).chain([json!({"name": "SELFSERVICE_METHODS_WEBAUTHN_CONFIG_RP_ORIGINS", "value": "o".repeat(9_000)})]).collect::<Vec<_>>(),
            "envFrom": (0..20).map(|index| json!({"configMapRef": {"name": name(index)}})).collect::<Vec<_>>(),
            "args": ["--config", (0..60).map(|index| format!("/v/{}", name(index))).collect::<Vec<_>>().join(",")],
            "volumeMounts": [{"name": "v0", "mountPath": "/v"}],
        })
    };
    let fields = |env: Value| json!([{"manager": "mfa-operator", "operation": "Apply", "fieldsV1": {"f:spec": {"f:template": {"f:spec": {"f:containers": env}}}}}]);
    vec![
        ("files in one argument", one(json!({"args": ["--config", files]}))),
        ("files in arguments", one(json!({"args": filled(|_| json!(format!("--config=/{}", pad())))}))),
        ("words", one(json!({"args": filled(|_| json!(pad()))}))),
        ("a word", one(json!({"command": ["SESSION=".to_owned() + &"x".repeat(1_400_000)]}))),
        ("names in a script", one(json!({"args": ["-c", "SESSION=1 ".repeat(140_000)]}))),
        (
            "variables",
            one(json!({"env": filled(|index| json!({"name": format!("A{index}"), "value": pad()}))})),
        ),
        (
            "variables that count",
            one(json!({"env": filled(|_| json!({"name": "SESSION_WHOAMI_REQUIRED_AAL", "value": pad()}))})),
        ),
        ("spellings", one(json!({"env": filled(|index| json!({"name": spelled(index), "value": "x"}))}))),
        (
            "a value",
            one(json!({"env": [{"name": "SESSION_WHOAMI_REQUIRED_AAL", "value": "x".repeat(1_400_000)}]})),
        ),
        ("sources", one(json!({"envFrom": filled(|index| json!({"secretRef": {"name": name(index)}}))}))),
        ("an image", one(json!({"image": "i".repeat(1_400_000)}))),
        ("a folder", one(json!({"workingDir": "/a".repeat(700_000), "args": ["-c", "x"]}))),
        (
            "mounts",
            one(
                json!({"args": ["-c", "/a"], "volumeMounts": filled(|index| json!({"name": "v", "mountPath": format!("/{index}/{}", pad())}))}),
            ),
        ),
        (
            "a deep mount",
            one(
                json!({"args": ["-c", "/a"], "volumeMounts": [{"name": "v", "mountPath": "/a".repeat(700_000)}]}),
            ),
        ),
        ("volumes", workload(pod(json!({}), filled(volume)), &[])),
        (
            "a name in a volume",
            workload(
                pod(json!({}), json!([{"name": "v", "configMap": {"name": "n".repeat(1_400_000)}}])),
                &[],
            ),
        ),
        (
            "sources of a volume",
            workload(
                pod(
                    json!({}),
                    json!([{"name": "v", "projected": {"sources": filled(|index| json!({"configMap": {"name": name(index)}}))}}]),
                ),
                &[],
            ),
        ),
        (
            "containers",
            workload(
                json!({"spec": {"containers": filled(|index| json!({"name": format!("c{index}"), "image": pad()}))}}),
                &[],
            ),
        ),
        (
            "full containers",
            workload(json!({"spec": {"containers": filled(full), "volumes": [volume(0)]}}), &[]),
        ),
        (
            "labels of the selector",
            workload(
                pod(json!({}), json!([])),
                &[("/spec/selector/matchLabels", map_of(&filled(|_| json!(pad()))))],
            ),
        ),
        (
            "a selector",
            workload(
                pod(json!({}), json!([])),
                &[(
                    "/spec/selector/matchExpressions",
                    json!([{"key": "a", "operator": "In", "values": filled(|index| json!(format!("{index}{}", pad())))}]),
                )],
            ),
        ),
        (
            "a memory",
            workload(
                pod(json!({}), json!([])),
                &[("/metadata/annotations", json!({"mfa-operator.dev/governed": "x".repeat(1_400_000)}))],
            ),
        ),
        (
            "fields of ours",
            workload(
                pod(json!({}), json!([])),
                &[(
                    "/metadata/managedFields",
                    fields(
                        json!({"k:{\"name\":\"kratos\"}": {"f:env": map_of(&filled(|_| json!({ pad(): {} })))}}),
                    ),
                )],
            ),
        ),
        (
            "containers of ours",
            workload(
                pod(json!({}), json!([])),
                &[(
                    "/metadata/managedFields",
                    fields(map_of(&filled(|_| json!({"f:env": {"k:{\"name\":\"A\"}": {}}})))),
                )],
            ),
        ),
        (
            "managers",
            workload(
                pod(json!({}), json!([])),
                &[("/metadata/managedFields", {
                    let mut all = filled(|_| json!({"manager": pad(), "fieldsV1": {"f:spec": {}}}));
                    let label = json!({"f:metadata": {"f:labels": {"f:mfa-operator.dev/policy": {}}}});
                    all.as_array_mut()
                        .expect("a list")
                        .push(json!({"manager": "mfa-operator", "operation": "Apply", "fieldsV1": label}));
                    all
                })],
            ),
        ),
        (
            "owners",
            workload(
                pod(json!({}), json!([])),
                &[("/metadata/ownerReferences", filled(|_| json!({"kind": pad()})))],
            ),
        ),
        ("conditions", {
            let mut object = workload(pod(json!({}), json!([])), &[]);
            object["status"] = json!({"conditions": filled(|_| json!({"type": pad()}))});
            object
        }),
    ]
}

/// What is made of each.
static READ: LazyLock<BTreeMap<&str, Workload>> = LazyLock::new(|| {
    let read = |(what, object): (&'static str, Value)| {
        let text = object.to_string();
        assert!(text.len() > LARGEST / 3, "{what} is small");
        (what, self::read(&text))
    };
    hostile().into_iter().map(read).collect()
});

#[test]
fn whatever_it_consists_of_little_is_held_of_an_object() {
    for (what, workload) in READ.iter() {
        let held = held(workload);
        assert!(held <= CEILING, "{what}: {held} bytes are held");
    }
}

#[test]
fn what_a_ceiling_cuts_off_is_unknown_and_never_absent() {
    let of = |what: &str| &READ[what];
    for what in ["files in one argument", "files in arguments", "words", "a word"] {
        let container = &of(what).containers[0];
        assert!(
            container.files.more && beside_ours(container, "").is_none(),
            "{what}: the last file may be any"
        );
    }
    for what in ["mounts", "a deep mount"] {
        let unusual = of(what).containers[0].unusual.as_ref();
        assert_eq!(
            unusual.and_then(|unusual| Some(&unusual.unread.first()?.source)),
            Some(&FileSource::Beyond),
            "{what}"
        );
    }
    for what in ["words", "a word", "names in a script", "variables that count", "spellings", "sources"] {
        assert!(of(what).containers[0].hides_variables(), "{what}");
    }
    assert_eq!(of("a value").containers[0].env[0].value, None);
    assert!(of("volumes").may_mount("whatever") && of("sources of a volume").may_mount("whatever"));
    assert!(of("containers").containers.more && of("full containers").containers[15].hides_variables());
    assert!(of("labels of the selector").selector.is_none() && of("a selector").selector.is_none());
    for what in ["fields of ours", "containers of ours"] {
        assert!(of(what).own.env.more, "{what}");
    }
    assert!(of("managers").own.policy_label, "however many others there are, ours is found");
}

#[test]
fn of_a_config_map_and_a_record_little_is_held() {
    let metadata = json!({
        "name": "mfa", "namespace": "identity", "labels": {"mfa-operator.dev/policy": "mfa"},
        "annotations": {"mfa-operator.dev/governed": "x".repeat(LARGEST), "mfa-operator.dev/applied": "x".repeat(LARGEST)},
    });
    let map = json!({"metadata": metadata, "data": {"kratos.yaml": "x".repeat(LARGEST), "other": "x".repeat(LARGEST)}}).to_string();
    let map = serde_json::from_str::<Seen<ConfigMap>>(&map)
        .expect("one")
        .value(&Resource::CONFIG_MAPS)
        .expect("it can be read");
    let lengths = [map.view.content, map.view.governed].map(|text| text.map_or(0, |text| text.len()));
    assert!(lengths.iter().all(|length| (1..2_000).contains(length)), "{lengths:?}");
    let record = json!({"metadata": metadata, "data": {"overlay": "x".repeat(LARGEST)}}).to_string();
    let record = serde_json::from_str::<Seen<Revision>>(&record)
        .expect("one")
        .value(&Resource::REVISIONS)
        .expect("it can be read");
    assert_eq!(record.record, None);
}

#[test]
fn of_a_pod_little_is_held_too() {
    let statuses = filled(
        |index| json!({"name": format!("{index}-{}", pad()), "state": {"waiting": {"reason": pad()}}}),
    );
    let mut hostile: Vec<_> = hostile()
        .into_iter()
        .map(|(what, object)| (what, object["spec"]["template"]["spec"].clone(), json!({})))
        .collect();
    let port = |index: usize| json!({"name": format!("p{index}"), "containerPort": index});
    let ports = |index: usize| json!({"name": format!("{index}-{}", pad()), "image": "i", "ports": (0..100).map(port).collect::<Vec<_>>()});
    hostile.push(("ports", json!({"containers": filled(ports)}), json!({})));
    hostile.push((
        "statuses",
        json!({}),
        json!({"containerStatuses": statuses, "initContainerStatuses": statuses}),
    ));
    for (what, spec, status) in hostile {
        let text = json!({"metadata": {"name": "a", "namespace": "b", "uid": "c", "resourceVersion": "1"}, "spec": spec, "status": status});
        let seen: Seen<PodView> = serde_json::from_str(&text.to_string()).expect("a pod");
        let pod = seen.value(&Resource::PODS).expect("it can be read");
        assert!(pod.weight() <= CEILING, "{what}: {} bytes", pod.weight());
    }
}
