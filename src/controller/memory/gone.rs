//! Policies that are gone: how long nothing of them is undone, which is longer where many are gone at once.

use std::time::Duration;

use crate::controller::memory::absence::{Gone, left, many};
use crate::controller::memory::state::{Memory, State};
use crate::model::{Key, Millis, Pauses};

impl State {
    /// Whether many policies are gone, beside those that are `there`.
    fn many_are_gone(&self, there: usize, pauses: Pauses) -> bool {
        let many = many(there);
        self.gone.values().filter(|gone| gone.counts(pauses)).take(many).count() == many
    }
}

impl Memory {
    /// A look did not find the policy.
    pub fn seen_gone(&self, key: &Key) {
        let mut state = self.state();
        if state.gone.get(key).is_none_or(|gone| gone.over) {
            state.gone.retain(|_, gone| gone.counts(self.pauses));
            state.gone.insert(key.clone(), Gone::now());
        }
    }

    /// What is left of the pause before anything is reverted since the policy was first seen gone, all of it
    /// where no look has seen that yet; none when it is over. So many others are `there`.
    pub fn pause(&self, key: &Key, there: usize) -> Option<Millis> {
        let elapsed = self.gone_for(key)?;
        let pause = if self.state().many_are_gone(there, self.pauses) {
            self.pauses.many_gone
        } else {
            self.pauses.gone
        };
        left(pause, elapsed)
    }

    /// What is left of the pause before another policy may have what this one governed. Nothing is reverted
    /// by that, so it is the same however many are gone.
    pub fn claim_pause(&self, key: &Key) -> Option<Millis> {
        left(self.pauses.gone, self.gone_for(key)?)
    }

    /// How long the policy has been seen gone; none where everything has come about.
    fn gone_for(&self, key: &Key) -> Option<Duration> {
        let elapsed =
            || self.state().gone.get(key).filter(|gone| !gone.over).map(|gone| gone.since.elapsed());
        (!self.settled).then(|| elapsed().unwrap_or_default())
    }

    /// The policy is there again.
    pub fn is_back(&self, key: &Key) {
        self.state().gone.remove(key);
    }

    /// Nothing is left of a policy that is gone.
    pub fn is_over(&self, key: &Key) {
        if let Some(gone) = self.state().gone.get_mut(key) {
            gone.over = true;
        }
    }

    /// Whether the policy is one of many that are gone; true the first time.
    pub fn tell_many_gone(&self, key: &Key, there: usize) -> bool {
        let mut state = self.state();
        let many = state.many_are_gone(there, self.pauses);
        state.gone.get_mut(key).is_some_and(|gone| many && !std::mem::replace(&mut gone.told, true))
    }

    /// How many policies are gone whose pause is the long one.
    pub fn delayed(&self, there: usize) -> usize {
        let state = self.state();
        if state.many_are_gone(there, self.pauses) {
            state.gone.values().filter(|gone| !gone.over).count()
        } else {
            0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_for_a_pause_begins_none() {
        let (memory, key) = (Memory::default(), Key::new("identity", "mfa"));
        let a_moment = Duration::from_millis(20);
        let pauses = || (memory.pause(&key, 10), memory.claim_pause(&key));
        assert_eq!(pauses(), (Some(30_000), Some(30_000)));
        std::thread::sleep(a_moment);
        assert_eq!(pauses(), (Some(30_000), Some(30_000)), "no look has found it gone");
        memory.seen_gone(&key);
        std::thread::sleep(a_moment);
        memory.seen_gone(&key);
        assert!(memory.pause(&key, 10).is_some_and(|left| left <= 29_980), "the first look began it");
        memory.is_back(&key);
        assert_eq!(pauses(), (Some(30_000), Some(30_000)));
    }

    #[test]
    fn a_pause_is_not_over_a_moment_before_its_end() {
        let pause = Pauses::default().gone;
        let after = Duration::from_secs(30);
        assert_eq!(left(pause, Duration::ZERO), Some(30_000));
        assert_eq!(left(pause, after - Duration::from_micros(400)), Some(1));
        assert_eq!(left(pause, after), None);
        assert_eq!(left(pause, after * 2), None);
    }

    #[test]
    fn many_are_five_and_a_tenth() {
        for (there, expected) in [(0, 5), (1, 5), (45, 5), (46, 6), (90, 10), (91, 11), (9_000, 1_000)] {
            assert_eq!(many(there), expected, "beside {there}");
        }
    }

    #[test]
    fn the_pause_is_long_while_many_are_gone() {
        let memory = Memory::default();
        let key = |number: usize| Key::new("identity", &format!("policy-{number}"));
        let long = |number: usize, there: usize| {
            memory.seen_gone(&key(number));
            memory.pause(&key(number), there).is_some_and(|left| left > 60_000)
        };
        assert!(!(0..4).any(|number| long(number, 3)), "four are few");
        assert!(long(4, 3) && long(0, 3), "the fifth holds all of them up");
        assert!(memory.claim_pause(&key(0)).is_some_and(|left| left <= 30_000), "who claims waits no longer");
        assert!(!long(4, 46), "five are few beside so many");
        assert_eq!((memory.delayed(3), memory.delayed(46)), (5, 0));
        assert!(memory.tell_many_gone(&key(0), 3) && !memory.tell_many_gone(&key(0), 3), "each is told once");
        // What is undone counts on: how fast they are undone must not decide.
        memory.is_over(&key(1));
        assert!(long(0, 3));
        assert_eq!(memory.delayed(3), 4);
        memory.is_back(&key(2));
        assert!(!long(0, 4), "one is there again");
    }
}
