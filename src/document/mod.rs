//! A configuration tree: made from typed values or of what others wrote, written as YAML that every reader
//! understands alike, digested in a frozen form. The only place that knows `serde_yaml`, which parses nothing
//! here.

mod canonical;
mod foreign;
mod located;
mod quoted;
mod yaml;

pub use foreign::{Budget, Unreadable, Wanted};
pub use located::{Located, NotYaml, Place, read};
use serde::Serialize;
use serde::de::DeserializeOwned;
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

/// What stands at a path, or above it, is no [`Leaf`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoLeaf;

impl Document {
    /// The tree of a typed value.
    ///
    /// # Errors
    /// When the value has no form as a tree, for example a map with keys that are no strings.
    pub fn from_typed(value: &impl Serialize) -> Result<Self, serde_yaml::Error> {
        serde_yaml::to_value(value).map(Self)
    }

    /// The typed value of this tree, if it has its form.
    #[must_use]
    pub fn typed<T: DeserializeOwned>(self) -> Option<T> {
        serde_yaml::from_value(self.0).ok()
    }

    /// A text that others wrote, whole.
    ///
    /// # Errors
    /// Where it is no configuration, or more than is read of one. Nothing of it is repeated.
    pub fn parse(text: &str) -> Result<Self, Unreadable> {
        Self::read(text, &Wanted::All, &mut Budget::default())
    }

    /// What is wanted of a text that others wrote. It takes many times the size of the text while it is read.
    ///
    /// # Errors
    /// Likewise.
    pub fn read(text: &str, wanted: &Wanted, budget: &mut Budget) -> Result<Self, Unreadable> {
        foreign::read(text, wanted, budget).map(Self)
    }

    /// A document that sets nothing.
    #[must_use]
    pub fn empty() -> Self {
        Self(Value::Mapping(serde_yaml::Mapping::new()))
    }

    /// This document with `over` laid on it, as Kratos lays a file: maps merge, anything else is replaced.
    #[must_use]
    pub fn merge(&self, over: &Self) -> Self {
        Self(merged(&self.0, &over.0, &|_, over| over.to_vec()))
    }

    /// This document with `over` laid on it, as Kratos lays variables: the same, but that a list replaces
    /// only as many items as it has.
    #[must_use]
    pub fn merge_items(&self, over: &Self) -> Self {
        Self(merged(&self.0, &over.0, &|under, over| {
            over.iter().chain(under.iter().skip(over.len())).cloned().collect()
        }))
    }

    /// The mappings in the list at this path, each by itself; none where there is no list.
    #[must_use]
    pub fn each(&self, path: &str) -> Option<Vec<Self>> {
        let items = self.at(path)?.as_sequence()?;
        Some(items.iter().filter(|item| item.is_mapping()).cloned().map(Self).collect())
    }

    /// The keys of its root.
    #[must_use]
    pub fn keys(&self) -> Vec<&str> {
        keys(&self.0)
    }

    /// The shortest path to a mapping whose keys are such, below the root.
    #[must_use]
    pub fn path_to(&self, is: impl Fn(&[&str]) -> bool) -> Option<String> {
        let mut level = vec![(String::new(), &self.0)];
        while !level.is_empty() {
            let mut next = Vec::new();
            for (path, value) in level {
                for (key, below) in value.as_mapping().into_iter().flatten() {
                    let (Some(key), true) = (key.as_str(), below.is_mapping()) else { continue };
                    let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
                    if is(&keys(below)) {
                        return Some(path);
                    }
                    next.push((path, below));
                }
            }
            level = next;
        }
        None
    }

    /// How many items the list at this path has.
    #[must_use]
    pub fn items(&self, path: &str) -> Option<usize> {
        self.at(path)?.as_sequence().map(Vec::len)
    }

    /// Whether there is a value at this path, its keys joined by dots.
    #[must_use]
    pub fn has(&self, path: &str) -> bool {
        self.at(path).is_some_and(|value| !value.is_null())
    }

    /// The truth value at this path.
    #[must_use]
    pub fn flag(&self, path: &str) -> Option<bool> {
        self.at(path)?.as_bool()
    }

    /// A document with nothing but this value, at this path.
    #[must_use]
    pub fn with(path: &str, leaf: &Leaf<'_>) -> Self {
        let value = match leaf {
            Leaf::Bool(value) => Value::Bool(*value),
            Leaf::Text(text) => Value::String((*text).into()),
            Leaf::List(items) => {
                Value::Sequence(items.iter().map(|item| Value::String((*item).into())).collect())
            }
        };
        Self(nested(path, value))
    }

    /// The string at this path.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<&str> {
        self.at(path)?.as_str()
    }

    /// What stands at this path; none where nothing does.
    ///
    /// # Errors
    /// Where it is something else than a leaf.
    pub fn leaf(&self, path: &str) -> Result<Option<Leaf<'_>>, NoLeaf> {
        let mut value = &self.0;
        for key in path.split('.') {
            match value.as_mapping().ok_or(NoLeaf)?.get(key) {
                Some(below) => value = below,
                None => return Ok(None),
            }
        }
        match value {
            Value::Bool(value) => Ok(Some(Leaf::Bool(*value))),
            Value::String(text) => Ok(Some(Leaf::Text(text))),
            Value::Sequence(items) => items
                .iter()
                .map(|item| item.as_str().ok_or(NoLeaf))
                .collect::<Result<_, _>>()
                .map(|items| Some(Leaf::List(items))),
            Value::Null | Value::Number(_) | Value::Mapping(_) | Value::Tagged(_) => Err(NoLeaf),
        }
    }

    fn at(&self, path: &str) -> Option<&Value> {
        path.split('.').try_fold(&self.0, |value, key| value.get(key))
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

    /// What the YAML of documents with some of these keys looks like, as a regular expression of RE2 without
    /// its ends. `form` has the expression of a text, or of an item, between its quotes, by the path of its
    /// key.
    #[must_use]
    pub fn pattern(&self, form: &impl Fn(&str) -> String) -> String {
        yaml::pattern(&self.0, &mut Vec::new(), form)
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

/// Whether the text is so many of these digits, and nothing else.
#[must_use]
pub fn is_digest(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_mapping().into_iter().flat_map(serde_yaml::Mapping::keys).filter_map(Value::as_str).collect()
}

fn nested(path: &str, value: Value) -> Value {
    path.rsplit('.').fold(value, |below, key| Value::Mapping([(key.into(), below)].into_iter().collect()))
}

fn merged(under: &Value, over: &Value, lists: &impl Fn(&[Value], &[Value]) -> Vec<Value>) -> Value {
    match (under, over) {
        (Value::Mapping(under), Value::Mapping(over)) => {
            let mut all = under.clone();
            for (key, value) in over {
                let both = under.get(key).map_or_else(|| value.clone(), |below| merged(below, value, lists));
                all.insert(key.clone(), both);
            }
            Value::Mapping(all)
        }
        (Value::Sequence(under), Value::Sequence(over)) => Value::Sequence(lists(under, over)),
        _ => over.clone(),
    }
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
