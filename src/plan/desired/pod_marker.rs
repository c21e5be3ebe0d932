//! What tells the pods of one revision from all others.

use smol_str::SmolStr;

use crate::model::{Container, EnvVar, Pod, Record, Workload};
use crate::plan::desired::Desired;
use crate::plan::manifest;
use crate::policy::Delivery;
use crate::server::kratos::{Overlay, REVISION, Variable, level_variables, revision, variables};

/// What the pods of one revision have in common, and no others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PodMarker {
    /// The variable that names the revision.
    Revision(SmolStr),
    /// No such variable of ours, and for the levels exactly these, sorted by name. Another file makes no
    /// other pods: they read it anew.
    Levels {
        /// The server's own among them.
        variables: Vec<EnvVar>,
        /// The config map whose file they read after every other; none where they shall have nothing of a
        /// policy.
        file: Option<SmolStr>,
    },
}

impl PodMarker {
    /// Mark of the pods that the template makes once the container is given this overlay.
    #[must_use]
    pub fn of(
        overlay: &Overlay,
        delivery: Delivery,
        config_map: &str,
        workload: &Workload,
        container: &str,
    ) -> Self {
        match delivery {
            Delivery::Environment => Self::Revision(revision(overlay, delivery).into()),
            Delivery::ConfigFile => Self::Levels {
                variables: beside(workload, container, &variables(overlay, delivery)),
                file: Some(config_map.into()),
            },
        }
    }

    /// Mark of the pods that the template makes as it is.
    #[must_use]
    pub fn of_template(workload: &Workload, container: &str) -> Self {
        let server = workload.containers.iter().find(|own| *own.name == *container);
        let named =
            server.filter(|_| workload.owns(container, REVISION)).and_then(|own| value(own, REVISION));
        named.map_or_else(
            || Self::Levels {
                variables: server.map(told_apart_by).unwrap_or_default(),
                file: server.and_then(|own| Some(own.last_file()?.config_map.clone())),
            },
            Self::Revision,
        )
    }

    #[must_use]
    pub fn is_on(&self, pod: &Pod, container: &str) -> bool {
        self.is_made(&pod.containers, container)
    }

    /// Whether it is that of a pod of these containers.
    #[must_use]
    pub fn is_made(&self, containers: &[Container], container: &str) -> bool {
        let Some(server) = containers.iter().find(|own| *own.name == *container) else { return false };
        match self {
            Self::Revision(revision) => value(server, REVISION).as_ref() == Some(revision),
            Self::Levels { variables, file } => {
                told_apart_by(server) == *variables
                    && file.as_ref().is_none_or(|config_map| server.reads_last(config_map))
            }
        }
    }
}

pub fn value(container: &Container, name: &str) -> Option<SmolStr> {
    container.env.iter().find(|entry| *entry.name == *name)?.value.clone()
}

/// The variables by which pods are told apart that name no revision of ours, sorted by name.
fn told_apart_by(container: &Container) -> Vec<EnvVar> {
    let (settings, whoami) = level_variables();
    let mut found: Vec<_> = container
        .env
        .iter()
        .filter(|entry| [REVISION, settings, whoami].contains(&&*entry.name))
        .cloned()
        .collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

/// Lists the variables that tell pods apart, once `own` are all that we set there.
fn beside(workload: &Workload, container: &str, own: &[Variable]) -> Vec<EnvVar> {
    let server = workload.containers.iter().find(|live| *live.name == *container);
    let mut all = server.map(told_apart_by).unwrap_or_default();
    all.retain(|entry| {
        !workload.owns(container, &entry.name) && own.iter().all(|variable| *variable.name != *entry.name)
    });
    all.extend(own.iter().map(|variable| EnvVar {
        name: variable.name.as_str().into(),
        value: Some(manifest::escape_dollar(&variable.value).into()),
    }));
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

impl Record {
    /// Mark of the pods that have this record.
    #[must_use]
    pub fn mark(&self, workload: &Workload, container: &str) -> PodMarker {
        PodMarker::of(&self.data.overlay, self.data.delivery, &self.data.config_map_name, workload, container)
    }

    /// Whether what our manager owns on the workload is exactly what this record sets there. Of those that a
    /// file delivers, all with the same levels are alike.
    #[must_use]
    pub fn is_on(&self, workload: &Workload) -> bool {
        let (overlay, delivery) = (&self.data.overlay, self.data.delivery);
        match delivery {
            // The others follow from it.
            Delivery::Environment => workload.revision() == Some(&*revision(overlay, delivery)),
            Delivery::ConfigFile => {
                let mut own: Vec<_> = workload
                    .own_variables()
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .collect();
                own.sort();
                let wanted = variables(overlay, delivery)
                    .into_iter()
                    .map(|variable| (variable.name, manifest::escape_dollar(&variable.value)));
                !own.is_empty() && own.into_iter().eq(wanted)
            }
        }
    }
}

impl Desired {
    /// Mark of the pods that enforce what is desired.
    #[must_use]
    pub fn mark(&self, workload: &Workload, container: &str) -> PodMarker {
        if self.rendered.revision.is_empty() {
            return PodMarker::Levels { variables: beside(workload, container, &[]), file: None };
        }
        PodMarker::of(&self.rendered.overlay, self.rendered.delivery, &self.config_map, workload, container)
    }
}

#[cfg(test)]
mod tests;
