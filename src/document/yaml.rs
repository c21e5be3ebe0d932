//! The YAML writer: block mappings, one line a value, every string in double quotes. serde_yaml
//! leaves strings bare that other readers take for numbers, dates or booleans (`1_000`,
//! `2026-01-01`, `yes`), so it builds the tree and this writes it.

use super::quoted::quoted;
use serde_yaml::Value;

pub(super) fn write(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Mapping(mapping) if !mapping.is_empty() => block(value, 0, &mut out),
        _ => {
            scalar(value, &mut out);
            out.push('\n');
        }
    }
    out
}

/// What a mapping with some of these keys is written as, as a regular expression of RE2: `form` has what
/// stands between the quotes of a text, or of each item of a list, by the path of its key. The writer keeps
/// the order of keys, so each stands below its own parent and at most once.
pub(super) fn pattern(value: &Value, path: &mut Vec<String>, form: &impl Fn(&str) -> String) -> String {
    let Value::Mapping(mapping) = value else { return String::new() };
    let indent = |depth: usize| if depth == 0 { String::new() } else { format!(" {{{}}}", 2 * depth) };
    let depth = path.len();
    // Without an only key there would be no parent.
    let optional = if mapping.len() == 1 { "" } else { "?" };
    let mut all = String::new();
    for (key, value) in mapping {
        let name = key.as_str().unwrap_or_default();
        let key = format!("{}{name}:", indent(depth));
        path.push(name.into());
        let text = || format!(r#""(?:{})""#, form(&path.join(".")));
        let written = match value {
            Value::Mapping(_) => format!(r"{key}\n{}", pattern(value, path, form)),
            Value::Sequence(_) => format!(r"{key}\n(?:{}- {}\n)+", indent(depth + 1), text()),
            Value::Bool(_) => format!(r"{key} (?:true|false)\n"),
            _ => format!(r"{key} {}\n", text()),
        };
        path.pop();
        all.push_str(&format!("(?:{written}){optional}"));
    }
    all
}

fn block(value: &Value, depth: usize, out: &mut String) {
    let Value::Mapping(mapping) = value else { return };
    for (key, value) in mapping {
        let Some(key) = key.as_str() else { continue };
        out.push_str(&"  ".repeat(depth));
        match is_plain(key) {
            true => out.push_str(key),
            false => out.push_str(&quoted(key)),
        }
        out.push(':');
        match value {
            Value::Mapping(inner) if !inner.is_empty() => {
                out.push('\n');
                block(value, depth + 1, out);
            }
            Value::Sequence(items) if !items.is_empty() => {
                out.push('\n');
                for item in items {
                    out.push_str(&"  ".repeat(depth + 1));
                    out.push_str("- ");
                    scalar(item, out);
                    out.push('\n');
                }
            }
            _ => {
                out.push(' ');
                scalar(value, out);
                out.push('\n');
            }
        }
    }
}

/// Whether every reader takes the key for this very word without quotes.
fn is_plain(key: &str) -> bool {
    let word = key.starts_with(|first: char| first.is_ascii_lowercase())
        && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    word && !["y", "n", "yes", "no", "on", "off", "true", "false", "null"].contains(&key)
}

fn scalar(value: &Value, out: &mut String) {
    match value {
        Value::String(text) => out.push_str(&quoted(text)),
        // JSON is YAML: what has no line of its own here is written in one.
        other => out.push_str(&super::canonical::write(other)),
    }
}
