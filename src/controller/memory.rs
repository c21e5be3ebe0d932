//! What this process remembers between looks. All of it may be lost at a restart: it paces and
//! avoids repetition, and decides nothing.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use smol_str::SmolStr;
use tokio::time::Instant;

use crate::plan::{History, Key, Millis};

/// How long a policy must be gone before anything is undone.
const PAUSE: Duration = Duration::from_secs(30);
/// More than any pace looks back at.
const REMEMBER: usize = 16;
const REMEMBER_FOR: Millis = 2 * 3_600_000;
/// More than this was told once is told again.
const TOLD: usize = 4_096;

#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    histories: HashMap<SmolStr, History>,
    /// By the clock that nobody can set.
    gone_since: HashMap<Key, Instant>,
    told: HashSet<SmolStr>,
    failures: HashMap<Key, u32>,
    disagreements: HashMap<SmolStr, Millis>,
}

impl Memory {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
    pub fn pause(&self, key: &Key) -> Option<Duration> {
        let gone = self.state().gone_since.entry(key.clone()).or_insert_with(Instant::now).elapsed();
        PAUSE.checked_sub(gone).filter(|left| !left.is_zero())
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

    /// True the first time that `what` is told.
    pub fn tell_once(&self, what: &str) -> bool {
        let mut state = self.state();
        if state.told.len() >= TOLD {
            state.told.clear();
        }
        state.told.insert(what.into())
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
