//! From a policy's change to the patched workload, one at a time, and in turn with it what a bare
//! client needs to apply a config map and a workload one after the other.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::Result;
use crate::cluster::Cluster;
use crate::follow::Both;
use crate::load::{self, FLOOR};
use crate::object::Name;
use crate::objects::{
    CONFIG_MAPS, DEPLOYMENTS, POLICIES, bare_config_map, bare_deployment, change, deployment,
};

/// After each change, so that nothing of it runs into the next.
const PAUSE: Duration = Duration::from_millis(100);
/// Changes of each kind that are not counted: connections open, caches fill.
const WARM_UP: usize = 5;
/// A fourth roll in a row of one workload waits for a minute; the first is the policy's arrival.
const CHANGES_OF_A_WORKLOAD: usize = 2;
/// Workloads of the bare client; they alternate in size as the policies' do.
const FLOOR_WORKLOADS: usize = 10;

#[derive(Default)]
pub struct Latency {
    /// From sending the policy until the workload's event.
    pub ours: Vec<Duration>,
    /// The part of it after the API server had answered the policy's change: what the operator adds.
    pub own: Vec<Duration>,
    /// From sending the config map until the workload's event.
    pub floor: Vec<Duration>,
    /// From sending the config map until the answer about the workload.
    pub floor_answer: Vec<Duration>,
}

/// The duration that so many hundredths do not exceed.
pub fn percentile(durations: &[Duration], hundredths: usize) -> Duration {
    let mut sorted = durations.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * hundredths).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

pub async fn at_one(cluster: &Cluster, follow: &Both, changes: usize) -> Result<Latency> {
    let single = load::single();
    let floor = prepare_floor(cluster, "small", |_| 0).await?;
    let mut latency = Latency::default();
    for number in 0..WARM_UP + changes {
        // Another workload under the same name, which no roll is remembered of.
        if number % CHANGES_OF_A_WORKLOAD == 0 {
            DEPLOYMENTS.delete(&cluster.admin, &single).await?;
            let created =
                DEPLOYMENTS.create(&cluster.admin, &single.namespace, &deployment(0, &single)).await?;
            follow
                .policies
                .until(&single, |seen| seen.is_enforced() && seen.target == created.metadata.uid)
                .await?;
            sleep(PAUSE).await;
        }
        let mut counted = Latency::default();
        ours(cluster, follow, &single, number, &mut counted).await?;
        bare(cluster, follow, &floor[number % floor.len()], number, &mut counted).await?;
        latency.add(counted, number);
    }
    Ok(latency)
}

pub async fn at_many(cluster: &Cluster, follow: &Both, policies: usize, changes: usize) -> Result<Latency> {
    let floor = prepare_floor(cluster, "mixed", |number| number).await?;
    let mut latency = Latency::default();
    // All over the policies, in the mixture of sizes that all of them have.
    let stride = (policies / (WARM_UP + changes)).max(1);
    let stride = if stride.is_multiple_of(5) { stride + 1 } else { stride };
    for number in 0..WARM_UP + changes {
        let index = number * stride % policies;
        let mut counted = Latency::default();
        ours(cluster, follow, &load::name(index), number, &mut counted).await?;
        bare(cluster, follow, &floor[index % floor.len()], number, &mut counted).await?;
        latency.add(counted, number);
    }
    Ok(latency)
}

impl Latency {
    fn add(&mut self, counted: Self, number: usize) {
        if number >= WARM_UP {
            self.ours.extend(counted.ours);
            self.own.extend(counted.own);
            self.floor.extend(counted.floor);
            self.floor_answer.extend(counted.floor_answer);
        }
    }
}

async fn prepare_floor(cluster: &Cluster, prefix: &str, size: fn(usize) -> usize) -> Result<Vec<Name>> {
    let names: Vec<_> =
        (0..FLOOR_WORKLOADS).map(|number| Name::new(FLOOR, &format!("{prefix}-{number}"))).collect();
    for (number, name) in names.iter().enumerate() {
        DEPLOYMENTS.create(&cluster.admin, FLOOR, &deployment(size(number), name)).await?;
        CONFIG_MAPS.apply(&cluster.bare, name, &bare_config_map(name, 0)).await?;
        DEPLOYMENTS.apply(&cluster.bare, name, &bare_deployment(name, 0)).await?;
    }
    sleep(10 * PAUSE).await;
    Ok(names)
}

async fn ours(
    cluster: &Cluster,
    follow: &Both,
    policy: &Name,
    number: usize,
    latency: &mut Latency,
) -> Result<()> {
    let before = follow.deployments.get(policy)?.generation;
    let started = Instant::now();
    let changed = POLICIES.merge(&cluster.bare, policy, &change(1_000 + number)).await?;
    let stored = Instant::now();
    let seen = follow.deployments.until(policy, |seen| seen.generation > before).await?;
    latency.ours.push(seen.changed - started);
    latency.own.push(seen.changed.saturating_duration_since(stored));
    follow
        .policies
        .until(policy, |seen| seen.generation >= changed.generation() && seen.is_enforced())
        .await?;
    sleep(PAUSE).await;
    Ok(())
}

async fn bare(
    cluster: &Cluster,
    follow: &Both,
    name: &Name,
    number: usize,
    latency: &mut Latency,
) -> Result<()> {
    let (config_map, deployment) =
        (bare_config_map(name, 1_000 + number), bare_deployment(name, 1_000 + number));
    let before = follow.deployments.get(name)?.generation;
    let started = Instant::now();
    CONFIG_MAPS.apply(&cluster.bare, name, &config_map).await?;
    DEPLOYMENTS.apply(&cluster.bare, name, &deployment).await?;
    latency.floor_answer.push(started.elapsed());
    let seen = follow.deployments.until(name, |seen| seen.generation > before).await?;
    latency.floor.push(seen.changed - started);
    follow.deployments.until(name, |seen| seen.generation > before && seen.observed.is_some()).await?;
    sleep(PAUSE).await;
    Ok(())
}
