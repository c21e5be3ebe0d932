//! A configuration tree: made from typed values, written as YAML that every reader understands
//! alike, digested in a frozen form. The only place that knows `serde_yaml`.

mod canonical;
mod located;
mod yaml;

pub use located::{Located, NotYaml, Place, read};
use serde::Serialize;
use serde_yaml::Value;

/// A configuration document: a mapping at the root, plain strings as keys.
#[derive(Clone, Debug, PartialEq)]
pub struct Document(Value);

/// A value at the end of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leaf<'a> {
    Bool(bool),
    Text(&'a str),
    List(Vec<&'a str>),
}

impl Document {
    /// The tree of a typed value.
    ///
    /// # Errors
    /// When the value has no form as a tree, for example a map with keys that are no strings.
    pub fn from_typed(value: &impl Serialize) -> Result<Self, serde_yaml::Error> {
        serde_yaml::to_value(value).map(Self)
    }

    /// Every value with its path from the root, in the order of the tree.
    #[must_use]
    pub fn leaves(&self) -> Vec<(Vec<&str>, Leaf<'_>)> {
        let mut found = Vec::new();
        collect(&self.0, &mut Vec::new(), &mut found);
        found
    }

    /// YAML in which every string is quoted, so that YAML 1.1 and 1.2 readers, Kratos' own
    /// included, read the same values. The document ends with a line break.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        yaml::write(&self.0)
    }

    /// The frozen form that digests are taken over: compact JSON with sorted keys.
    #[must_use]
    pub fn canonical(&self) -> String {
        canonical::write(&self.0)
    }
}

/// The first `digits` hex digits of the SHA-256 of `text`.
#[must_use]
pub fn hex_digest(text: &str, digits: usize) -> String {
    use sha2::{Digest, Sha256};
    let hash = Sha256::digest(text.as_bytes());
    let mut hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    hex.truncate(digits);
    hex
}

fn collect<'a>(value: &'a Value, path: &mut Vec<&'a str>, found: &mut Vec<(Vec<&'a str>, Leaf<'a>)>) {
    let leaf = match value {
        Value::Mapping(mapping) => {
            for (key, value) in mapping {
                if let Some(key) = key.as_str() {
                    path.push(key);
                    collect(value, path, found);
                    path.pop();
                }
            }
            return;
        }
        Value::Bool(value) => Leaf::Bool(*value),
        Value::String(text) => Leaf::Text(text),
        Value::Sequence(items) => Leaf::List(items.iter().filter_map(Value::as_str).collect()),
        Value::Null | Value::Number(_) | Value::Tagged(_) => return,
    };
    found.push((path.clone(), leaf));
}

/// Ordinary YAML for people, as in a manifest.
///
/// # Errors
/// When the value has no form in YAML.
pub fn to_plain_yaml(value: &impl Serialize) -> Result<String, serde_yaml::Error> {
    serde_yaml::to_string(value)
}
