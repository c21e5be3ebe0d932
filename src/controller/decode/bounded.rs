//! Lists, maps and texts are decoded up to their ceiling: nothing beyond it is held, not even for a moment.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use smol_str::{SmolStr, format_smolstr};

use crate::model::Bounded;

impl<'de, T: Deserialize<'de>, const N: usize> Deserialize<'de> for Bounded<T, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List<T, const N: usize>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>, const N: usize> Visitor<'de> for List<T, N> {
            type Value = Bounded<T, N>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut all = Bounded::default();
                while all.len() < N {
                    let Some(item) = list.next_element()? else { return Ok(all) };
                    all.push(item);
                }
                // Nothing of the rest is held.
                while list.next_element::<IgnoredAny>()?.is_some() {
                    all.more = true;
                }
                Ok(all)
            }
        }

        deserializer.deserialize_seq(List(PhantomData))
    }
}

/// The first `N` entries of a map.
#[derive(Debug)]
pub struct Entries<T, const N: usize>(pub Bounded<(String, T), N>);

impl<T, const N: usize> Default for Entries<T, N> {
    fn default() -> Self {
        Self(Bounded::default())
    }
}

impl<'de, T: Deserialize<'de>, const N: usize> Deserialize<'de> for Entries<T, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map<T, const N: usize>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>, const N: usize> Visitor<'de> for Map<T, N> {
            type Value = Entries<T, N>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut all = Bounded::default();
                while all.len() < N {
                    let Some(entry) = map.next_entry()? else { return Ok(Entries(all)) };
                    all.push(entry);
                }
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
                    all.more = true;
                }
                Ok(Entries(all))
            }
        }

        deserializer.deserialize_map(Map(PhantomData))
    }
}

/// The words of a command line, up to a number and a size that none has.
#[derive(Debug, Default)]
pub struct Words {
    pub words: Vec<String>,
    /// There are more of them, or longer ones.
    pub more: bool,
}

const MOST_WORDS: usize = 256;

const LONGEST_LINE: usize = 16 * 1024;

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;

        impl<'de> Visitor<'de> for List {
            type Value = Words;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a list of words")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Words, A::Error> {
                let (mut all, mut length) = (Words::default(), 0);
                while all.words.len() < MOST_WORDS && !all.more {
                    let Some(word) = list.next_element::<String>()? else { return Ok(all) };
                    length += word.len();
                    all.more = length > LONGEST_LINE;
                    all.words.extend((!all.more).then_some(word));
                }
                while list.next_element::<IgnoredAny>()?.is_some() {
                    all.more = true;
                }
                Ok(all)
            }
        }

        deserializer.deserialize_seq(List)
    }
}

/// A text of at most so many bytes. A longer one ends in a sign that no name, path or image has, so that it
/// is taken for nothing else that begins alike.
pub fn cut(text: &str, longest: usize) -> SmolStr {
    if text.len() <= longest {
        return text.into();
    }
    let end = (0..=longest).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    format_smolstr!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_beyond_is_told_and_not_held() {
        let read = |list: serde_json::Value| {
            serde_json::from_value::<Bounded<u8, 2>>(list).map(|all| (all.to_vec(), all.more))
        };
        assert_eq!(read(json!([])).expect("a list"), (vec![], false));
        assert_eq!(read(json!([1, 2])).expect("a list"), (vec![1, 2], false));
        assert_eq!(read(json!([1, 2, "x", {}])).expect("a list"), (vec![1, 2], true));
        assert!(read(json!([1, "x"])).is_err() && read(json!({})).is_err());
        let map: Entries<u8, 1> = serde_json::from_value(json!({"a": 1, "b": []})).expect("a map");
        assert_eq!((map.0.to_vec(), map.0.more), (vec![("a".to_owned(), 1)], true));
        let words = |list: serde_json::Value| {
            serde_json::from_value::<Words>(list).map(|all| (all.words.len(), all.more)).expect("words")
        };
        assert_eq!(words(json!(["a", "b"])), (2, false));
        assert_eq!(words(json!(["a", "x".repeat(20_000), "b"])), (1, true));
        assert_eq!(words(vec!["a"; 300].into()), (256, true));
        assert_eq!((&*cut("kratos", 6), &*cut("kratos2", 6), &*cut("éé", 3)), ("kratos", "kratos…", "é…"));
    }
}
