//! A control plane without nodes (etcd, API server, controllers) for tests that need no pods.
//!
//! All tests of a binary share one, each in a namespace of its own. It starts with the first test
//! that asks for it and ends with the process, whatever ends that: the script behind it watches
//! its standard input, which this process holds open and never writes to.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::{conditions, wait::await_condition};
use kube::{Api, Client, Config};
use mfa_operator::api::{self, MfaPolicy};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cluster/control-plane");

pub struct ControlPlane {
    folder: PathBuf,
    /// Holds the standard input that keeps it alive.
    _process: Child,
}

/// The control plane of this process.
///
/// # Panics
/// In the first test and in every later one, when it does not start.
pub fn control_plane() -> &'static ControlPlane {
    static SHARED: LazyLock<ControlPlane> = LazyLock::new(ControlPlane::start);
    &SHARED
}

impl ControlPlane {
    /// One more, for a test that would disturb the others. It ends when the value goes.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Likewise, with variables for the script.
    pub fn start_with(variables: &[(&str, &str)]) -> Self {
        static STARTED: AtomicUsize = AtomicUsize::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("control-plane-{}-{number}", std::process::id()));
        // In a process group of its own, an interrupt from the terminal leaves it the time to remove its
        // files.
        let mut process = std::os::unix::process::CommandExt::process_group(
            Command::new("sh").args(["-c", r#""$0" run "$1"; exec "$0" down "$1""#, SCRIPT]).arg(&folder),
            0,
        )
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("sh starts");
        let mut line = String::new();
        let output = process.stdout.take().expect("the output is piped");
        BufReader::new(output).read_line(&mut line).expect("its output is text");
        assert_eq!(line, "ready\n", "the control plane did not start; its own words are above");
        Self { folder, _process: process }
    }

    /// Where its `kubeconfig` and `audit.log` are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A client with every right. It belongs to the runtime of the test that asks for it.
    pub async fn client(&self) -> Client {
        client(&self.folder).await
    }
}

/// The same of the control plane with this folder.
pub async fn client(folder: &Path) -> Client {
    let kubeconfig =
        Kubeconfig::read_from(folder.join("kubeconfig")).expect("a ready control plane has a kubeconfig");
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .expect("the kubeconfig names one cluster");
    config.default_retry = false; // a test tells of every failure
    Client::try_from(config).expect("the kubeconfig holds its certificates")
}

/// Creates a namespace for one test and returns its name, which begins with `purpose`.
pub async fn create_namespace(client: &Client, purpose: &str) -> String {
    let metadata = ObjectMeta { generate_name: Some(format!("{purpose}-")), ..ObjectMeta::default() };
    let namespace = Namespace { metadata, ..Namespace::default() };
    let created = Api::all(client.clone())
        .create(&PostParams::default(), &namespace)
        .await
        .expect("namespaces can be created");
    created.metadata.name.expect("what the API server returns has a name")
}

/// The definition as it is delivered.
#[must_use]
pub fn definition() -> CustomResourceDefinition {
    serde_yaml::from_str(include_str!("../../crds/mfapolicies.yaml"))
        .expect("crds/mfapolicies.yaml is a definition")
}

/// Applies the definition, as often as it is asked, and waits until it is served.
pub async fn install_definition(client: &Client) {
    install(client, definition()).await;
}

/// Applies this form of the definition and waits until it is served.
pub async fn install(client: &Client, definition: CustomResourceDefinition) {
    let definitions = Api::<CustomResourceDefinition>::all(client.clone());
    let applied = definitions
        .patch(api::CRD_NAME, &PatchParams::apply("test").force(), &Patch::Apply(definition))
        .await;
    applied.expect("the API server takes the definition");
    await_condition(definitions, api::CRD_NAME, conditions::is_crd_established())
        .await
        .expect("the definition is watched");
    // It is called established a moment before the first request for it is answered.
    let policies = Api::<MfaPolicy>::all(client.clone());
    let deadline = Instant::now() + Duration::from_secs(30);
    while let Err(error) = policies.list_metadata(&ListParams::default().limit(1)).await {
        assert!(Instant::now() < deadline, "the definition is established and not served: {error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
