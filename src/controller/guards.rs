//! Whether the cluster holds the operator, and everybody else, to what docs/security.md says: each is an object of the
//! cluster that may not be there, and without which nothing else would look different. Whether the operator is confined
//! it finds out by trying, without effect: confinement, and not a missing right, has to refuse a Lease of another name.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use smol_str::SmolStr;
use tracing::{info, warn};

use super::Context;
use crate::api::MANAGER;
use crate::telemetry::metrics::requests::is_by_confinement;

/// Longer than any answer of an API server that works.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is asked again: seldom, for each try leaves an entry in the audit log.
const AGAIN: Duration = Duration::from_secs(300);
const AGAIN_WHERE_ONE_IS_MISSING: Duration = Duration::from_secs(30);

/// A client that is not fenced, for what has no effect, and where the operator's Lease lies.
pub struct Probe {
    pub client: Client,
    pub namespace: SmolStr,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Guard {
    InForce,
    Absent,
    /// It could not be found out, for want of a right for example.
    #[default]
    Unknown,
}

impl Guard {
    pub fn word(self) -> &'static str {
        match self {
            Self::InForce => "InForce",
            Self::Absent => "Absent",
            Self::Unknown => "Unknown",
        }
    }
}

/// Each with the name that the chart gives it, behind that of the release.
pub(super) type Guards = [(&'static str, Guard); 3];

#[derive(Debug)]
pub(super) struct Known(Mutex<Guards>);

impl Default for Known {
    fn default() -> Self {
        Self(Mutex::new(["confinement", "weakening", "history"].map(|name| (name, Guard::Unknown))))
    }
}

impl Known {
    pub fn all(&self) -> Guards {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what changed.
    fn learn(&self, now: Guards) -> Vec<(&'static str, Guard)> {
        let before = std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), now);
        now.into_iter().filter(|one| !before.contains(one)).collect()
    }
}

/// Asks for ever. Without `probe`, or where the operator does not know its own name, nothing can be asked.
pub(super) async fn watch(context: Arc<Context>, probe: Option<Probe>) {
    let mut told = false;
    loop {
        let found = look(&context, probe.as_ref()).await;
        let changed = context.guards.learn(found);
        if !told || !changed.is_empty() {
            tell(&found);
            told = true;
        }
        let whole = found.iter().all(|(_, guard)| *guard == Guard::InForce);
        tokio::time::sleep(if whole { AGAIN } else { AGAIN_WHERE_ONE_IS_MISSING }).await;
    }
}

async fn look(context: &Context, probe: Option<&Probe>) -> Guards {
    let mut found = Known::default().all();
    for (name, guard) in &mut found {
        let asked = async {
            match (*name, probe, &context.settings.itself) {
                ("confinement", Some(probe), _) => confinement(probe).await,
                ("confinement", None, _) | (_, _, None) => Guard::Unknown,
                (name, _, Some(itself)) => bound(&context.client, &format!("{}-{name}", itself.name)).await.unwrap_or_default(),
            }
        };
        *guard = tokio::time::timeout(PATIENCE, asked).await.unwrap_or_default();
    }
    found
}

async fn confinement(probe: &Probe) -> Guard {
    let name = Some(format!("{MANAGER}-is-confined"));
    let lease = Lease { metadata: ObjectMeta { name, ..ObjectMeta::default() }, spec: None };
    let params = PostParams { dry_run: true, field_manager: Some(MANAGER.into()) };
    match Api::<Lease>::namespaced(probe.client.clone(), &probe.namespace).create(&params, &lease).await {
        Ok(_) => Guard::Absent,
        Err(kube::Error::Api(status)) if is_by_confinement(&status.message) => Guard::InForce,
        Err(_) => Guard::Unknown,
    }
}

/// Whether the policy of this name is there, and its binding. One without the other refuses nothing.
async fn bound(client: &Client, name: &str) -> kube::Result<Guard> {
    let Some(binding) = Api::<ValidatingAdmissionPolicyBinding>::all(client.clone()).get_opt(name).await? else { return Ok(Guard::Absent) };
    let spec = binding.spec.unwrap_or_default();
    let denies = spec.validation_actions.iter().flatten().any(|action| action == "Deny");
    // By the chart it binds the policy of its own name, without parameters, which could be missing.
    if !denies || spec.policy_name.as_deref() != Some(name) || spec.param_ref.is_some() {
        return Ok(Guard::Absent);
    }
    let policy = Api::<ValidatingAdmissionPolicy>::all(client.clone()).get_metadata_opt(name).await?;
    Ok(policy.map_or(Guard::Absent, |_| Guard::InForce))
}

fn tell(found: &Guards) {
    let [confinement, weakening, history] = found.map(|(_, guard)| guard.word());
    if found.iter().any(|(_, guard)| *guard == Guard::Absent) {
        warn!(confinement, weakening, history, "the cluster does not hold to all admission policies of the chart: see docs/security.md");
    } else {
        info!(confinement, weakening, history, "what the cluster holds by the admission policies of the chart");
    }
}
