//! The canonical form. It is frozen: another form would give every policy another revision and
//! roll every server at the next upgrade of the operator.

use serde_yaml::Value;

pub(super) fn write(value: &Value) -> String {
    let mut out = String::new();
    push(value, &mut out);
    out
}

fn push(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => out.push_str(&number.to_string()),
        Value::String(text) => out.push_str(&super::quoted::quoted(text)),
        Value::Sequence(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                push(item, out);
            }
            out.push(']');
        }
        Value::Mapping(mapping) => {
            let mut entries: Vec<_> =
                mapping.iter().filter_map(|(key, value)| Some((key.as_str()?, value))).collect();
            entries.sort_by_key(|(key, _)| *key);
            out.push('{');
            for (index, (key, value)) in entries.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&super::quoted::quoted(key));
                out.push(':');
                push(value, out);
            }
            out.push('}');
        }
        Value::Tagged(tagged) => push(&tagged.value, out),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_form_is_frozen() {
        let tree: serde_yaml::Value =
            serde_yaml::from_str("b: [x, \"y\\u2028\"]\na: {d: true, c: null}\n").expect("YAML");
        assert_eq!(super::write(&tree), r#"{"a":{"c":null,"d":true},"b":["x","y\u2028"]}"#);
    }
}
