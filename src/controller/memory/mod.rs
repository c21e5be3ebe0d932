//! What this process remembers between looks. All of it may be lost at a restart: it paces and
//! avoids repetition, and decides nothing.

pub mod absence;
pub mod clock;
pub mod gone;
pub mod pending_status;
pub mod state;

use std::time::Duration;

use parking_lot::MutexGuard;
use smol_str::SmolStr;
use tokio::time::Instant;

use crate::controller::memory::clock::at;
use crate::controller::memory::pending_status::Untold;
use crate::controller::memory::state::{Done, Memory, STATUS_PACE, Sight, State, StatusPace};
use crate::model::{Key, Millis, Pauses, Pod, WorkloadId};
use crate::plan::History;

/// More than any pace looks back at.
const REMEMBER: usize = 16;

const REMEMBER_FOR: Duration = Duration::from_secs(2 * 3_600);

/// More than this was told once is told again.
const TOLD: usize = 4_096;

/// A watch that is only late has caught up by then.
const STALE_IN_A_ROW: u32 = 3;

impl Memory {
    pub fn new(pauses: Pauses) -> Self {
        Self { pauses, ..Self::default() }
    }

    /// Makes the memory of an operator that was away: what may be on its way is taken to have come about.
    pub fn settled() -> Self {
        Self { settled: true, ..Self::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// History of writes to the object with this uid.
    pub fn history(&self, uid: &str, now: Millis) -> History {
        let state = self.state();
        let Some((done, _)) = state.done.get(uid, Instant::now()) else { return History::default() };
        let times = |all: &[Instant]| all.iter().map(|instant| at(*instant, now)).collect();
        History { rolls: times(&done.rolls), repairs: times(&done.repairs), rival: done.rival.clone() }
    }

    pub fn rolled(&self, uid: &str) {
        self.note(uid, |done| &mut done.rolls);
    }

    pub fn repaired(&self, uid: &str, rival: Option<&str>) {
        self.note(uid, |done| &mut done.repairs);
        if let Some(rival) = rival {
            let now = Instant::now();
            self.state().done.renew(&uid.into(), now + REMEMBER_FOR, now).rival = Some(rival.into());
        }
    }

    fn note(&self, uid: &str, list: impl Fn(&mut Done) -> &mut Vec<Instant>) {
        let (mut state, now) = (self.state(), Instant::now());
        let times = list(state.done.renew(&uid.into(), now + REMEMBER_FOR, now));
        times.push(now);
        times.drain(..times.len().saturating_sub(REMEMBER));
    }

    /// Since when the pods of the workload with this uid answer different configurations.
    pub fn disagrees(&self, uid: &str, disagrees: bool, now: Millis) -> Option<Millis> {
        let mut state = self.state();
        if !disagrees {
            state.disagreements.remove(uid);
            return None;
        }
        let moment = Instant::now();
        let since = state.disagreements.renew(&uid.into(), moment + REMEMBER_FOR, moment);
        Some(at(*since.get_or_insert(moment), now))
    }

    /// Since when, without a break, old pods of the workload with this uid run well while new ones fail.
    pub fn runs_well(&self, uid: &str, runs_well: bool, now: Millis) -> Option<Millis> {
        let mut state = self.state();
        if !runs_well {
            state.well_since.remove(uid);
            return None;
        }
        let moment = Instant::now();
        let since = state.well_since.renew(&uid.into(), moment + REMEMBER_FOR, moment);
        Some(at(*since.get_or_insert(moment), now))
    }

    /// Says of each pod since when it was seen as it is: what its kubelet says is by another clock.
    pub fn sighted<'a>(&self, pods: impl Iterator<Item = &'a mut Pod>, now: Millis) {
        let mut state = self.state();
        for pod in pods {
            let crashes = pod.troubles.iter().map(|trouble| trouble.crashes).sum();
            let moment = Instant::now();
            let new = Sight { ready: pod.ready, since: moment, crashes, crashed: moment };
            let sight = state.sights.renew(&pod.uid, moment + REMEMBER_FOR, moment).get_or_insert(new);
            let since = if sight.ready == pod.ready { sight.since } else { moment };
            let crashed = if crashes > sight.crashes { moment } else { sight.crashed };
            *sight = Sight { since, crashed, ..new };
            pod.seen = at(since, now);
            pod.troubles
                .iter_mut()
                .for_each(|trouble| trouble.finished = trouble.finished.min(at(crashed, now)));
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

    /// It is to be told again when it comes again.
    pub fn untell(&self, what: &str) {
        self.state().told.remove(what);
    }

    /// Keeps which workloads the last pass over this policy left as they are.
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
        state
            .left
            .iter()
            .flat_map(|(key, all)| all.iter().map(|workload| (key.clone(), workload.clone())))
            .collect()
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

    /// The status of the policy with this uid is written now.
    pub fn status_written(&self, uid: &SmolStr) {
        let now = Instant::now();
        let written = StatusPace { written: Some(now), differs: None };
        self.state().statuses.insert(uid.clone(), written, now + STATUS_PACE, now);
    }

    /// How long a status that differs has to wait, where the difference only counts.
    pub fn status_waits(&self, uid: &SmolStr) -> Option<Duration> {
        let mut state = self.state();
        let now = Instant::now();
        // Longer than it waits, so that it is not taken for one that begins to differ.
        let pace = state.statuses.renew(uid, now + REMEMBER_FOR, now);
        pace.differs.get_or_insert(now);
        Some(pace.left()).filter(|left| !left.is_zero())
    }

    /// Whether the policy with this uid was not suspended before, or was.
    pub fn suspended(&self, uid: &SmolStr, suspended: bool) -> bool {
        let mut state = self.state();
        if state.suspended.len() >= TOLD {
            state.suspended.clear();
        }
        if suspended { state.suspended.insert(uid.clone()) } else { state.suspended.remove(uid) }
    }

    /// This generation of the policy with this uid is accepted, and names some of what is governed no more.
    /// True the first time.
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

    /// Counts the failures in a row of this policy, without the pass under way.
    pub fn failures(&self, key: &Key) -> u32 {
        self.state().failures.get(key).copied().unwrap_or_default()
    }

    pub fn succeeded(&self, key: &Key) {
        let mut state = self.state();
        state.failures.remove(key);
        state.stale.remove(key);
    }

    /// A write met a version that was no longer the newest. True where what is known has to be read anew.
    pub fn met_stale(&self, key: &Key) -> bool {
        let mut state = self.state();
        let times = state.stale.entry(key.clone()).or_default();
        *times += 1;
        *times >= STALE_IN_A_ROW && {
            *times = 0;
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::memory::state::STATUS_PACE;

    /// Somebody sets the clock back by hours while it runs.
    #[test]
    fn a_clock_that_is_set_back_holds_nothing_up() {
        let memory = Memory::default();
        memory.rolled("uid");
        memory.repaired("uid", None);
        assert!(
            memory.runs_well("uid", true, 50_000_000).is_some()
                && memory.disagrees("uid", true, 50_000_000).is_some()
        );
        let now = 1_000_000;
        let History { rolls, repairs, .. } = memory.history("uid", now);
        let times = [
            rolls[0],
            repairs[0],
            memory.runs_well("uid", true, now).expect("since"),
            memory.disagrees("uid", true, now).expect("since"),
        ];
        assert!(times.iter().all(|time| (now - 60_000..=now).contains(time)), "{times:?}");
    }

    #[test]
    fn a_version_that_is_old_three_times_in_a_row_is_read_anew() {
        let (memory, key) = (Memory::default(), Key::new("identity", "mfa"));
        assert_eq!([(); 4].map(|()| memory.met_stale(&key)), [false, false, true, false]);
        memory.succeeded(&key);
        assert_eq!([(); 3].map(|()| memory.met_stale(&key)), [false, false, true]);
    }

    #[test]
    fn what_counts_waits_a_second_for_more() {
        let (memory, uid) = (Memory::default(), SmolStr::new_static("uid"));
        let waits = |memory: &Memory| memory.status_waits(&uid).is_some_and(|left| left > STATUS_PACE / 2);
        assert!(waits(&memory), "more may come with it");
        let since = |ago: Duration| Instant::now().checked_sub(ago);
        let set = |written, differs| {
            let now = Instant::now();
            memory.state().statuses.insert(
                uid.clone(),
                StatusPace { written, differs },
                now + REMEMBER_FOR,
                now,
            );
        };
        set(since(STATUS_PACE * 2), since(STATUS_PACE));
        assert!(memory.status_waits(&uid).is_none(), "it is its turn");
        memory.status_written(&uid);
        assert!(waits(&memory));
        set(since(STATUS_PACE * 2), None);
        assert!(waits(&memory), "what begins to differ now has its second");
    }
}
