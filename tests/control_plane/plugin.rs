//! `kubectl mfa` against a real API server, beside a real operator: what it shows, how it ends, and that
//! it writes nothing that it was not told to.

mod way;

use std::path::Path;
use std::process::{Child, Command, Stdio};

use kube::Api;
use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use crate::config_file::by_file;
use crate::objects::{WHOAMI, generation, kratos, kratos_reading, policy, policy_with};
use crate::scene::{AFTER_THE_PAUSE, SOON, Scene, resource, text};
use crate::stand_in::{free_address, free_port, serving_at, start_pods};
use crate::support::cluster_part;
use crate::support::control_plane::control_plane;
use crate::weakening::authors;

pub struct Outcome {
    pub code: i32,
    output: String,
    errors: String,
}

impl Outcome {
    /// Both together.
    fn all(&self) -> String {
        format!("{}{}", self.output, self.errors)
    }
}

/// A folder with the program under the names that kubectl looks for.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["kubectl-mfa", "kubectl_complete-mfa"] {
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_mfa-operator"), folder.path().join(name))
            .expect("a link");
    }
    folder
}

fn spawn(scene: &Scene, folder: &Path, arguments: &[&str]) -> Child {
    spawn_in(&scene.kubeconfig, &scene.namespace, folder, arguments)
}

fn spawn_in(kubeconfig: &Path, namespace: &str, folder: &Path, arguments: &[&str]) -> Child {
    Command::new(folder.join("kubectl-mfa"))
        .args(["--kubeconfig".as_ref(), kubeconfig.as_os_str()])
        .args(["-n", namespace])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts")
}

fn outcome(output: std::process::Output) -> Outcome {
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Outcome {
        code: output.status.code().expect("a status"),
        output: text(output.stdout),
        errors: text(output.stderr),
    }
}

pub fn mfa(scene: &Scene, arguments: &[&str]) -> Outcome {
    let folder = folder();
    outcome(spawn(scene, folder.path(), arguments).wait_with_output().expect("it ends"))
}

/// What is left when line breaks are spaces again.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn says(text: &str, words: &[&str]) {
    let text = flat(text);
    words.iter().for_each(|word| assert!(text.contains(word), "{word} is missing in: {text}"));
}

fn file(object: &Value) -> tempfile::NamedTempFile {
    let file = tempfile::Builder::new().suffix(".yaml").tempfile().expect("a file");
    std::fs::write(file.path(), object.to_string()).expect("it is written");
    file
}

fn diff(scene: &Scene, object: &Value, more: &[&str]) -> Outcome {
    let file = file(object);
    mfa(scene, &[&["diff", "-f", file.path().to_str().expect("a path")], more].concat())
}

#[tokio::test]
async fn each_state_is_shown_and_explained() {
    let scene = Scene::start("plugin-states").await;
    let mut stranger = kratos("stranger");
    stranger["spec"]["template"]["spec"]["containers"][0]["image"] = json!("nginx");
    scene.create(stranger).await;
    scene.create(crate::objects::kratos_with("taken", json!({"name": WHOAMI, "value": "aal1"}))).await;
    scene.create(kratos("kratos")).await;
    for (name, target) in [("stranger", "stranger"), ("taken", "taken"), ("lost", "lost"), ("mfa", "kratos")]
    {
        scene.create(policy(name, &[target])).await;
    }
    let states = [
        ("stranger", "Stalled", "NotKratos", "Name the right container"),
        ("taken", "Stalled", "FieldConflict", "Remove it where it comes from"),
        ("lost", "Reconciling", "TargetNotFound", "Create it, or correct the name"),
    ];
    for (name, type_, reason, remedy) in states {
        let message = scene.until_condition(name, type_, "True", reason).await;
        let explained = mfa(&scene, &["explain", name]);
        assert_eq!(explained.code, 0, "{}", explained.errors);
        says(&explained.output, &[reason, &flat(&message), remedy, "It forces nobody to enrol"]);
    }
    scene.until_ready_without_pods("mfa").await;
    let explained = mfa(&scene, &["explain", "mfa"]);
    says(
        &explained.output,
        &["Ready", "NoDrainDelay", "docs/advisories.md#nodraindelay", "RolledOut True NoPods"],
    );

    let screen = mfa(&scene, &["status"]);
    assert_eq!(screen.code, 0, "{}", screen.errors);
    says(
        &screen.output,
        &[
            "stranger NotKratos",
            "taken FieldConflict",
            "lost TargetNotFound",
            "mfa Ready",
            "Deployment kratos",
        ],
    );
    assert!(!screen.output.contains('\u{1b}'), "no colour outside of a terminal");
    let json = mfa(&scene, &["status", "mfa", "-o", "json"]);
    let shown: Value = serde_json::from_str(&json.output).expect("JSON");
    let shown = &shown["policies"][0];
    let stored = scene.get("MfaPolicy", "mfa").await["status"].clone();
    assert_eq!((&shown["name"], &shown["ready"]), (&json!("mfa"), &json!("True")));
    assert_eq!(shown["revision"], stored["revision"]);
    assert_eq!(shown["targets"][0]["name"], "kratos");
    assert_eq!(shown["revisions"][0]["inForceOn"], json!(["Deployment kratos"]));
    let everywhere = mfa(&scene, &["status", "-A", "-o", "json"]);
    assert!(everywhere.output.contains(&scene.namespace), "{}", everywhere.errors);

    let missing = mfa(&scene, &["status", "nobody"]);
    assert_eq!((missing.code, &*missing.output), (1, ""));
    says(&missing.errors, &["NotFound", "nobody"]);
}

#[tokio::test]
async fn pods_are_listed_with_what_they_were_started_with() {
    let scene = Scene::start("plugin-pods").await;
    scene.create(serving_at("kratos", free_port())).await;
    scene.create(policy_with("mfa", &["kratos"], json!({"verification": {"mode": "Off"}}))).await;
    scene.until_condition("mfa", "RolledOut", "True", "NoPods").await;
    let names = start_pods(&scene, "kratos", &[free_address(), free_address()]).await;
    scene.until_ready("mfa").await;
    let revision = text(&scene.get("MfaPolicy", "mfa").await["status"]["revision"]);
    let shown: Value =
        serde_json::from_str(&mfa(&scene, &["status", "mfa", "-o", "json"]).output).expect("JSON");
    let pods = shown["policies"][0]["targets"][0]["pods"].as_array().expect("pods").clone();
    assert_eq!(pods.len(), 2, "{pods:?}");
    for pod in &pods {
        assert!(
            names.contains(&text(&pod["name"])) && pod["ready"] == true && pod["revision"] == *revision,
            "{pod}"
        );
    }
    let edit = policy_with(
        "mfa",
        &["kratos"],
        json!({"verification": {"mode": "Off"}, "privilegedSessionMaxAge": "5m"}),
    );
    says(&diff(&scene, &edit, &[]).output, &["would roll 2 pods", &names[0], &names[1]]);
}

#[tokio::test]
async fn a_difference_is_what_an_apply_makes_of_it_and_nothing_is_written() {
    let scene = Scene::start("plugin-diff").await;
    scene.create(kratos("kratos")).await;
    let strict = policy("mfa", &["kratos"]);
    let created = diff(&scene, &strict, &[]);
    assert_eq!(created.code, 1, "{}", created.errors);
    says(
        &created.output,
        &[
            "would be created",
            "Deployment kratos, container kratos",
            &format!("+ {WHOAMI}=highest_available"),
        ],
    );
    assert!(scene.find("MfaPolicy", "mfa").await.is_none());
    scene.create(strict.clone()).await;
    scene.until_ready_without_pods("mfa").await;

    let before = scene.deployment("kratos").await;
    let none = diff(&scene, &strict, &[]);
    assert_eq!((none.code, &*none.output), (0, ""), "{}", none.errors);
    let edit = policy_with(
        "mfa",
        &["kratos"],
        json!({"requiredAAL": {"settings": "highest_available", "whoami": "aal1"}}),
    );
    let edited = diff(&scene, &edit, &[]);
    assert_eq!(edited.code, 1, "{}", edited.errors);
    let words = [
        "spec.requiredAAL.whoami highest_available → aal1",
        &format!("- {WHOAMI}=highest_available + {WHOAMI}=aal1"),
        "its template would change; no pod runs",
    ];
    says(&edited.output, &words);
    let quiet = policy_with("mfa", &["kratos"], json!({"rollout": {"revisionHistoryLimit": 7}}));
    let quiet = diff(&scene, &quiet, &[]);
    assert_eq!(quiet.code, 1);
    says(&quiet.output, &["spec.rollout.revisionHistoryLimit", "no pod would roll"]);
    scene.create(kratos("other")).await;
    let moved = diff(&scene, &policy("mfa", &["other"]), &[]);
    says(
        &moved.output,
        &[
            "Deployment other, container kratos: its template would change",
            "Deployment kratos, container kratos (named no more)",
        ],
    );
    let lost = diff(&scene, &policy("mfa", &["lost"]), &[]);
    says(&lost.output, &["Deployment lost: would be left as it is", "does not exist in this namespace"]);

    let refused =
        diff(&scene, &policy_with("mfa", &["kratos"], json!({"requiredAAL": {"whoami": "aal2"}})), &[]);
    assert_eq!((refused.code, &*refused.output), (2, ""));
    says(&refused.errors, &["Invalid", "use highest_available"]);
    let mistyped = diff(&scene, &policy_with("mfa", &["kratos"], json!({"requiredAal": {}})), &[]);
    assert_eq!(mistyped.code, 2);
    says(&mistyped.errors, &["unknown field", "requiredAal"]);

    let after = scene.deployment("kratos").await;
    assert_eq!(
        (generation(&after), &after["metadata"]["labels"]),
        (generation(&before), &before["metadata"]["labels"])
    );
    assert_eq!(generation(&scene.get("MfaPolicy", "mfa").await), 1, "nothing was written");
}

/// The pause after a deletion is the operator's: who asks once cannot know since when a policy is gone.
#[tokio::test]
async fn what_a_policy_left_behind_is_foreseen_to_be_taken_over() {
    let scene = Scene::start("plugin-left").await;
    scene.create(kratos("kratos")).await;
    scene.create(policy_with("first", &["kratos"], json!({"deletionPolicy": "Retain"}))).await;
    scene.until_ready_without_pods("first").await;
    scene.delete("MfaPolicy", "first").await;
    let next = policy_with("next", &["kratos"], json!({"privilegedSessionMaxAge": "5m"}));
    let foreseen = diff(&scene, &next, &[]);
    assert_eq!(foreseen.code, 1, "{}", foreseen.all());
    let change = "+ SELFSERVICE_FLOWS_SETTINGS_PRIVILEGED_SESSION_MAX_AGE=5m";
    says(&foreseen.output, &["Deployment kratos, container kratos: its template would change", change]);
    assert!(!foreseen.output.contains("first"), "{}", foreseen.output);
    let less = diff(
        &scene,
        &policy_with("next", &["kratos"], json!({"requiredAAL": {"whoami": "highest_available"}})),
        &[],
    );
    assert_eq!(less.code, 1, "{}", less.all());
    says(
        &less.output,
        &[
            "Deployment kratos: would be left as it is",
            "it would be weaker than what is in force",
            "spec.requiredAAL.settings",
        ],
    );
}

/// What the server's own configuration has against an edit only the operator knows.
#[tokio::test]
async fn what_the_operator_would_refuse_is_foreseen() {
    let scene = Scene::start("plugin-refused").await;
    let base = "selfservice: {methods: {code: {passwordless_enabled: true}}}";
    scene.create(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "base"}, "data": {"kratos.yaml": base}})).await;
    let mut deployment = kratos("kratos");
    let pod = &mut deployment["spec"]["template"]["spec"];
    pod["volumes"] = json!([{"name": "base", "configMap": {"name": "base"}}]);
    pod["containers"][0]["volumeMounts"] = json!([{"name": "base", "mountPath": "/etc/config"}]);
    scene.create(deployment).await;
    let clash = json!({"methods": {"code": {"mfaEnabled": true}}, "acknowledge": ["CodeCountsForEveryone"]});
    let foreseen = diff(&scene, &policy_with("mfa", &["kratos"], clash.clone()), &[]);
    assert_eq!(foreseen.code, 2, "{}", foreseen.all());
    says(&foreseen.output, &["The operator would refuse it", "spec.methods.code.mfaEnabled"]);
    scene.create(policy_with("mfa", &["kratos"], clash)).await;
    let message = scene.until_condition("mfa", "Accepted", "False", "InvalidSpec").await;
    says(&foreseen.output, &[&flat(&message)]);
}

#[tokio::test]
async fn a_difference_that_only_a_file_has_is_told() {
    let scene = Scene::start("plugin-file").await;
    scene.create(kratos_reading("kratos", "mfa-mfa")).await;
    scene.create(by_file("mfa", &["kratos"], json!({}))).await;
    scene.until_ready_without_pods("mfa").await;
    let edit = by_file("mfa", &["kratos"], json!({"methods": {"totp": {"enabled": true}}}));
    let foreseen = diff(&scene, &edit, &[]);
    assert_eq!(foreseen.code, 1, "{}", foreseen.all());
    says(&foreseen.output, &["no pod would roll; running ones read the new file"]);
    let quiet =
        diff(&scene, &by_file("mfa", &["kratos"], json!({"rollout": {"revisionHistoryLimit": 7}})), &[]);
    assert!(!quiet.output.contains("new file"), "{}", quiet.output);
}

#[tokio::test]
async fn a_difference_that_weakens_tells_who_may_apply_it() {
    let (stage, editor, _) = authors("diff-weakens").await;
    editor.create(policy("mfa", &["kratos"])).await.expect("a strict one may be created");
    let weaker = file(&policy_with(
        "mfa",
        &["kratos"],
        json!({"requiredAAL": {"settings": "highest_available", "whoami": "aal1"}}),
    ));
    let foreseen = |account: &str| {
        let user = format!("system:serviceaccount:{}:{account}", stage.namespace);
        let arguments = ["--as", &user, "diff", "-f", weaker.path().to_str().expect("a path")];
        let folder = folder();
        let asked = spawn_in(
            &control_plane().folder().join("kubeconfig"),
            &stage.namespace,
            folder.path(),
            &arguments,
        );
        outcome(asked.wait_with_output().expect("it ends"))
    };
    let refused = foreseen("editor");
    assert_eq!((refused.code, &*refused.output), (2, ""), "{}", refused.all());
    says(
        &refused.errors,
        &["the verb weaken", &format!("ClusterRole {}-policy-weakener", stage.namespace), "spec.requiredAAL"],
    );
    let shown = foreseen("weakener");
    assert_eq!(shown.code, 1, "{}", shown.all());
    says(&shown.output, &["spec.requiredAAL.whoami highest_available → aal1"]);
}

#[tokio::test]
async fn a_rollout_is_followed_to_its_end() {
    let scene = Scene::start("plugin-rollout").await;
    scene.create(policy("mfa", &["kratos"])).await;
    scene.until_condition("mfa", "Reconciling", "True", "TargetNotFound").await;
    let late = mfa(&scene, &["rollout", "status", "mfa", "--timeout", "5s"]);
    assert_eq!(late.code, 1);
    says(&late.errors, &["error: timed out: Waiting for the policy mfa", "TargetNotFound"]);
    assert_eq!(mfa(&scene, &["rollout", "status", "mfa", "--watch=false"]).code, 0);

    let folder = folder();
    let waiting = spawn(&scene, folder.path(), &["rollout", "status", "mfa", "--timeout", "2m"]);
    scene.create(kratos("kratos")).await;
    let done = outcome(waiting.wait_with_output().expect("it ends"));
    assert_eq!(done.code, 0, "{}", done.all());
    says(&done.output, &["policy mfa is in force"]);

    let mut stranger = kratos("stranger");
    stranger["spec"]["template"]["spec"]["containers"][0]["image"] = json!("nginx");
    scene.create(stranger).await;
    scene.create(policy("stranger", &["stranger"])).await;
    let stuck = mfa(&scene, &["rollout", "status", "stranger", "--timeout", "2m"]);
    assert_eq!(stuck.code, 1);
    says(&stuck.errors, &["needs an edit", "NotKratos", "Name the right container"]);
}

#[tokio::test]
async fn revisions_are_told_and_the_three_edits_are_made() {
    let scene = Scene::start("plugin-history").await;
    scene.create(kratos("kratos")).await;
    scene.create(policy("mfa", &["kratos"])).await;
    scene.until_ready_without_pods("mfa").await;
    let first = text(&scene.get("MfaPolicy", "mfa").await["status"]["revision"]);
    scene.edit("MfaPolicy", "mfa", json!({"spec": {"requiredAAL": {"whoami": "aal1"}}})).await;
    scene
        .until("the second revision is in force", AFTER_THE_PAUSE, async || {
            let history = mfa(&scene, &["history", "mfa"]).output;
            let rows: Vec<_> = history.lines().map(flat).collect();
            let second = rows.get(1).is_some_and(|row| row.starts_with("2 mfa-") && row.contains("in force"));
            let both = second && rows.get(2).is_some_and(|row| row.starts_with(&format!("1 {first}")));
            let change =
                rows.iter().any(|row| row.contains("highest_available → aal1") && row.contains("Policy"));
            if both && change { Ok(()) } else { Err(history) }
        })
        .await;

    assert_eq!(mfa(&scene, &["suspend", "mfa"]).code, 0);
    assert_eq!(scene.get("MfaPolicy", "mfa").await["spec"]["suspend"], true);
    let suspended = diff(&scene, &policy_with("mfa", &["kratos"], json!({"suspend": true})), &[]);
    says(&suspended.output, &["the policy is suspended: nothing is written"]);
    assert_eq!(mfa(&scene, &["resume", "mfa"]).code, 0);
    assert_eq!(scene.get("MfaPolicy", "mfa").await["spec"]["suspend"], false);
    assert_eq!(mfa(&scene, &["retry", "mfa"]).code, 0);
    let annotations = scene.get("MfaPolicy", "mfa").await["metadata"]["annotations"].clone();
    assert!(annotations["mfa-operator.dev/retry"].is_string(), "{annotations}");
}

/// A role that reads policies and nothing else, as the chart's viewer.
async fn viewer(scene: &Scene) -> String {
    let user = format!("viewer-of-{}", scene.namespace);
    let group = "rbac.authorization.k8s.io";
    let rules = json!([{"apiGroups": ["mfa-operator.dev"], "resources": ["mfapolicies"], "verbs": ["get", "list", "watch"]}]);
    let role = json!({"apiVersion": format!("{group}/v1"), "kind": "ClusterRole", "metadata": {"name": "plugin-viewer"}, "rules": rules});
    let roles = Api::<DynamicObject>::all_with(scene.client.clone(), &resource("ClusterRole"));
    roles
        .patch("plugin-viewer", &PatchParams::apply("test").force(), &Patch::Apply(role))
        .await
        .expect("the role is there");
    scene
        .create(json!({
            "apiVersion": format!("{group}/v1"), "kind": "RoleBinding", "metadata": {"name": "viewer"},
            "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "plugin-viewer"},
        }))
        .await;
    user
}

#[tokio::test]
async fn who_may_only_read_policies_sees_what_they_say() {
    let scene = Scene::start("plugin-viewer").await;
    scene.create(kratos("kratos")).await;
    scene.create(policy("mfa", &["kratos"])).await;
    scene.until_ready_without_pods("mfa").await;
    let user = viewer(&scene).await;
    let seen = scene
        .until("the right is in force", SOON, async || {
            let seen = mfa(&scene, &["status", "mfa", "--as", &user]);
            if seen.code == 0 { Ok(seen) } else { Err(seen.errors) }
        })
        .await;
    says(&seen.output, &["mfa Ready", "Deployment kratos"]);
    says(&seen.errors, &["you may not read deployments", "you may not read controllerrevisions"]);
    let json: Value =
        serde_json::from_str(&mfa(&scene, &["status", "-o", "json", "--as", &user]).output).expect("JSON");
    assert_eq!(
        (&json["policies"][0]["targets"][0]["pods"], json["notSeen"].as_array().map(Vec::len)),
        (&Value::Null, Some(2))
    );
    let explained = mfa(&scene, &["explain", "mfa", "--as", &user]);
    assert_eq!(explained.code, 0, "{}", explained.errors);
    says(&explained.errors, &["you may not read events"]);

    let edit = policy_with("mfa", &["kratos"], json!({"privilegedSessionMaxAge": "5m"}));
    let edited = diff(&scene, &edit, &["--as", &user]);
    assert_eq!(edited.code, 1, "{}", edited.errors);
    says(&edited.output, &["spec.privilegedSessionMaxAge - → 5m", "cannot be told"]);
    says(&edited.errors, &["you may not apply it"]);
    assert_eq!(diff(&scene, &policy("mfa", &["kratos"]), &["--as", &user]).code, 0);
    let wrong = policy_with("mfa", &["kratos"], json!({"requiredAAL": {"whoami": "aal2"}}));
    let wrong = diff(&scene, &wrong, &["--as", &user]);
    assert_eq!(wrong.code, 2);
    says(&wrong.errors, &["use highest_available"]);
    let forbidden = mfa(&scene, &["suspend", "mfa", "--as", &user]);
    assert_eq!(forbidden.code, 1);
    says(&forbidden.errors, &["Forbidden", "cannot patch resource"]);
}

#[tokio::test]
async fn kubectl_finds_it_and_completes_it() {
    let scene = Scene::start("plugin-kubectl").await;
    scene.create(policy("second-factor", &["kratos"])).await;
    let folder = folder();
    let programs = cluster_part("node");
    let kubectl = |arguments: &[&str]| {
        let path = std::env::join_paths([folder.path(), &programs]).expect("a path");
        let mut command = Command::new(programs.join("kubectl"));
        outcome(
            command
                .args(arguments)
                .env("PATH", path)
                .env("KUBECONFIG", &scene.kubeconfig)
                .output()
                .expect("kubectl runs"),
        )
    };
    let seen = kubectl(&["mfa", "status", "-n", &scene.namespace]);
    assert_eq!(seen.code, 0, "{}", seen.errors);
    says(&seen.output, &["second-factor"]);
    // A completion that takes long is none: nobody waits for it.
    let complete = async || {
        let asked = kubectl(&["__complete", "mfa", "rollout", "status", "-n", &scene.namespace, "sec"]);
        if asked.output.lines().any(|line| line == "second-factor") { Ok(()) } else { Err(asked.all()) }
    };
    scene.until("the name of a policy is completed", SOON, complete).await;
    let asked = kubectl(&["__complete", "mfa", "exp"]);
    assert!(asked.output.lines().any(|line| line.starts_with("explain\t")), "{}", asked.all());
}
