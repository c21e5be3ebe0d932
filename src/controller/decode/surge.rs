//! How the strategy of a Deployment replaces pods: whether one may be gone before its successor serves.

use serde::Deserialize;

use crate::model::Replacement;

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct Surge {
    #[serde(rename = "type")]
    type_: String,
    rolling_update: Bounds,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Bounds {
    max_surge: Option<Share>,
    max_unavailable: Option<Share>,
}

/// A number of pods, or a percentage.
#[derive(Deserialize)]
#[serde(untagged)]
pub enum Share {
    Number(i32),
    Text(String),
}

impl Share {
    fn percent(&self) -> Option<i32> {
        match self {
            Self::Number(_) => None,
            Self::Text(text) => text.strip_suffix('%')?.parse().ok(),
        }
    }

    pub fn is_nothing(&self) -> bool {
        matches!(self, Self::Number(0)) || self.percent() == Some(0)
    }

    /// Counts the pods that it stands for among `pods`, rounded down. A text that is no share counts as 0.
    fn of(&self, pods: i32) -> i32 {
        match self {
            Self::Number(number) => *number,
            Self::Text(_) => percentage(self.percent().unwrap_or_default(), pods),
        }
    }
}

/// Share in percent, rounded up, of pods that a roll may make in addition, where the workload says nothing.
const USUAL_SURGE: i32 = 25;

fn percentage(percent: i32, pods: i32) -> i32 {
    i32::try_from(i64::from(percent) * i64::from(pods) / 100).unwrap_or(i32::MAX)
}

impl Surge {
    /// Pods that a roll may make beside those that are wanted.
    pub fn beside(&self, replicas: i32) -> i32 {
        let rounded_up = |percent: i32| {
            percentage(percent, replicas)
                .saturating_add(i32::from(i64::from(percent) * i64::from(replicas) % 100 > 0))
        };
        match &self.rolling_update.max_surge {
            _ if self.type_ == "Recreate" => 0,
            Some(Share::Number(number)) => *number,
            Some(share) => rounded_up(share.percent().unwrap_or_default()),
            None => rounded_up(USUAL_SURGE),
        }
    }

    pub fn replacement(&self, replicas: i32) -> Replacement {
        if self.type_ == "Recreate" {
            return Replacement::AllAtOnce;
        }
        let Bounds { max_surge, max_unavailable } = &self.rolling_update;
        let unavailable = match max_unavailable {
            Some(share) => share.of(replicas),
            None => percentage(25, replicas),
        };
        // Kubernetes lets one go where neither bound would let it move.
        let stuck = unavailable == 0 && max_surge.as_ref().is_some_and(Share::is_nothing);
        let gone = if stuck { 1 } else { unavailable };
        if gone >= replicas { Replacement::OldFirst } else { Replacement::NewFirst }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_roll_makes_as_many_pods_more_as_its_surge_says() {
        let of = |surge: Value, replicas| {
            let strategy = json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge}});
            serde_json::from_value::<Surge>(strategy).expect("a strategy").beside(replicas)
        };
        let cases = [
            (json!(2), 5, 2),
            (json!("25%"), 1, 1),
            (json!("50%"), 4, 2),
            (json!("30%"), 4, 2),
            (json!("0%"), 4, 0),
        ];
        for (surge, replicas, more) in cases {
            assert_eq!(of(surge.clone(), replicas), more, "{surge} of {replicas}");
        }
        assert_eq!((of(Value::Null, 4), of(Value::Null, 0)), (1, 0), "a quarter, if nothing is said");
        assert_eq!(
            serde_json::from_value::<Surge>(json!({"type": "Recreate"})).expect("a strategy").beside(4),
            0
        );
    }

    #[test]
    fn the_bounds_tell_whether_all_pods_may_be_gone() {
        let of = |strategy: Value, replicas| {
            serde_json::from_value::<Surge>(strategy).expect("a strategy").replacement(replicas)
        };
        let bounds = |surge: Value, unavailable: Value| json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}});
        assert_eq!(of(json!({"type": "Recreate"}), 3), Replacement::AllAtOnce);
        let new_first = [
            (json!({}), 1),
            (bounds(json!("25%"), json!("25%")), 1),
            (bounds(json!(1), json!(0)), 1),
            (bounds(json!(0), json!(1)), 2),
        ];
        for (strategy, replicas) in new_first {
            assert_eq!(of(strategy.clone(), replicas), Replacement::NewFirst, "{strategy} {replicas}");
        }
        let old_first = [
            (bounds(json!(0), json!(1)), 1),
            (bounds(json!(1), json!(1)), 1),
            (bounds(json!(0), json!("25%")), 1),
            (bounds(json!(0), json!("100%")), 4),
        ];
        for (strategy, replicas) in old_first {
            assert_eq!(of(strategy.clone(), replicas), Replacement::OldFirst, "{strategy} {replicas}");
        }
    }
}
