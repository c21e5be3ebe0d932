//! The pauses that hold a change back, in one value, so that a test of many faults does not wait for each.

use std::str::FromStr;

use crate::model::key::Millis;

/// In milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Pauses {
    /// How long a policy must be gone before anything is undone.
    pub gone: Millis,
    /// How long a policy must be gone while many are gone. That is how a mistake looks, and it takes people
    /// some minutes to mend it.
    pub many_gone: Millis,
    /// Edits within this time after the first of a burst go out together.
    pub burst: Millis,
    /// From the fourth on, rolls in a row keep this distance.
    pub roll_distance: Millis,
    /// Three repairs of one workload within this time are a fight.
    pub fight: Millis,
    /// After the third repair; it doubles with each.
    pub repair: Millis,
    pub longest_repair: Millis,
}

impl Default for Pauses {
    fn default() -> Self {
        Self {
            gone: 30_000,
            many_gone: 900_000,
            burst: 10_000,
            roll_distance: 60_000,
            fight: 600_000,
            repair: 60_000,
            longest_repair: 1_800_000,
        }
    }
}

/// Those that are named, as in `gone=300,many_gone=300`; the others as they are by default.
impl FromStr for Pauses {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut pauses = Self::default();
        for pair in text.split(',').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or("write NAME=MILLISECONDS")?;
            let pause = match name {
                "gone" => &mut pauses.gone,
                "many_gone" => &mut pauses.many_gone,
                "burst" => &mut pauses.burst,
                "roll_distance" => &mut pauses.roll_distance,
                "fight" => &mut pauses.fight,
                "repair" => &mut pauses.repair,
                "longest_repair" => &mut pauses.longest_repair,
                other => return Err(format!("there is no pause {other}")),
            };
            *pause = value.parse::<u32>().map_err(|error| format!("{name}: {error}"))?.into();
        }
        Ok(pauses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_is_another_and_the_rest_is_as_it_was() {
        let pauses: Pauses = "many_gone=300,burst=0".parse().expect("pauses");
        assert_eq!((pauses.gone, pauses.many_gone, pauses.burst), (30_000, 300, 0));
        for wrong in ["gone", "gone=", "gone=1s", "gone=-1", "none=1"] {
            assert!(wrong.parse::<Pauses>().is_err(), "{wrong}");
        }
    }
}
