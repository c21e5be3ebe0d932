//! Every read: from the caches, and live where a cache is not enough. Those of pods stand in `pods`.

pub mod absence;
pub mod base_cache;
pub mod base_config;
pub mod claims;
pub mod env_from;
pub mod env_from_cache;
pub mod failing_rollout;
pub mod gather;
pub mod pod_owner_cache;
pub mod pod_owners;
pub mod pod_selection;
pub mod pod_selection_cache;
pub mod pod_sorting;
pub mod pods;
pub mod records;
pub mod server_version;

use smol_str::SmolStr;

use crate::controller::context::Context;
use crate::controller::error::Error;
use crate::controller::observe::absence::{absence, crd_uid};
use crate::controller::observe::gather::gather;
use crate::model::{Key, Millis};
use crate::plan::{Absence, Observed, TargetView, is_about_to_change, may_be_refused, refusals};
use crate::policy::Rejection;
use crate::server::kratos::asks_for_code;

/// Everything about one policy name.
pub struct Gathered {
    pub observed: Observed,
    /// Why the pods of some target were not read: what is written does not wait for that.
    pub unread: Option<Error>,
}

/// Gathers everything about one policy name.
pub async fn observe(context: &Context, key: &Key, now: Millis) -> Result<Gathered, Error> {
    let policy = context.cache.read(|tables| tables.policies.get(key));
    let absence = match &policy {
        Some(_) => {
            context.memory.is_back(key);
            Absence::Uncertain
        }
        // It is there.
        None if context.cache.read(|tables| tables.policies.unreadable(key)).is_some() => {
            context.memory.is_back(key);
            Absence::Uncertain
        }
        None => absence(context, key, now).await?,
    };
    let crd_uid = crd_uid(context, policy.is_some()).await?;
    let look = |refused| Observed {
        absence,
        crd_uid: crd_uid.clone(),
        ..context.cache.read(|tables| gather(context, tables, key, policy.clone(), now, refused))
    };
    let mut observed = look(Vec::new());
    if may_be_refused(&observed) {
        let refused = refused(context, &mut observed).await?;
        observed = Observed {
            probes_skipped: std::mem::take(&mut observed.probes_skipped),
            ..look(refused.rejections)
        };
        for view in &mut observed.targets {
            let own =
                |(uid, _): &&(SmolStr, SmolStr)| view.workload.as_ref().is_some_and(|own| own.uid == *uid);
            view.server_version = refused.versions.iter().find(own).map(|(_, version)| version.clone());
        }
    }
    base_config::recall(context, &mut observed);
    base_config::read_left_file(context, &mut observed).await?;
    let unread = pods::list(context, &mut observed).await;
    let unread = unread.or(failing_rollout::examine(context, &mut observed).await.err());
    if is_about_to_change(&observed) {
        base_config::read(context, &mut observed).await?;
    }
    env_from::read(context, &mut observed).await?;
    pods::find_mounts(context, &mut observed).await?;
    Ok(Gathered { observed, unread })
}

/// What the targets themselves have against the policy.
#[derive(Default)]
struct Refused {
    rejections: Vec<Rejection>,
    /// Versions of servers, by the uid of the workload.
    versions: Vec<(SmolStr, SmolStr)>,
}

/// Judges the policy by what its targets have: only what a rule waits for is read.
async fn refused(context: &Context, observed: &mut Observed) -> Result<Refused, Error> {
    base_config::recall(context, observed);
    base_config::read_missing(context, observed).await?;
    if observed.policy.as_ref().is_some_and(|policy| policy.spec.as_ref().is_ok_and(asks_for_code)) {
        server_version::ask_versions_in_time(context, observed).await?;
    }
    let rejections = refusals(observed);
    if !rejections.is_empty() {
        base_config::expire_soon(context, observed);
    }
    let version =
        |view: &TargetView| Some((view.workload.as_ref()?.uid.clone(), view.server_version.clone()?));
    Ok(Refused { rejections, versions: observed.targets.iter().filter_map(version).collect() })
}
