//! What a policy is laid on: the configuration files of its targets, read from config maps, and the
//! version of their servers. Nobody watches either. They are remembered for a while, so that a change of
//! the policy waits for no read.

use std::borrow::Cow;
use std::time::Duration;

use kube::Api;
use tokio::time::Instant;

use crate::api::CONFIG_KEY;
use crate::controller::context::Context;
use crate::controller::decode::Resource;
use crate::controller::decode::files::Files;
use crate::controller::decode::requests::{api, named};
use crate::controller::decode::seen::Seen;
use crate::controller::error::Error;
use crate::controller::observe::base_cache::{Base, MOST, digest};
use crate::controller::observe::server_version::{ask_versions_in_time, target_container};
use crate::document::Budget;
use crate::model::{MountedFile, Workload};
use crate::plan::{LeftFile, Observed, beside_ours, left_file, waits_for_version};
use crate::server::kratos::{Layer, Overlay};

/// Which files a target has of its own: none where it has no container, or where that cannot be told.
pub fn files<'a>(
    workload: &'a Workload,
    observed: &Observed,
    index: usize,
) -> Option<Vec<&'a Option<MountedFile>>> {
    let ours = observed.policy.as_ref().and_then(|policy| observed.standing.config_map(policy));
    beside_ours(target_container(workload, observed, index)?, ours.as_deref().unwrap_or_default())
}

fn origin(files: &[&Option<MountedFile>]) -> u64 {
    digest(
        &files
            .iter()
            .map(|file| file.as_ref().map(|file| (&*file.config_map, &*file.key)))
            .collect::<Vec<_>>(),
    )
}

/// Puts in what is remembered.
pub fn recall(context: &Context, observed: &mut Observed) {
    for index in 0..observed.targets.len() {
        if let Some(Some((base, _))) = remembered(context, observed, index) {
            observed.targets[index].base = Some(base);
        }
    }
}

/// What is remembered of a target; none where nothing is to be remembered, or nothing is.
pub fn remembered(context: &Context, observed: &Observed, index: usize) -> Option<Option<(Base, Instant)>> {
    let workload = observed.targets[index].workload.as_ref()?;
    let files = files(workload, observed, index)?;
    Some(context.bases.recall(workload, origin(&files)))
}

/// Reads what each target has, whatever is remembered.
pub async fn read(context: &Context, observed: &mut Observed) -> Result<(), Error> {
    let api = api::<Files>(&context.client, Resource::CONFIG_MAPS, Some(&observed.key.namespace));
    for index in 0..observed.targets.len() {
        let Some(workload) = observed.targets[index].workload.clone() else { continue };
        let Some(files) = files(&workload, observed, index) else { continue };
        let mut base = Vec::new();
        let mut budget = Budget::default();
        for file in files.iter().take(MOST) {
            let text = match file {
                Some(file) => text(&api, &file.config_map, &file.key).await?,
                None => None,
            };
            let layer = match text {
                Some(text) => {
                    let read = move || {
                        let layer = Layer::read(&text, &mut budget);
                        (layer, budget)
                    };
                    let read = context.bases.off_runtime(read).await;
                    let layer;
                    (layer, budget) = read.unwrap_or_else(|| (Layer::unread(), Budget::default()));
                    layer
                }
                None => Layer::unread(),
            };
            base.push(layer);
        }
        if files.len() > MOST {
            base.push(Layer::unread());
        }
        observed.targets[index].base = Some(context.bases.keep(&workload, origin(&files), base));
    }
    Ok(())
}

pub async fn text(api: &Api<Seen<Files>>, config_map: &str, key: &str) -> Result<Option<String>, Error> {
    let found = match named(api, config_map).await {
        Ok(found) => found,
        // What must not be read is not known, and stops nothing.
        Err(kube::Error::Api(status)) if status.is_forbidden() => None,
        Err(error) => return Err(error.into()),
    };
    // Nor is one that cannot be read.
    let files = found.and_then(|seen| seen.value(&Resource::CONFIG_MAPS).ok());
    Ok(files.and_then(|mut files| files.texts.remove(key)))
}

/// Reads what stands in the config map of the policy that the policy did not write, where a server may read
/// it: any of the namespace.
pub async fn read_left_file(context: &Context, observed: &mut Observed) -> Result<(), Error> {
    let Some(name) = left_file(observed) else { return Ok(()) };
    let mounts =
        |workload: &Workload| workload.key.namespace == observed.key.namespace && workload.may_mount(name);
    let is_target = |workload: &Workload| {
        let mut named = observed
            .targets
            .iter()
            .filter(|view| view.workload.as_ref().is_some_and(|own| own.uid == workload.uid));
        named.any(|view| view.is_free_for(&observed.key.name))
    };
    let (read, by_others) = context.cache.read(|tables| {
        let readers = || tables.workloads.all().filter(|workload| mounts(workload));
        (readers().next().is_some(), readers().any(|workload| !is_target(workload)))
    });
    if read {
        let api = api::<Files>(&context.client, Resource::CONFIG_MAPS, Some(&observed.key.namespace));
        let overlay = match text(&api, name, CONFIG_KEY).await? {
            Some(file) => context.bases.off_runtime(move || Overlay::read(&file)).await.flatten(),
            None => None,
        };
        observed.left_file = overlay.map(|overlay| LeftFile { config_map: name.into(), overlay, by_others });
    }
    Ok(())
}

/// Reads where something is not remembered.
pub async fn read_missing(context: &Context, observed: &mut Observed) -> Result<(), Error> {
    if is_remembered(context, observed) { Ok(()) } else { read(context, observed).await }
}

fn is_remembered(context: &Context, observed: &Observed) -> bool {
    (0..observed.targets.len()).all(|index| !matches!(remembered(context, observed, index), Some(None)))
}

/// Completes the input with what no write waits for: files and versions that are only told.
pub async fn completed<'a>(context: &Context, observed: &'a Observed) -> Result<Cow<'a, Observed>, Error> {
    let mut complete = Cow::Borrowed(observed);
    if !is_remembered(context, observed) {
        read(context, complete.to_mut()).await?;
    }
    if waits_for_version(&complete) {
        ask_versions_in_time(context, complete.to_mut()).await?;
    }
    Ok(complete)
}

/// What stands in the way of a policy is read anew soon: the correction may be there.
pub fn expire_soon(context: &Context, observed: &Observed) {
    observed
        .targets
        .iter()
        .filter_map(|view| view.workload.as_ref())
        .for_each(|workload| context.bases.expire_soon(&workload.uid));
}

/// In which time something that is remembered of the targets grows old.
pub fn expires_in(context: &Context, observed: &Observed) -> Option<Duration> {
    let until = (0..observed.targets.len())
        .filter_map(|index| remembered(context, observed, index)?.map(|(_, until)| until))
        .min();
    Some(until?.saturating_duration_since(Instant::now()))
}
