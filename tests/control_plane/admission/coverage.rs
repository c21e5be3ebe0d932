//! Which rules and bounds of the definition no case has met.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray,
};

/// What a refusal by each rule and bound says, as far as no refusal among `refusals` says it.
pub fn untried(definition: &CustomResourceDefinition, refusals: &[String]) -> Vec<String> {
    let schema =
        definition.spec.versions[0].schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref());
    let schema = schema.expect("the version has a schema");
    let mut sayings = Vec::new();
    rules(schema, &mut sayings);
    let spec = schema
        .properties
        .as_ref()
        .and_then(|properties| properties.get("spec"))
        .expect("the schema has a spec");
    collect("spec", spec, &mut sayings);
    let refusals: Vec<_> = refusals.iter().map(|words| without_indices(words)).collect();
    sayings.retain(|saying| !refusals.iter().any(|words| words.contains(saying)));
    sayings
}

fn collect(path: &str, schema: &JSONSchemaProps, sayings: &mut Vec<String>) {
    rules(schema, sayings);
    bounds(path, schema, sayings);
    for (name, inner) in schema.properties.iter().flatten() {
        collect(&format!("{path}.{name}"), inner, sayings);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items {
        collect(&format!("{path}[]"), items, sayings);
    }
}

fn rules(schema: &JSONSchemaProps, sayings: &mut Vec<String>) {
    for rule in schema.x_kubernetes_validations.iter().flatten() {
        let from_expression =
            || rule.message_expression.as_ref().and_then(|text| text.split('\'').nth(1)).map(str::to_owned);
        sayings.push(rule.message.clone().or_else(from_expression).expect("each rule has a message"));
    }
}

fn bounds(path: &str, schema: &JSONSchemaProps, sayings: &mut Vec<String>) {
    let mut bound = |exists: bool, saying: String| sayings.extend(exists.then_some(saying));
    bound(schema.max_length.is_some(), format!("{path}: Too long"));
    bound(schema.min_length.is_some(), format!("{path} in body should be at least"));
    bound(schema.max_items.is_some(), format!("{path}: Too many"));
    bound(schema.min_items.is_some(), format!("{path} in body should have at least"));
    bound(schema.maximum.is_some(), format!("{path} in body should be less than or equal to"));
    bound(schema.minimum.is_some(), format!("{path} in body should be greater than or equal to"));
    bound(schema.x_kubernetes_list_type.is_some(), format!("{path}[]: Duplicate value"));
    for name in schema.required.iter().flatten() {
        bound(true, format!("{path}.{name}: Required value"));
    }
}

/// `a[3].b` becomes `a[].b`.
fn without_indices(words: &str) -> String {
    let mut pieces = words.split('[');
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        out.push('[');
        out.push_str(piece.trim_start_matches(|character: char| character.is_ascii_digit()));
    }
    out
}
