//! `metadata.managedFields`: only what our own manager owns, and only where it may own something.

use std::fmt;

use k8s_openapi::jiff::Timestamp;
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use smol_str::SmolStr;

use crate::api;
use crate::controller::decode::bounded::{Entries, cut};
use crate::controller::decode::container::known_name;
use crate::model::{Bounded, Millis};

/// All entries, of which only ours are kept: there may be any number, and ours the last of them.
#[derive(Default)]
pub struct Managers {
    pub own: Bounded<ManagedFields, 8>,
    /// The last change of the spec by somebody else.
    pub spec: Option<ManagedFields>,
    /// The last change of anything, as it is written.
    pub changed: Option<String>,
}

impl Managers {
    fn take(&mut self, entry: ManagedFields) {
        self.changed = entry.time.clone().max(self.changed.take());
        if entry.manager == api::MANAGER {
            self.own.push(entry);
        } else if entry.has_spec() && self.spec.as_ref().is_none_or(|last| last.time <= entry.time) {
            self.spec = Some(entry);
        }
    }
}

impl<'de> Deserialize<'de> for Managers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;

        impl<'de> Visitor<'de> for List {
            type Value = Managers;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a list of fields by their managers")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Managers, A::Error> {
                let mut all = Managers::default();
                while let Some(entry) = list.next_element()? {
                    all.take(entry);
                }
                Ok(all)
            }
        }

        deserializer.deserialize_seq(List)
    }
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct ManagedFields {
    manager: String,
    operation: String,
    subresource: String,
    time: Option<String>,
    fields_v1: Fields,
}

/// An entry of our manager on the main resource.
pub struct OwnEntry<'a> {
    pub by_apply: bool,
    pub changed: Option<Millis>,
    fields: &'a Fields,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Fields {
    #[serde(rename = "f:metadata")]
    metadata: FieldsOfMetadata,
    #[serde(rename = "f:spec")]
    spec: Option<FieldsOfSpec>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct FieldsOfMetadata {
    #[serde(rename = "f:labels")]
    labels: FieldsOfLabels,
    #[serde(rename = "f:annotations")]
    annotations: FieldsOfAnnotations,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct FieldsOfLabels {
    #[serde(rename = "f:mfa-operator.dev/policy")]
    policy: Option<IgnoredAny>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct FieldsOfAnnotations {
    #[serde(rename = "f:mfa-operator.dev/governed")]
    governed: Option<IgnoredAny>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct FieldsOfSpec {
    #[serde(rename = "f:template")]
    template: FieldsOfTemplate,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct FieldsOfTemplate {
    #[serde(rename = "f:spec")]
    spec: FieldsOfPodSpec,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct FieldsOfPodSpec {
    #[serde(rename = "f:containers")]
    containers: Entries<FieldsOfContainer, 32>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct FieldsOfContainer {
    #[serde(rename = "f:env")]
    env: Entries<IgnoredAny, 32>,
}

#[derive(Deserialize)]
struct ItemKey {
    name: String,
}

impl ManagedFields {
    fn has_spec(&self) -> bool {
        self.subresource.is_empty() && self.fields_v1.spec.is_some()
    }

    pub fn manager(&self) -> &str {
        &self.manager
    }

    pub fn own(&self) -> Option<OwnEntry<'_>> {
        self.subresource.is_empty().then(|| OwnEntry {
            by_apply: self.operation == "Apply",
            changed: self
                .time
                .as_deref()
                .and_then(|text| text.parse::<Timestamp>().ok())
                .map(Timestamp::as_millisecond),
            fields: &self.fields_v1,
        })
    }
}

impl OwnEntry<'_> {
    pub fn policy_label(&self) -> bool {
        self.fields.metadata.labels.policy.is_some()
    }

    pub fn governed(&self) -> bool {
        self.fields.metadata.annotations.governed.is_some()
    }

    fn template(&self) -> Option<&FieldsOfTemplate> {
        self.fields.spec.as_ref().map(|spec| &spec.template)
    }

    /// Variables as (container, name).
    pub fn env(&self) -> Bounded<(SmolStr, SmolStr), 32> {
        let mut found = Bounded::default();
        let Some(containers) = self.template().map(|template| &template.spec.containers.0) else {
            return found;
        };
        for (key, container) in containers.iter() {
            let Some(container_name) = item_name(key) else { continue };
            let names = container.env.0.iter().filter_map(|(key, _)| item_name(key));
            found.extend(names.map(|name| (container_name.clone(), known_name(&name).unwrap_or(name))));
            found.more |= container.env.0.more;
        }
        found.more |= containers.more;
        found
    }
}

/// Longer than any name of a container, and than any variable of ours.
const LONGEST: usize = 64;

/// The name in a key such as `k:{"name":"kratos"}`.
fn item_name(key: &str) -> Option<SmolStr> {
    let key: ItemKey = serde_json::from_str(key.strip_prefix("k:")?).ok()?;
    Some(cut(&key.name, LONGEST))
}
