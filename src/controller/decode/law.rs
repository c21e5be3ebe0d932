//! What holds for every field of every kind that is decoded, by the shapes that the API's own types have:
//! null says the same as no field at all, and so does a list or a map of nothing.

use std::fmt::Debug;
use std::iter::once;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{ConfigMap as CoreMap, Pod};
use kube::core::{ObjectList, WatchEvent};
use serde::de::value::{Error, MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, IntoDeserializer, Visitor};
use serde::{Deserializer, Serialize, forward_to_deserialize_any};
use serde_json::{Value, json};

use crate::api::MfaPolicy;
use crate::controller::decode::config_map::ConfigMap;
use crate::controller::decode::env_source::EnvKeys;
use crate::controller::decode::files::Files;
use crate::controller::decode::mounts::Mounts;
use crate::controller::decode::pod::PodView;
use crate::controller::decode::revision::Revision;
use crate::controller::decode::seen::Seen;
use crate::controller::decode::{Resource, Slim};
use crate::model::{Key, PolicyObject, Unreadable, Workload};
use crate::policy::Kind;

/// Decodes into an object that has every field, each list with one item, each map with one entry.
#[derive(Clone, Copy)]
struct Everything {
    /// Of every text in it.
    text: &'static str,
    api_version: &'static str,
}

/// The key of every entry of a map: by it a map is told from an object.
const ENTRY: &str = "entry";

const TIME: &str = "2026-01-02T03:04:05Z";

impl<'de> IntoDeserializer<'de, Error> for Everything {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! gives {
    ($($ask:ident: $visit:ident($value:expr);)*) => {$(
        fn $ask<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            visitor.$visit($value)
        }
    )*};
}

impl<'de> Deserializer<'de> for Everything {
    type Error = Error;

    gives! {
        deserialize_bool: visit_bool(true);
        deserialize_i32: visit_i32(1);
        deserialize_i64: visit_i64(1);
        deserialize_f64: visit_f64(1.0);
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_str(self.text)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(SeqDeserializer::new(once(self)))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_map(MapDeserializer::new(once((ENTRY, self))))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let field = |field: &'static str| {
            let text = match field {
                "apiVersion" if name == "PersistentVolumeClaim" => "v1",
                "apiVersion" => self.api_version,
                "kind" => name,
                _ => self.text,
            };
            (field, Self { text, ..self })
        };
        visitor.visit_map(MapDeserializer::new(fields.iter().map(|name| field(name))))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        let text = if name.ends_with("Time") { TIME } else { self.text };
        visitor.visit_newtype_struct(Self { text, ..self })
    }

    forward_to_deserialize_any! {
        i8 i16 i128 u8 u16 u32 u64 u128 f32 char str string bytes byte_buf unit unit_struct tuple tuple_struct enum identifier ignored_any
    }
}

fn everything<K: DeserializeOwned + Serialize>(api_version: &'static str) -> Value {
    // As base64, too.
    let object =
        K::deserialize(Everything { text: "text", api_version }).expect("an object with every field");
    serde_json::to_value(object).expect("it is JSON")
}

/// Lays `over` on `object`, lists item by item.
fn lay(object: &mut Value, over: Value) {
    match (object, over) {
        (Value::Object(fields), Value::Object(over)) => {
            over.into_iter().for_each(|(key, value)| lay(&mut fields[&key], value))
        }
        (Value::Array(items), Value::Array(over)) => {
            items.iter_mut().zip(over).for_each(|(item, over)| lay(item, over))
        }
        (place, over) => *place = over,
    }
}

/// Pointers to all fields and items of the object, what is inside of one before it.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    let mut go = |key: &str, value: &Value| {
        let at = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
        places(value, &at, found);
        found.push(at);
    };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| go(key, value)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, value)| go(&index.to_string(), value))
        }
        _ => {}
    }
}

/// Never an error: that would end the stream.
fn seen<T: Slim>(text: &str) -> Result<T, Arc<Unreadable>> {
    let stream = format!(r#"{{"type":"MODIFIED","object":{text}}}"#);
    let event = serde_json::from_str::<WatchEvent<Seen<T>>>(&stream)
        .unwrap_or_else(|error| panic!("{error}: {text}"));
    let WatchEvent::Modified(seen) = event else { panic!("no modification") };
    seen.value(&Resource::of(Kind::Deployment))
}

fn decoded<T: Slim>(object: &Value) -> Result<T, String> {
    seen(&object.to_string()).map_err(|unreadable| unreadable.field.to_string())
}

/// `told` is what counts of the value; what begins with one of `required` has to be there, and to be
/// something.
fn null_and_nothing_are_no_field<T: Slim, R: Debug + PartialEq>(
    object: &Value,
    required: &[&str],
    told: impl Fn(T) -> R,
) {
    let told =
        |what: &str, object: &Value| told(decoded(object).unwrap_or_else(|error| panic!("{what}: {error}")));
    told("as it is", object);
    let mut all = Vec::new();
    places(object, "", &mut all);
    // Without a name it is no object; an item or an entry is no field: it is there, whatever it is.
    all.retain(|place| !["/metadata", "/metadata/name"].contains(&place.as_str()));
    all.retain(|place| {
        place
            .rsplit('/')
            .next()
            .is_some_and(|key| key != ENTRY && key.parse::<u8>().is_err() && !key.starts_with("k:"))
    });
    let is_whole =
        |place: &&String| object.pointer(place).is_some_and(|value| value.is_object() || value.is_array());
    let is_required = |place: &str| required.iter().any(|required| place.starts_with(required));
    let (whole, mut parts): (Vec<_>, Vec<_>) = all.iter().partition(is_whole);
    parts.retain(|place| !is_required(place));
    assert!(whole.len() > 5 && parts.len() > 10, "it has only {whole:?} and {parts:?}");
    let without = |places: &[&String]| {
        let mut object = object.clone();
        for place in places {
            let (owner, key) = place.rsplit_once('/').expect("a pointer");
            let owner = object.pointer_mut(owner).and_then(Value::as_object_mut).expect("its owner is there");
            owner.remove(&key.replace("~1", "/").replace("~0", "~"));
        }
        object
    };
    let with = |places: &[&String], value: &Value| {
        let mut object = object.clone();
        places.iter().for_each(|place| *object.pointer_mut(place).expect("it is there") = value.clone());
        object
    };
    let same = |places: &[&String], value: &Value| {
        let what = || format!("{value} at {places:?}");
        assert_eq!(
            told(&what(), &with(places, value)),
            told(&format!("no {places:?}"), &without(places)),
            "{}",
            what()
        );
    };
    same(&parts, &Value::Null);
    // One depth at a time: one by one takes half a minute.
    let depth = |place: &str| place.matches('/').count();
    for at in 1..=whole.iter().map(|place| depth(place)).max().unwrap_or_default() {
        let here: Vec<_> = whole.iter().copied().filter(|place| depth(place) == at).collect();
        let is_map = |place: &str| {
            object.pointer(place).and_then(Value::as_object).is_some_and(|fields| fields.keys().eq([ENTRY]))
        };
        let is_list = |place: &str| object.pointer(place).is_some_and(Value::is_array) && !is_required(place);
        let of = |which: &dyn Fn(&str) -> bool| {
            here.iter().copied().filter(|place| which(place)).collect::<Vec<_>>()
        };
        same(&here, &Value::Null);
        same(&of(&is_map), &json!({}));
        same(&of(&is_list), &json!([]));
    }
}

fn in_words<T: Debug>(value: T) -> String {
    format!("{value:?}")
}

/// With fields of ours.
fn workload<K: DeserializeOwned + Serialize>() -> Value {
    let mut object = everything::<K>("apps/v1");
    let own = json!({
        "f:metadata": {"f:labels": {"f:mfa-operator.dev/policy": {}}, "f:annotations": {"f:mfa-operator.dev/governed": {}}},
        "f:spec": {"f:template": {
            "f:spec": {"f:containers": {"k:{\"name\":\"text\"}": {"f:env": {"k:{\"name\":\"REVISION\"}": {}}}}},
        }},
    });
    let entry = json!({"manager": "mfa-operator", "operation": "Apply", "subresource": "", "fieldsV1": own});
    lay(&mut object, json!({"metadata": {"managedFields": [entry]}}));
    object
}

#[test]
fn of_a_deployment() {
    null_and_nothing_are_no_field::<Workload, _>(&workload::<Deployment>(), &[], in_words);
}

#[test]
fn of_a_stateful_set() {
    null_and_nothing_are_no_field::<Workload, _>(&workload::<StatefulSet>(), &[], in_words);
}

#[test]
fn of_a_daemon_set() {
    null_and_nothing_are_no_field::<Workload, _>(&workload::<DaemonSet>(), &[], in_words);
}

#[test]
fn of_a_pod() {
    let mut pod = everything::<Pod>("v1");
    lay(
        &mut pod,
        json!({"metadata": {"managedFields": [{"fieldsV1": {}}]}, "status": {"podIP": "127.0.0.1"}}),
    );
    null_and_nothing_are_no_field::<Mounts, _>(&pod, &[], in_words);
    null_and_nothing_are_no_field::<PodView, _>(&pod, &[], in_words);
}

#[test]
fn of_a_config_map() {
    let mut map = everything::<CoreMap>("v1");
    lay(&mut map, json!({"metadata": {"managedFields": [{"fieldsV1": {}}]}}));
    null_and_nothing_are_no_field::<ConfigMap, _>(&map, &[], in_words);
    null_and_nothing_are_no_field::<EnvKeys, _>(&map, &[], in_words);
    null_and_nothing_are_no_field::<Files, _>(&map, &[], in_words);
}

#[test]
fn of_a_record() {
    let mut record = everything::<ControllerRevision>("apps/v1");
    lay(&mut record, json!({"metadata": {"managedFields": [{"fieldsV1": {}}]}, "data": {"overlay": {}}}));
    null_and_nothing_are_no_field::<Revision, _>(&record, &[], in_words);
}

#[test]
fn of_a_policy() {
    let mut policy = everything::<MfaPolicy>("mfa-operator.dev/v1alpha1");
    let spec = json!({
        "targetRefs": [{"group": "apps", "kind": "Deployment", "name": "kratos", "container": "kratos"}],
        "requiredAAL": {"settings": "highest_available", "whoami": "highest_available"},
        "privilegedSessionMaxAge": "15m",
        "methods": {
            "totp": {"issuer": "Example"},
            "webauthn": {"rp": {"id": "example.com", "displayName": "Example", "origins": ["https://example.com"]}},
        },
        "delivery": {"type": "ConfigFile", "configMapName": "kratos-mfa"},
        "rollout": {"progressTimeout": "5m", "onFailure": "Hold"},
        "verification": {"mode": "Required", "port": "4434", "timeout": "1s"},
        "fieldConflicts": "TakeOver",
        "acknowledge": ["TotpOff"],
        "deletionPolicy": "Retain",
    });
    lay(&mut policy, json!({"metadata": {"managedFields": [{"fieldsV1": {}}]}, "spec": spec}));
    lay(
        &mut policy,
        json!({"status": {"conditions": [{"type": "Ready", "status": "True", "reason": "Ready", "lastTransitionTime": TIME}]}}),
    );
    decoded::<PolicyObject>(&policy).expect("a policy").spec.expect("it is accepted");
    // Where a field is missing that has to be there, it is refused either way, in other words.
    let required = [
        "/spec/methods/webauthn/rp/origins",
        "/status/requiredAAL/",
        "/status/targets/0/",
        "/status/advisories/0/",
        "/status/transitions/0/",
        "/status/conditions/0/",
    ];
    null_and_nothing_are_no_field::<PolicyObject, _>(&policy, &required, |mut policy| {
        policy.spec = policy.spec.map_err(|_| Vec::new());
        in_words(policy)
    });
}

/// With each field in turn replaced by what it cannot be.
fn whatever_is_in_it_it_is_there<T: Slim>(object: &Value) {
    let deep = format!("{}1{}", "[".repeat(500), "]".repeat(500));
    let wrong = ["[{}]", "{\"a\": [1]}", "\"text\"", "1e400", "-1.5", "true", &deep];
    let mut all = Vec::new();
    places(object, "", &mut all);
    let named = object["metadata"]["name"].as_str().expect("a name");
    let mut unreadable = 0;
    // All of what tells which object it is, and some of the rest: all of that takes a quarter of a minute.
    let (identity, rest): (Vec<_>, Vec<_>) = all.iter().partition(|place| place.starts_with("/metadata"));
    for (number, place) in identity.into_iter().chain(rest.into_iter().step_by(9)).enumerate() {
        let mut broken = object.clone();
        *broken.pointer_mut(place).expect("it is there") = json!("HERE");
        let text = broken.to_string().replacen("\"HERE\"", wrong[number % wrong.len()], 1);
        let Err(found) = seen::<T>(&text) else { continue };
        unreadable += 1;
        if !["/metadata", "/metadata/name", "/metadata/namespace"].iter().any(|whole| *whole == place) {
            assert_eq!(found.key, Key::new(named, named), "{place}");
        }
        if !["/metadata", "/metadata/uid"].iter().any(|whole| *whole == place) {
            assert_eq!(found.uid, named, "{place}");
        }
        assert!(!found.field.is_empty(), "{place}: it says where");
    }
    assert!(unreadable > 4, "{unreadable} are enough to prove something");
}

#[test]
fn what_cannot_be_read_is_told_from_what_is_gone() {
    whatever_is_in_it_it_is_there::<Workload>(&workload::<Deployment>());
    whatever_is_in_it_it_is_there::<PodView>(&everything::<Pod>("v1"));
    whatever_is_in_it_it_is_there::<ConfigMap>(&everything::<CoreMap>("v1"));
    whatever_is_in_it_it_is_there::<Revision>(&everything::<ControllerRevision>("apps/v1"));
    whatever_is_in_it_it_is_there::<PolicyObject>(&everything::<MfaPolicy>("mfa-operator.dev/v1alpha1"));
}

#[test]
fn a_stream_goes_on_after_whatever_it_brings() {
    let read = |line: &str| serde_json::from_str::<WatchEvent<Seen<ConfigMap>>>(line).expect("an event");
    let mark = read(
        r#"{"type":"BOOKMARK","object":{"kind":"ConfigMap","apiVersion":"v1","metadata":{"resourceVersion":"7"}}}"#,
    );
    let WatchEvent::Bookmark(mark) = mark else { panic!("no bookmark") };
    assert_eq!(mark.metadata.resource_version, "7");
    let status = read(r#"{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}}"#);
    let WatchEvent::Error(status) = status else { panic!("no error") };
    assert_eq!(status.code, 410);
    for nameless in ["7", "null", "{}", "[]", r#"{"name":{},"resourceVersion":[]}"#] {
        let event = read(&format!(r#"{{"type":"ADDED","object":{{"metadata":{nameless}}}}}"#));
        let WatchEvent::Added(seen) = event else { panic!("none added") };
        assert!(seen.is_nameless(), "{nameless}");
        assert_eq!(
            kube::Resource::meta(&seen).resource_version.as_deref(),
            Some("0"),
            "{nameless}: a watch goes on from somewhere"
        );
    }
    let items =
        r#"[{"metadata":{"name":"a"}},{"metadata":{"name":"b","labels":7}},{"metadata":{"name":"c"}}]"#;
    let list = format!(r#"{{"kind":"List","apiVersion":"v1","metadata":{{}},"items":{items}}}"#);
    let list: ObjectList<Seen<ConfigMap>> = serde_json::from_str(&list).expect("a list");
    let names = list.items.into_iter().map(|seen| seen.value(&Resource::CONFIG_MAPS));
    let names: Vec<_> = names
        .map(|read| read.map(|map| map.key.name).map_err(|unreadable| unreadable.key.name.clone()))
        .collect();
    assert_eq!(names, [Ok("a".into()), Err("b".into()), Ok("c".into())]);
}
