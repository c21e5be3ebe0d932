//! The targets.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{LazyLock, Mutex, mpsc};
use std::time::Duration;

use serde_json::{Value, json};

use super::hostile;
use crate::api::MfaPolicySpec;
use crate::document::{Budget, Document, Wanted};
use crate::lint::{Server, review};
use crate::model::{Data, Health, TargetData};
use crate::policy::{Delivery, Policy, parse};
use crate::server::kratos::{
    Layer, Merged, Overlay, code_counts_for_everyone, config_files, conflicts, governed_names, named_in,
    render, variables,
};
use crate::{admin, controller};

const BASE: &str = r#"
x: &flows
  settings: {required_aal: aal1, privileged_session_max_age: 15m}
selfservice:
  flows:
    <<: *flows
  methods:
    totp: {enabled: true, config: {issuer: "Example"}}
    webauthn:
      enabled: true
      config: {passwordless: false, rp: {id: example.com, display_name: Example, origins: ["https://example.com"]}}
    lookup_secret: {enabled: false}
    code: {passwordless_enabled: true, mfa_enabled: false}
session: {whoami: {required_aal: highest_available}}
"#;

const PATHS: [&str; 6] = [
    "selfservice.flows.settings.required_aal",
    "session.whoami.required_aal",
    "selfservice.methods.totp.enabled",
    "selfservice.methods.webauthn.config.rp.origins",
    "selfservice.methods.webauthn.config.rp.id",
    "selfservice.methods.code.passwordless_enabled",
];

/// The server's own file: what is read of its wanted paths is what stands there in the whole of it.
pub(super) fn base(input: &[u8]) {
    let text = hostile::text(&[BASE, "{}", "a: {b: [1, ~, x]}\n---\nb: 1\n"], input);
    let some = Document::read(&text, &Wanted::paths(PATHS), &mut Budget::default());
    if let Ok(all) = Document::parse(&text) {
        let some = some.expect("less is wanted of what can be read");
        for path in PATHS {
            if let (Some(one), Some(other)) = (some.flag(path), all.flag(path)) {
                assert_eq!(one, other, "{path} in {text:?}");
            }
            assert!(!some.has(path) || all.has(path), "{path} in {text:?}");
        }
    }
    let read = || Layer::read(&text, &mut Budget::default()).canonical();
    assert_eq!(read(), read(), "{text:?}");
}

/// Arguments and variables of a container.
pub(super) fn arguments(input: &[u8]) {
    let seeds = [
        "serve all --config /etc/a.yaml,/etc/b.yaml -c /c",
        "SELFSERVICE_FLOWS_SETTINGS={\"required_aal\":\"aal1\"} session_whoami_required_aal=aal2",
        "sh -c exec\u{a0}kratos\u{a0}serve\u{a0}--config=/a",
    ];
    let text = hostile::text(&seeds, input);
    let words: Vec<_> = text.split(' ').collect();
    for file in config_files(words.iter().copied()) {
        assert!(words.iter().any(|word| word.contains(file)), "{file:?} is in none of {words:?}");
    }
    words.iter().for_each(|word| drop(named_in(word)));
    let entry = |word: &&'_ str| -> (String, Option<String>) {
        word.split_once('=').map_or(((*word).into(), None), |(name, value)| (name.into(), Some(value.into())))
    };
    let entries: Vec<_> = words.iter().map(entry).collect();
    let mut environment =
        Layer::of_variables(entries.iter().map(|(name, value)| (name.as_str(), value.as_deref())));
    words.iter().take(4).for_each(|word| environment.hide(word));
    let policy = accepted();
    for delivery in [Delivery::Environment, Delivery::ConfigFile] {
        let merged = Merged::of(None, &environment, &Overlay::of(&policy), delivery);
        drop(conflicts(&merged, &policy));
        drop(code_counts_for_everyone(&merged, &policy, None));
    }
}

fn spec() -> Value {
    json!({
        "targetRefs": [{"group": "apps", "kind": "Deployment", "name": "kratos", "container": "kratos"}],
        "requiredAAL": {"settings": "highest_available", "whoami": "aal1"},
        "privilegedSessionMaxAge": "15m",
        "methods": {
            "totp": {"enabled": true, "issuer": "Smith & Sons"},
            "webauthn": {"enabled": true, "rp": {"id": "example.com", "displayName": "Example", "origins": ["https://example.com"]}},
            "lookupSecret": {"enabled": true},
            "code": {"mfaEnabled": true},
        },
        "delivery": {"type": "ConfigFile", "configMapName": "kratos-mfa"},
        "rollout": {"revisionHistoryLimit": 3},
        "acknowledge": ["SettingsBypass"],
    })
}

fn accepted() -> Policy {
    let spec: MfaPolicySpec = serde_json::from_value(spec()).expect("it is a spec");
    parse("kratos", &spec).expect("it is accepted")
}

/// A spec: whatever is accepted is written so that it is read back as the same, from its file and from its
/// variables.
pub(super) fn policy(input: &[u8]) {
    let tree = hostile::tree(&[spec()], input);
    let Ok(spec) = serde_json::from_value::<MfaPolicySpec>(tree) else { return };
    let Ok(policy) = parse("kratos", &spec) else { return };
    let rendered = render("kratos", Overlay::of(&policy), policy.delivery);
    assert_eq!(Overlay::read(&rendered.file).as_ref(), Some(&rendered.overlay), "from its file");
    let all = variables(&rendered.overlay, Delivery::Environment);
    assert!(
        all.iter()
            .all(|variable| governed_names().contains(&variable.name) && !variable.value.contains('\0'))
    );
    let all: Vec<_> = all.iter().map(|variable| (variable.name.as_str(), variable.value.clone())).collect();
    assert_eq!(Overlay::from_variables(&all), Some(rendered.overlay), "from its variables");
}

/// A record: it is believed only where it is, to the last field, what would have been stored.
pub(super) fn record(input: &[u8]) {
    let policy = accepted();
    let targets =
        vec![TargetData { kind: "Deployment".into(), name: "kratos".into(), container: "kratos".into() }];
    let data = Data {
        overlay: Overlay::of(&policy),
        delivery: policy.delivery,
        config_map_name: "kratos-mfa".into(),
        targets,
    };
    let stored = hostile::tree(&[serde_json::to_value(&data).expect("a record is JSON")], input);
    if let Ok(claimed) = serde_json::from_value::<Data>(stored.clone())
        && let Some(read) = Data::read(&stored, &claimed.digest())
    {
        assert_eq!(serde_json::to_value(&read).expect("a record is JSON"), stored);
    }
    let passes = Data::read(&stored, &data.digest());
    assert!(passes.is_none_or(|passes| passes == data), "another one passes for it: {stored}");
}

/// What answers in the place of Kratos: any bytes, over a real connection.
pub(super) fn answer(input: &[u8]) {
    static STRANGER: LazyLock<(SocketAddr, Mutex<mpsc::Sender<String>>)> = LazyLock::new(stranger);
    static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
    });
    let hash = "0123456789abcdef".repeat(4);
    let well = format!("HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n{hash}");
    let version = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{\"version\":\"v1.3.1\"}";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let seeds = [
        well.as_str(),
        version,
        chunked,
        "HTTP/1.1 503 Service Unavailable\r\n\r\n",
        "HTTP/1.0 301 Moved\r\nLocation: /\r\n\r\n",
    ];
    let said = hostile::text(&seeds, input);
    // One question after the other.
    let answers = STRANGER.1.lock().expect("nobody panics here");
    (0..3).for_each(|_| answers.send(said.clone()).expect("the stranger is there"));
    // Silence counts against a server, and a busy machine is no silence.
    let (address, patience) = (STRANGER.0, Duration::from_secs(60));
    let (config, health, version) = RUNTIME.block_on(async {
        (
            admin::config(address, patience).await,
            admin::health(address, patience).await,
            admin::version(address, patience).await,
        )
    });
    drop((config, answers));
    assert!(!matches!(health, Health::Unwell) || said.contains("503"), "{said:?}");
    let is_plain = |version: &str| {
        version.len() <= 32 && version.chars().all(|said| matches!(said, '0'..='9' | '.' | 'v'))
    };
    assert!(version.is_none_or(|version| is_plain(&version)), "{said:?}");
}

/// Takes connections one by one, hears the question, says what it is told to, and closes.
fn stranger() -> (SocketAddr, Mutex<mpsc::Sender<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let (send, answers) = mpsc::channel::<String>();
    std::thread::spawn(move || {
        for answer in answers {
            let Ok((mut stream, _)) = listener.accept() else { return };
            let _ = stream.read(&mut [0; 1_024]);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (address, Mutex::new(send))
}

/// Files of a pull request: each finding has a place in the text and says something.
pub(super) fn check(input: &[u8]) {
    let block = "apiVersion: mfa-operator.dev/v1alpha1\nkind: MfaPolicy\nmetadata: {name: kratos}\nspec:\n  \
                 targetRefs: [{name: kratos}]\n  requiredAAL: {whoami: highest_available}\n";
    let policy = json!({"apiVersion": "mfa-operator.dev/v1alpha1", "kind": "MfaPolicy", "metadata": {"name": "kratos"}, "spec": spec()});
    let policy = serde_json::to_string_pretty(&policy).expect("it is JSON");
    let list = format!("apiVersion: v1\nkind: List\nitems:\n- {policy}\n- null\n");
    let base = Document::parse(BASE).expect("it is YAML");
    let text = hostile::text(&[&policy, block, &list], input);
    // All that YAML takes for the end of a line.
    let lines = text.split(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']).count();
    for finding in review(&text, Server { base: Some(std::slice::from_ref(&base)), version: None }).findings {
        // The end of the text is a place, too.
        assert!((1..=lines + 1).contains(&finding.place.line), "{finding:?} of {lines} lines: {text:?}");
        assert!(!finding.message.is_empty(), "{text:?}");
    }
}

/// What a watch brings.
pub(super) fn object(input: &[u8]) {
    static SEEDS: LazyLock<Vec<Value>> = LazyLock::new(|| {
        let metadata = json!({
            "name": "kratos", "namespace": "identity", "uid": "0c1f", "resourceVersion": "12", "generation": 3,
            "creationTimestamp": "2026-01-02T03:04:05Z", "labels": {"mfa-operator.dev/policy": "kratos"}, "annotations": {"a": "b"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "kratos-1", "uid": "2", "controller": true}],
            "managedFields": [{"manager": "mfa-operator", "operation": "Apply", "apiVersion": "apps/v1", "fieldsType": "FieldsV1",
                "fieldsV1": {"f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"kratos\"}": {"f:env": {}}}}}}}}],
        });
        let container = json!({
            "name": "kratos", "image": "oryd/kratos:v1.3.1", "command": ["kratos"], "args": ["serve", "--config", "/etc/config/kratos.yaml"],
            "env": [{"name": "SESSION_WHOAMI_REQUIRED_AAL", "value": "aal1"},
                {"name": "DSN", "valueFrom": {"secretKeyRef": {"name": "kratos", "key": "dsn"}}}],
            "envFrom": [{"prefix": "A_", "configMapRef": {"name": "more"}}],
            "ports": [{"containerPort": 4434}], "volumeMounts": [{"name": "config", "mountPath": "/etc/config", "subPath": "x"}],
        });
        let pod = json!({
            "containers": [container], "initContainers": [container],
            "volumes": [{"name": "config", "configMap": {"name": "kratos", "items": [{"key": "kratos.yaml", "path": "kratos.yaml"}]}},
                {"name": "all", "projected": {"sources": [{"configMap": {"name": "more"}}, {"secret": {"name": "s"}}]}}],
        });
        let of = |api_version: &str, kind: &str, more: Value| {
            let mut object = json!({"apiVersion": api_version, "kind": kind, "metadata": metadata});
            more.as_object().expect("fields").iter().for_each(|(key, value)| object[key] = value.clone());
            object
        };
        vec![
            of(
                "apps/v1",
                "Deployment",
                json!({
                    "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "kratos"}}, "strategy": {"type": "RollingUpdate"},
                        "template": {"metadata": {"labels": {"app": "kratos"}}, "spec": pod}},
                    "status": {"observedGeneration": 3, "replicas": 2, "readyReplicas": 2, "updatedReplicas": 2,
                        "conditions": [{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}]},
                }),
            ),
            of(
                "v1",
                "Pod",
                json!({
                    "spec": pod,
                    "status": {"phase": "Running", "podIP": "10.0.0.1", "startTime": "2026-01-02T03:04:05Z",
                        "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-02T03:04:05Z"}],
                        "containerStatuses": [{"name": "kratos", "ready": true, "restartCount": 1, "image": "i", "imageID": "i",
                            "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": {"exitCode": 3}}}]},
                }),
            ),
            of(
                "v1",
                "ConfigMap",
                json!({"data": {"kratos.yaml": "a: 1"}, "binaryData": {"b": "AA=="}, "immutable": false}),
            ),
            of(
                "apps/v1",
                "ControllerRevision",
                json!({"revision": 3, "data": {"overlay": {}, "delivery": "Environment"}}),
            ),
            of(
                "mfa-operator.dev/v1alpha1",
                "MfaPolicy",
                json!({
                    "spec": spec(), "status": {"observedGeneration": 3, "revision": 2, "conditions": [{"type": "Ready", "status": "True"}]},
                }),
            ),
        ]
    });
    // As a tree, or as a text that a server would not write.
    let tree = || hostile::tree(&SEEDS, input.get(1..).unwrap_or_default()).to_string();
    match input.first() {
        Some(first) if first % 4 == 0 => {
            let texts: Vec<_> = SEEDS.iter().map(Value::to_string).collect();
            let texts: Vec<_> = texts.iter().map(String::as_str).collect();
            controller::fuzz::object(&hostile::text(&texts, input.get(1..).unwrap_or_default()));
        }
        _ => controller::fuzz::object(&tree()),
    }
}
