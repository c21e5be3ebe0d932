//! Policies in files: what is wrong with them, and where. Refuses what the API server would refuse
//! in the name and the spec of a new object under strict validation. What an edit may not do it
//! cannot know, and the syntax of labels and annotations is left to the server.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::api;
use crate::document::{self, Document, Located, Place};
use crate::policy::{self, Policy, Rejection};
use crate::server::kratos;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    #[serde(flatten)]
    pub place: Place,
    /// Name of the policy; empty where it is not known.
    pub policy: String,
    /// Path of the field; empty where the text as a whole is wrong.
    pub field: String,
    /// What is wrong and what to do.
    pub message: String,
    /// Name of the advice, where that is all it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<&'static str>,
}

/// A policy that was found.
#[derive(Clone, Debug)]
pub struct Reviewed {
    pub name: String,
    /// None where something is wrong with it.
    pub policy: Option<Policy>,
}

/// What a text holds.
#[derive(Clone, Debug, Default)]
pub struct Review {
    pub policies: Vec<Reviewed>,
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// What is no fault and still worth a thought.
    pub advice: Vec<Finding>,
}

/// What is known of the server that the policies are for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Server<'a> {
    /// Its own configuration files, the weakest first.
    pub base: Option<&'a [Document]>,
    pub version: Option<kratos::Version>,
}

impl Server<'_> {
    fn merged(&self, policy: &Policy) -> kratos::Merged {
        let files = self.base.map(|base| base.iter().map(kratos::Layer::of).collect::<Vec<_>>());
        let nothing = kratos::Layer::default();
        kratos::Merged::of(files.as_deref(), &nothing, &kratos::Overlay::of(policy), policy.delivery)
    }

    fn conflicts(&self, merged: &kratos::Merged, policy: &Policy) -> Vec<Rejection> {
        let mut found = kratos::conflicts(merged, policy);
        found.extend(kratos::code_counts_for_everyone(merged, policy, self.version));
        found
    }

    fn advice(&self, merged: &kratos::Merged, policy: &Policy) -> Vec<kratos::Given> {
        let taken = |given: &kratos::Given| policy.acknowledges(given.advice.as_str());
        kratos::advice(merged, self.version).into_iter().filter(|given| !taken(given)).collect()
    }
}

/// Reviews all documents of a text, lists of objects included. Other kinds are passed over.
#[must_use]
pub fn review(text: &str, server: Server<'_>) -> Review {
    let mut review = Review::default();
    match document::read(text) {
        Ok(documents) => {
            documents.iter().for_each(|document| object(&mut review, server, document, "", &document.value))
        }
        Err(error) => {
            let nowhere = String::new;
            let finding = Finding {
                place: error.place,
                policy: nowhere(),
                field: nowhere(),
                message: error.message,
                advice: None,
            };
            review.findings.push(finding);
        }
    }
    review
}

fn object(review: &mut Review, server: Server<'_>, document: &Located, path: &str, object: &Value) {
    let word = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default();
    if let ("List", Some(items)) = (word("kind"), object.get("items").and_then(Value::as_array)) {
        for (index, item) in items.iter().enumerate() {
            self::object(review, server, document, &format!("{path}items[{index}]."), item);
        }
    }
    if word("kind") != api::KIND {
        return;
    }
    let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    let mut check = Check { document, path, name, findings: Vec::new() };
    let policy = check.policy(object);
    let mut advice = Vec::new();
    if let Some(policy) = &policy {
        let merged = server.merged(policy);
        server
            .conflicts(&merged, policy)
            .iter()
            .for_each(|rejection| check.wrong(&rejection.field, &*rejection.message));
        advice = server.advice(&merged, policy);
    }
    let sound = check.findings.is_empty();
    // Of what is wrong nothing is advised.
    review.advice.extend(advice.into_iter().filter(|_| sound).map(|given| check.advised(&given)));
    review.findings.append(&mut check.findings);
    review.policies.push(Reviewed { name: name.into(), policy: policy.filter(|_| sound) });
}

struct Check<'a> {
    document: &'a Located,
    /// Of the object in its document.
    path: &'a str,
    name: &'a str,
    findings: Vec<Finding>,
}

impl Check<'_> {
    fn wrong(&mut self, field: &str, message: impl Into<String>) {
        let place = self.document.place(&format!("{}{field}", self.path));
        let (policy, field) = (self.name.into(), field.into());
        self.findings.push(Finding { place, policy, field, message: message.into(), advice: None });
    }

    fn advised(&self, given: &kratos::Given) -> Finding {
        let about = if given.about.is_empty() { String::new() } else { format!("{}: ", given.about) };
        Finding {
            place: self.document.place(&format!("{}spec", self.path)),
            policy: self.name.into(),
            field: "spec".into(),
            message: format!("{about}{}", given.advice.message()),
            advice: Some(given.advice.as_str()),
        }
    }

    fn policy(&mut self, object: &Value) -> Option<Policy> {
        let version = format!("{}/{}", api::GROUP, api::VERSION);
        if object.get("apiVersion").and_then(Value::as_str) != Some(&version) {
            self.wrong("apiVersion", format!("write {version}"));
        }
        for field in object.as_object()?.keys() {
            match field.as_str() {
                // The status is the operator's. A policy as a cluster gave it has one, and the API server
                // passes it over.
                "apiVersion" | "kind" | "metadata" | "spec" | "status" => {}
                other => self.wrong(other, "there is no such field: correct its name, or remove it"),
            }
        }
        self.decode::<ObjectMeta>("metadata", object)?;
        let spec = self.decode::<api::MfaPolicySpec>("spec", object)?;
        match policy::parse(self.name, &spec) {
            Ok(policy) => Some(policy),
            Err(rejections) => {
                rejections.iter().for_each(|rejection| self.wrong(&rejection.field, &*rejection.message));
                None
            }
        }
    }

    /// The typed value of a field at the root. Fields that its type does not have would be lost
    /// without a word: they are findings.
    fn decode<T: DeserializeOwned>(&mut self, root: &str, object: &Value) -> Option<T> {
        let Some(value) = object.get(root) else {
            self.wrong(root, "it is missing: write it");
            return None;
        };
        let mut unknown = Vec::new();
        let mut track = serde_path_to_error::Track::new();
        let tracked = serde_path_to_error::Deserializer::new(value, &mut track);
        let decoded = serde_ignored::deserialize(tracked, |path| unknown.push(path_of(&path)));
        for path in unknown {
            let field = format!("{root}{path}");
            let above = without_indexes(field.rsplit_once('.').map_or(root, |(above, _)| above));
            self.wrong(
                &field,
                format!("there is no such field: compare it with kubectl explain mfapolicy.{above}"),
            );
        }
        match decoded {
            Ok(decoded) => Some(decoded),
            Err(error) => {
                let path = track.path().to_string();
                let field = if path == "." { root.to_owned() } else { format!("{root}.{path}") };
                self.wrong(&field, wrong_type(&error));
                None
            }
        }
    }
}

/// The path below the root, beginning with what joins it to the root.
fn path_of(path: &serde_ignored::Path<'_>) -> String {
    use serde_ignored::Path;
    match path {
        Path::Root => String::new(),
        Path::Seq { parent, index } => format!("{}[{index}]", path_of(parent)),
        Path::Map { parent, key } => format!("{}.{key}", path_of(parent)),
        Path::Some { parent } | Path::NewtypeStruct { parent } | Path::NewtypeVariant { parent } => {
            path_of(parent)
        }
    }
}

/// The path as kubectl explain takes it.
fn without_indexes(path: &str) -> String {
    path.split('.').map(|part| part.split('[').next().unwrap_or_default()).collect::<Vec<_>>().join(".")
}

/// What to do, without the value that stands there.
fn wrong_type(error: &serde_json::Error) -> String {
    let words = error.to_string();
    if let Some((_, rest)) = words.split_once("missing field `") {
        let field = rest.split('`').next().unwrap_or_default();
        return format!("{field} is missing: write it");
    }
    let expected = words.rsplit_once("expected ").map_or("another type", |(_, expected)| expected);
    let expected = expected.split(" at line").next().unwrap_or_default();
    format!("must be {expected}: correct it, or put it in quotes where it shall be text")
}

#[cfg(test)]
mod tests;
