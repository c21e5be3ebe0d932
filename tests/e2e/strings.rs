//! Whatever characters a name holds, Kratos sees exactly these: as a variable of a real container, and
//! from the rendered file by Kratos' own parser, which starts with it.

use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::kratos::Door;
use crate::{cluster, install};

const NAMESPACE: &str = "e2e-strings";

/// An issuer and a display name each. Kubernetes expands `$(…)`, Kratos splits and parses variables, and
/// readers of YAML have guesses about the rest.
const PAIRS: [(&str, &str); 21] = [
    ("$(DSN)", "$(SECRETS_DEFAULT)"),
    ("$$", "$$(DSN)"),
    ("$(NO_SUCH)", "$DSN ${DSN} `id`"),
    ("it's \"quoted\"", "back\\slash\\"),
    ("[1,2]", r#"{"a":1}"#),
    ("a,b", "\"a\",\"b\""),
    ("true", "no"),
    ("yes", "~"),
    ("null", "1_000"),
    ("0x1F", "012"),
    ("1e3", ".5"),
    ("2026-01-01", "12:30:45"),
    (" leading and trailing ", "#comment"),
    ("a #comment", ": "),
    ("- item", "key: value"),
    ("%s%d%n %20", "Me & Co = a+b?"),
    ("<b>\u{1F512}</b>;/..", "!tag"),
    ("&anchor", "*alias"),
    ("|", ">"),
    (r"line\nbreak\u0041", "Grüße, 世界 🔐"),
    ("שלום \u{202e}עולם", "line\u{2028}separator\u{a0}\u{feff}"),
];

/// In the long run each is both, but for those that no issuer may be.
pub fn pairs() -> Vec<(&'static str, &'static str)> {
    let swapped = PAIRS
        .iter()
        .map(|(issuer, display_name)| (*display_name, *issuer))
        .filter(|(issuer, _)| !issuer.contains(':'));
    PAIRS.into_iter().chain(swapped.filter(|_| crate::is_long())).collect()
}

pub fn name((issuer, display_name): (&str, &str)) -> String {
    format!("strings: {} and {}", issuer.escape_debug(), display_name.escape_debug())
}

pub fn arrive(number: usize, pair: (&str, &str)) {
    static SCENE: OnceLock<()> = OnceLock::new();
    SCENE.get_or_init(|| {
        install::operator();
        install::begin(NAMESPACE);
        cluster::kratos("helm", NAMESPACE, 1, &["--set", "courier.enabled=false"]);
    });
    let mut spec = install::strict();
    spec["methods"] = json!({
        "totp": {"enabled": true, "issuer": pair.0},
        "webauthn": {"enabled": true, "rp": {"id": "example.com", "displayName": pair.1}},
    });
    let name = format!("variable-{number}");
    cluster::apply(&cluster::policy(NAMESPACE, &name, &name, &spec));
    cluster::copy_of_kratos(NAMESPACE, &name, 1, |_| {});
    cluster::await_ready(NAMESPACE, &name);
    assert_eq!(seen(&name), (pair.0.to_owned(), pair.1.to_owned()), "as variables");

    let file = format!("file-{number}");
    cluster::copy_of_kratos(NAMESPACE, &file, 1, |deployment| read_file(deployment, &format!("{name}-mfa")));
    let ready = cluster::attempt(
        "kubectl",
        &["-n", NAMESPACE, "rollout", "status", &format!("deployment/{file}"), "--timeout=420s"],
        None,
    );
    assert!(ready.is_ok(), "Kratos does not start with the file: {}", log_of(&file));
    assert_eq!(seen(&file), (pair.0.to_owned(), pair.1.to_owned()), "from the file");
    cluster::end_copy(NAMESPACE, &file);
    cluster::end_copy(NAMESPACE, &name);
}

/// The issuer that an authenticator app shows, and the name that a browser shows.
fn seen(deployment: &str) -> (String, String) {
    let pod = cluster::pods(NAMESPACE, deployment).into_iter().find(|pod| pod.ready);
    let pod = pod.unwrap_or_else(|| panic!("no pod of {deployment} is ready"));
    let door = Door::new(&pod.name, format!("http://{}:4433", pod.address));
    let admin = Door::new(&pod.name, format!("http://{}:4434", pod.address));
    let person = admin.create_person();
    let session = door.sign_in(&person);
    let relying_party = door.settings_page(&session).relying_party().unwrap_or_default();
    door.enrol(&session);
    (admin.issuer_of(&person), relying_party["name"].as_str().unwrap_or_default().to_owned())
}

fn log_of(name: &str) -> String {
    let log = cluster::attempt(
        "kubectl",
        &["-n", NAMESPACE, "logs", &format!("deployment/{name}"), "--tail=5"],
        None,
    );
    log.unwrap_or_else(|complaint| complaint).chars().take(2_000).collect()
}

/// Has Kratos read the ConfigMap of a policy after its own configuration.
fn read_file(deployment: &mut Value, config_map: &str) {
    let pod = &mut deployment["spec"]["template"]["spec"];
    let mut add = |list: &str, item: Value| {
        let list = pod.pointer_mut(list).and_then(Value::as_array_mut);
        list.expect("the chart has this list").push(item);
    };
    add("/volumes", json!({"name": "mfa", "configMap": {"name": config_map}}));
    add("/containers/0/volumeMounts", json!({"name": "mfa", "mountPath": "/etc/mfa"}));
    add("/containers/0/args", json!("--config"));
    add("/containers/0/args", json!("/etc/mfa/kratos.yaml"));
}
