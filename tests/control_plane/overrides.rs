//! What beats a policy inside its workloads: a table of shapes, all of them at once on the API server. Each
//! says what is told of it, and what could not be looked at. That the order of variables is random is shown
//! end to end.

use serde_json::{Value, json};

use crate::config_file::by_file;
use crate::objects::{SECRET, SETTINGS, WHOAMI, daemon, env, kratos, label, policy_with, stateful};
use crate::scene::{SOON, Scene, condition, text};

/// The value of everything that others set. It is to be nowhere in what the operator tells.
const VALUE: &str = "marker-of-a-value";

struct Shape {
    name: &'static str,
    workload: Value,
    policy: Value,
    /// What `Overridden` says; nothing where there is none.
    told: &'static [&'static str],
    not_checked: Vec<String>,
}

const PATH: &str = "/etc/mfa/kratos.yaml";
const BASE: &str = "/etc/config/kratos.yaml";

impl Shape {
    fn new(name: &'static str, told: &'static [&'static str]) -> Self {
        Self::of(kratos(name), policy_with(name, &[name], json!({})), name, told)
    }

    /// The same where the policy is delivered by a file.
    fn by_file(name: &'static str, told: &'static [&'static str]) -> Self {
        Self::of(kratos(name), by_file(name, &[name], json!({})), name, told)
            .args(&["serve", "all", "-c", BASE, "-c", PATH])
    }

    /// Its own configuration and the policy's file are there to be read.
    fn of(mut workload: Value, policy: Value, name: &'static str, told: &'static [&'static str]) -> Self {
        let pod = &mut workload["spec"]["template"]["spec"];
        pod["volumes"] = json!([
            {"name": "base", "configMap": {"name": "base"}},
            {"name": "mfa", "configMap": {"name": format!("{name}-mfa")}},
        ]);
        pod["containers"][0]["volumeMounts"] =
            json!([{"name": "base", "mountPath": "/etc/config"}, {"name": "mfa", "mountPath": "/etc/mfa"}]);
        Self { name, workload, policy, told, not_checked: Vec::new() }
    }

    fn pod(&mut self) -> &mut Value {
        &mut self.workload["spec"]["template"]["spec"]
    }

    fn container(&mut self) -> &mut Value {
        &mut self.pod()["containers"][0]
    }

    fn args(mut self, words: &[&str]) -> Self {
        self.container()["args"] = json!(words);
        self
    }

    fn command(mut self, words: &[&str]) -> Self {
        self.container()["command"] = json!(words);
        self
    }

    fn entry(mut self, entry: Value) -> Self {
        self.container()["env"].as_array_mut().expect("a list").push(entry);
        self
    }

    fn env(self, name: &str) -> Self {
        self.entry(json!({"name": name, "value": VALUE}))
    }

    fn json(self, name: &str) -> Self {
        self.entry(json!({"name": name, "value": format!("{{\"x\": \"{VALUE}\"}}")}))
    }

    fn value_from(self, name: &str, source: Value) -> Self {
        self.entry(json!({"name": name, "valueFrom": source}))
    }

    fn env_from(mut self, source: Value) -> Self {
        self.container()["envFrom"] = json!([source]);
        self
    }

    /// Its own configuration comes from another volume.
    fn base(mut self, volume: Value) -> Self {
        let volume_of_base = &mut self.pod()["volumes"][0];
        *volume_of_base = volume;
        volume_of_base["name"] = json!("base");
        self
    }

    fn beside(mut self, kind: &str) -> Self {
        let companion = json!({
            "name": "companion", "image": "companion",
            "env": [{"name": "session_whoami_required_aal", "value": VALUE}, {"name": "SESSION", "value": VALUE}],
        });
        let pod = self.pod();
        match pod[kind].as_array_mut() {
            Some(containers) => containers.push(companion),
            None => pod[kind] = json!([companion]),
        }
        self
    }

    fn spec(mut self, spec: Value) -> Self {
        for (field, value) in spec.as_object().expect("a spec is a map") {
            self.policy["spec"][field] = value.clone();
        }
        self
    }

    fn not_checked(mut self, what: &str) -> Self {
        self.not_checked.push(what.into());
        self
    }

    fn kind(&self) -> String {
        text(&self.workload["kind"])
    }

    /// Takes away what its owner had set, and nothing of ours.
    fn cure(&self) -> Value {
        let own = self.workload["spec"]["template"]["spec"]["containers"][0].clone();
        let entries = own["env"].as_array().into_iter().flatten().filter(|entry| entry["name"] != "DSN");
        let env: Vec<_> = entries.map(|entry| json!({"name": entry["name"], "$patch": "delete"})).collect();
        let args = json!(["serve", "all", "-c", BASE, "-c", PATH]);
        let container = json!({"name": "kratos", "args": args, "command": null, "envFrom": null, "env": env});
        json!({"spec": {"template": {"spec": {"containers": [container]}}}})
    }
}

const ORIGINS: &str = "SELFSERVICE_METHODS_WEBAUTHN_CONFIG_RP_ORIGINS";

fn by_variables() -> Vec<Shape> {
    let secret = || json!({"secretKeyRef": {"name": "keys", "key": "x"}});
    let origins = || {
        let rp = json!({"id": "example.com", "displayName": "Example", "origins": ["https://example.com"]});
        json!({"methods": {"webauthn": {"enabled": true, "rp": rp}}})
    };
    let totp = || json!({"methods": {"totp": {"enabled": true}}});
    vec![
        Shape::new("lower", &["env session_whoami_required_aal of container kratos in Deployment lower", "session.whoami.required_aal"])
            .env("session_whoami_required_aal"),
        Shape::new("mixed", &["env Session.Whoami_required.aal", "remove it from the Deployment"]).env("Session.Whoami_required.aal"),
        Shape::new("dots", &["env session.whoami.required.aal"]).env("session.whoami.required.aal"),
        Shape::new("one-dot", &["env SESSION_WHOAMI_REQUIRED.AAL"]).env("SESSION_WHOAMI_REQUIRED.AAL"),
        Shape::new("settings", &["env selfservice_flows_settings_required_aal", "selfservice.flows.settings.required_aal"])
            .env("selfservice_flows_settings_required_aal"),
        Shape::new("empty", &["env session_whoami_required_aal"]).entry(json!({"name": "session_whoami_required_aal", "value": ""})),
        Shape::new("session", &["env SESSION of"]).json("SESSION"),
        Shape::new("session-lower", &["env session of"]).json("session"),
        Shape::new("session-no-json", &["env SESSION of"]).env("SESSION"),
        Shape::new("whoami", &["env SESSION_WHOAMI of"]).json("SESSION_WHOAMI"),
        Shape::new("whoami-dots", &["env session.whoami of"]).json("session.whoami"),
        Shape::new("selfservice", &["env SELFSERVICE of", "selfservice.flows.settings.required_aal"]).json("SELFSERVICE"),
        Shape::new("selfservice-mixed", &["env SelfService of"]).json("SelfService"),
        Shape::new("flows", &["env SELFSERVICE_FLOWS of"]).json("SELFSERVICE_FLOWS"),
        Shape::new("flows-dots", &["env selfservice.flows.settings of"]).json("selfservice.flows.settings"),
        Shape::new("two", &["env SESSION of", "env selfservice of"]).json("SESSION").json("selfservice"),
        Shape::new("from-secret", &["env session_whoami_required_aal"]).value_from("session_whoami_required_aal", secret()),
        Shape::new("parent-from-secret", &["env SESSION of"]).value_from("SESSION", secret()),
        Shape::new("from-field", &["env session.whoami of"])
            .value_from("session.whoami", json!({"fieldRef": {"fieldPath": "metadata.name"}})),
        Shape::new("age", &["env SELFSERVICE_FLOWS_SETTINGS_PRIVILEGED.SESSION_MAX.AGE"])
            .env("SELFSERVICE_FLOWS_SETTINGS_PRIVILEGED.SESSION_MAX.AGE")
            .spec(json!({"privilegedSessionMaxAge": "15m"})),
        Shape::new("totp", &["env SELFSERVICE_METHODS_TOTP of", "selfservice.methods.totp.enabled"])
            .json("SELFSERVICE_METHODS_TOTP")
            .spec(totp()),
        Shape::new("totp-not-set", &[]).json("SELFSERVICE_METHODS_TOTP").not_checked(
            "env SELFSERVICE_METHODS_TOTP of container kratos, which may set selfservice.methods.totp.config.issuer and 1 keys more",
        ),
        Shape::new("rp", &["env SELFSERVICE_METHODS_WEBAUTHN_CONFIG_RP of"]).json("SELFSERVICE_METHODS_WEBAUTHN_CONFIG_RP").spec(origins()),
        Shape::new("item", &["ORIGINS_0 of", "rp.origins"]).env(&format!("{ORIGINS}_0")).spec(origins()),
        Shape::new("no-item", &[]).env(&format!("{ORIGINS}_x")).spec(origins()),
        Shape::new("no-key", &[]).env("SESSION__WHOAMI_REQUIRED_AAL").env("SESSION_WHOAMI_REQUIRED").env("SESSION_LIFESPAN"),
        Shape::new("no-parent", &[])
            .json("SELFSERVICE_METHODS_LOOKUP")
            .spec(json!({"methods": {"lookupSecret": {"enabled": true}, "totp": {"enabled": true}}})),
        Shape::new("companion", &[]).beside("containers").spec(json!({"targetRefs": [{"name": "companion", "container": "kratos"}]})),
        Shape::new("init", &[]).beside("initContainers"),
        Shape::new("map", &["env session_whoami_required_aal of", "from ConfigMap aliases", "remove it from that ConfigMap"])
            .env_from(json!({"configMapRef": {"name": "aliases"}})),
        Shape::new("map-own-name", &[]).env_from(json!({"configMapRef": {"name": "own-name"}})),
        Shape::new("map-harmless", &[]).env_from(json!({"configMapRef": {"name": "harmless"}})),
        Shape::new("map-prefix", &["env SESSION_whoami of", "from ConfigMap harmless"])
            .env_from(json!({"configMapRef": {"name": "harmless"}, "prefix": "SESSION_"})),
        Shape::new("map-other-prefix", &[]).env_from(json!({"configMapRef": {"name": "aliases"}, "prefix": "DB_"})),
        Shape::new("map-missing", &[]).env_from(json!({"configMapRef": {"name": "missing", "optional": true}})),
        Shape::new("secret", &[])
            .env_from(json!({"secretRef": {"name": "keys"}}))
            .not_checked("Secret keys, which variables of container kratos come from"),
        Shape::new("secret-other-prefix", &[]).env_from(json!({"secretRef": {"name": "keys"}, "prefix": "DB_"})),
        Shape::new("by-env", &["the command line of container kratos in Deployment by-env names SESSION,"]).command(&[
            "env",
            &format!("SESSION={VALUE}"),
            "kratos",
        ]),
        Shape::new("by-shell", &["names SESSION_WHOAMI_REQUIRED_AAL,"])
            .command(&["sh", "-c", &format!("unset SESSION_WHOAMI_REQUIRED_AAL; X={VALUE} exec kratos serve all")])
            .not_checked("what container kratos runs in the place of kratos, which may set variables and read files of its own"),
        Shape::new("base-secret", &[])
            .base(json!({"secret": {"secretName": "conf"}}))
            .not_checked("Secret conf, which the file /etc/config/kratos.yaml of container kratos comes from"),
        Shape::new("base-projected", &[])
            .base(json!({"projected": {"sources": [{"configMap": {"name": "base"}}, {"secret": {"name": "conf"}}]}}))
            .not_checked("Secret conf, which the file /etc/config/kratos.yaml of container kratos comes from"),
        Shape::new("base-host", &[])
            .base(json!({"hostPath": {"path": "/srv"}}))
            .not_checked("volume base, which the file /etc/config/kratos.yaml of container kratos comes from"),
        Shape::new("base-toml", &[])
            .args(&["serve", "all", "--config", "/etc/config/kratos.toml"])
            .not_checked("the file /etc/config/kratos.toml of container kratos, which is TOML: only YAML and JSON are read"),
        Shape::new("base-missing", &[])
            .base(json!({"configMap": {"name": "missing"}}))
            .not_checked("key kratos.yaml of ConfigMap missing, which is not there, or may not be read"),
        Shape::new("recovery", &[]).json("SELFSERVICE_FLOWS_RECOVERY").not_checked(
            "env SELFSERVICE_FLOWS_RECOVERY of container kratos, which may set selfservice.flows.recovery.enabled and 1 keys more",
        ),
        Shape::new("base-image", &[])
            .args(&["serve", "all", "--config", "/kratos.yaml"])
            .not_checked("the file /kratos.yaml of container kratos, which comes from no volume"),
        Shape::of(stateful("stateful"), over("StatefulSet", "stateful"), "stateful", &["StatefulSet stateful", "from the StatefulSet"])
            .json("session"),
        Shape::of(daemon("daemon"), over("DaemonSet", "daemon"), "daemon", &["DaemonSet daemon", "from the DaemonSet"]).json("session"),
    ]
}

fn over(kind: &str, name: &str) -> Value {
    policy_with(name, &[], json!({"targetRefs": [{"kind": kind, "name": name}]}))
}

const TOTP: &str = "SELFSERVICE_METHODS_TOTP_ENABLED";

fn by_files() -> Vec<Shape> {
    let totp = || json!({"methods": {"totp": {"enabled": true}}});
    vec![
        Shape::by_file("file-nothing", &[]),
        Shape::by_file(
            "file-own-name",
            &["env SELFSERVICE_METHODS_TOTP_ENABLED of", "beats the file of the policy"],
        )
        .spec(totp())
        .env(TOTP),
        Shape::by_file("file-own-name-from", &["env SELFSERVICE_METHODS_TOTP_ENABLED of"])
            .spec(totp())
            .value_from(TOTP, json!({"secretKeyRef": {"name": "keys", "key": "x"}})),
        Shape::by_file("file-alias", &["env selfservice.flows.settings.required_aal"])
            .env("selfservice.flows.settings.required_aal"),
        Shape::by_file("file-parent", &["env SELFSERVICE of"]).json("SELFSERVICE"),
        Shape::by_file("file-not-set", &[]).env(TOTP),
        Shape::by_file("file-companion", &[])
            .beside("containers")
            .spec(json!({"targetRefs": [{"name": "file-companion", "container": "kratos"}]})),
        Shape::by_file("file-map", &["env SELFSERVICE_METHODS_TOTP_ENABLED of", "from ConfigMap own-totp"])
            .spec(totp())
            .env_from(json!({"configMapRef": {"name": "own-totp"}})),
        // The level's own name is ours, and an entry of the container comes before one from elsewhere.
        Shape::by_file("file-map-of-a-level", &[]).env_from(json!({"configMapRef": {"name": "own-name"}})),
        Shape::by_file(
            "file-later",
            &["reads key kratos.yaml of ConfigMap base after", "file-later-mfa the last --config"],
        )
        .args(&["serve", "all", "--config", PATH, "--config", BASE]),
        Shape::by_file("file-later-list", &["reads key kratos.yaml of ConfigMap base after"]).args(&[
            "serve",
            "-c",
            &format!("{PATH},{BASE}"),
        ]),
        Shape::by_file("file-later-image", &["reads the file /later.yaml after"])
            .args(&["serve", "all", "-c", PATH, "-c", "/later.yaml"])
            .not_checked("the file /later.yaml of container kratos, which comes from no volume"),
        Shape::by_file("file-later-secret", &["reads the file /etc/config/kratos.yaml after"])
            .args(&["serve", "all", "-c", PATH, "-c", BASE])
            .base(json!({"secret": {"secretName": "conf"}}))
            .not_checked(
                "Secret conf, which the file /etc/config/kratos.yaml of container kratos comes from",
            ),
        Shape::by_file("file-twice", &[]).args(&["serve", "all", "-c", PATH, "-c", BASE, "-c", PATH]),
    ]
}

async fn config_maps(scene: &Scene) {
    let maps = [
        ("aliases", "session_whoami_required_aal"),
        ("own-name", WHOAMI),
        ("own-totp", TOTP),
        ("harmless", "whoami"),
        ("base", "kratos.yaml"),
    ];
    for (name, key) in maps {
        let value = if name == "base" { format!("dsn: {VALUE}") } else { VALUE.into() };
        let data = json!({key: value, "OTHER": VALUE});
        scene
            .create(
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}),
            )
            .await;
    }
}

/// Nothing of a value is in anything that the operator tells.
async fn tells_no_value(scene: &Scene) {
    let mut told = scene.operator.log();
    for kind in ["MfaPolicy", "Event", "ControllerRevision"] {
        // Those of a StatefulSet hold its template.
        let ours = |object: &&Value| kind != "ControllerRevision" || !label(object).is_empty();
        told.extend(scene.list(kind).await.iter().filter(ours).map(ToString::to_string));
    }
    for value in [VALUE, SECRET] {
        let place = told.find(value).map(|at| &told[at.saturating_sub(300)..at]);
        assert_eq!(place, None, "{value} is told");
    }
}

#[tokio::test]
async fn overrides_are_found_in_every_shape_and_gone_when_they_are_gone() {
    let scene = Scene::start("overrides").await;
    config_maps(&scene).await;
    let shapes: Vec<_> = by_variables().into_iter().chain(by_files()).collect();
    assert!(shapes.len() >= 40);
    for shape in &shapes {
        scene.create(shape.workload.clone()).await;
        scene.create(shape.policy.clone()).await;
    }
    for shape in &shapes {
        let name = shape.name;
        scene.until_condition(name, "RolledOut", "True", "NoPods").await;
        if shape.told.is_empty() {
            scene.until_condition(name, "Ready", "True", "Ready").await;
        } else {
            let message = scene.until_condition(name, "Overridden", "True", "Overridden").await;
            assert!(shape.told.iter().all(|words| message.contains(words)), "{name}: {message}");
            assert_eq!(scene.until_condition(name, "Ready", "False", "Overridden").await, message, "{name}");
            scene.until_condition(name, "Stalled", "True", "Overridden").await;
        }
        let object = scene.get("MfaPolicy", name).await;
        assert_eq!(
            condition(&object, "Overridden").is_some(),
            !shape.told.is_empty(),
            "{name}: {}",
            object["status"]
        );
        let not_checked =
            object["status"]["targets"][0]["notChecked"].as_array().cloned().unwrap_or_default();
        assert_eq!(not_checked, shape.not_checked, "{name}");
    }
    for shape in &shapes {
        // It is delivered all the same.
        let workload = scene.get(&shape.kind(), shape.name).await;
        let own = env(&workload, "kratos");
        assert!(own.get(SETTINGS).is_some_and(|value| value == "highest_available"), "{}", shape.name);
        assert!(own.contains_key("REVISION") != shape.name.starts_with("file-"), "{}", shape.name);
    }
    tells_no_value(&scene).await;

    let overridden: Vec<_> = shapes.iter().filter(|shape| !shape.told.is_empty()).collect();
    let events = scene.list("Event").await;
    for shape in &overridden {
        scene.until_event("Overridden", &[shape.told[0]]).await;
        let own = events
            .iter()
            .filter(|event| event["reason"] == "Overridden" && event["regarding"]["name"] == shape.name);
        assert!(own.count() <= 1, "{} is told more than once", shape.name);
        scene.edit(&shape.kind(), shape.name, shape.cure()).await;
    }
    for shape in &overridden {
        scene.until_condition(shape.name, "Ready", "True", "Ready").await;
        let object = scene.get("MfaPolicy", shape.name).await;
        assert!(
            condition(&object, "Overridden").is_none() && condition(&object, "Stalled").is_none(),
            "{}",
            object["status"]
        );
    }
    tells_no_value(&scene).await;
}

#[tokio::test]
async fn overrides_are_told_by_an_event_though_ready_is_false_already() {
    let scene = Scene::start("overrides-event").await;
    let mut workload = kratos("kratos");
    workload["spec"]["paused"] = json!(true);
    workload["spec"]["replicas"] = json!(1);
    scene.create(workload).await;
    scene
        .create(policy_with("mfa", &["kratos"], json!({"requiredAAL": {"whoami": "highest_available"}})))
        .await;
    scene.until_condition("mfa", "Ready", "False", "TargetPaused").await;
    let is_level = async |level: &str| {
        scene
            .until(&format!("whoami is {level}"), SOON, async || {
                let now = text(&scene.get("MfaPolicy", "mfa").await["status"]["requiredAAL"]["whoami"]);
                if now == level { Ok(()) } else { Err(now) }
            })
            .await;
    };
    is_level("highest_available").await;
    let env = json!([{"name": "session", "value": VALUE}]);
    scene
        .edit(
            "Deployment",
            "kratos",
            json!({"spec": {"template": {"spec": {"containers": [{"name": "kratos", "env": env}]}}}}),
        )
        .await;
    scene.until_condition("mfa", "Overridden", "True", "Overridden").await;
    scene.until_condition("mfa", "Ready", "False", "TargetPaused").await;
    // Chance decides.
    is_level("Unknown").await;
    scene.until_event("Overridden", &["env session of"]).await;
    // As the reason of Ready it is no news.
    scene.edit("Deployment", "kratos", json!({"spec": {"paused": false, "replicas": 0}})).await;
    scene.until_condition("mfa", "Ready", "False", "Overridden").await;
    scene.edit("MfaPolicy", "mfa", json!({"spec": {"privilegedSessionMaxAge": "5m"}})).await;
    scene.until_condition("mfa", "Ready", "False", "Overridden").await;
    assert_eq!(scene.events("Overridden").await.len(), 1);
    tells_no_value(&scene).await;
}
