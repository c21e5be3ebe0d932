//! Who may ask pods now. Silent ones take each look that asks them its whole time, so that there are only so
//! many rooms for such looks, and half of them at most are of one namespace: whoever makes pods in it holds
//! up no other.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use smol_str::SmolStr;
use tokio::time::Instant;

use crate::model::NoPermit;

/// Looks that ask pods at once, whatever it is: the others of the queue's are for those that have something
/// to write.
const AT_ONCE: usize = 16;

/// Passes of one namespace that may ask pods at once.
const OF_ONE_NAMESPACE: usize = AT_ONCE / 2;

/// How long a workload finds no permit before that is told. One that was not turned away for so long has not
/// waited all the time.
const STARVED: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub struct Permits(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// By the namespace; none of them is zero.
    taken: HashMap<SmolStr, usize>,
    /// By the uid of the workload: who was turned away, and found no room since.
    waiting: HashMap<SmolStr, Waiting>,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    since: Instant,
    last: Instant,
}

impl Waiting {
    fn goes_on(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last) < STARVED
    }
}

/// Permit to ask pods. It is free again when dropped.
#[derive(Debug)]
pub struct Permit<'a> {
    rooms: &'a Permits,
    namespace: SmolStr,
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let mut state = self.rooms.state();
        if let Some(taken) = state.taken.get_mut(&self.namespace) {
            *taken -= 1;
            if *taken == 0 {
                state.taken.remove(&self.namespace);
            }
        }
    }
}

impl Permits {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }

    /// To ask the pods of the workload with this uid.
    ///
    /// # Errors
    /// Where there is none now.
    pub fn take(&self, namespace: &SmolStr, uid: &SmolStr) -> Result<Permit<'_>, NoPermit> {
        self.take_at(namespace, uid, Instant::now())
    }

    fn take_at(&self, namespace: &SmolStr, uid: &SmolStr, now: Instant) -> Result<Permit<'_>, NoPermit> {
        let mut state = self.state();
        let of_it = state.taken.get(namespace).copied().unwrap_or_default();
        if of_it >= OF_ONE_NAMESPACE || state.taken.values().sum::<usize>() >= AT_ONCE {
            return Err(state.turn_away(uid, now));
        }
        state.taken.insert(namespace.clone(), of_it + 1);
        state.waiting.remove(uid);
        Ok(Permit { rooms: self, namespace: namespace.clone() })
    }
}

impl State {
    fn turn_away(&mut self, uid: &SmolStr, now: Instant) -> NoPermit {
        // Seldom enough to cost nothing, often enough to stay within twice what is needed.
        if self.waiting.len().is_power_of_two() {
            self.waiting.retain(|_, waiting| waiting.goes_on(now));
        }
        let before = self.waiting.get(uid).filter(|waiting| waiting.goes_on(now));
        let since = before.map_or(now, |waiting| waiting.since);
        self.waiting.insert(uid.clone(), Waiting { since, last: now });
        if now.saturating_duration_since(since) < STARVED { NoPermit::ForNow } else { NoPermit::Starved }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take<'a>(
        rooms: &'a Permits,
        namespace: &'static str,
        uid: &str,
        now: Instant,
    ) -> Result<Permit<'a>, NoPermit> {
        rooms.take_at(&SmolStr::new_static(namespace), &uid.into(), now)
    }

    fn fill<'a>(rooms: &'a Permits, namespace: &'static str, now: Instant) -> Vec<Permit<'a>> {
        (0..100)
            .map_while(|number| take(rooms, namespace, &format!("{namespace}-{number}"), now).ok())
            .collect()
    }

    #[test]
    fn no_namespace_has_more_than_half() {
        let (rooms, now) = (Permits::default(), Instant::now());
        let first = fill(&rooms, "silent", now);
        assert_eq!(first.len(), OF_ONE_NAMESPACE);
        let second = fill(&rooms, "others", now);
        assert_eq!(second.len(), AT_ONCE - OF_ONE_NAMESPACE, "half is left for the others");
        assert_eq!(take(&rooms, "third", "uid", now).err(), Some(NoPermit::ForNow), "and no more than all");
    }

    #[test]
    fn what_is_dropped_is_free_again() {
        let (rooms, now) = (Permits::default(), Instant::now());
        let mut held = fill(&rooms, "silent", now);
        assert!(take(&rooms, "silent", "uid", now).is_err());
        held.pop();
        assert!(take(&rooms, "silent", "uid", now).is_ok());
        drop(held);
        assert_eq!(fill(&rooms, "silent", now).len(), OF_ONE_NAMESPACE);
        assert!(rooms.state().taken.is_empty(), "nothing is kept of a namespace in which nobody asks");
    }

    #[test]
    fn who_is_turned_away_for_a_minute_starves() {
        let (rooms, begun) = (Permits::default(), Instant::now());
        let mut held = fill(&rooms, "silent", begun);
        let ask = |after: u64| take(&rooms, "silent", "uid", begun + Duration::from_secs(after)).err();
        assert_eq!([0, 1, 30, 59].map(ask), [Some(NoPermit::ForNow); 4]);
        assert_eq!([60, 61].map(ask), [Some(NoPermit::Starved); 2]);
        assert_eq!(ask(61 + 60), Some(NoPermit::ForNow), "it did not ask for a minute");
        assert_eq!(ask(61 + 60 + 59), Some(NoPermit::ForNow));
        assert_eq!(ask(61 + 60 + 60), Some(NoPermit::Starved));
        held.pop();
        assert_eq!(ask(182), None);
        assert_eq!(fill(&rooms, "silent", begun).len(), 1);
        held.extend(take(&rooms, "silent", "another", begun));
        assert_eq!(ask(183), Some(NoPermit::ForNow), "it begins anew for who had one");
    }

    #[test]
    fn whoever_asks_no_more_is_forgotten() {
        let (rooms, begun) = (Permits::default(), Instant::now());
        let _held = fill(&rooms, "silent", begun);
        for number in 0..1_000 {
            let now = begun + Duration::from_secs(number);
            assert!(take(&rooms, "silent", &format!("gone-{number}"), now).is_err());
        }
        let kept = rooms.state().waiting.len();
        assert!(kept <= 128, "{kept} of those are kept that asked within a minute");
    }
}
