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
    /// Of the pods that the template makes once the container is given the overlay so.
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

    /// Of the pods that the template makes as it is.
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

/// The same once `own` are all that we set there.
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
    /// Of the pods that have it.
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
    /// Of the pods that enforce it.
    #[must_use]
    pub fn mark(&self, workload: &Workload, container: &str) -> PodMarker {
        if self.rendered.revision.is_empty() {
            return PodMarker::Levels { variables: beside(workload, container, &[]), file: None };
        }
        PodMarker::of(&self.rendered.overlay, self.rendered.delivery, &self.config_map, workload, container)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Bounded, MountedFile};
    use crate::plan::input::TargetView;
    use crate::plan::report::running_levels::{levels_of_pods, running_levels};
    use crate::plan::testing::fixtures::{container, pod, record, target, workload};
    use crate::policy::Level;

    fn file(name: &str, reloads: bool) -> Bounded<Option<MountedFile>, 16> {
        vec![Some(MountedFile { config_map: name.into(), key: "kratos.yaml".into(), reloads })].into()
    }

    fn by_file(whoami: &str) -> Record {
        let mut record = (*record("mfa", 1, whoami)).clone();
        record.data.delivery = Delivery::ConfigFile;
        record
    }

    #[test]
    fn the_mark_of_a_file_is_that_of_the_servers_own_container() {
        let mut workload = workload(2);
        workload.containers = vec![
            Container { name: "sidecar".into(), files: file("its-own", true), ..container(&[]) },
            Container { files: file("mfa-mfa", true), ..container(&[(level_variables().1, "aal1")]) },
        ]
        .into();
        let mark = PodMarker::of_template(&workload, "kratos");
        assert_eq!(mark, by_file("aal1").mark(&workload, "kratos"));
        let made = Pod { containers: workload.containers.clone(), ..pod(&[]) };
        assert!(mark.is_on(&made, "kratos") && !mark.is_on(&made, "sidecar"));
        assert_ne!(mark, by_file("highest_available").mark(&workload, "kratos"));
    }

    /// A pod that a ReplicaSet took for its own: its template says nothing of it.
    #[test]
    fn what_a_pod_demanded_when_it_was_asked_counts() {
        let (settings, whoami) = level_variables();
        let with = |level: &str| -> Bounded<Container, 16> {
            vec![container(&[(settings, "highest_available"), (whoami, level)])].into()
        };
        let mut workload = workload(2);
        workload.containers = with("highest_available");
        let mut view = target(workload);
        let highest = Some(Level::HighestAvailable);
        assert_eq!(running_levels(&view, "kratos"), (highest, highest));
        let pods = [
            Pod { containers: with("highest_available"), ..pod(&[]) },
            Pod { containers: with("aal1"), ..pod(&[]) },
        ];
        view.listed = levels_of_pods(&view, "kratos", &pods);
        assert_eq!(running_levels(&view, "kratos"), (highest, Some(Level::Aal1)));
        let leaving = Pod { deleting: true, ..pods[1].clone() };
        view.listed = levels_of_pods(&view, "kratos", &[pods[0].clone(), leaving]);
        assert_eq!(running_levels(&view, "kratos"), (highest, highest));
        assert_eq!(levels_of_pods(&view, "kratos", &[]), None);
    }

    #[test]
    fn variables_of_the_servers_own_are_part_of_what_pods_have_in_common() {
        let (settings, whoami) = level_variables();
        let mut own = workload(2);
        own.containers = vec![Container {
            files: file("mfa-mfa", true),
            ..container(&[(settings, "aal1"), (REVISION, "v1")])
        }]
        .into();
        let wanted = by_file("highest_available").mark(&own, "kratos");
        let with = |env: &[(&str, &str)]| Pod {
            containers: vec![Container { files: file("mfa-mfa", true), ..container(env) }].into(),
            ..pod(&[])
        };
        let all = [(whoami, "highest_available"), (settings, "aal1"), (REVISION, "v1")];
        assert!(wanted.is_on(&with(&all), "kratos"));
        assert!(!wanted.is_on(&with(&all[..2]), "kratos") && !wanted.is_on(&with(&all[1..]), "kratos"));
        own.own.env = vec![("kratos".into(), settings.into())].into();
        assert!(
            !by_file("highest_available").mark(&own, "kratos").is_on(&with(&all), "kratos"),
            "ours goes, where the policy leaves it out"
        );
    }

    #[test]
    fn what_a_workload_has_of_ours_tells_the_record() {
        let (settings, whoami) = level_variables();
        let with = |env: &[(&str, &str)]| {
            let mut workload = workload(1);
            workload.own.env = env.iter().map(|(name, _)| ("kratos".into(), (*name).into())).collect();
            workload.containers = vec![container(env)].into();
            workload
        };
        assert!(by_file("aal1").is_on(&with(&[(whoami, "aal1")])));
        assert!(!by_file("aal1").is_on(&with(&[(whoami, "highest_available")])));
        assert!(!by_file("aal1").is_on(&with(&[(whoami, "aal1"), (settings, "aal1")])));
        let stranger = Workload { own: Default::default(), ..with(&[(whoami, "aal1")]) };
        assert!(!by_file("aal1").is_on(&stranger), "somebody else's variable is no proof");
        let revision =
            crate::server::kratos::revision(&record("mfa", 1, "aal1").data.overlay, Delivery::Environment);
        let by_variables = with(&[(whoami, "aal1"), (REVISION, &revision)]);
        assert!(record("mfa", 1, "aal1").is_on(&by_variables) && !by_file("aal1").is_on(&by_variables));
    }

    #[test]
    fn a_file_that_never_changes_in_a_running_pod_is_not_wired() {
        let wiring = |reloads| {
            let mut workload = workload(1);
            workload.containers[0].files = file("mfa-mfa", reloads);
            let overlay = by_file("aal1").data.overlay;
            let rendered = crate::server::kratos::render("mfa", overlay, Delivery::ConfigFile);
            let desired = Desired {
                rendered,
                config_map: "mfa-mfa".into(),
                field_conflicts: Default::default(),
                deletion_policy: Default::default(),
                targets: Vec::new(),
            };
            desired.wiring(&workload, &workload.containers[0])
        };
        assert_eq!(wiring(true), Ok(()));
        let message = wiring(false).expect_err("it is mounted by subPath");
        assert!(message.contains("mount the folder"), "{message}");
    }

    #[test]
    fn the_weakest_pod_sets_the_level_and_unknown_is_weaker_than_any() {
        let (settings, whoami) = level_variables();
        let levels = |view: &TargetView| running_levels(view, "kratos");
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
    fn of_two_entries_of_one_level_the_weaker_is_told() {
        let (settings, whoami) = level_variables();
        let (strong, weak) = ("highest_available", "aal1");
        for env in [[(whoami, strong), (whoami, weak)], [(whoami, weak), (whoami, strong)]] {
            let all = [env[0], (settings, strong), env[1]];
            let mut view = target(Workload { containers: vec![container(&all)].into(), ..workload(1) });
            view.pods = None;
            assert_eq!(
                running_levels(&view, "kratos"),
                (Some(Level::HighestAvailable), Some(Level::Aal1)),
                "of the template {all:?}"
            );
            view.pods = Some(vec![pod(&all)]);
            assert_eq!(
                running_levels(&view, "kratos"),
                (Some(Level::HighestAvailable), Some(Level::Aal1)),
                "of a pod {all:?}"
            );
        }
    }

    #[test]
    fn a_foreign_container_says_nothing() {
        let mark = PodMarker::Revision("mfa-0123456789".into());
        let other = Container { name: "other".into(), ..container(&[("REVISION", "mfa-0123456789")]) };
        assert!(!mark.is_on(&Pod { containers: vec![other].into(), ..pod(&[]) }, "kratos"));
    }
}
