//! What is read from the cache at each scrape: nothing of it is kept, and it goes with its objects. A
//! status is untrusted: only words of ours become labels.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::Context;
use crate::api::{ConditionType, Reason};
use crate::plan::{Key, PolicyObject, level_word};
use crate::policy::Level;
use crate::server::kratos::is_revision;
use crate::telemetry::metrics::{Label, gauges, infos, table};

/// Adds it to the metrics of the context.
pub(super) fn add(context: &Arc<Context>) {
    context.metrics.read_also(Scrape(Arc::downgrade(context)));
}

struct Scrape(Weak<Context>);

impl std::fmt::Debug for Scrape {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Scrape")
    }
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        let Some(context) = self.0.upgrade() else { return Ok(()) };
        let depth = i64::try_from(context.queue.depth()).unwrap_or(i64::MAX);
        gauges::<0>(&mut encoder, &table::QUEUE, [([], depth)].into_iter())?;
        // One that holds the lease and cannot begin is of no use to anybody.
        gauges::<0>(&mut encoder, &table::LEADER, [([], i64::from(context.begun.any()))].into_iter())?;
        // Nobody waits for the lock while the page is written.
        let (policies, unreadable) = context.cache.read(|tables| (tables.policies.all().cloned().collect::<Vec<_>>(), tables.unreadable()));
        gauges(&mut encoder, &table::UNREADABLE, unreadable.into_iter().map(|(kind, count)| ([("kind", kind.into())], count)))?;
        let all = || policies.iter().map(|policy| &**policy);
        let mut by_reason = BTreeMap::from([(Reason::Ready.as_str(), 0)]);
        all().for_each(|policy| *by_reason.entry(reason(policy)).or_default() += 1);
        gauges(&mut encoder, &table::POLICIES, by_reason.into_iter().map(|(reason, count)| ([("reason", reason.into())], count)))?;
        infos(&mut encoder, &table::POLICY, all().map(in_force))?;
        let not_ready = all().filter(|policy| reason(policy) != Reason::Ready.as_str() && !is_ready(policy));
        let with_reason = |policy| {
            let [namespace, name] = named(policy);
            ([namespace, name, ("reason", reason(policy).into())], 1)
        };
        gauges(&mut encoder, &table::POLICY_NOT_READY, not_ready.map(with_reason))?;
        gauges(&mut encoder, &table::POLICY_WEAKER, all().filter(|policy| is_weaker(policy)).map(|policy| (named(policy), 1)))?;
        gauges(&mut encoder, &table::POLICY_OVERRIDDEN, all().filter(|policy| is_overridden(policy)).map(|policy| (named(policy), 1)))?;
        let left = context.memory.all_left();
        let one = |(Key { name, .. }, workload): &(Key, crate::plan::WorkloadId)| {
            let labels = [
                ("policy_namespace", workload.key.namespace.to_string().into()),
                ("kind", workload.kind.as_str().into()),
                ("name", workload.key.name.to_string().into()),
                ("policy", name.to_string().into()),
            ];
            (labels, 1)
        };
        gauges(&mut encoder, &table::WORKLOAD_LEFT, left.iter().map(one))?;
        let delayed = i64::try_from(context.memory.delayed(policies.len())).unwrap_or(i64::MAX);
        gauges::<0>(&mut encoder, &table::REVERSALS_DELAYED, [([], delayed)].into_iter())
    }
}

fn named(policy: &PolicyObject) -> [Label<'_>; 2] {
    [("policy_namespace", policy.key.namespace.as_str().into()), ("name", policy.key.name.as_str().into())]
}

fn in_force(policy: &PolicyObject) -> [Label<'_>; 5] {
    let [namespace, name] = named(policy);
    let revision = policy.status.revision.as_deref().filter(|revision| is_revision(revision)).unwrap_or_default();
    let (settings, whoami) = policy.status.running.unwrap_or_default();
    [namespace, name, ("revision", revision.into()), ("settings", level_word(settings).into()), ("whoami", level_word(whoami).into())]
}

/// Of Ready.
fn reason(policy: &PolicyObject) -> &'static str {
    Reason::from_word(&policy.status.reason).map_or("Unknown", Reason::as_str)
}

fn is(policy: &PolicyObject, type_: ConditionType) -> bool {
    policy.status.conditions.iter().any(|last| last.type_ == type_ && last.status == "True")
}

fn is_ready(policy: &PolicyObject) -> bool {
    is(policy, ConditionType::Ready)
}

fn is_overridden(policy: &PolicyObject) -> bool {
    is(policy, ConditionType::Overridden)
}

/// Whether pods run that are not known to demand what it asks for.
fn is_weaker(policy: &PolicyObject) -> bool {
    let (Ok(spec), Some((settings, whoami))) = (&policy.spec, policy.status.running) else { return false };
    let falls_short = |asked, running: Option<Level>| asked == Some(Level::HighestAvailable) && running < asked;
    falls_short(spec.settings, settings) || falls_short(spec.whoami, whoami)
}
