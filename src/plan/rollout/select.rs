//! Whether the policy may have a target.

use crate::api::{self, Reason};
use crate::model::{Container, PolicyObject, Refusal, TargetData, Workload};
use crate::plan::checks::weakening;
use crate::plan::desired::Desired;
use crate::plan::desired::read_back::target_data;
use crate::plan::desired::server::Server;
use crate::plan::input::{Observed, TargetView};
use crate::policy::{Delivery, Kind};
use crate::server::kratos::runs_kratos;

/// A target, and why the policy may not write it, if so.
#[derive(Clone, Debug)]
pub struct Candidate<'a> {
    pub view: &'a TargetView,
    pub refused: Option<Refusal>,
}

/// Each target, in order.
pub fn candidates<'a>(
    observed: &'a Observed,
    policy: &PolicyObject,
    desired: &Desired,
) -> Vec<Candidate<'a>> {
    let of = |view| Candidate { view, refused: find(observed, policy, desired, view).err() };
    observed.targets.iter().map(of).collect()
}

/// The targets as a record names them. One that cannot be had now keeps its place, else its return is a
/// new revision.
pub fn data(observed: &Observed, candidates: &[Candidate<'_>]) -> Vec<TargetData> {
    let newest = observed.records.first();
    let of = |Candidate { view, refused }: &Candidate<'_>| match view.server() {
        Ok(server) if refused.is_none() => Some(target_data(view, &server.container.name)),
        _ => {
            let mut recorded = newest.into_iter().flat_map(|newest| &newest.data.targets);
            recorded.find(|known| known.kind == view.kind.as_str() && *known.name == *view.name).cloned()
        }
    };
    let mut targets: Vec<_> = candidates.iter().filter_map(of).collect();
    targets.sort_by(|a, b| (&a.name, &a.kind).cmp(&(&b.name, &b.kind)));
    targets
}

pub fn find(
    observed: &Observed,
    policy: &PolicyObject,
    desired: &Desired,
    view: &TargetView,
) -> Result<(), Refusal> {
    if let (None, Some(unreadable)) = (&view.workload, &view.unreadable) {
        return Err(unreadable.refusal());
    }
    let workload = view.workload.as_deref().filter(|workload| !workload.deleting).ok_or_else(|| {
        let message =
            format!("{view} does not exist in this namespace: create it, or correct spec.targetRefs");
        (Reason::TargetNotFound, message)
    })?;
    if workload.kind == Kind::Deployment && observed.own_deployment.as_ref() == Some(&workload.key) {
        return Err((
            Reason::NotKratos,
            format!("{view} is this operator itself: name the identity server's workload"),
        ));
    }
    if let Some(holder) = view.holder.as_ref().filter(|holder| **holder != policy.key.name) {
        let message = format!(
            "{view} is governed by the policy {holder}: remove it from one of the two, each workload has one policy"
        );
        return Err((Reason::TargetClaimed, message));
    }
    if policy.deleting && view.holder.is_none() {
        return Err((
            Reason::TargetClaimed,
            format!("{view} is not taken any more: this policy is being deleted"),
        ));
    }
    let Server { container, .. } = view.server()?;
    if !is_server(observed, workload, container) {
        let message = format!(
            "the image of container {} in {view} is no identity server (the last part of its path is not {}): name the container that runs it; if this one does, add the name of its image to serverImages in the values of the operator's chart, or set the annotation {}: \"true\" on the {}",
            container.name,
            observed.server_images.join(" or "),
            api::ALLOW_ANNOTATION,
            view.kind,
        );
        return Err((Reason::NotKratos, message));
    }
    if let Some(message) = weakening::taken(observed, policy, desired, view, workload, container) {
        return Err((Reason::InvalidSpec, message));
    }
    if desired.rendered.delivery == Delivery::ConfigFile {
        let until = if policy.suspend {
            ". Set spec.suspend to false first: until then the ConfigMap is not written"
        } else {
            ""
        };
        desired.wiring(workload, container).map_err(|message| (Reason::NotWired, message + until))?;
    }
    variables_are_free(desired, container, view)
}

/// Whether the container counts as an identity server.
pub fn is_server(observed: &Observed, workload: &Workload, container: &Container) -> bool {
    workload.allowed || runs_kratos(&container.image, &observed.server_images)
}

/// No force resolves these.
pub fn variables_are_free(
    desired: &Desired,
    container: &Container,
    view: &TargetView,
) -> Result<(), Refusal> {
    for variable in desired.variables() {
        let found: Vec<_> = container.env.iter().filter(|entry| *entry.name == *variable.name).collect();
        let field = format!("env {} of container {} in {view}", variable.name, container.name);
        if found.iter().any(|entry| entry.value.is_none()) {
            return Err((
                Reason::FieldConflict,
                format!("{field} takes its value with valueFrom: remove that entry from the {}", view.kind),
            ));
        }
        if found.len() > 1 {
            return Err((
                Reason::FieldConflict,
                format!("{field} stands there {} times: remove all of them", found.len()),
            ));
        }
    }
    Ok(())
}
