//! Every read of the plugin. What may not be read is noted, and the rest is shown.

use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::{Event as CoreEvent, Pod as CorePod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, Time};
use kube::api::{DynamicObject, ListParams};
use kube::core::{ApiResource, ObjectList, PartialObjectMeta, Selector};
use kube::{Api, Client, ResourceExt};
use serde_json::Value;

use crate::api::{self, MfaPolicySpec, MfaPolicyStatus};
use crate::cli::kubectl::access::Access;
use crate::cli::kubectl::failure::Failure;
use crate::cli::kubectl::view::{self, Overview, Policy, Target};
use crate::cli::kubectl::{pods, reach, revisions};
use crate::controller;
use crate::policy::Kind;

/// Longer than any answer of an API server that works.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);

/// Policies that are looked at together: most of the time goes by on the way to the server, which is not to
/// be flooded.
const AT_ONCE: usize = 8;

/// The cluster, and the namespace that is meant.
pub struct Cluster {
    pub client: Client,
    pub namespace: String,
    /// Its address, for a message.
    pub server: String,
}

impl Cluster {
    pub async fn connect(access: &Access) -> Result<Self, Failure> {
        let mut config = reach::config(access.kubeconfig.as_deref(), access.context.as_deref()).await?;
        config.default_retry = false;
        config.connect_timeout = Some(PATIENCE);
        config.read_timeout = Some(PATIENCE);
        if let Some(user) = &access.as_user {
            config.auth_info.impersonate = Some(user.clone());
            config.auth_info.impersonate_groups =
                (!access.as_group.is_empty()).then(|| access.as_group.clone());
        }
        let namespace = access.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let (scheme, authority) =
            (config.cluster_url.scheme_str().unwrap_or("https"), config.cluster_url.authority());
        // Without credentials, which a URL may have.
        let server = format!(
            "{scheme}://{}",
            authority.and_then(|whole| whole.as_str().rsplit('@').next()).unwrap_or_default()
        );
        Ok(Self { client: Client::try_from(config)?, namespace, server })
    }

    pub fn policies(&self) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, &policy_resource())
    }

    fn policies_of_all(&self) -> Api<DynamicObject> {
        Api::all_with(self.client.clone(), &policy_resource())
    }

    /// The policy as it is stored.
    pub async fn stored(&self, name: &str) -> Result<Value, Failure> {
        Ok(serde_json::to_value(self.policies().get(name).await?)?)
    }

    /// One policy with what belongs to it.
    pub async fn policy(&self, name: &str) -> Result<Overview, Failure> {
        self.with_what_belongs(vec![self.stored(name).await?]).await
    }

    /// All of the namespace, or of the cluster.
    pub async fn all(&self, everywhere: Everywhere) -> Result<Overview, Failure> {
        let api = match everywhere {
            Everywhere::No => self.policies(),
            Everywhere::Yes => self.policies_of_all(),
        };
        let list = api.list(&ListParams::default()).await?;
        self.with_what_belongs(list.items.into_iter().map(serde_json::to_value).collect::<Result<_, _>>()?)
            .await
    }

    async fn with_what_belongs(&self, stored: Vec<Value>) -> Result<Overview, Failure> {
        let looks = stored.iter().map(|stored| self.one_with_what_belongs(policy(stored)));
        let mut looks = stream::iter(looks).buffered(AT_ONCE);
        let mut overview = Overview::default();
        while let Some((policy, not_seen)) = looks.try_next().await? {
            overview.policies.push(policy);
            not_seen.into_iter().for_each(|what| note(&mut overview.not_seen, what));
        }
        Ok(overview)
    }

    /// Workloads are got one by one: whoever may do that need not be allowed to list a whole namespace, nor
    /// wait for it.
    async fn one_with_what_belongs(&self, mut policy: Policy) -> Result<(Policy, Vec<String>), Failure> {
        let mut not_seen = Vec::new();
        for target in &mut policy.targets {
            target.pods = self.pods(&policy.namespace, target, &mut not_seen).await?;
        }
        policy.revisions = self.revisions(&policy, &mut not_seen).await?;
        Ok((policy, not_seen))
    }

    /// None where they may not be read; the list is empty where the workload is not there.
    async fn pods(
        &self,
        namespace: &str,
        target: &Target,
        not_seen: &mut Vec<String>,
    ) -> Result<Option<Vec<view::Pod>>, Failure> {
        let Some(kind) = Kind::from_word(&target.status.kind) else { return Ok(None) };
        let resource = workload_resource(kind);
        let workloads: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), namespace, &resource);
        let Some(found) =
            seen(workloads.get_opt(&target.status.name).await, &resource.plural, namespace, not_seen)?
        else {
            return Ok(None);
        };
        let Some(workload) = found else { return Ok(Some(Vec::new())) };
        let selector = workload.data["spec"]["selector"].clone();
        let Ok(selector) = serde_json::from_value::<LabelSelector>(selector)
            .map_err(|_| ())
            .and_then(|found| Selector::try_from(found).map_err(|_| ()))
        else {
            return Ok(None);
        };
        let params = ListParams::default().labels_from(&selector);
        let listed = self.list_pods(namespace, &params, not_seen).await?;
        let Some(makers) =
            self.makers(namespace, kind, workload.uid().unwrap_or_default(), &params, not_seen).await?
        else {
            return Ok(None);
        };
        let container = target.status.container.clone().unwrap_or_default();
        let own = listed.map(|listed| {
            let own = listed.iter().filter(|pod| makers.iter().any(|uid| uid == pods::controller(*pod)));
            own.map(|pod| pods::pod(pod, &container)).collect()
        });
        Ok(own)
    }

    /// The uids of what makes the pods of a workload: itself, or its ReplicaSets, which have the labels of
    /// its pods.
    async fn makers(
        &self,
        namespace: &str,
        kind: Kind,
        uid: String,
        params: &ListParams,
        not_seen: &mut Vec<String>,
    ) -> Result<Option<Vec<String>>, Failure> {
        if kind != Kind::Deployment {
            return Ok(Some(vec![uid]));
        }
        let api: Api<ReplicaSet> = Api::namespaced(self.client.clone(), namespace);
        let listed = seen(api.list_metadata(params).await, "replicasets", namespace, not_seen)?;
        let own = |listed: ObjectList<PartialObjectMeta<ReplicaSet>>| {
            listed
                .items
                .iter()
                .filter(|made| pods::controller(*made) == uid)
                .filter_map(ResourceExt::uid)
                .collect()
        };
        Ok(listed.map(own))
    }

    /// Names of the pods with these labels that are not about to end; none where they may not be read.
    pub async fn pod_names(
        &self,
        selector: &str,
        not_seen: &mut Vec<String>,
    ) -> Result<Option<Vec<String>>, Failure> {
        let listed =
            self.list_pods(&self.namespace, &ListParams::default().labels(selector), not_seen).await?;
        let staying = |listed: Vec<CorePod>| {
            let staying = listed.into_iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
            staying.map(|pod| pod.name_any()).collect()
        };
        Ok(listed.map(staying))
    }

    async fn list_pods(
        &self,
        namespace: &str,
        params: &ListParams,
        not_seen: &mut Vec<String>,
    ) -> Result<Option<Vec<CorePod>>, Failure> {
        let pods: Api<CorePod> = Api::namespaced(self.client.clone(), namespace);
        Ok(seen(pods.list(params).await, "pods", namespace, not_seen)?.map(|listed| listed.items))
    }

    async fn revisions(
        &self,
        policy: &Policy,
        not_seen: &mut Vec<String>,
    ) -> Result<Option<Vec<view::Revision>>, Failure> {
        let listed = controller::records(&self.client, &policy.namespace, &policy.name).await;
        let listed = seen(listed, "controllerrevisions", &policy.namespace, not_seen)?;
        Ok(listed.map(|listed| revisions::revisions(listed, &policy.uid)))
    }

    /// What happened to the policy, the oldest first; none where it may not be read.
    pub async fn events(
        &self,
        policy: &Policy,
        not_seen: &mut Vec<String>,
    ) -> Result<Option<Vec<view::Event>>, Failure> {
        let api: Api<CoreEvent> = Api::namespaced(self.client.clone(), &self.namespace);
        // Another of its name may have been before it.
        let (name, uid) = (&policy.name, &policy.uid);
        let selector =
            format!("involvedObject.kind={},involvedObject.name={name},involvedObject.uid={uid}", api::KIND);
        let params = ListParams::default().fields(&selector);
        let listed = seen(api.list(&params).await, "events", &self.namespace, not_seen)?;
        let mut events: Option<Vec<_>> = listed.map(|listed| listed.items.iter().map(event).collect());
        events.iter_mut().for_each(|events| events.sort_by(|a, b| a.last_seen.cmp(&b.last_seen)));
        Ok(events)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Everywhere {
    No,
    Yes,
}

/// None where it may not be read, which is noted once.
fn seen<T>(
    answer: kube::Result<T>,
    plural: &str,
    namespace: &str,
    not_seen: &mut Vec<String>,
) -> Result<Option<T>, Failure> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(kube::Error::Api(status)) if status.is_forbidden() => {
            note(not_seen, format!("you may not read {plural} in the namespace {namespace}"));
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

fn note(not_seen: &mut Vec<String>, what: String) {
    if !not_seen.contains(&what) {
        not_seen.push(what);
    }
}

pub fn policy_resource() -> ApiResource {
    ApiResource {
        group: api::GROUP.into(),
        version: api::VERSION.into(),
        api_version: format!("{}/{}", api::GROUP, api::VERSION),
        kind: api::KIND.into(),
        plural: api::PLURAL.into(),
    }
}

fn workload_resource(kind: Kind) -> ApiResource {
    ApiResource {
        group: api::APPS.into(),
        version: "v1".into(),
        api_version: format!("{}/v1", api::APPS),
        kind: kind.as_str().into(),
        plural: format!("{}s", kind.as_str().to_lowercase()),
    }
}

/// A stored policy without what belongs to it. What cannot be decoded is left out.
pub fn policy(stored: &Value) -> Policy {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let metadata = &stored["metadata"];
    let spec: MfaPolicySpec = serde_json::from_value(stored["spec"].clone()).unwrap_or_default();
    let status: MfaPolicyStatus = serde_json::from_value(stored["status"].clone()).unwrap_or_default();
    let ready = status
        .conditions
        .iter()
        .find(|condition| condition.type_ == api::ConditionType::Ready.as_str())
        .cloned();
    let unknown = || api::Condition {
        status: "Unknown".into(),
        message: "the operator has not looked at it yet".into(),
        ..Default::default()
    };
    let ready = ready.unwrap_or_else(unknown);
    Policy {
        namespace: text(&metadata["namespace"]),
        name: text(&metadata["name"]),
        uid: text(&metadata["uid"]),
        created: text(&metadata["creationTimestamp"]),
        generation: metadata["generation"].as_i64().unwrap_or_default(),
        observed_generation: status.observed_generation,
        deleting: !metadata["deletionTimestamp"].is_null(),
        suspended: spec.suspend,
        ready: ready.status,
        reason: ready.reason,
        message: ready.message,
        asked: spec.required_aal.unwrap_or_default(),
        running: status.required_aal,
        revision: status.revision,
        failed_revision: status.failed_revision,
        pods: status.pods,
        targets: status.targets.into_iter().map(|status| Target { status, pods: None }).collect(),
        advisories: status.advisories,
        conditions: status.conditions,
        transitions: status.transitions,
        revisions: None,
    }
}

fn event(event: &CoreEvent) -> view::Event {
    let series = event.series.as_ref();
    let micro = series
        .and_then(|series| series.last_observed_time.as_ref())
        .or(event.event_time.as_ref())
        .map(|time| time.0);
    let plain = |time: &Option<Time>| time.as_ref().map(|time| time.0);
    let at = plain(&event.last_timestamp).or(micro).or(plain(&event.metadata.creation_timestamp));
    view::Event {
        last_seen: at.map(|at| at.to_string()).unwrap_or_default(),
        type_: event.type_.clone().unwrap_or_default(),
        reason: event.reason.clone().unwrap_or_default(),
        message: event.message.clone().unwrap_or_default(),
        count: series.and_then(|series| series.count).or(event.count).unwrap_or(1).max(1),
    }
}

#[cfg(test)]
mod tests;
