//! What `kubectl mfa diff` shows of one policy.

use serde_json::Value;

use crate::cli::kubectl::screen::{Style, Tone, table, toned};
use crate::controller::Effect;
use crate::model::bounded;

/// What applying one policy would change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    pub namespace: String,
    pub name: String,
    /// There is none of this name yet.
    pub is_new: bool,
    /// Fields of the policy, as (path, before, after).
    pub fields: Vec<(String, Option<String>, Option<String>)>,
    /// Why the operator would not accept it, though the API server would store it.
    pub rejections: Vec<String>,
    /// None where the workloads may not be read.
    pub effects: Option<Vec<Previewed>>,
}

/// An effect with names of the pods that it would replace, as far as they may be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Previewed {
    pub effect: Effect,
    pub pods: Option<Vec<String>>,
}

/// The difference, removed lines before added ones.
#[must_use]
pub fn screen(style: &Style, difference: &Difference) -> String {
    let verb = if difference.is_new { "would be created" } else { "would change" };
    let name = bounded(&format!("{}/{}", difference.namespace, difference.name));
    let mut out = format!("{}  {verb}\n", style.paint(Tone::Title, &name));
    let rows = difference.fields.iter().map(|(path, before, after)| {
        let (old, new) = (before.as_deref().unwrap_or("-"), after.as_deref().unwrap_or("-"));
        let tone = if after.is_some() { Tone::Good } else { Tone::Bad };
        match difference.is_new {
            true => vec![toned(Tone::Plain, path), toned(Tone::Good, new)],
            false => vec![toned(Tone::Plain, path), toned(tone, &format!("{old} → {new}"))],
        }
    });
    out += &table(style, "  ", &rows.collect::<Vec<_>>());
    for rejection in &difference.rejections {
        let text = format!("The operator would refuse it, and leave what is in force: {rejection}");
        out += &style.paragraph("  ", &text);
    }
    if difference.rejections.is_empty() {
        match &difference.effects {
            Some(effects) => out.extend(effects.iter().map(|effect| foretold(style, effect))),
            None => out += "  What it would change on workloads and pods cannot be told.\n",
        }
    }
    out
}

fn foretold(style: &Style, Previewed { effect, pods }: &Previewed) -> String {
    let container =
        effect.container.as_deref().map(|container| format!(", container {container}")).unwrap_or_default();
    let name = bounded(&format!("{} {}{container}", effect.kind, effect.name));
    let rolls = match effect.rolls {
        Some(0) => style.paint(Tone::Waiting, "its template would change; no pod runs"),
        Some(1) => style.paint(Tone::Waiting, "would roll 1 pod"),
        Some(wanted) => style.paint(Tone::Waiting, &format!("would roll {wanted} pods")),
        None if effect.obstacle.is_some() => style.paint(Tone::Dim, "would be left as it is"),
        None if effect.rereads => style.paint(
            Tone::Waiting,
            "no pod would roll; running ones read the new file within about two minutes",
        ),
        None => style.paint(Tone::Dim, "no pod would roll"),
    };
    let dropped = if effect.dropped { " (named no more)" } else { "" };
    let mut out = format!("  {}{dropped}: {rolls}\n", style.paint(Tone::Title, &name));
    for (name, before, after) in &effect.changes {
        for (sign, tone, value) in [("-", Tone::Bad, before), ("+", Tone::Good, after)] {
            let line =
                value.as_deref().map(|value| style.paint(tone, &bounded(&format!("{sign} {name}={value}"))));
            out.extend(line.map(|line| format!("    {line}\n")));
        }
    }
    if effect.rolls.is_some_and(|wanted| wanted > 0) {
        if let Some(pods) = pods.as_deref().filter(|pods| !pods.is_empty()) {
            out += &style.paragraph("    ", &format!("pods: {}", pods.join(", ")));
        }
        if effect.ends_old_first {
            out += &style
                .paragraph("    ", "Nobody serves meanwhile: every old pod ends before a new one is there.");
        }
    }
    out.extend(effect.obstacle.as_deref().map(|obstacle| style.paragraph("    ", obstacle)));
    out
}

/// Every field below `path` that differs, with its values as text.
#[must_use]
pub fn fields(path: &str, before: &Value, after: &Value) -> Vec<(String, Option<String>, Option<String>)> {
    if before == after {
        return Vec::new();
    }
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    let nothing = Value::Null;
    match (before, after) {
        (Value::Object(_) | Value::Null, Value::Object(_)) | (Value::Object(_), Value::Null) => {
            let keys = |value: &Value| {
                value.as_object().map(|map| map.keys().cloned().collect::<Vec<_>>()).unwrap_or_default()
            };
            let mut all = [keys(before), keys(after)].concat();
            all.sort();
            all.dedup();
            let get = |value: &Value, key: &str| value.get(key).unwrap_or(&nothing).clone();
            all.iter().flat_map(|key| fields(&below(key), &get(before, key), &get(after, key))).collect()
        }
        // An empty list and none are the same to every reader.
        _ if text(before) == text(after) => Vec::new(),
        _ => vec![(path.to_owned(), text(before), text(after))],
    }
}

/// None for what is not there, and for a list without items.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Array(items) if items.is_empty() => None,
        other => Some(other.to_string()),
    }
}
