//! What a failing roll is judged by: read only where one fails, or is about to begin that ends every old
//! pod before a new one serves.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use futures::StreamExt;
use kube::api::GetParams;
use kube::core::Request;
use smol_str::SmolStr;
use tokio::time::Instant;

use crate::admin;
use crate::controller::context::Context;
use crate::controller::decode::files::Files;
use crate::controller::decode::maker::Making;
use crate::controller::decode::pod::PodView;
use crate::controller::decode::requests::{api, named};
use crate::controller::decode::{Resource, content};
use crate::controller::error::Error;
use crate::controller::observe::pods;
use crate::controller::probe::requests;
use crate::model::{Health, Pod, Workload};
use crate::plan::{Content, Examination, Observed, TargetView, judged_well, to_examine};

/// How long a pod may take to say how it is.
const PATIENCE: Duration = Duration::from_secs(2);

/// More than a few tell nothing new.
const ASKED: usize = 8;

pub async fn examine(context: &Context, observed: &mut Observed) -> Result<(), Error> {
    // All targets together: pods that are silent must not hold up the look.
    let mut budget = requests::Budget::of(&observed.verification());
    for Examination { index, health } in to_examine(observed) {
        let target = &observed.targets[index];
        let Some(workload) = target.workload.clone() else { continue };
        let content = content_of(context, observed, target, &workload).await?;
        let pods = match health.then(|| context.probe_cache.room(&workload)) {
            Some(Ok(_room)) => Some(with_health(context, observed, target, &workload, &mut budget).await?),
            Some(Err(none)) => {
                observed.probes_skipped.add(&workload, none);
                None
            }
            None => None,
        };
        let target = &mut observed.targets[index];
        target.content = content;
        if let Some(pods) = pods {
            // What was not asked breaks nothing off.
            let is_known = !pods.iter().any(|pod| pod.health == Some(Health::NotYet));
            target.pods = Some(pods);
            let well = judged_well(observed, index);
            if well || is_known {
                observed.targets[index].well_since =
                    context.memory.runs_well(&workload.uid, well, observed.now);
            }
        }
    }
    Ok(())
}

/// More than any server is made from.
const CONFIG_MAPS: usize = 16;

/// None where the workload is gone, or another by now, or cannot be read. What others wrote is let go as soon
/// as its digest is known: it may be large, and many looks come at once.
async fn content_of(
    context: &Context,
    observed: &Observed,
    target: &TargetView,
    workload: &Workload,
) -> Result<Option<Content>, Error> {
    let server = target.container_in(workload).map(|container| container.name.as_str()).unwrap_or_default();
    let path = Resource::of(workload.kind).path(&workload.key.namespace);
    let request = Request::new(path)
        .get(&workload.key.name, &GetParams::default())
        .map_err(kube::Error::BuildRequest)?;
    let making = match context.client.request_text(request).await {
        Ok(json) => Making::read(&json, &workload.uid, server),
        Err(kube::Error::Api(status)) if status.is_not_found() => None,
        Err(error) => return Err(error.into()),
    };
    let Some(Making { digest, config_maps }) = making else { return Ok(None) };
    let maps = api::<Files>(&context.client, Resource::CONFIG_MAPS, Some(&workload.key.namespace));
    let (mut files, mut changed) = (BTreeMap::new(), 0);
    let strangers = config_maps.into_iter().filter(|(name, _)| !is_own(observed, name));
    for (name, keys) in strangers.take(CONFIG_MAPS) {
        let map = match named(&maps, &name).await {
            Ok(Some(seen)) => match seen.value(&Resource::CONFIG_MAPS) {
                Ok(map) => map,
                // What it holds is not known, and neither is whether it changed.
                Err(_) => return Ok(None),
            },
            Ok(None) => continue,
            Err(kube::Error::Api(status)) if status.is_forbidden() => continue,
            Err(error) => return Err(error.into()),
        };
        changed = changed.max(map.changed);
        files.insert(name, content::of_files(&map.texts, keys.as_ref()));
    }
    Ok(Some(content::of_all(&digest, &files, changed)))
}

/// Whether the policy writes the config map, by what it says itself: labels are anybody's.
fn is_own(observed: &Observed, name: &SmolStr) -> bool {
    let said = observed.policy.as_ref().and_then(|policy| observed.standing.config_map(policy));
    said.as_ref() == Some(name) || observed.records.iter().any(|record| record.data.config_map_name == **name)
}

/// The pods of the target, and how they are.
async fn with_health(
    context: &Context,
    observed: &Observed,
    target: &TargetView,
    workload: &Workload,
    budget: &mut requests::Budget,
) -> Result<Vec<Pod>, Error> {
    let mut views = pods::of(context, observed, workload).await?.own;
    context.memory.sighted(views.iter_mut().map(|view| &mut view.pod), observed.now);
    let name = target.container_in(workload).map(|container| container.name.clone()).unwrap_or_default();
    let answers = target
        .pods
        .iter()
        .flatten()
        .filter_map(|pod| Some((pod.uid.clone(), pod.answer.clone()?)))
        .collect::<Vec<_>>();
    let port = &observed.verification().port;
    let address =
        |view: &PodView| -> Option<SocketAddr> { view.listens(&name, port).filter(|_| !view.pod.deleting) };
    let mut asked: Vec<_> =
        views.iter().enumerate().filter_map(|(index, view)| Some((index, address(view)?))).collect();
    // Those that are ready first: what they say is what a failure is judged by.
    asked.sort_by_key(|(index, _)| !views[*index].pod.ready);
    let asked = asked.into_iter().take(ASKED);
    let ask = async |deadline: Instant| {
        let asked = asked.map(|(index, address)| async move {
            let health = tokio::time::timeout_at(deadline, admin::health(address, PATIENCE)).await;
            (index, health.unwrap_or(Health::NotYet))
        });
        futures::stream::iter(asked.collect::<Vec<_>>()).buffer_unordered(ASKED).collect::<Vec<_>>().await
    };
    let told = budget.spend(ask).await;
    let mut pods: Vec<_> = views.into_iter().map(|view| view.pod).collect();
    for (index, health) in told {
        pods[index].health = Some(health);
    }
    for pod in &mut pods {
        pod.answer = answers.iter().find(|(uid, _)| *uid == pod.uid).map(|(_, answer)| answer.clone());
    }
    Ok(pods)
}
