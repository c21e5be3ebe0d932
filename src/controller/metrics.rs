//! What is read from the cache at each scrape: nothing of it is kept, and it goes with its objects. A
//! status is untrusted: only words of ours become labels, and what pods demand is told by their templates
//! and the counts of their controllers, by every operator, whether it leads or not.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use crate::api::{ConditionType, Reason};
use crate::controller::context::Context;
use crate::controller::store::Tables;
use crate::model::{Key, Levels, PolicyObject, WorkloadId, level_word};
use crate::policy::{Level, Target};
use crate::server::kratos::is_revision;
use crate::telemetry::metrics::{Label, gauges, infos, table};

/// Adds it to the metrics of the context.
pub fn add(context: &Arc<Context>) {
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
        let (policies, unreadable) = context.cache.read(|tables| {
            let seen = tables.policies.all().map(|policy| Seen::of(tables, policy.clone()));
            (seen.collect::<Vec<_>>(), tables.unreadable())
        });
        gauges(
            &mut encoder,
            &table::UNREADABLE,
            unreadable.into_iter().map(|(kind, count)| ([("kind", kind.into())], count)),
        )?;
        let mut by_reason = BTreeMap::from([(Reason::Ready.as_str(), 0)]);
        policies.iter().for_each(|seen| *by_reason.entry(seen.reason()).or_default() += 1);
        gauges(
            &mut encoder,
            &table::POLICIES,
            by_reason.into_iter().map(|(reason, count)| ([("reason", reason.into())], count)),
        )?;
        infos(&mut encoder, &table::POLICY, policies.iter().map(Seen::in_force))?;
        let not_ready =
            policies.iter().filter(|seen| seen.reason() != Reason::Ready.as_str() && !seen.is_ready());
        let with_reason = |seen| {
            let [namespace, name] = Seen::named(seen);
            ([namespace, name, ("reason", seen.reason().into())], 1)
        };
        gauges(&mut encoder, &table::POLICY_NOT_READY, not_ready.map(with_reason))?;
        gauges(
            &mut encoder,
            &table::POLICY_WEAKER,
            policies.iter().filter(|seen| seen.weaker).map(|seen| (seen.named(), 1)),
        )?;
        let overridden = policies.iter().filter(|seen| seen.is(ConditionType::Overridden));
        gauges(&mut encoder, &table::POLICY_OVERRIDDEN, overridden.map(|seen| (seen.named(), 1)))?;
        let guards = context.guards.all().into_iter();
        gauges(
            &mut encoder,
            &table::PROTECTION,
            guards.map(|(policy, guard)| ([("policy", policy.into()), ("state", guard.word().into())], 1)),
        )?;
        let left = context.memory.all_left();
        let one = |(Key { name, .. }, workload): &(Key, crate::model::WorkloadId)| {
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

/// A policy, and what pods of its targets demand.
struct Seen {
    policy: Arc<PolicyObject>,
    levels: Levels,
    /// Some pod demands less than it asks for, or is not known to demand as much.
    weaker: bool,
}

impl Seen {
    fn of(tables: &Tables, policy: Arc<PolicyObject>) -> Self {
        let mut seen = Self { policy, levels: (None, None), weaker: false };
        let Ok(spec) = &seen.policy.spec else { return seen };
        let levels = |target: &Target| {
            let id = WorkloadId { kind: target.kind, key: seen.policy.key.beside(&target.name) };
            // A target that there is not has no pods. Of one that cannot be read nothing is known.
            let known = tables
                .workloads
                .get(&id)
                .map(|_| tables.census.demand(&id).levels(target.container.as_deref()));
            known.or(tables.workloads.unreadable(&id).map(|_| Levels::default()))
        };
        let targets: Vec<_> = spec.targets.iter().map(levels).collect();
        let falls_short = |asked: Option<Level>, runs: Option<Level>| {
            asked == Some(Level::HighestAvailable) && runs < asked
        };
        seen.weaker = targets.iter().flatten().any(|(settings, whoami)| {
            falls_short(spec.settings, *settings) || falls_short(spec.whoami, *whoami)
        });
        let all = targets.into_iter().map(Option::unwrap_or_default);
        let weakest = all.reduce(|one: Levels, other| (one.0.min(other.0), one.1.min(other.1)));
        seen.levels = weakest.unwrap_or_default();
        seen
    }

    fn named(&self) -> [Label<'_>; 2] {
        let Key { namespace, name } = &self.policy.key;
        [("policy_namespace", namespace.as_str().into()), ("name", name.as_str().into())]
    }

    fn in_force(&self) -> [Label<'_>; 5] {
        let [namespace, name] = self.named();
        let revision = self
            .policy
            .status
            .revision
            .as_deref()
            .filter(|revision| is_revision(revision))
            .unwrap_or_default();
        let (settings, whoami) = self.levels;
        [
            namespace,
            name,
            ("revision", revision.into()),
            ("settings", level_word(settings).into()),
            ("whoami", level_word(whoami).into()),
        ]
    }

    /// Reason of the condition Ready. `Ready` is not believed while pods demand less.
    fn reason(&self) -> &'static str {
        match Reason::from_word(&self.policy.status.reason) {
            Some(Reason::Ready) if self.weaker => "Unknown",
            reason => reason.map_or("Unknown", Reason::as_str),
        }
    }

    fn is(&self, type_: ConditionType) -> bool {
        self.policy.status.conditions.iter().any(|last| last.type_ == type_ && last.status == "True")
    }

    fn is_ready(&self) -> bool {
        self.is(ConditionType::Ready) && !self.weaker
    }
}
