//! `metadata.managedFields`: only what our own manager owns, and only where it may own something.

use std::collections::BTreeMap;

use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;
use smol_str::SmolStr;

use super::workload::known_name;
use crate::api;
use crate::plan::Millis;

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ManagedFields {
    manager: String,
    operation: String,
    subresource: String,
    time: Option<String>,
    fields_v1: Fields,
}

/// An entry of our manager on the main resource.
pub(super) struct OwnEntry<'a> {
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
    containers: BTreeMap<String, FieldsOfContainer>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct FieldsOfContainer {
    #[serde(rename = "f:env")]
    env: BTreeMap<String, IgnoredAny>,
}

#[derive(Deserialize)]
struct ItemKey {
    name: String,
}

impl ManagedFields {
    pub fn has_spec(&self) -> bool {
        self.subresource.is_empty() && self.fields_v1.spec.is_some()
    }

    pub fn manager(&self) -> &str {
        &self.manager
    }

    pub fn time(&self) -> Option<&str> {
        self.time.as_deref()
    }

    pub fn own(&self) -> Option<OwnEntry<'_>> {
        (self.manager == api::MANAGER && self.subresource.is_empty()).then(|| OwnEntry {
            by_apply: self.operation == "Apply",
            changed: self.time.as_deref().and_then(|text| text.parse::<Timestamp>().ok()).map(Timestamp::as_millisecond),
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
    pub fn env(&self) -> Vec<(SmolStr, SmolStr)> {
        let mut found = Vec::new();
        for (key, container) in self.template().into_iter().flat_map(|template| &template.spec.containers) {
            let Some(container_name) = item_name(key) else { continue };
            found.extend(
                container
                    .env
                    .keys()
                    .filter_map(|key| item_name(key))
                    .map(|name| (container_name.clone(), known_name(&name).unwrap_or(name))),
            );
        }
        found
    }
}

/// The name in a key such as `k:{"name":"kratos"}`.
fn item_name(key: &str) -> Option<SmolStr> {
    let key: ItemKey = serde_json::from_str(key.strip_prefix("k:")?).ok()?;
    Some(key.name.into())
}
