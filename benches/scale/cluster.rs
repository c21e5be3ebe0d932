//! The control plane: etcd and the API server. The real controllers write a dozen times for each
//! change of a workload, which drowns what is measured; [`crate::observer`] stands in for them. And who talks
//! to it: an administrator that sets things up, a bare client to compare with, and the operator. The last two
//! are service accounts, so that both pay the same for authentication and authorization.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::wait::{await_condition, conditions};
use kube::{Api, Client, Config};
use mfa_operator::api as wire;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::Result;

/// Where the service accounts live.
const SYSTEM: &str = "mfa-system";
/// The operator's user name in the audit log.
pub const OPERATOR: &str = "system:serviceaccount:mfa-system:operator";

pub struct Cluster {
    pub admin: Client,
    pub bare: Client,
    folder: PathBuf,
    /// Removed at the end, unless it shall be kept.
    _temporary: Option<TempDir>,
    /// It ends when its standard input closes, so also when this process dies.
    _process: Child,
}

impl Cluster {
    pub async fn start() -> Result<Self> {
        let temporary = TempDir::new()?;
        let folder = temporary.path().to_owned();
        let mut process = Command::new("tests/cluster/control-plane")
            .env("CONTROL_PLANE_CONTROLLERS", "off")
            .arg("run")
            .arg(folder.join("control-plane"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let answer = process.stdout.take().ok_or("no output")?;
        if BufReader::new(answer).lines().next_line().await?.as_deref() != Some("ready") {
            return Err("the control plane did not start".into());
        }
        let path = folder.join("control-plane/kubeconfig");
        let temporary = match std::env::var_os("BENCH_KEEP") {
            Some(_) => {
                eprintln!(
                    "bench: the audit log and the operator's log stay in {}",
                    temporary.keep().display()
                );
                None
            }
            None => Some(temporary),
        };
        let mut cluster = Self {
            admin: client(&path).await?,
            bare: client(&path).await?,
            folder,
            _temporary: temporary,
            _process: process,
        };
        cluster
            .create(Api::<Namespace>::all(cluster.admin.clone()), json!({"metadata": {"name": SYSTEM}}))
            .await?;
        let crd: Api<CustomResourceDefinition> = Api::all(cluster.admin.clone());
        crd.create(&PostParams::default(), &wire::crd()).await?;
        await_condition(crd, wire::CRD_NAME, conditions::is_crd_established()).await?;
        for name in ["operator", "bare"] {
            cluster.account(name).await?;
        }
        cluster.bare = client(&cluster.kubeconfig("bare")).await?;
        Ok(cluster)
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn kubeconfig(&self, account: &str) -> PathBuf {
        self.folder.join(format!("{account}.kubeconfig"))
    }

    pub fn audit_log(&self) -> PathBuf {
        self.folder.join("control-plane/audit.log")
    }

    /// Creates an object that is small enough for a typed client.
    pub async fn create<T>(&self, api: Api<T>, object: Value) -> Result<()>
    where
        T: Clone + DeserializeOwned + std::fmt::Debug + serde::Serialize,
    {
        api.create(&PostParams::default(), &serde_json::from_value(object)?).await?;
        Ok(())
    }

    async fn account(&self, name: &str) -> Result<()> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.admin.clone(), SYSTEM);
        self.create(accounts.clone(), json!({"metadata": {"name": name}})).await?;
        let binding = json!({
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": SYSTEM}],
        });
        self.create(Api::<ClusterRoleBinding>::all(self.admin.clone()), binding).await?;
        let spec = TokenRequestSpec { expiration_seconds: Some(86_400), ..TokenRequestSpec::default() };
        let request = TokenRequest { spec, ..TokenRequest::default() };
        let answer = accounts.create_token_request(name, &PostParams::default(), &request).await?;
        let token = answer.status.ok_or("no token")?.token;
        let own = Kubeconfig::read_from(self.folder.join("control-plane/kubeconfig"))?;
        let own = own
            .clusters
            .first()
            .and_then(|named| named.cluster.as_ref())
            .ok_or("a kubeconfig without cluster")?;
        let text = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "bench", "cluster": own}],
            "users": [{"name": name, "user": {"token": token}}],
            "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": name}}],
            "current-context": "bench",
        });
        std::fs::write(self.kubeconfig(name), text.to_string())?;
        Ok(())
    }
}

async fn client(kubeconfig: &Path) -> Result<Client> {
    let mut config =
        Config::from_custom_kubeconfig(Kubeconfig::read_from(kubeconfig)?, &KubeConfigOptions::default())
            .await?;
    config.default_retry = false;
    Ok(Client::try_from(config)?)
}
