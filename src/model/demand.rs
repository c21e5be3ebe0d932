//! What the pods of a workload demand, by its pod templates and the counts of its controller. Every operator
//! that watches knows it, whether it leads or not, and no status of a policy has a part in it.

use std::collections::BTreeMap;

use smol_str::SmolStr;

use crate::model::container::EnvVar;
use crate::model::last_status::Levels;
use crate::model::workload::Workload;
use crate::policy::Level;
use crate::server::kratos::level_variables;

/// The weakest that pods of each container may run with. One that has no level from its template is not in
/// it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demand(BTreeMap<SmolStr, Levels>);

impl Demand {
    /// After an event about the workload. While pods of an earlier template may run, what that said counts as
    /// well: `before` is what was known of it, none where it was never seen.
    #[must_use]
    pub fn after(before: Option<&Self>, workload: &Workload) -> Self {
        let now = Self::of_template(workload);
        if is_settled(workload) {
            return now;
        }
        let nothing = Self::default();
        let before = before.unwrap_or(&nothing);
        let names = before.0.keys().chain(now.0.keys()).cloned();
        let weakest = |name: SmolStr| {
            let (one, other) = (before.levels(Some(&name)), now.levels(Some(&name)));
            (name, (one.0.min(other.0), one.1.min(other.1)))
        };
        Self(names.map(weakest).collect())
    }

    fn of_template(workload: &Workload) -> Self {
        let (settings, whoami) = level_variables();
        let levels = |container: &crate::model::container::Container| {
            let all =
                |name: &'static str| container.env.iter().filter(move |variable| *variable.name == *name);
            // Which of two counts is not for us to say, and another one may be among those that are not kept.
            let read = |variable: &EnvVar| {
                variable.value.as_deref().and_then(Level::from_word).filter(|_| !container.env.more)
            };
            let word = |name| all(name).map(read).min().flatten();
            all(settings)
                .chain(all(whoami))
                .next()
                .map(|_| (container.name.clone(), (word(settings), word(whoami))))
        };
        Self(workload.containers.iter().filter_map(levels).collect())
    }

    /// Levels of the container of this name, or the weakest of all that have any. None is not known.
    #[must_use]
    pub fn levels(&self, container: Option<&str>) -> Levels {
        if let Some(name) = container {
            return self.0.get(name).copied().unwrap_or_default();
        }
        let all = || self.0.values();
        (all().map(|levels| levels.0).min().flatten(), all().map(|levels| levels.1).min().flatten())
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Whether no pod of an earlier template is left, as the controller counts.
fn is_settled(workload: &Workload) -> bool {
    let status = &workload.status;
    status.observed_generation >= workload.generation && status.updated == status.total
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixtures::{container, workload};
    use crate::model::workload::WorkloadStatus;

    const HIGH: Levels = (Some(Level::HighestAvailable), Some(Level::HighestAvailable));

    fn demanding(word: &str, updated: i32) -> Workload {
        let (settings, whoami) = level_variables();
        let mut workload = workload(2);
        workload.containers = vec![container(&[(settings, word), (whoami, word)])].into();
        workload.status =
            WorkloadStatus { observed_generation: workload.generation, total: 2, updated, ..workload.status };
        workload
    }

    #[test]
    fn a_template_counts_from_its_first_moment_and_as_long_as_its_pods() {
        let strict = Demand::after(None, &demanding("highest_available", 2));
        assert_eq!(strict.levels(None), HIGH);
        let lowered = Demand::after(Some(&strict), &Workload { generation: 99, ..demanding("aal1", 2) });
        assert_eq!(
            lowered.levels(None),
            (Some(Level::Aal1), Some(Level::Aal1)),
            "before a pod of it is there"
        );
        let repaired = Demand::after(Some(&lowered), &demanding("highest_available", 1));
        assert_eq!(repaired.levels(None), (Some(Level::Aal1), Some(Level::Aal1)), "one of the lower is left");
        assert_eq!(Demand::after(Some(&repaired), &demanding("highest_available", 2)).levels(None), HIGH);
    }

    #[test]
    fn what_nobody_knows_is_weaker_than_any() {
        let rolling = Demand::after(None, &demanding("highest_available", 1));
        assert_eq!(rolling.levels(None), (None, None), "the old pods were never seen");
        let strict = Demand::after(None, &demanding("highest_available", 2));
        let bare = Workload { containers: vec![container(&[])].into(), ..demanding("aal1", 1) };
        assert_eq!(
            Demand::after(Some(&strict), &bare).levels(Some("kratos")),
            (None, None),
            "the variables are gone"
        );
        assert!(
            Demand::after(Some(&strict), &Workload { status: demanding("aal1", 2).status, ..bare })
                .is_empty()
        );
        assert_eq!(strict.levels(Some("another")), (None, None));
        let mut crowded = demanding("highest_available", 2);
        crowded.containers[0].env.more = true;
        assert_eq!(
            Demand::after(None, &crowded).levels(None),
            (None, None),
            "one that is not kept may beat it"
        );
        assert_eq!(
            Demand::after(Some(&strict), &demanding("aal3", 2)).levels(None),
            (None, None),
            "no level that Kratos knows"
        );
    }

    #[test]
    fn another_change_leaves_the_levels_known() {
        let strict = Demand::after(None, &demanding("highest_available", 2));
        assert_eq!(Demand::after(Some(&strict), &demanding("highest_available", 1)).levels(None), HIGH);
    }
}
