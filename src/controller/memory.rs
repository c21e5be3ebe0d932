//! What this process remembers between looks. All of it may be lost at a restart: it paces and
//! avoids repetition, and decides nothing.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use smol_str::SmolStr;
use tokio::time::Instant;

use super::tell::Untold;
use crate::plan::{History, Key, Millis, Pod, WorkloadId};

/// How long a policy must be gone before anything is undone.
const PAUSE: Duration = Duration::from_secs(30);
/// More than any pace looks back at.
const REMEMBER: usize = 16;
const REMEMBER_FOR: Millis = 2 * 3_600_000;
/// More than this was told once is told again.
const TOLD: usize = 4_096;

#[derive(Debug, Default)]
pub(super) struct Memory {
    state: Mutex<State>,
    /// Nothing that takes its time is on its way.
    settled: bool,
}

#[derive(Debug, Default)]
struct State {
    histories: HashMap<SmolStr, History>,
    /// By the clock that nobody can set.
    gone_since: HashMap<Key, Instant>,
    told: HashSet<SmolStr>,
    /// By the uid of the policy, with the digest of the status that tells it.
    untold: HashMap<SmolStr, (u64, Untold)>,
    suspended: HashSet<SmolStr>,
    /// By the uid of the policy, the generation that gave up some of what it governs.
    let_go: HashMap<SmolStr, i64>,
    failures: HashMap<Key, u32>,
    disagreements: HashMap<SmolStr, Millis>,
    /// Workloads that stay as they are, by the policy that their label names.
    left: HashMap<Key, Vec<WorkloadId>>,
    /// Since when, and when it was last asked for.
    well_since: HashMap<SmolStr, (Millis, Millis)>,
    /// By the uid of the pod.
    sights: HashMap<SmolStr, Sight>,
}

/// What was seen of a pod, by the clock of this process.
#[derive(Clone, Copy, Debug)]
struct Sight {
    ready: bool,
    since: Millis,
    crashes: i32,
    /// When the last of them was first seen.
    crashed: Millis,
    last: Millis,
}

impl Memory {
    /// Of one that was not there: what may be on its way is taken to have come about.
    pub fn settled() -> Self {
        Self { settled: true, ..Self::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was done to the object with this uid.
    pub fn history(&self, uid: &str) -> History {
        self.state().histories.get(uid).cloned().unwrap_or_default()
    }

    pub fn rolled(&self, uid: &str, now: Millis) {
        self.note(uid, now, |history| &mut history.rolls);
    }

    pub fn repaired(&self, uid: &str, now: Millis, rival: Option<&str>) {
        self.note(uid, now, |history| &mut history.repairs);
        if let Some(rival) = rival {
            self.state().histories.entry(uid.into()).or_default().rival = Some(rival.into());
        }
    }

    fn note(&self, uid: &str, now: Millis, list: impl Fn(&mut History) -> &mut Vec<Millis>) {
        let mut state = self.state();
        // Seldom enough to cost nothing, often enough to stay within twice what is needed.
        if state.histories.len().is_power_of_two() {
            let recent = |at: Option<&Millis>| at.is_some_and(|at| now - at < REMEMBER_FOR);
            state.histories.retain(|_, history| recent(history.rolls.last()) || recent(history.repairs.last()));
        }
        let times = list(state.histories.entry(uid.into()).or_default());
        times.push(now);
        times.drain(..times.len().saturating_sub(REMEMBER));
    }

    /// What is left of the pause since the policy was first seen gone; none when it is over.
    pub fn pause(&self, key: &Key) -> Option<Millis> {
        if self.settled {
            return None;
        }
        left(self.state().gone_since.entry(key.clone()).or_insert_with(Instant::now).elapsed())
    }

    /// The policy is there again, or nothing of it is left.
    pub fn forget_absence(&self, key: &Key) {
        self.state().gone_since.remove(key);
    }

    /// Since when the pods of the workload with this uid answer different configurations.
    pub fn disagrees(&self, uid: &str, disagrees: bool, now: Millis) -> Option<Millis> {
        let mut state = self.state();
        if !disagrees {
            state.disagreements.remove(uid);
            return None;
        }
        state.disagreements.retain(|_, since| now - *since < REMEMBER_FOR);
        Some(*state.disagreements.entry(uid.into()).or_insert(now))
    }

    /// Since when, without a break, old pods of the workload with this uid run well while new ones fail.
    pub fn runs_well(&self, uid: &str, runs_well: bool, now: Millis) -> Option<Millis> {
        let mut state = self.state();
        if !runs_well {
            state.well_since.remove(uid);
            return None;
        }
        state.well_since.retain(|_, (_, asked)| now - *asked < REMEMBER_FOR);
        let (since, asked) = state.well_since.entry(uid.into()).or_insert((now, now));
        *asked = now;
        Some(*since)
    }

    /// Says of each pod since when it was seen as it is: what its kubelet says is by another clock.
    pub fn sighted<'a>(&self, pods: impl Iterator<Item = &'a mut Pod>, now: Millis) {
        let mut state = self.state();
        for pod in pods {
            if state.sights.len().is_power_of_two() {
                state.sights.retain(|_, sight| now - sight.last < REMEMBER_FOR);
            }
            let crashes = pod.troubles.iter().map(|trouble| trouble.crashes).sum();
            let new = Sight { ready: pod.ready, since: now, crashes, crashed: now, last: now };
            let sight = state.sights.entry(pod.uid.clone()).or_insert(new);
            let since = if sight.ready == pod.ready { sight.since } else { now };
            let crashed = if crashes > sight.crashes { now } else { sight.crashed };
            *sight = Sight { since, crashed, ..new };
            pod.seen = since;
            pod.troubles.iter_mut().for_each(|trouble| trouble.finished = trouble.finished.min(crashed));
        }
    }

    /// True the first time that `what` is told.
    pub fn tell_once(&self, what: &str) -> bool {
        let mut state = self.state();
        if state.told.len() >= TOLD {
            state.told.clear();
        }
        state.told.insert(what.into())
    }

    /// What the last look at this policy left as it is.
    pub fn left(&self, key: &Key, workloads: Vec<WorkloadId>) {
        let mut state = self.state();
        if workloads.is_empty() {
            state.left.remove(key);
        } else {
            state.left.insert(key.clone(), workloads);
        }
    }

    /// Everything that is left as it is, with the policy that its label names.
    pub fn all_left(&self) -> Vec<(Key, WorkloadId)> {
        let state = self.state();
        state.left.iter().flat_map(|(key, all)| all.iter().map(|workload| (key.clone(), workload.clone()))).collect()
    }

    /// Keeps what a status tells that is about to be written.
    pub fn keep_untold(&self, uid: &SmolStr, status: u64, news: Untold) {
        let mut state = self.state();
        if state.untold.len() >= TOLD {
            state.untold.clear();
        }
        state.untold.insert(uid.clone(), (status, news));
    }

    /// Takes it out again.
    pub fn untold(&self, uid: &str) -> Option<(u64, Untold)> {
        self.state().untold.remove(uid)
    }

    /// Whether the policy with this uid was not suspended before, or was.
    pub fn suspended(&self, uid: &SmolStr, suspended: bool) -> bool {
        let mut state = self.state();
        if state.suspended.len() >= TOLD {
            state.suspended.clear();
        }
        if suspended { state.suspended.insert(uid.clone()) } else { state.suspended.remove(uid) }
    }

    /// This generation of the policy with this uid is accepted, and names some of what is governed no more. True the first time.
    pub fn let_go(&self, uid: &SmolStr, generation: i64) -> bool {
        let mut state = self.state();
        if state.let_go.len() >= TOLD {
            state.let_go.clear();
        }
        state.let_go.insert(uid.clone(), generation) != Some(generation)
    }

    /// Whether it has come to this.
    pub fn has_let_go(&self, uid: &str, generation: i64) -> bool {
        self.settled || self.state().let_go.get(uid) == Some(&generation)
    }

    /// Number of failures in a row, this one included.
    pub fn failed(&self, key: &Key) -> u32 {
        let mut state = self.state();
        let failures = state.failures.entry(key.clone()).or_default();
        *failures += 1;
        *failures
    }

    pub fn succeeded(&self, key: &Key) {
        self.state().failures.remove(key);
    }
}

/// What is left of the pause, rounded up: a look that comes a moment early has to come again, and
/// nothing else may come to pass that would bring it.
fn left(gone: Duration) -> Option<Millis> {
    let left = PAUSE.saturating_sub(gone).as_micros().div_ceil(1_000);
    Millis::try_from(left).ok().filter(|left| *left > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_not_over_a_moment_before_its_end() {
        assert_eq!(left(Duration::ZERO), Some(30_000));
        assert_eq!(left(PAUSE - Duration::from_micros(400)), Some(1));
        assert_eq!(left(PAUSE), None);
        assert_eq!(left(PAUSE * 2), None);
    }
}
