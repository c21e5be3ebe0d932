//! The table of order.yaml, which tells what each row means: the same rows are put before the operator's
//! order and before the chart's admission policy.

use serde::Deserialize;
use serde_json::{Map, Value, json};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Row {
    pub field: String,
    #[serde(default)]
    pub file: Option<Value>,
    pub old: Map<String, Value>,
    pub new: Map<String, Value>,
    #[serde(default)]
    pub weaker: bool,
    pub operator: Operator,
    #[serde(default)]
    pub not_compared: Vec<String>,
    pub edited: Cluster,
    pub created: Cluster,
}

/// What it says: passes, state, or a word.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Operator {
    Always(String),
    Each { edit: String, takeover: String, adoption: String },
}

/// Whether the verb is asked for.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Cluster {
    Free,
    Verb,
}

impl Operator {
    /// In an edit, after another policy, and on the server's own file.
    pub fn says(&self) -> [&str; 3] {
        match self {
            Self::Always(word) => [word; 3],
            Self::Each { edit, takeover, adoption } => [edit, takeover, adoption],
        }
    }
}

impl Row {
    /// A part of a spec with what every spec has.
    pub fn spec(&self, part: &Map<String, Value>) -> Value {
        let mut spec =
            json!({"targetRefs": [{"name": "kratos"}], "requiredAAL": {"settings": "highest_available"}});
        spec.as_object_mut().expect("a map").extend(part.clone());
        spec
    }
}

pub fn rows() -> Vec<Row> {
    serde_yaml::from_str(include_str!("order.yaml")).expect("the table is sound")
}
