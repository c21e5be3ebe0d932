//! What pod templates and pods carry of a revision, and what that says about them.

use std::sync::Arc;

use smol_str::SmolStr;

use super::overrides::is_unsettled;
use super::{Container, Desired, MountedFile, Pod, Record, TargetView, Workload};
use crate::api;
use crate::policy::{Delivery, Level};
use crate::server::kratos::{Overlay, REVISION, Variable, level_variables, levels_digest, revision};

/// What the pods of one revision have in common, and no others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Nothing of ours.
    Nothing,
    /// The variable that names the revision.
    Variable(SmolStr),
    /// The annotation of pods that read the file of this config map.
    Annotation { value: SmolStr, config_map: SmolStr },
}

impl Mark {
    /// Of an overlay that is delivered so, by this config map, to pods that mount it like this.
    #[must_use]
    pub fn of(overlay: &Overlay, delivery: Delivery, config_map: &str, file: Option<&MountedFile>) -> Self {
        let value = match delivery {
            Delivery::Environment => return Self::Variable(revision(overlay, delivery).into()),
            // A file that never changes in a running pod needs new pods for whatever changes.
            Delivery::ConfigFile if file.is_some_and(|file| !file.reloads) => revision(overlay, delivery),
            Delivery::ConfigFile => levels_digest(overlay),
        };
        Self::Annotation { value: value.into(), config_map: config_map.into() }
    }

    /// Of the pods that the template makes, as far as it is by our manager.
    #[must_use]
    pub fn own(workload: &Workload) -> Option<Self> {
        if workload.own.required_aal {
            let files = workload.containers.iter().filter_map(|container| container.files.last()?.as_ref());
            let config_map = files.map(|file| file.config_map.clone()).next().unwrap_or_default();
            return Some(Self::Annotation { value: workload.required_aal.clone()?, config_map });
        }
        let (container, _) = workload.own.env.iter().find(|(_, name)| &**name == REVISION)?;
        let live = workload.containers.iter().find(|live| live.name == *container)?;
        live.env.iter().find(|entry| &*entry.name == REVISION)?.value.clone().map(Self::Variable)
    }

    /// The same where it is known which container is the server: a file that another one reads says nothing.
    #[must_use]
    pub fn of_server(workload: &Workload, container: &str) -> Option<Self> {
        let Self::Annotation { value, .. } = Self::own(workload)? else { return Self::own(workload) };
        let server = workload.containers.iter().find(|own| *own.name == *container)?;
        let config_map = server.files.last().and_then(|file| Some(file.as_ref()?.config_map.clone())).unwrap_or_default();
        Some(Self::Annotation { value, config_map })
    }

    /// The revision that it names.
    #[must_use]
    pub fn revision(self) -> Option<SmolStr> {
        match self {
            Self::Variable(revision) => Some(revision),
            Self::Annotation { .. } | Self::Nothing => None,
        }
    }

    #[must_use]
    pub fn is_on(&self, pod: &Pod, container: &str) -> bool {
        match self {
            Self::Nothing => {
                let mut own = pod.containers.iter().filter(|own| &*own.name == container).flat_map(|own| &own.env);
                pod.required_aal.is_none() && own.all(|entry| &*entry.name != REVISION)
            }
            Self::Annotation { value, config_map } => pod.required_aal.as_ref() == Some(value) && pod.reads(container, config_map),
            Self::Variable(value) => {
                let own = pod.containers.iter().filter(|own| &*own.name == container);
                own.flat_map(|own| &own.env).any(|entry| &*entry.name == REVISION && entry.value.as_ref() == Some(value))
            }
        }
    }

    /// Whether pods with this mark may be of the record: the levels do not tell apart what differs
    /// in other settings alone.
    #[must_use]
    pub fn may_be_of(&self, record: &Record) -> bool {
        let (overlay, delivery) = (&record.data.overlay, record.data.delivery);
        match self {
            Self::Nothing => false,
            Self::Variable(value) => delivery == Delivery::Environment && *revision(overlay, delivery) == **value,
            Self::Annotation { value, .. } => {
                delivery == Delivery::ConfigFile && [levels_digest(overlay), revision(overlay, delivery)].iter().any(|own| *own == **value)
            }
        }
    }
}

impl Desired {
    /// Of the pods that enforce it.
    #[must_use]
    pub fn mark(&self, workload: &Workload, container: &str) -> Mark {
        if self.rendered.revision.is_empty() {
            return Mark::Nothing;
        }
        Mark::of(&self.rendered.overlay, self.rendered.delivery, &self.config_map, workload.file(container, &self.config_map))
    }

    /// Every mark that it may have, by how pods read it.
    #[must_use]
    pub fn marks(&self) -> [SmolStr; 2] {
        [levels_digest(&self.rendered.overlay).into(), self.rendered.revision.as_str().into()]
    }

    /// The variables that the container shall have.
    #[must_use]
    pub fn variables(&self) -> &[Variable] {
        match self.rendered.delivery {
            Delivery::Environment => &self.rendered.variables,
            Delivery::ConfigFile => &[],
        }
    }

    /// The annotation that the pod template shall have.
    #[must_use]
    pub fn annotation(&self, workload: &Workload, container: &str) -> Option<SmolStr> {
        match self.mark(workload, container) {
            Mark::Annotation { value, .. } => Some(value),
            Mark::Variable(_) | Mark::Nothing => None,
        }
    }

    /// Whether the container reads the rendered file. One that it reads after that beats it, and is told as such.
    ///
    /// # Errors
    /// What is missing, and what to write where.
    pub fn wiring(&self, workload: &Workload, container: &Container) -> Result<(), String> {
        let reads = container.files.iter().flatten().any(|file| file.is_of(&self.config_map));
        if reads { Ok(()) } else { Err(not_wired(workload, container, &self.config_map)) }
    }
}

fn not_wired(workload: &Workload, container: &Container, config_map: &str) -> String {
    let Container { name: container, traits, .. } = container;
    let script = if traits.scripted {
        ". What it runs is no Kratos by its own command, and what a shell or another program reads cannot be seen from here: have the command be kratos with its arguments"
    } else {
        ""
    };
    let by_chart = match workload.kind {
        crate::policy::Kind::Deployment => format!(
            ". With Ory's chart, add to its values: \
             {{\"deployment\": {{\"extraVolumes\": [{{\"name\": \"mfa\", \"configMap\": {{\"name\": \"{config_map}\"}}}}], \
             \"extraVolumeMounts\": [{{\"name\": \"mfa\", \"mountPath\": \"/etc/mfa\", \"readOnly\": true}}], \
             \"extraArgs\": [\"--config\", \"/etc/mfa/{}\"]}}}}",
            api::CONFIG_KEY
        ),
        _ => String::new(),
    };
    format!(
        "container {container} of {workload} does not read the policy: mount ConfigMap {config_map} and name its key {} as the last --config{script}{by_chart}",
        api::CONFIG_KEY
    )
}

impl MountedFile {
    /// Whether it is the rendered file of this config map.
    #[must_use]
    pub fn is_of(&self, config_map: &str) -> bool {
        *self.config_map == *config_map && self.key == api::CONFIG_KEY
    }
}

impl Pod {
    /// Whether the container reads the rendered file of this config map after every other.
    #[must_use]
    pub fn reads(&self, container: &str, config_map: &str) -> bool {
        self.containers.iter().any(|own| *own.name == *container && own.reads_last(config_map))
    }
}

impl Container {
    /// Whether it reads the rendered file of this config map after every other.
    #[must_use]
    pub fn reads_last(&self, config_map: &str) -> bool {
        matches!(self.files.last(), Some(Some(file)) if file.is_of(config_map))
    }
}

impl Workload {
    /// The rendered file of this config map, as the container reads it.
    #[must_use]
    pub fn file(&self, container: &str, config_map: &str) -> Option<&MountedFile> {
        let own = self.containers.iter().find(|live| *live.name == *container)?;
        own.files.iter().rev().flatten().find(|file| file.is_of(config_map))
    }
}

/// The weakest levels over what runs: the pods where they were listed, else the template.
/// As (settings, whoami); none where a server's own configuration decides.
#[must_use]
pub fn running_levels(target: &TargetView, container: &str, file: &FileLevels<'_>) -> (Option<Level>, Option<Level>) {
    let Some(workload) = &target.workload else { return (None, None) };
    let of = |containers: &[Container], annotation: Option<&SmolStr>| {
        let own = containers.iter().find(|own| &*own.name == container);
        let reads = own.is_some_and(|own| own.reads_last(file.config_map));
        let from_file = annotation.filter(|_| reads).map(|value| file.of(value)).unwrap_or_default();
        let variable = |name: &str| {
            if is_unsettled(own?, &target.env_from, name) {
                return Some(None);
            }
            let variable = own?.env.iter().find(|variable| &*variable.name == name)?;
            Some(variable.value.as_deref().and_then(Level::from_word))
        };
        let (settings, whoami) = level_variables();
        (variable(settings).unwrap_or(from_file.0), variable(whoami).unwrap_or(from_file.1))
    };
    let pods: Vec<_> = target.pods.iter().flatten().filter(|pod| !pod.deleting).collect();
    if pods.is_empty() {
        return of(&workload.containers, workload.required_aal.as_ref());
    }
    let running: Vec<_> = pods.iter().map(|pod| of(&pod.containers, pod.required_aal.as_ref())).collect();
    (running.iter().map(|levels| levels.0).min().flatten(), running.iter().map(|levels| levels.1).min().flatten())
}

/// What pods that read a file demand.
pub struct FileLevels<'a> {
    pub config_map: &'a str,
    pub records: &'a [Arc<Record>],
    /// What the file says now, as (settings, whoami); none where that is not known.
    pub now: (Option<Level>, Option<Level>),
}

impl FileLevels<'_> {
    /// They run what the file said when they started, or what it says now.
    fn of(&self, annotation: &SmolStr) -> (Option<Level>, Option<Level>) {
        let mark = Mark::Annotation { value: annotation.clone(), config_map: self.config_map.into() };
        let started = self.records.iter().find(|record| mark.may_be_of(record)).map(|record| record.data.overlay.required_levels());
        let (settings, whoami) = started.unwrap_or(self.now);
        (settings.min(self.now.0), whoami.min(self.now.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::fixtures::{container, pod, target, workload};

    #[test]
    fn the_mark_of_a_file_is_that_of_the_servers_own_container() {
        let file = |name: &str| vec![Some(MountedFile { config_map: name.into(), key: "kratos.yaml".into(), reloads: true })];
        let mut workload = workload(2);
        workload.own.required_aal = true;
        workload.required_aal = Some("levels".into());
        workload.containers[0].files = file("mfa");
        workload.containers.insert(0, Container { name: "sidecar".into(), files: file("its-own"), ..container(&[]) });
        let expected = Mark::Annotation { value: "levels".into(), config_map: "mfa".into() };
        assert_eq!(Mark::of_server(&workload, "kratos"), Some(expected));
    }

    #[test]
    fn the_weakest_pod_sets_the_level_and_unknown_is_weaker_than_any() {
        let (settings, whoami) = level_variables();
        let levels = |view: &TargetView| running_levels(view, "kratos", &FileLevels { config_map: "", records: &[], now: (None, None) });
        let strong = pod(&[(settings, "highest_available"), (whoami, "highest_available")]);
        let weak = pod(&[(settings, "highest_available"), (whoami, "aal1")]);
        let unknown = pod(&[(settings, "highest_available")]);
        let mut view = target(workload(2));
        view.pods = Some(vec![strong.clone(), weak]);
        assert_eq!(levels(&view), (Some(Level::HighestAvailable), Some(Level::Aal1)));
        view.pods = Some(vec![strong.clone(), unknown.clone()]);
        assert_eq!(levels(&view), (Some(Level::HighestAvailable), None));
        view.pods = Some(vec![strong, Pod { deleting: true, ..unknown }]);
        assert_eq!(levels(&view).1, Some(Level::HighestAvailable), "a pod that ends counts no more");
    }

    #[test]
    fn a_foreign_container_says_nothing() {
        let mark = Mark::Variable("mfa-0123456789".into());
        let mut view = target(workload(1));
        view.pods = Some(vec![Pod {
            containers: vec![Container { name: "other".into(), ..container(&[("REVISION", "mfa-0123456789")]) }],
            ..pod(&[])
        }]);
        assert!(!mark.is_on(&view.pods.as_ref().expect("pods")[0], "kratos"));
    }
}
