//! Versions of servers, asked of their pods.

use std::time::Duration;

use smol_str::SmolStr;

use crate::admin;
use crate::controller::context::Context;
use crate::controller::decode::pod::PodView;
use crate::controller::error::Error;
use crate::controller::observe::pods;
use crate::model::{Container, Workload};
use crate::plan::Observed;
use crate::policy::VerificationMode;

pub fn target_container<'a>(
    workload: &'a Workload,
    observed: &Observed,
    index: usize,
) -> Option<&'a Container> {
    observed.targets[index].container_in(workload).ok()
}

/// How long a pod may take to answer, and how many are asked.
pub const PATIENCE: Duration = Duration::from_secs(2);

pub const ASKED: usize = 3;

/// How long servers may take to tell their versions, all together.
pub const ASKING: Duration = Duration::from_secs(5);

/// Asks for versions: those that do not answer hold nobody up.
pub async fn ask_versions_in_time(context: &Context, observed: &mut Observed) -> Result<(), Error> {
    tokio::time::timeout(ASKING, ask_versions(context, observed)).await.unwrap_or(Ok(()))
}

/// Asks pods for the version of each target's server, where it is not remembered.
pub async fn ask_versions(context: &Context, observed: &mut Observed) -> Result<(), Error> {
    for index in 0..observed.targets.len() {
        let Some(workload) = observed.targets[index].workload.clone() else { continue };
        let Some(container) = target_container(&workload, observed, index) else { continue };
        let version = match context.bases.version(&workload, &container.image) {
            Some(said) => said,
            None if workload.selector.is_none() || observed.verification().mode == VerificationMode::Off => {
                None
            }
            None => match context.probe_cache.room(&workload) {
                Ok(_room) => ask_version(context, observed, &workload, container).await?,
                Err(none) => {
                    observed.probes_skipped.add(&workload, none);
                    None
                }
            },
        };
        observed.targets[index].server_version = version;
    }
    Ok(())
}

/// The first pod that says it, of those whose template names the same image: in the pod itself it may read
/// otherwise.
pub async fn ask_version(
    context: &Context,
    observed: &Observed,
    workload: &Workload,
    container: &Container,
) -> Result<Option<SmolStr>, Error> {
    let own = pods::of(context, observed, workload).await?.own;
    let port = observed.verification().port;
    let runs = |view: &PodView| {
        view.maker
            .as_ref()
            .and_then(|maker| maker.template.as_ref())
            .is_some_and(|template| template.runs(container))
    };
    let ready = own.iter().filter(|view| view.pod.ready && !view.pod.deleting && runs(view));
    let addresses = ready.filter_map(|view| view.listens(&container.name, &port));
    let addresses: Vec<_> = addresses.take(ASKED).collect();
    let mut version = None;
    for address in &addresses {
        version = admin::version(*address, PATIENCE).await;
        if version.is_some() {
            break;
        }
    }
    // Where nobody could be asked, the first pod that can be is not kept waiting.
    if !addresses.is_empty() {
        context.bases.keep_version(workload, &container.image, version.clone());
    }
    Ok(version)
}
