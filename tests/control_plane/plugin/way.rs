//! The way between the plugin, its cluster and whoever reads it: proxies, outages, closed pipes, a terminal.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use k8s_openapi::jiff::Timestamp;

use super::*;
use crate::support::control_plane::ControlPlane;

/// Stands between the plugin and the API server: in place of the server, or as a proxy that is asked for it.
struct Relay {
    address: SocketAddr,
    open: Arc<AtomicBool>,
    /// Connections of now.
    standing: Arc<Mutex<Vec<TcpStream>>>,
    /// What was asked for by CONNECT.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Relay {
    /// It ends with the test.
    fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it has an address");
        let (open, standing, asked) = (
            Arc::new(AtomicBool::new(true)),
            Arc::<Mutex<Vec<_>>>::default(),
            Arc::<Mutex<Vec<_>>>::default(),
        );
        let relay = Self { address, open: open.clone(), standing: standing.clone(), asked: asked.clone() };
        std::thread::spawn(move || {
            for near in listener.incoming().flatten().filter(|_| open.load(Ordering::SeqCst)) {
                let (server, asked, standing) = (server.clone(), asked.clone(), standing.clone());
                std::thread::spawn(move || pass(near, &server, &asked, &standing));
            }
        });
        relay
    }

    fn close(&self) {
        self.open.store(false, Ordering::SeqCst);
        let standing = std::mem::take(&mut *self.standing.lock().expect("no test failed"));
        standing.iter().for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
    }

    fn open(&self) {
        self.open.store(true, Ordering::SeqCst);
    }
}

fn pass(
    near: TcpStream,
    server: &str,
    asked: &Mutex<Vec<String>>,
    standing: &Mutex<Vec<TcpStream>>,
) -> Option<()> {
    let mut first = [0];
    near.peek(&mut first).ok()?;
    // TLS begins otherwise.
    if first == *b"C" {
        let mut head = BufReader::new(near.try_clone().ok()?).lines();
        let line = head.next()?.ok()?;
        head.map_while(Result::ok).find(String::is_empty)?;
        asked.lock().expect("no test failed").push(line.split(' ').nth(1)?.into());
        (&near).write_all(b"HTTP/1.1 200 OK\r\n\r\n").ok()?;
    }
    let far = TcpStream::connect(server).ok()?;
    standing.lock().expect("no test failed").extend([near.try_clone().ok()?, far.try_clone().ok()?]);
    let (mut from, mut to) = (near.try_clone().ok()?, far.try_clone().ok()?);
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        to.shutdown(Shutdown::Write)
    });
    let _ = std::io::copy(&mut &far, &mut &near);
    near.shutdown(Shutdown::Both).ok()
}

/// The address in a kubeconfig, and the file with these fields of the cluster instead.
fn server(scene: &Scene) -> String {
    let text = std::fs::read_to_string(&scene.kubeconfig).expect("a kubeconfig");
    let kubeconfig: Value = serde_yaml::from_str(&text).expect("YAML");
    crate::scene::text(&kubeconfig["clusters"][0]["cluster"]["server"])
        .trim_start_matches("https://")
        .to_owned()
}

fn kubeconfig(scene: &Scene, fields: Value) -> tempfile::NamedTempFile {
    let text = std::fs::read_to_string(&scene.kubeconfig).expect("a kubeconfig");
    let mut kubeconfig: Value = serde_yaml::from_str(&text).expect("YAML");
    for (field, value) in fields.as_object().expect("fields") {
        kubeconfig["clusters"][0]["cluster"][field] = value.clone();
    }
    file(&kubeconfig)
}

/// What goes wrong on the way to the cluster is told with its cause, and where it happened.
#[tokio::test]
async fn whoever_reaches_no_cluster_is_told_why() {
    let scene = Scene::start("plugin-way").await;
    let text = std::fs::read_to_string(&scene.kubeconfig).expect("a kubeconfig");
    let server = text
        .lines()
        .find_map(|line| line.split_once("https://")?.1.split_once('"'))
        .expect("an address")
        .0
        .to_owned();
    let free = format!("127.0.0.1:{}", free_port());
    let closed = file(&json!(null));
    std::fs::write(closed.path(), text.replace(&server, &free)).expect("it is written");
    let folder = folder();
    let refused = spawn_in(closed.path(), &scene.namespace, folder.path(), &["status"]);
    let refused = outcome(refused.wait_with_output().expect("it ends"));
    assert_eq!(refused.code, 1);
    says(&refused.errors, &[&format!("https://{free} does not answer"), "Connection refused"]);

    // The text around a fault may hold a token.
    let broken = file(&json!(null));
    std::fs::write(
        broken.path(),
        text.replace(&format!("{server}\""), &server).replace("client-key-data: ", "token: hunter2, x: "),
    )
    .expect("it is written");
    let unread = spawn_in(broken.path(), &scene.namespace, folder.path(), &["status"]);
    let unread = outcome(unread.wait_with_output().expect("it ends"));
    says(&unread.errors, &["the kubeconfig cannot be read, see line 3"]);
    assert!(
        !unread.errors.contains("hunter2") && !unread.errors.contains("certificate"),
        "{}",
        unread.errors
    );
}

#[tokio::test]
async fn a_cluster_without_the_definition_is_told_as_such() {
    let plane = ControlPlane::start_with(&[("CONTROL_PLANE_CONTROLLERS", "off")]);
    let folder = folder();
    let status = spawn_in(&plane.folder().join("kubeconfig"), "default", folder.path(), &["status"]);
    let status = outcome(status.wait_with_output().expect("it ends"));
    assert_eq!(status.code, 1);
    says(&status.errors, &["has no MfaPolicy definition", "another context"]);
}

#[tokio::test]
async fn a_proxy_is_gone_through_where_one_is_meant() {
    let scene = Scene::start("plugin-proxy").await;
    let relay = Relay::to(server(&scene));
    let proxy = format!("http://user:secret@{}", relay.address);
    // The certificate is for the address.
    let away = json!({"server": "https://kubernetes.invalid:6443", "tls-server-name": "127.0.0.1"});
    let mut named = away.clone();
    named["proxy-url"] = json!(proxy);
    let folder = folder();
    let ask = |kubeconfig: &Path, https_proxy: &str, no_proxy: &str| {
        let mut command = Command::new(folder.path().join("kubectl-mfa"));
        command.args(["-n", &scene.namespace, "status", "-o", "json", "--kubeconfig"]).arg(kubeconfig);
        command
            .env("HTTPS_PROXY", https_proxy)
            .env("NO_PROXY", no_proxy)
            .env_remove("https_proxy")
            .env_remove("no_proxy");
        outcome(command.output().expect("it starts"))
    };
    let (away, named) = (kubeconfig(&scene, away), kubeconfig(&scene, named));
    // NO_PROXY names servers: a proxy that it names is still one.
    for (kubeconfig, https_proxy, no_proxy) in [
        (&away, &*proxy, ""),
        (&away, &proxy, "127.0.0.1"),
        (&named, "", ""),
        (&named, "http://127.0.0.1:9", "127.0.0.1,kubernetes.invalid"),
    ] {
        let shown = ask(kubeconfig.path(), https_proxy, no_proxy);
        assert_eq!(shown.code, 0, "HTTPS_PROXY={https_proxy} NO_PROXY={no_proxy}: {}", shown.all());
    }
    let asked = relay.asked.lock().expect("no test failed").clone();
    assert_eq!(asked.len(), 4, "{asked:?}");
    assert!(asked.iter().all(|server| server == "kubernetes.invalid:6443"), "{asked:?}");
    // No proxy leads to this machine, whatever NO_PROXY says.
    let here = ask(&scene.kubeconfig, &proxy, "");
    assert_eq!(here.code, 0, "{}", here.all());
    assert_eq!(relay.asked.lock().expect("no test failed").len(), 4);

    let direct = ask(away.path(), &proxy, "*.invalid");
    says(&direct.errors, &["https://kubernetes.invalid:6443 does not answer", "dns error"]);
    let socks = ask(away.path(), "socks5://user:hunter2@127.0.0.1:9", "");
    says(&socks.errors, &["a proxy has to be one of HTTP", "HTTPS_PROXY"]);
    assert!(!socks.errors.contains("hunter2"), "{}", socks.errors);
    relay.close();
    let closed = ask(named.path(), "", "");
    says(&closed.errors, &["https://kubernetes.invalid:6443 does not answer", "tunnel"]);
    assert!(!closed.errors.contains("secret"), "{}", closed.errors);
}

/// The conditions of a policy, as its operator would have written them.
async fn write_conditions(scene: &Scene, conditions: Value) {
    let status = json!({"status": {"observedGeneration": 1, "conditions": conditions}});
    scene
        .api("MfaPolicy")
        .patch_status("mfa", &PatchParams::default(), &Patch::Merge(status))
        .await
        .expect("a status is written");
}

fn condition(type_: &str, status: &str, reason: &str, seconds: i64) -> Value {
    let time = Timestamp::from_second(Timestamp::now().as_second() + seconds).expect("a time");
    json!({"type": type_, "status": status, "reason": reason, "message": "as it is", "lastTransitionTime": time.to_string()})
}

/// A line of it, once it is there.
fn line(reader: &mut impl BufRead) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).expect("text");
    line
}

#[tokio::test]
async fn an_outage_is_waited_out_and_told_once() {
    let mut scene = Scene::start("plugin-outage").await;
    scene.create(policy("mfa", &["kratos"])).await;
    scene.until_condition("mfa", "Reconciling", "True", "TargetNotFound").await;
    scene.operator.stop();
    let relay = Relay::to(server(&scene));
    let by_relay = kubeconfig(&scene, json!({"server": format!("https://{}", relay.address)}));
    let folder = folder();
    let mut waiting = spawn_in(
        by_relay.path(),
        &scene.namespace,
        folder.path(),
        &["rollout", "status", "mfa", "--timeout", "2m"],
    );
    let mut output = BufReader::new(waiting.stdout.take().expect("a pipe"));
    let mut errors = BufReader::new(waiting.stderr.take().expect("a pipe"));
    says(&line(&mut output), &["Waiting for the policy mfa", "TargetNotFound"]);
    relay.close();
    says(&line(&mut errors), &["note: https://127.0.0.1", "does not answer", "it is asked again"]);
    write_conditions(&scene, json!([condition("Ready", "True", "Ready", 0)])).await;
    relay.open();
    says(&line(&mut output), &["policy mfa is in force"]);
    let mut more = String::new();
    errors.read_to_string(&mut more).expect("text");
    assert_eq!((waiting.wait().expect("it ends").code(), &*more), (Some(0), ""));

    // Whoever was never answered is told at once.
    relay.close();
    let never = spawn_in(
        by_relay.path(),
        &scene.namespace,
        folder.path(),
        &["rollout", "status", "mfa", "--timeout", "2m"],
    );
    let never = outcome(never.wait_with_output().expect("it ends"));
    assert_eq!(never.code, 1);
    says(&never.errors, &["error: https://127.0.0.1"]);
}

#[tokio::test]
async fn an_attempt_that_was_just_asked_for_is_waited_for() {
    let mut scene = Scene::start("plugin-retry").await;
    scene.create(policy("mfa", &["kratos"])).await;
    scene.until_condition("mfa", "Reconciling", "True", "TargetNotFound").await;
    scene.operator.stop();
    let stuck = |seconds| {
        json!([
            condition("Ready", "False", "RolledBack", seconds),
            condition("Stalled", "True", "RolledBack", seconds)
        ])
    };
    write_conditions(&scene, stuck(-600)).await;
    let told = mfa(&scene, &["rollout", "status", "mfa"]);
    assert_eq!(told.code, 1, "{}", told.all());
    says(&told.errors, &["needs an edit", "RolledBack"]);
    assert_eq!(mfa(&scene, &["retry", "mfa"]).code, 0);
    let folder = folder();
    let mut waiting = spawn(&scene, folder.path(), &["rollout", "status", "mfa", "--timeout", "2m"]);
    let mut output = BufReader::new(waiting.stdout.take().expect("a pipe"));
    says(&line(&mut output), &["Waiting for the operator to try the policy mfa again"]);
    // It was tried, and failed again.
    write_conditions(&scene, stuck(5)).await;
    let told = outcome(waiting.wait_with_output().expect("it ends"));
    assert_eq!(told.code, 1, "{}", told.all());
    says(&told.errors, &["needs an edit", "RolledBack"]);
}

#[tokio::test]
async fn an_explanation_has_the_events_of_this_policy_alone() {
    let scene = Scene::start("plugin-events").await;
    scene.create(policy("mfa", &["kratos"])).await;
    scene.until_condition("mfa", "Reconciling", "True", "TargetNotFound").await;
    let uid = text(&scene.get("MfaPolicy", "mfa").await["metadata"]["uid"]);
    for (name, uid, message) in [
        ("own", &*uid, "of this one"),
        ("other", "00000000-0000-0000-0000-000000000000", "of the one before"),
    ] {
        let regarding = json!({"apiVersion": "mfa-operator.dev/v1alpha1", "kind": "MfaPolicy", "name": "mfa", "namespace": scene.namespace, "uid": uid});
        let event = json!({
            "apiVersion": "v1", "kind": "Event", "metadata": {"name": name, "namespace": scene.namespace}, "type": "Normal",
            "involvedObject": regarding, "reason": "Test", "message": message, "lastTimestamp": Timestamp::now().to_string(),
        });
        let event = serde_json::from_value::<k8s_openapi::api::core::v1::Event>(event).expect("an event");
        let events =
            Api::<k8s_openapi::api::core::v1::Event>::namespaced(scene.client.clone(), &scene.namespace);
        events.create(&kube::api::PostParams::default(), &event).await.expect("it is created");
    }
    let explained = mfa(&scene, &["explain", "mfa"]);
    says(&explained.output, &["What happened lately", "of this one"]);
    assert!(!explained.output.contains("of the one before"), "{}", explained.output);
    let shown: Value =
        serde_json::from_str(&mfa(&scene, &["status", "mfa", "-o", "json"]).output).expect("JSON");
    assert_eq!(shown["policies"][0]["uid"], uid);
}

/// A pipe that nobody reads.
fn closed() -> std::io::PipeWriter {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer
}

#[tokio::test]
async fn a_reader_that_is_gone_changes_no_verdict() {
    let scene = Scene::start("plugin-closed").await;
    scene.create(policy("lost", &["lost"])).await;
    scene.until_condition("lost", "Reconciling", "True", "TargetNotFound").await;
    let wanted = file(&policy("mfa", &["kratos"]));
    let diff = ["diff", "-f", wanted.path().to_str().expect("a path")];
    let folder = folder();
    let command = |arguments: &[&str]| {
        let mut command = Command::new(folder.path().join("kubectl-mfa"));
        command.arg("--kubeconfig").arg(&scene.kubeconfig).args(["-n", &scene.namespace]).args(arguments);
        command
    };
    let seen = outcome(command(&diff).stdout(closed()).output().expect("it starts"));
    assert_eq!((seen.code, &*seen.errors), (1, ""), "something would change");
    let refused = policy_with("refused", &["kratos"], json!({"requiredAAL": {"whoami": "aal2"}}));
    let both =
        file(&json!({"apiVersion": "v1", "kind": "List", "items": [refused, policy("mfa", &["kratos"])]}));
    let both = ["diff", "-f", both.path().to_str().expect("a path")];
    let seen = outcome(command(&both).stdout(closed()).output().expect("it starts"));
    assert_eq!(seen.code, 2, "{}", seen.errors);
    // Its verdict is what it is called for: it is waited for. A screen that nobody sees is not kept up to
    // date.
    let waited = outcome(
        command(&["rollout", "status", "lost", "--timeout", "2s"])
            .stdout(closed())
            .output()
            .expect("it starts"),
    );
    assert_eq!(waited.code, 1, "{}", waited.errors);
    assert_eq!(command(&["status", "-w"]).stdout(closed()).status().expect("it starts").code(), Some(0));
    // An error and a note to nobody.
    assert_eq!(
        command(&["status", "nobody"]).stdout(closed()).stderr(closed()).status().expect("it starts").code(),
        Some(1)
    );
    assert_eq!(
        command(&["status"]).stdout(closed()).stderr(closed()).status().expect("it starts").code(),
        Some(0)
    );
}

/// A message may hold whatever somebody could make the operator repeat.
#[tokio::test]
async fn a_terminal_is_told_nothing_by_what_others_wrote() {
    let mut scene = Scene::start("plugin-escape").await;
    scene.create(policy_with("mfa", &["kratos"], json!({"suspend": true}))).await;
    scene.until_condition("mfa", "Accepted", "False", "TargetNotFound").await;
    scene.operator.stop();
    let hostile = json!([{"type": "Ready", "status": "False", "reason": "Evil\u{1b}[31m", "message": "\u{1b}]0;title\u{7}\u{202e}", "lastTransitionTime": "2026-01-01T00:00:00Z"}]);
    scene
        .api("MfaPolicy")
        .patch_status(
            "mfa",
            &PatchParams::default(),
            &Patch::Merge(json!({"status": {"conditions": hostile}})),
        )
        .await
        .expect("a status is written");
    for command in
        [&["status", "mfa"][..], &["explain", "mfa"], &["rollout", "status", "mfa", "--watch=false"]]
    {
        let shown = mfa(&scene, command).all();
        assert!(shown.contains("Evil"), "{shown}");
        assert!(!shown.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{shown:?}");
    }
}

/// Ends with the test, however that does. With `script` its terminal goes, and whatever shows something
/// there.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `script` of util-linux is a terminal that a test can read.
#[tokio::test]
async fn a_terminal_gives_the_width_and_is_kept_up_to_date() {
    let scene = Scene::start("plugin-terminal").await;
    scene.create(policy("mfa", &["kratos"])).await;
    scene.until_condition("mfa", "Reconciling", "True", "TargetNotFound").await;
    let folder = folder();
    let call = format!(
        "{}/kubectl-mfa --kubeconfig {} -n {}",
        folder.path().display(),
        scene.kubeconfig.display(),
        scene.namespace
    );
    let line = format!("stty cols 60; exec {call} status -w");
    let mut script = Command::new("script");
    script
        .args(["-qefc", &line, "/dev/null"])
        .env("TERM", "xterm")
        .env_remove("COLUMNS")
        .env_remove("NO_COLOR");
    let mut script =
        Ended(script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("script of util-linux"));
    let mut output = script.0.stdout.take().expect("a pipe");
    let seen = Arc::<Mutex<String>>::default();
    let told = seen.clone();
    std::thread::spawn(move || {
        let mut some = [0; 4096];
        while let Ok(read @ 1..) = output.read(&mut some) {
            *told.lock().expect("no test failed") += &String::from_utf8_lossy(&some[..read]);
        }
    });
    let until = async |what: &str, holds: &dyn Fn(&str) -> bool| {
        let look = async || {
            let seen = seen.lock().expect("no test failed").clone();
            if holds(&seen) { Ok(seen) } else { Err(seen) }
        };
        scene.until(what, SOON, look).await
    };
    let wipe = "\u{1b}[H\u{1b}[2J";
    let first =
        until("the policy is shown", &|seen| seen.contains("TargetNotFound") && seen.contains("in force"))
            .await;
    assert!(first.contains("does not exist in this namespace: create\r\n"), "60 columns: {first}");
    scene.delete("MfaPolicy", "mfa").await;
    let last = until("nothing is shown", &|seen| seen.contains("No MfaPolicy found")).await;
    let (_, last) = last.rsplit_once(wipe).expect("the screen was wiped");
    assert!(!last.contains("TargetNotFound"), "{last}");
    assert!(!seen.lock().expect("no test failed").contains("[3J"), "what was before is the user's");
}
