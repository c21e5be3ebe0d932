//! What the operator would do about a policy that is not stored: the same look and the same decision as
//! at work, over what can be read now. Nothing is written, and no pod is asked.

use std::ops::ControlFlow::Continue;
use std::sync::Arc;

use kube::Client;
use serde_json::Value;
use smol_str::SmolStr;

use crate::api as wire;
use crate::controller::context::{Context, Settings};
use crate::controller::decode::config_map::ConfigMap;
use crate::controller::decode::revision::Revision;
use crate::controller::decode::seen::Seen;
use crate::controller::decode::{Resource, Slim};
use crate::controller::error::Error;
use crate::controller::memory::state::Memory;
use crate::controller::observe::{absence, base_config, env_from, gather};
use crate::controller::queue;
use crate::controller::report::events;
use crate::controller::store::Cached;
use crate::controller::watch::list::{self, Selection};
use crate::model::{OwnershipNote, Pauses, PolicyObject, Record, Workload};
use crate::plan::{self, ConfigMapStep, Desired, Planned, Reversal, Server, Step};
use crate::policy::{Kind, VerificationMode};
use crate::server::kratos::governed_names;

/// What would become of the cluster.
#[derive(Debug, Default)]
pub struct Preview {
    /// Why the operator would not accept the policy.
    pub rejections: Vec<String>,
    /// Each target in order, then what is named no more.
    pub effects: Vec<Effect>,
}

/// What would become of one workload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effect {
    pub kind: Kind,
    pub name: SmolStr,
    pub container: Option<SmolStr>,
    /// Variables: name, value before and after.
    pub changes: Vec<(String, Option<String>, Option<String>)>,
    /// Pods that are wanted of it, where its template changes.
    pub rolls: Option<i32>,
    /// Running pods would read a new file.
    pub rereads: bool,
    /// Every old pod ends before a new one serves.
    pub ends_old_first: bool,
    /// Label selector of its pods.
    pub selector: SmolStr,
    /// What keeps it from happening at once, or at all.
    pub obstacle: Option<String>,
    /// Its policy would let it go.
    pub dropped: bool,
}

/// A record as it is stored.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Seconds since the Unix epoch.
    pub created: i64,
    pub record: Arc<Record>,
}

/// The records of all policies that ever had this name. What this operator would not have stored so is left
/// out.
///
/// # Errors
/// Of the API server.
pub async fn records(client: &Client, namespace: &str, policy: &str) -> kube::Result<Vec<Recorded>> {
    let labels = format!("{}={policy}", wire::POLICY_LABEL);
    let mut found = Vec::new();
    let recorded = |Revision { created, record, .. }| Some(Recorded { created, record: record? });
    let selection = Selection { resource: Resource::REVISIONS, namespace: Some(namespace), labels: &labels };
    list::each::<Revision>(client, selection, |read| {
        found.extend(read.ok().and_then(recorded));
        Continue(())
    })
    .await?;
    Ok(found)
}

/// Looks at the namespace of `edited`, a policy as the API server would store it, and decides.
/// `versions` are those of servers by (kind, name), as the status has them.
///
/// # Errors
/// Of the API server, also where the workloads may not be read.
pub async fn foresee(
    client: Client,
    server_images: Arc<[String]>,
    edited: &Value,
    versions: &[(String, String, String)],
) -> Result<Preview, Error> {
    let settings = Settings {
        namespaces: Vec::new(),
        server_images,
        own_deployment: None,
        instance: None,
        pauses: Pauses::default(),
    };
    let ((queue, _requests), (events, _telling)) = (queue::queue(), events::events());
    let mut context = Context::new(client.clone(), client, settings, queue, events, Arc::default());
    context.memory = Memory::settled();
    let read = serde_json::from_value::<Seen<PolicyObject>>(edited.clone())
        .map(|seen| seen.value(&Resource::POLICIES));
    let Ok(Ok(mut policy)) = read else { return Ok(Preview::default()) };
    // Pods are seldom reached from where this runs, and nothing here depends on their answers.
    policy.verification.mode = VerificationMode::Off;
    let key = policy.key.clone();
    let namespace = key.namespace.as_str();
    for &kind in Kind::ALL {
        list::<Workload>(&context, Resource::of(kind), namespace, None).await?;
    }
    list::<PolicyObject>(&context, Resource::POLICIES, namespace, None).await?;
    list::<ConfigMap>(&context, Resource::CONFIG_MAPS, namespace, Some(wire::POLICY_LABEL)).await?;
    list::<Revision>(&context, Resource::REVISIONS, namespace, Some(wire::POLICY_LABEL)).await?;
    context.cache.remove::<PolicyObject>(&key);
    context.cache.put(Ok(policy.clone()));
    let policy = Arc::new(policy);

    let crd_uid = definition(&context).await?;
    let now = Context::now();
    let look = |refused| {
        let mut observed = context
            .cache
            .read(|tables| gather::gather(&context, tables, &key, Some(policy.clone()), now, refused));
        observed.crd_uid = crd_uid.clone();
        for view in &mut observed.targets {
            let told =
                versions.iter().find(|(kind, name, _)| *kind == *view.kind.as_str() && *name == *view.name);
            view.server_version = told.map(|(_, _, version)| version.as_str().into());
        }
        observed
    };
    let mut observed = look(Vec::new());
    base_config::read_missing(&context, &mut observed).await?;
    let refused =
        if observed.standing.accepted(&policy).is_some() { plan::refusals(&observed) } else { Vec::new() };
    if !refused.is_empty() {
        observed = look(refused);
        base_config::recall(&context, &mut observed);
    }
    base_config::read_left_file(&context, &mut observed).await?;
    env_from::read(&context, &mut observed).await?;
    let plan = plan::plan(&observed);

    let new_file =
        matches!(plan.config_map, Some(ConfigMapStep::Create { .. } | ConfigMapStep::Repair { .. }));
    let rereads = new_file && plan::delivers_a_file(&observed) && !policy.suspend;
    let effects = plan.over(&observed.targets).map(|Planned { view, goal, step }| {
        let mut effect = Effect { kind: view.kind, name: view.name.clone(), ..Effect::default() };
        if let Step::Refused { message, .. } | Step::Held { message, .. } = step {
            effect.obstacle = Some(message.clone());
        }
        if policy.suspend {
            effect.obstacle =
                Some("the policy is suspended: nothing is written until spec.suspend is false".into());
        }
        let refused = matches!(step, Step::Refused { .. });
        if let Some(Server { workload, container }) = view.server().ok().filter(|_| !refused) {
            effect.change(workload, &container.name, Some(&goal.desired));
            effect.rereads = rereads && effect.rolls.is_none();
        }
        effect
    });
    let mut effects: Vec<_> = effects.collect();
    effects.extend(plan.release.workloads.iter().map(dropped));
    let mut rejections: Vec<_> = plan.rejections.iter().map(ToString::to_string).collect();
    if let Some(ConfigMapStep::Refused((_, message))) = &plan.config_map {
        rejections.push(message.clone());
    }
    Ok(Preview { rejections, effects })
}

/// Uid of the definition. Whoever reads workloads may not be allowed to read it: they remember it.
async fn definition(context: &Context) -> Result<SmolStr, Error> {
    match absence::crd_uid(context, false).await {
        Err(Error::Api(kube::Error::Api(status))) if status.is_forbidden() => {}
        read => return read,
    }
    Ok(context.cache.read(|tables| {
        // Of a policy that is there now: what one that is gone left may be of an earlier definition.
        let of_policy = |workload: &Arc<Workload>| {
            let memory =
                OwnershipNote::read(workload.governed.as_deref()).filter(|_| workload.own.governed)?;
            let policy = tables.policies.get(&workload.key.beside(workload.policy_label.as_ref()?))?;
            (*policy.uid == *memory.policy).then(|| memory.crd.into())
        };
        tables.workloads.all().find_map(of_policy).unwrap_or_default()
    }))
}

async fn list<T: Slim + Cached>(
    context: &Context,
    resource: Resource,
    namespace: &str,
    label: Option<&str>,
) -> Result<(), Error> {
    let selection = Selection { resource, namespace: Some(namespace), labels: label.unwrap_or_default() };
    let put = |read| {
        drop(context.cache.put::<T>(read));
        Continue(())
    };
    Ok(list::each(&context.client, selection, put).await?)
}

fn dropped(reversal: &Reversal) -> Effect {
    let (workload, obstacle) = match reversal {
        Reversal::Revert(workload) => (workload, None),
        Reversal::Leave { workload, why } => (workload, Some(why.clone())),
    };
    let mut effect = Effect {
        kind: workload.kind,
        name: workload.key.name.clone(),
        dropped: true,
        obstacle,
        ..Effect::default()
    };
    if effect.obstacle.is_none() {
        let own = workload.own.env.first().map(|(container, _)| container.clone()).unwrap_or_default();
        effect.change(workload, &own, None);
    }
    effect
}

impl Effect {
    /// Compares what the template has of ours, or in the place of ours, with what it shall have.
    fn change(&mut self, workload: &Workload, container: &str, desired: Option<&Desired>) {
        let live = workload.containers.iter().find(|own| *own.name == *container);
        let found = |name: &str| {
            live?.env.iter().find(|entry| *entry.name == *name)?.value.as_deref().map(Into::into)
        };
        let wanted = desired.map(Desired::variables).unwrap_or_default();
        for name in governed_names() {
            let after =
                wanted.iter().find(|variable| variable.name == *name).map(|variable| variable.value.clone());
            let before: Option<String> = found(name);
            if before != after && (after.is_some() || workload.owns(container, name)) {
                self.changes.push((name.clone(), before, after));
            }
        }
        self.container = Some(container.into());
        self.rolls = (!self.changes.is_empty()).then_some(workload.replicas);
        self.ends_old_first = workload.ends_old_first();
        self.selector = workload.selector.clone().unwrap_or_default();
    }
}
