//! What this process remembers between looks. All of it may be lost at a restart: it paces and
//! avoids repetition, and decides nothing.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::plan::{History, Key, Millis};

/// How long a policy must be gone before anything is undone.
pub(super) const PAUSE: Millis = 30_000;
/// More than any pace looks back at.
const REMEMBER: usize = 16;

#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    histories: HashMap<Box<str>, History>,
    gone_since: HashMap<Key, Millis>,
    told: HashSet<Box<str>>,
    failures: HashMap<Key, u32>,
}

impl Memory {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

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
        let times = list(state.histories.entry(uid.into()).or_default());
        times.push(now);
        times.drain(..times.len().saturating_sub(REMEMBER));
    }

    /// When the policy was first seen gone.
    pub fn gone_since(&self, key: &Key, now: Millis) -> Millis {
        *self.state().gone_since.entry(key.clone()).or_insert(now)
    }

    pub fn present(&self, key: &Key) {
        self.state().gone_since.remove(key);
    }

    /// Whether the policy of this name is gone for less than the pause.
    pub fn pauses(&self, key: &Key, now: Millis) -> bool {
        now - self.gone_since(key, now) < PAUSE
    }

    /// True the first time that `what` is told.
    pub fn tell_once(&self, what: &str) -> bool {
        self.state().told.insert(what.into())
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
