//! The rules on what the server's own configuration makes of a policy, each beside what a real Kratos
//! does with both files.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mfa_operator::api::MfaPolicy;
use mfa_operator::document::Document;
use mfa_operator::policy::{Policy, parse};
use mfa_operator::server::kratos::{Overlay, conflicts, render};
use serde_json::{Value, json};

use crate::objects::policy_with;
use crate::support::cluster_part;

/// Longer than Kratos takes to make its tables.
const START: Duration = Duration::from_secs(90);

struct Case {
    name: &'static str,
    base: Value,
    spec: Value,
    /// The field that is named; none where nothing is wrong.
    field: Option<&'static str>,
    /// Whether Kratos starts with both files. It has no opinion on what only opens a way around.
    starts: Option<bool>,
}

fn cases() -> Vec<Case> {
    let webauthn = |rp: Value| json!({"methods": {"webauthn": {"enabled": true, "rp": rp}}});
    let rp = || json!({"id": "example.com", "displayName": "Example"});
    let origins = || json!({"id": "example.com", "displayName": "Example", "origins": ["https://example.com"]});
    let base_webauthn = |config: Value| json!({"selfservice": {"methods": {"webauthn": {"enabled": true, "config": config}}}});
    let whoami = || json!({"requiredAAL": {"whoami": "highest_available"}});
    vec![
        Case { name: "a plain one", base: json!({}), spec: json!({}), field: None, starts: Some(true) },
        Case {
            name: "a code for both",
            base: json!({"selfservice": {"methods": {"code": {"passwordless_enabled": true}}}}),
            spec: json!({"methods": {"code": {"mfaEnabled": true}}}),
            field: Some("spec.methods.code.mfaEnabled"),
            starts: Some(false),
        },
        Case {
            name: "a code for signing in alone",
            base: json!({"selfservice": {"methods": {"code": {"passwordless_enabled": true}}}}),
            spec: json!({"methods": {"code": {"mfaEnabled": false}}}),
            field: None,
            starts: Some(true),
        },
        Case {
            name: "origin beside origins",
            base: base_webauthn(json!({"rp": {"id": "example.com", "display_name": "Base", "origin": "https://example.com"}})),
            spec: webauthn(origins()),
            field: Some("spec.methods.webauthn.rp.origins"),
            starts: Some(false),
        },
        Case {
            name: "origin alone",
            base: base_webauthn(json!({"rp": {"id": "example.com", "display_name": "Base", "origin": "https://example.com"}})),
            spec: webauthn(rp()),
            field: None,
            starts: Some(true),
        },
        Case {
            name: "keys as a first factor",
            base: base_webauthn(json!({"passwordless": true, "rp": {"id": "example.com", "display_name": "Base"}})),
            spec: webauthn(rp()),
            field: Some("spec.methods.webauthn"),
            starts: None,
        },
        Case {
            name: "settings at aal1 in the base",
            base: json!({"selfservice": {"flows": {"settings": {"required_aal": "aal1"}}}}),
            spec: whoami(),
            field: Some("spec.requiredAAL"),
            starts: None,
        },
        Case {
            name: "the same, acknowledged",
            base: json!({"selfservice": {"flows": {"settings": {"required_aal": "aal1"}}}}),
            spec: json!({"requiredAAL": {"whoami": "highest_available"}, "acknowledge": ["SettingsBypass"]}),
            field: None,
            starts: None,
        },
        Case {
            name: "settings at aal1 where whoami is what Kratos takes by itself",
            base: json!({}),
            spec: json!({"requiredAAL": {"settings": "aal1"}}),
            field: Some("spec.requiredAAL"),
            starts: None,
        },
    ]
}

/// What Kratos needs to start at all.
fn whole(base: &Value, ports: (u16, u16), folder: &Path) -> Value {
    let schema = folder.join("identity.schema.json");
    let own = include_str!("../cluster/kratos/identity.default.schema.json");
    std::fs::write(&schema, own).expect("a file can be written");
    let serve = |port: u16| json!({"host": "127.0.0.1", "port": port, "base_url": format!("http://127.0.0.1:{port}/")});
    let needed = json!({
        "dsn": "memory",
        "serve": {"public": serve(ports.0), "admin": serve(ports.1)},
        "identity": {"default_schema_id": "default", "schemas": [{"id": "default", "url": format!("file://{}", schema.display())}]},
        "selfservice": {"default_browser_return_url": "http://127.0.0.1/"},
        "courier": {"smtp": {"connection_uri": "smtp://127.0.0.1:2525/?disable_starttls=true"}},
    });
    let document = |value: &Value| Document::from_typed(value).expect("it is a tree");
    let merged = document(&needed).merge(&document(base));
    serde_yaml::from_str(&merged.to_yaml()).expect("it is YAML")
}

fn policy(spec: &Value) -> Policy {
    let resource: MfaPolicy = serde_json::from_value(policy_with("kratos", &["kratos"], spec.clone())).expect("it is a policy");
    parse("kratos", &resource.spec).expect("it breaks no rule of its own")
}

#[test]
fn what_kratos_refuses_is_refused_and_nothing_that_it_takes() {
    for case in cases() {
        let folder = tempfile::tempdir().expect("a folder");
        let ports = (free_port(), free_port());
        let (base, policy) = (whole(&case.base, ports, folder.path()), policy(&case.spec));
        let found = conflicts(&[Document::from_typed(&base).expect("it is a tree")], &policy);
        let fields: Vec<_> = found.iter().map(|rejection| rejection.field.as_str()).collect();
        assert_eq!(fields, case.field.into_iter().collect::<Vec<_>>(), "{}", case.name);

        let file = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).expect("a file can be written");
            folder.path().join(name)
        };
        let rendered = render("kratos", Overlay::of(&policy), policy.delivery);
        let files = [file("base.json", &base.to_string()), file("kratos.yaml", &rendered.file)];
        if let Some(expected) = case.starts {
            let started = starts(&files, ports.1);
            assert_eq!(started.is_ok(), expected, "{}: {started:?}", case.name);
        }
    }
}

/// Whether Kratos serves with these files, or else ends, with its words.
fn starts(files: &[std::path::PathBuf], admin: u16) -> Result<(), String> {
    let mut command = Command::new(cluster_part("kratos").join("kratos"));
    // To a file: a pipe that nobody reads would stop it.
    let log = files[0].with_extension("log");
    let words = std::fs::File::create(&log).expect("a file can be written");
    command.args(["serve", "all"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(words);
    files.iter().for_each(|file| {
        command.arg("--config").arg(file);
    });
    let mut kratos = Ended(command.spawn().expect("Kratos can be run"));
    let deadline = Instant::now() + START;
    while Instant::now() < deadline {
        if kratos.0.try_wait().expect("a child can be asked").is_some() {
            return Err(std::fs::read_to_string(log).unwrap_or_default());
        }
        if TcpStream::connect(("127.0.0.1", admin)).is_ok() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("Kratos neither serves nor ends within {START:?}");
}

/// A process that does not outlive its test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port is free").port()
}
