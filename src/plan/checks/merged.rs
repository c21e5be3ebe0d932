//! The configuration that a server runs with the policy: its own files and variables, and the policy over them.

use crate::model::{Container, EnvFrom, EnvSource, MountedFile, Workload};
use crate::plan::desired::server::Server;
use crate::plan::input::{Observed, TargetView};
use crate::policy::{Delivery, Policy};
use crate::server::kratos::{Layer, Merged, Overlay, input};

/// The files of the server itself among those that a container reads, none for one that cannot be read.
/// None for all where it is not known which it reads.
#[must_use]
pub fn beside_ours<'a>(container: &'a Container, config_map: &str) -> Option<Vec<&'a Option<MountedFile>>> {
    let ours = |file: &MountedFile| *file.config_map == *config_map;
    // Without its command line in the template, the image decides; where there is more of it than is kept,
    // nobody knows.
    let files = || container.files.iter().filter(|file| !file.as_ref().is_some_and(ours)).collect();
    let told = !container.files.more && (container.traits.serves || !container.files.is_empty());
    (told && !container.traits.scripted).then(files)
}

/// The configuration that the container runs with this policy.
pub fn merged(workload: &Workload, container: &Container, view: &TargetView, policy: &Policy) -> Merged {
    merged_with(workload, container, view, &Overlay::of(policy), policy.delivery)
}

/// Merges the server's own configuration with an overlay that is delivered so.
pub fn merged_with(
    workload: &Workload,
    container: &Container,
    view: &TargetView,
    overlay: &Overlay,
    delivery: Delivery,
) -> Merged {
    Merged::of(view.base.as_deref(), &environment(workload, container, &view.env_from), overlay, delivery)
}

/// What the variables of the container set, those of the policy aside.
pub fn environment(workload: &Workload, container: &Container, from: &EnvFrom) -> Layer {
    let others = container.env.iter().filter(|entry| !workload.owns(&container.name, &entry.name));
    let mut own = Layer::of_variables(others.map(|entry| (&*entry.name, entry.value.as_deref())));
    // A plain entry of the very name comes before one from elsewhere.
    let mut below = Layer::default();
    if container.traits.scripted || container.hides_variables() {
        own.hide_all("");
    }
    let Some(unusual) = container.unusual.as_deref() else { return own };
    unusual.aliases.iter().chain(&unusual.in_command).for_each(|name| own.hide(name));
    for source in &unusual.env_from {
        match (source, from.names(source)) {
            (EnvSource::ConfigMap { .. }, Some(names)) => names.iter().for_each(|name| match input(name) {
                Some(_) => below.hide(name),
                None => own.hide(name),
            }),
            (EnvSource::ConfigMap { prefix, .. } | EnvSource::Secret { prefix, .. }, _) => {
                below.hide_all(prefix)
            }
        }
    }
    own.over(&below)
}

/// The accepted spec with each target that it can have.
pub fn governed(observed: &Observed) -> impl Iterator<Item = (&TargetView, &Workload, &Container, &Policy)> {
    let spec = observed.policy.as_ref().and_then(|policy| observed.standing.accepted(policy));
    observed.targets.iter().filter_map(move |view| {
        let mine = view.is_free_for(&observed.key.name);
        let Server { workload, container } =
            view.server().ok().filter(|server| mine && !server.workload.deleting)?;
        Some((view, workload, container, spec?))
    })
}
