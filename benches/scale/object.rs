//! An object as the bench sees it, and its name.

use serde::Deserialize;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name {
    pub namespace: String,
    pub name: String,
}

impl Name {
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

/// An object, without what nobody asks for.
#[derive(Clone, Debug, Deserialize, Default)]
#[serde(default)]
pub struct Object {
    pub metadata: Metadata,
    pub status: Status,
}

#[derive(Clone, Debug, Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct Metadata {
    pub name: String,
    pub namespace: String,
    pub uid: String,
    pub resource_version: String,
    pub generation: i64,
}

#[derive(Clone, Debug, Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    pub observed_generation: i64,
    pub targets: Vec<Target>,
    pub conditions: Vec<Condition>,
}

#[derive(Clone, Debug, Deserialize, Default)]
#[serde(default)]
pub struct Target {
    pub uid: String,
}

#[derive(Clone, Debug, Deserialize, Default)]
#[serde(default)]
pub struct Condition {
    #[serde(rename = "type")]
    pub type_: String,
    pub status: String,
}

impl Object {
    pub fn name(&self) -> Name {
        Name::new(&self.metadata.namespace, &self.metadata.name)
    }

    pub fn generation(&self) -> i64 {
        self.metadata.generation
    }
}
