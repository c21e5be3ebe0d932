//! Lists with a ceiling in their type. Objects of 1.5 MB may be anybody's, and there may be thousands of
//! them: what lies beyond the ceiling is not held, and is unknown, never absent.

use std::ops::{Deref, DerefMut};

/// The first `N` items of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounded<T, const N: usize> {
    items: Vec<T>,
    /// There are more of them.
    pub more: bool,
}

impl<T, const N: usize> Default for Bounded<T, N> {
    fn default() -> Self {
        Self { items: Vec::new(), more: false }
    }
}

impl<T, const N: usize> Bounded<T, N> {
    /// A list of which nothing is known.
    #[must_use]
    pub fn unknown() -> Self {
        Self { more: true, ..Self::default() }
    }

    pub fn push(&mut self, item: T) {
        if self.items.len() < N {
            self.items.push(item);
        } else {
            self.more = true;
        }
    }

    /// What is made of each, of some of them none.
    pub fn filter_map<U, const M: usize>(self, make: impl FnMut(T) -> Option<U>) -> Bounded<U, M> {
        let more = self.more;
        let mut made: Bounded<U, M> = self.items.into_iter().filter_map(make).collect();
        made.more |= more;
        made
    }
}

impl<T, const N: usize> Deref for Bounded<T, N> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.items
    }
}

impl<T, const N: usize> DerefMut for Bounded<T, N> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.items
    }
}

impl<T, const N: usize> Extend<T> for Bounded<T, N> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, items: I) {
        for item in items {
            self.push(item);
            if self.more {
                return;
            }
        }
    }
}

impl<T, const N: usize> FromIterator<T> for Bounded<T, N> {
    /// Exactly as large as it is: some are held ten thousand times.
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut all = Self::default();
        all.extend(items);
        all.items.shrink_to_fit();
        all
    }
}

impl<T, const N: usize> From<Vec<T>> for Bounded<T, N> {
    fn from(items: Vec<T>) -> Self {
        items.into_iter().collect()
    }
}

impl<T, const N: usize> IntoIterator for Bounded<T, N> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.into_iter()
    }
}

impl<'a, T, const N: usize> IntoIterator for &'a Bounded<T, N> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beyond_is_told_and_not_held() {
        let all = |count: usize| (0..count).collect::<Bounded<_, 2>>();
        assert_eq!((all(2).len(), all(2).more), (2, false));
        assert_eq!((all(9).len(), all(9).more), (2, true));
        let mut pushed = all(2);
        pushed.push(7);
        assert_eq!(pushed, all(3), "what is not held makes no difference");
        let odd = |count| all(count).filter_map::<_, 1>(|number| (number % 2 == 1).then_some(number));
        assert_eq!((odd(2).to_vec(), odd(2).more, odd(3).more), (vec![1], false, true));
    }
}
