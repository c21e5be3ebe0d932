//! An object as a watch, a list or an answer brings it. One that cannot be decoded is a value as well: an
//! error in the middle of a stream or a list would hide all that comes with it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::DynamicResourceScope;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use smol_str::SmolStr;

use crate::api;
use crate::controller::decode::lenient::lenient;
use crate::controller::decode::{Resource, Slim};
use crate::model::{Key, Unreadable, bounded};

/// A slim value as an object of its kind, or what can be told of one that cannot be read.
#[derive(Clone, Debug)]
pub struct Seen<T> {
    metadata: ObjectMeta,
    value: Result<T, Arc<Unreadable>>,
}

/// What holds for the client library where the version cannot be read: a watch goes on from any.
const ANY_VERSION: &str = "0";

impl<T: Slim> Seen<T> {
    /// # Errors
    /// What can be told of it where it cannot be read.
    pub fn value(self, resource: &Resource) -> Result<T, Arc<Unreadable>> {
        match self.value {
            Ok(value) => Ok(value.of_kind(resource.kind)),
            Err(unreadable) => {
                Err(Arc::new(Unreadable { kind: resource.kind, ..Arc::unwrap_or_clone(unreadable) }))
            }
        }
    }

    /// Not even its name can be read: it may be any of its kind.
    pub fn is_nameless(&self) -> bool {
        self.metadata.name.as_deref().is_none_or(str::is_empty)
    }

    fn read(text: &str) -> Self {
        let decoded = decode(text).map(T::from_raw);
        // What has no name can be held under none.
        let named = decoded.and_then(|(metadata, value)| match &metadata.name {
            Some(name) if !name.is_empty() => Ok((metadata, value)),
            _ => Err("metadata.name".into()),
        });
        let (mut metadata, value) = match named {
            Ok((metadata, value)) => (metadata, Ok(value)),
            Err(field) => {
                let (metadata, unreadable) = unreadable(text, &field);
                (metadata, Err(Arc::new(unreadable)))
            }
        };
        metadata.resource_version =
            metadata.resource_version.filter(|version| !version.is_empty()).or(Some(ANY_VERSION.into()));
        Self { metadata, value }
    }
}

/// # Errors
/// The path of the field at which it ended: a message would quote what stands there.
pub fn decode<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let whole = lenient(&mut serde_json::Deserializer::from_str(text));
    whole.map_err(|_: serde_json::Error| {
        let mut track = serde_path_to_error::Track::new();
        let again = lenient::<T, _>(serde_path_to_error::Deserializer::new(
            &mut serde_json::Deserializer::from_str(text),
            &mut track,
        ));
        again.map_or_else(|_| track.path().to_string(), |_| String::new())
    })
}

/// Each field of an object by itself, as its text. Nothing where it is no object.
fn fields(text: &str) -> BTreeMap<String, &RawValue> {
    serde_json::from_str(text).unwrap_or_default()
}

/// More than any path or name that somebody could use.
const LONGEST: usize = 253;

fn unreadable(text: &str, field: &str) -> (ObjectMeta, Unreadable) {
    let object = fields(text);
    let inner = |of: &BTreeMap<String, &'_ RawValue>, name: &str| {
        of.get(name).map(|field| field.get().to_owned()).unwrap_or_default()
    };
    let metadata = inner(&object, "metadata");
    let metadata = fields(&metadata);
    let labels = inner(&metadata, "labels");
    let labels = fields(&labels);
    let text = |of: &BTreeMap<String, &RawValue>, name: &str| -> Option<SmolStr> {
        let text: String = serde_json::from_str(of.get(name)?.get()).ok()?;
        (text.len() <= LONGEST).then(|| text.into())
    };
    let of = |name: &str| text(&metadata, name).unwrap_or_default();
    let unreadable = Unreadable {
        kind: "",
        key: Key::new(&of("namespace"), &of("name")),
        uid: of("uid"),
        version: of("resourceVersion"),
        label: text(&labels, api::POLICY_LABEL),
        field: bounded(field).chars().take(LONGEST).collect::<String>().into(),
    };
    let metadata = ObjectMeta {
        name: Some(unreadable.key.name.to_string()),
        namespace: Some(unreadable.key.namespace.to_string()).filter(|namespace| !namespace.is_empty()),
        resource_version: Some(unreadable.version.to_string()),
        ..ObjectMeta::default()
    };
    (metadata, unreadable)
}

impl<'de, T: Slim> Deserialize<'de> for Seen<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Its text is whole, however deep it is, before anything of it is looked at.
        Ok(Self::read(Box::<RawValue>::deserialize(deserializer)?.get()))
    }
}

impl<T: Slim> kube::Resource for Seen<T> {
    type DynamicType = Resource;
    type Scope = DynamicResourceScope;

    fn kind(resource: &Resource) -> Cow<'_, str> {
        resource.kind.into()
    }

    fn group(resource: &Resource) -> Cow<'_, str> {
        resource.group.into()
    }

    fn version(resource: &Resource) -> Cow<'_, str> {
        resource.version.into()
    }

    fn plural(resource: &Resource) -> Cow<'_, str> {
        resource.plural.into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
