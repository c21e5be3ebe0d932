//! The storage of the cluster is taken back to a backup while the operator runs: what it knows is newer than
//! what there is.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::json;

use crate::objects::{enforces, env, kratos, policy};
use crate::scene::Scene;
use crate::support::control_plane::{ControlPlane, install_definition};

/// Pauses between attempts grow while nothing answers.
const AFTER_AN_OUTAGE: Duration = Duration::from_secs(120);
const MAX_AGE: &str = "SELFSERVICE_FLOWS_SETTINGS_PRIVILEGED_SESSION_MAX_AGE";

/// A part of the control plane, as it was started.
pub struct Part {
    id: u32,
    command: Vec<String>,
    folder: PathBuf,
}

impl Part {
    pub fn of(plane: &ControlPlane, name: &str) -> Self {
        let folder = plane.folder().canonicalize().expect("it has a folder");
        let found = std::fs::read_dir("/proc").expect("processes").flatten().find_map(|entry| {
            let id = entry.file_name().to_str()?.parse().ok()?;
            let cwd = std::fs::read_link(entry.path().join("cwd")).ok()?;
            let command = std::fs::read_to_string(entry.path().join("cmdline")).ok()?;
            let command: Vec<_> = command.trim_end_matches('\0').split('\0').map(Into::into).collect();
            let program: &String = command.first()?;
            (cwd == folder && program.ends_with(&format!("/{name}"))).then_some((id, command))
        });
        let (id, command) = found.unwrap_or_else(|| panic!("{name} runs in {}", folder.display()));
        Self { id, command, folder }
    }

    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.id.to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "no {signal} for {:?}", self.command);
    }

    pub fn kill(&self) {
        self.signal("-KILL");
        while std::fs::read_to_string(format!("/proc/{}/status", self.id))
            .is_ok_and(|status| !status.contains("State:\tZ"))
        {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn start_again(&self) -> Started {
        let log =
            std::fs::File::create(self.folder.join(format!("log/again-{}.log", self.id))).expect("a log");
        let mut command = Command::new(&self.command[0]);
        command
            .args(&self.command[1..])
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log);
        Started(command.process_group(0).spawn().expect("it starts"))
    }
}

/// Again. It ends when the value goes.
pub struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(copied.is_ok_and(|status| status.success()), "{} cannot be copied", from.display());
}

#[tokio::test]
async fn a_backup_that_is_restored_is_what_there_is() {
    let plane = ControlPlane::start();
    install_definition(&plane.client().await).await;
    let scene = Scene::start_on(&plane, "restored").await;
    scene.create(kratos("kratos")).await;
    scene.create(policy("mfa", &["kratos"])).await;
    scene.until_ready("mfa").await;
    let [etcd, server, controllers] =
        ["etcd", "kube-apiserver", "kube-controller-manager"].map(|name| Part::of(&plane, name));
    let (data, backup) = (plane.folder().join("etcd-data"), plane.folder().join("etcd-backup"));
    etcd.signal("-STOP");
    copy(&data, &backup);
    etcd.signal("-CONT");

    scene.edit("MfaPolicy", "mfa", json!({"spec": {"privilegedSessionMaxAge": "5m"}})).await;
    scene.until_ready("mfa").await;
    // Many more versions than the cluster comes to in the rest of this test.
    for number in 0..300 {
        scene.create(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("map-{number}")}})).await;
    }
    scene
        .edit("Deployment", "kratos", json!({"metadata": {"annotations": {"example.com/by": "somebody"}}}))
        .await;
    scene.edit("MfaPolicy", "mfa", json!({"spec": {"privilegedSessionMaxAge": "6m"}})).await;
    scene.until_ready("mfa").await;
    let later: u64 = scene.deployment("kratos").await["metadata"]["resourceVersion"]
        .as_str()
        .and_then(|version| version.parse().ok())
        .expect("a version");

    // All of them, as the manual of etcd says. The operator goes on.
    [&controllers, &server, &etcd].into_iter().for_each(Part::kill);
    std::fs::remove_dir_all(&data).expect("it can be removed");
    copy(&backup, &data);
    let _started = [etcd.start_again(), server.start_again()];
    scene
        .until("the API server answers", AFTER_AN_OUTAGE, async || {
            let found = scene.api("Deployment").get("kratos").await.map_err(|error| error.to_string())?;
            scene.api("MfaPolicy").get("mfa").await.map_err(|error| error.to_string())?;
            let version: u64 =
                found.metadata.resource_version.and_then(|version| version.parse().ok()).unwrap_or_default();
            if version < later {
                Ok(())
            } else {
                Err(format!("its version is {version}, which is not before {later}"))
            }
        })
        .await;
    let _controllers = controllers.start_again();
    scene.edit("MfaPolicy", "mfa", json!({"spec": {"privilegedSessionMaxAge": "7m"}})).await;
    scene
        .until("an edit after that is seen and written", AFTER_AN_OUTAGE, async || {
            let deployment = scene.deployment("kratos").await;
            enforces(&deployment)?;
            let found = env(&deployment, "kratos").get(MAX_AGE).cloned().unwrap_or_default();
            if found == "7m" { Ok(()) } else { Err(format!("it is {found:?}")) }
        })
        .await;
    scene.until_condition_within(AFTER_AN_OUTAGE, "mfa", "Ready", "True", "Ready").await;
}
