//! The definition as it is written: what the API server does not demand of it, but people do.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray,
};
use mfa_operator::api;
use mfa_operator::server::kratos::governed_names;

#[test]
fn the_file_is_what_the_types_say() {
    let file = serde_yaml::from_str(include_str!("../crds/mfapolicies.yaml")).expect("the file is YAML");
    assert_eq!(api::crd(), file, "crds/mfapolicies.yaml is stale: run `make generate`");
}

#[test]
fn it_is_in_no_category() {
    let names = api::crd().spec.names;
    // An empty list, too, is a difference that Argo CD shows for ever.
    assert_eq!(names.categories, None);
    assert_eq!(names.short_names, Some(vec!["mfap".into()]));
}

/// What `kubectl explain` prints.
#[test]
fn every_field_is_explained() {
    for (path, schema) in fields() {
        let text = schema.description.as_deref().unwrap_or_default();
        assert!(text.ends_with('.') && text.split(' ').count() >= 2, "{path} is described as {text:?}");
        assert!(
            !text.contains('\n'),
            "{path} is described in several lines, which explain joins badly: {text:?}"
        );
    }
}

#[test]
fn every_default_of_the_spec_is_told() {
    for (path, schema) in fields().into_iter().filter(|(path, _)| path.starts_with("spec")) {
        if let Some(default) = &schema.default {
            let word = default.0.as_str().map_or_else(|| default.0.to_string(), Into::into);
            let text = schema.description.unwrap_or_default();
            let told = text.contains(&format!("{word} (default)"))
                || text.contains(&format!("Default: {word}"))
                || text.contains(&format!("value: {word}"));
            assert!(told, "{path} has the default {word}, but says {text:?}");
        }
    }
}

/// Each setting names the Kratos key that it becomes, and each key that can be set is named.
#[test]
fn every_kratos_key_is_named_by_its_field() {
    let key = |schema: &JSONSchemaProps| {
        Some(
            schema
                .description
                .as_deref()?
                .split_once("Kratos key: ")?
                .1
                .split(' ')
                .next()?
                .trim_end_matches('.')
                .to_owned(),
        )
    };
    let mut named: Vec<_> = fields()
        .iter()
        .filter_map(|(_, schema)| key(schema))
        .map(|key| key.replace('.', "_").to_ascii_uppercase())
        .collect();
    named.sort();
    let settable: Vec<_> = governed_names().iter().filter(|name| *name != "REVISION").cloned().collect();
    assert_eq!(named, settable);
}

/// The API server estimates the cost of each rule by the bounds of what it reads.
#[test]
fn every_string_and_list_of_the_spec_is_bounded_and_not_empty() {
    for (path, schema) in fields().into_iter().filter(|(path, _)| path.starts_with("spec")) {
        match schema.type_.as_deref() {
            Some("string") => assert!(schema.min_length == Some(1) && schema.max_length.is_some(), "{path}"),
            Some("array") => assert!(schema.max_items.is_some(), "{path}"),
            _ => {}
        }
    }
}

/// Every property of spec and status with its path, list items included.
fn fields() -> Vec<(String, JSONSchemaProps)> {
    let version = api::crd().spec.versions.remove(0);
    let root = version.schema.and_then(|schema| schema.open_api_v3_schema).expect("the version has a schema");
    let mut found = Vec::new();
    collect("", root, &mut found);
    found
}

fn collect(path: &str, schema: JSONSchemaProps, found: &mut Vec<(String, JSONSchemaProps)>) {
    for (name, inner) in schema.properties.into_iter().flatten() {
        let path = if path.is_empty() { name } else { format!("{path}.{name}") };
        found.push((path.clone(), inner.clone()));
        collect(&path, inner, found);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = schema.items {
        collect(&format!("{path}[]"), *items, found);
    }
}
