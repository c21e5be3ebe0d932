//! A map whose entries end by themselves.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

use tokio::time::Instant;

/// Entries with an end. What has ended is never answered, and is swept out now and then: rarely enough to cost
/// nothing, often enough to hold no more than twice what counts. More than `MOST` are never held: then the half
/// goes that ends first.
#[derive(Debug)]
pub struct Expiring<K, V, const MOST: usize = 65_536> {
    entries: HashMap<K, (V, Instant)>,
    sweep_at: usize,
}

/// Fewer are not worth a sweep.
const FEW: usize = 64;

impl<K, V, const MOST: usize> Default for Expiring<K, V, MOST> {
    fn default() -> Self {
        Self { entries: HashMap::new(), sweep_at: FEW.min(MOST) }
    }
}

impl<K: Clone + Eq + Hash, V, const MOST: usize> Expiring<K, V, MOST> {
    /// The value and its end; none once that has come.
    pub fn get<Q>(&self, key: &Q, now: Instant) -> Option<(&V, Instant)>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.entries.get(key).filter(|(_, until)| *until > now).map(|(value, until)| (value, *until))
    }

    pub fn insert(&mut self, key: K, value: V, until: Instant, now: Instant) {
        self.make_room(now);
        self.entries.insert(key, (value, until));
    }

    /// The value with a new end; a default one where there is none, or it has ended.
    pub fn renew(&mut self, key: &K, until: Instant, now: Instant) -> &mut V
    where
        V: Default,
    {
        self.make_room(now);
        let entry = self.entries.entry(key.clone()).or_insert_with(|| (V::default(), until));
        if entry.1 <= now {
            entry.0 = V::default();
        }
        entry.1 = until;
        &mut entry.0
    }

    /// The entry ends then, unless it ends before.
    pub fn end_by<Q>(&mut self, key: &Q, until: Instant)
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        if let Some((_, end)) = self.entries.get_mut(key) {
            *end = until.min(*end);
        }
    }

    pub fn remove<Q>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.entries.remove(key);
    }

    fn make_room(&mut self, now: Instant) {
        if self.entries.len() < self.sweep_at {
            return;
        }
        self.entries.retain(|_, (_, until)| *until > now);
        if self.entries.len() >= MOST {
            let mut ends: Vec<_> = self.entries.values().map(|(_, until)| *until).collect();
            let (_, &mut middle, _) = ends.select_nth_unstable(MOST / 2);
            // Many may end at one time, and none of those stays.
            self.entries.retain(|_, (_, until)| *until > middle);
        }
        self.sweep_at = (self.entries.len() * 2).clamp(FEW, MOST.max(FEW)).min(MOST);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn what_has_ended_is_not_answered() {
        let now = Instant::now();
        let mut map: Expiring<&str, u8> = Expiring::default();
        map.insert("a", 1, now + SECOND, now);
        assert_eq!(map.get("a", now), Some((&1, now + SECOND)));
        assert_eq!(map.get("a", now + SECOND), None);
        map.end_by("a", now);
        assert_eq!(map.get("a", now), None, "it ends before");
        map.end_by("a", now + SECOND);
        assert_eq!(map.get("a", now), None, "nothing brings it back");
    }

    #[test]
    fn a_renewed_value_begins_anew_once_it_has_ended() {
        let now = Instant::now();
        let mut map: Expiring<&str, u8> = Expiring::default();
        *map.renew(&"a", now + SECOND, now) += 1;
        *map.renew(&"a", now + 2 * SECOND, now) += 1;
        assert_eq!(map.get("a", now + SECOND), Some((&2, now + 2 * SECOND)));
        assert_eq!(*map.renew(&"a", now + 3 * SECOND, now + 2 * SECOND), 0);
    }

    #[test]
    fn what_has_ended_is_swept_out_and_the_ceiling_holds() {
        let now = Instant::now();
        let mut map: Expiring<u32, (), 1_000> = Expiring::default();
        for number in 0..100_000 {
            let at = now + number * SECOND;
            map.insert(number, (), at + 10 * SECOND, at);
        }
        assert!(map.entries.len() <= FEW, "ten count: {}", map.entries.len());
        let mut most = 0;
        for number in 0..5_000_u32 {
            map.insert(number, (), now + (200_000 + number % 3) * SECOND, now + 150_000 * SECOND);
            most = most.max(map.entries.len());
        }
        assert!(most <= 1_000, "{most}");
        assert!(map.get(&4_999, now + 150_000 * SECOND).is_some(), "the last one is there");
    }
}
