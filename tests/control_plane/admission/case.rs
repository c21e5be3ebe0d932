//! How a case is written.
//!
//! ```yaml
//! base: {targetRefs: [{name: kratos}]}        # spec fields that each case has unless it says otherwise
//! cases:
//! - name: what is special about it
//!   policy: kratos                            # metadata.name; this is the default
//!   old: {requiredAAL: {settings: aal1}}      # with it, the case is an edit of this spec, else a creation
//!   new: {requiredAAL: {settings: aal2}}
//!   refused: use highest_available            # a part of the message; without it, the case must be accepted
//!   by: schema                                # the message is the API server's own, not one of our rules;
//!                                             # `strict`: only strict field validation refuses
//! ```
//! `!repeat {before: a, text: b, times: 3, after: c}` is the string `abbbc`; `before` and `after` may be left
//! out.

use serde::Deserialize;
use serde_json::{Map, Value, json};

pub struct Case {
    /// The file that holds it.
    pub topic: String,
    pub name: String,
    /// The stored object, when the case is an edit.
    pub old: Option<Value>,
    pub new: Value,
    pub expected: Expected,
    /// A part of the refusal.
    pub words: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    Accepted,
    /// By a rule of ours, whose message must be the same on both sides.
    RefusedByRule,
    RefusedBySchema,
    RefusedIfStrict,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    Accepted,
    Refused(String),
}

/// Every case of every file.
pub fn all() -> Vec<Case> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/control_plane/admission");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("it is readable").path())
        .collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    files
        .into_iter()
        .flat_map(|path| {
            let topic = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path).expect("a case file is readable");
            let tree = expand(serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{topic}: {error}")));
            let file: File = serde_yaml::from_value(tree).unwrap_or_else(|error| panic!("{topic}: {error}"));
            file.cases
                .into_iter()
                .map(move |written| written.into_case(&topic, &file.base))
                .collect::<Vec<_>>()
        })
        .collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    base: Map<String, Value>,
    cases: Vec<Written>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    policy: Option<String>,
    old: Option<Map<String, Value>>,
    new: Map<String, Value>,
    refused: Option<String>,
    by: Option<By>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum By {
    Schema,
    Strict,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Repeat {
    #[serde(default)]
    before: String,
    text: String,
    times: usize,
    #[serde(default)]
    after: String,
}

impl Written {
    fn into_case(self, topic: &str, base: &Map<String, Value>) -> Case {
        let policy = self.policy.as_deref().unwrap_or("kratos");
        let object = |own: Map<String, Value>| {
            let mut spec = base.clone();
            spec.extend(own);
            json!({"apiVersion": "mfa-operator.dev/v1alpha1", "kind": "MfaPolicy", "metadata": {"name": policy}, "spec": spec})
        };
        let expected = match (&self.refused, self.by) {
            (None, _) => Expected::Accepted,
            (Some(_), None) => Expected::RefusedByRule,
            (Some(_), Some(By::Schema)) => Expected::RefusedBySchema,
            (Some(_), Some(By::Strict)) => Expected::RefusedIfStrict,
        };
        Case {
            topic: topic.to_owned(),
            old: self.old.map(object),
            new: object(self.new),
            expected,
            words: self.refused.unwrap_or_default(),
            name: self.name,
        }
    }
}

/// Replaces each `!repeat` by its string.
fn expand(tree: serde_yaml::Value) -> serde_yaml::Value {
    use serde_yaml::Value;
    match tree {
        Value::Tagged(tagged) => {
            assert_eq!(tagged.tag, "repeat");
            let Repeat { before, text, times, after } =
                serde_yaml::from_value(tagged.value).expect("!repeat has text and times");
            Value::String(format!("{before}{}{after}", text.repeat(times)))
        }
        Value::Sequence(items) => items.into_iter().map(expand).collect(),
        Value::Mapping(entries) => {
            Value::Mapping(entries.into_iter().map(|(key, value)| (key, expand(value))).collect())
        }
        other => other,
    }
}
