//! YAML as kubectl reads it, with the place of every field. kubectl follows YAML 1.1: a bare `yes`
//! is a boolean and `1_000` a number, where YAML 1.2 has strings, and `<<` takes in another mapping.

use std::collections::HashMap;

use saphyr::{MarkedYaml, Marker, ScalarStyle, ScanError, YamlData, YamlLoader};
use saphyr_parser::{Event, Parser};
use serde_json::{Map, Value};

/// Line and column, both counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

/// Why a text is no YAML, or none that kubectl takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotYaml {
    pub place: Place,
    pub message: String,
}

/// A document with the place of each of its fields.
#[derive(Clone, Debug)]
pub struct Located {
    pub value: Value,
    places: HashMap<String, Place>,
}

impl Located {
    /// Place of the field at this path, for example `spec.targetRefs[0].name`, or of the nearest
    /// one above that is there.
    #[must_use]
    pub fn place(&self, path: &str) -> Place {
        let mut path = path;
        loop {
            if let Some(place) = self.places.get(path) {
                return *place;
            }
            match path.rfind(['.', '[']) {
                Some(end) => path = &path[..end],
                None => return self.places.get("").copied().unwrap_or(Place { line: 1, column: 1 }),
            }
        }
    }
}

/// Reads all documents of a text. Empty ones are left out.
///
/// # Errors
/// The first thing that is wrong, with its place.
pub fn read(text: &str) -> Result<Vec<Located>, NotYaml> {
    bound(text)?;
    let mut loader = YamlLoader::default();
    loader.early_parse(false);
    Parser::new_from_str(text).load(&mut loader, true).map_err(|error| scan_error(&error))?;
    if let Some(error) = loader.error() {
        return Err(scan_error(error));
    }
    let documents: Vec<MarkedYaml<'_>> = loader.into_documents();
    let located = documents.iter().map(|document| {
        let mut places = HashMap::from([(String::new(), place(document.span.start))]);
        let value = value(document, "", &mut places)?;
        Ok(Located { value, places })
    });
    located.filter(|located| !matches!(located, Ok(Located { value: Value::Null, .. }))).collect()
}

/// More than any manifest weighs, what aliases repeat included: a value weighs one, and each 64 bytes of its
/// text as much.
const MOST: usize = 200_000;
/// Deeper than any manifest, and no trouble for what goes down by recursion.
const DEEPEST: usize = 128;

/// Weighs what a text becomes before it becomes that.
fn bound(text: &str) -> Result<(), NotYaml> {
    let (mut sizes, mut open, mut total) = (HashMap::new(), Vec::new(), 0_usize);
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| scan_error(&error))?;
        let added = match event {
            Event::Scalar(text, _, anchor, _) => {
                let weight = 1 + text.len() / 64;
                sizes.insert(anchor, weight);
                weight
            }
            Event::Alias(anchor) => sizes.get(&anchor).copied().unwrap_or(1),
            Event::SequenceStart(anchor, _) | Event::MappingStart(anchor, _) => {
                open.push((anchor, total));
                1
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some((anchor, before)) = open.pop() {
                    sizes.insert(anchor, total - before);
                }
                0
            }
            _ => 0,
        };
        total = total.saturating_add(added);
        if total > MOST || open.len() > DEEPEST {
            return Err(NotYaml {
                place: place(span.start),
                message: "this is larger or deeper than any manifest, or repeats itself too often".into(),
            });
        }
    }
    Ok(())
}

fn place(marker: Marker) -> Place {
    Place { line: marker.line(), column: marker.col() + 1 }
}

fn scan_error(error: &ScanError) -> NotYaml {
    NotYaml { place: place(*error.marker()), message: format!("this is no YAML: {}", error.info()) }
}

fn value(node: &MarkedYaml<'_>, path: &str, places: &mut HashMap<String, Place>) -> Result<Value, NotYaml> {
    let wrong = |message: &str| Err(NotYaml { place: place(node.span.start), message: message.into() });
    match &node.data {
        YamlData::Representation(text, style, None) => Ok(scalar(text, *style)),
        YamlData::Representation(text, _, Some(tag)) if tag.is_yaml_core_schema() && tag.suffix == "str" => {
            Ok(Value::String(text.to_string()))
        }
        YamlData::Sequence(items) => {
            let mut list = Vec::new();
            for (index, item) in items.iter().enumerate() {
                let path = format!("{path}[{index}]");
                places.insert(path.clone(), place(item.span.start));
                list.push(value(item, &path, places)?);
            }
            Ok(Value::Array(list))
        }
        YamlData::Mapping(entries) => {
            let mut map = Map::new();
            mapping(entries, path, places, &mut map, Keys::Own)?;
            Ok(Value::Object(map))
        }
        YamlData::Representation(..) | YamlData::Tagged(..) => {
            wrong("a tag such as !name has no meaning here: remove it")
        }
        YamlData::Alias(_) | YamlData::BadValue | YamlData::Value(_) => {
            wrong("this value cannot be read: write it out")
        }
    }
}

type Entries<'a> = saphyr::AnnotatedMapping<'a, MarkedYaml<'a>>;

/// Whose the keys of a mapping are: those of its own beat those that `<<` takes in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keys {
    Own,
    TakenIn,
}

fn mapping(
    entries: &Entries<'_>,
    path: &str,
    places: &mut HashMap<String, Place>,
    map: &mut Map<String, Value>,
    keys: Keys,
) -> Result<(), NotYaml> {
    let mut taken_in = Vec::new();
    for (key, item) in entries {
        let place = place(key.span.start);
        let YamlData::Representation(name, style, _) = &key.data else {
            return Err(NotYaml {
                place,
                message: "a field has a name that is no string: correct it".into(),
            });
        };
        if &**name == "<<" && *style == ScalarStyle::Plain {
            taken_in.push((place, item));
            continue;
        }
        if keys == Keys::TakenIn && map.contains_key(&**name) {
            continue;
        }
        let path = if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
        places.insert(path.clone(), place);
        if map.insert(name.to_string(), value(item, &path, places)?).is_some() {
            return Err(NotYaml { place, message: format!("{path} stands there twice: remove one") });
        }
    }
    for (place, item) in taken_in {
        let all: Vec<_> = match &item.data {
            YamlData::Sequence(items) => items.iter().collect(),
            _ => vec![item],
        };
        for item in all {
            let YamlData::Mapping(entries) = &item.data else {
                return Err(NotYaml {
                    place,
                    message: "<< takes in a mapping, or a list of them: correct what stands behind it".into(),
                });
            };
            mapping(entries, path, places, map, Keys::TakenIn)?;
        }
    }
    Ok(())
}

fn scalar(text: &str, style: ScalarStyle) -> Value {
    if style != ScalarStyle::Plain {
        return Value::String(text.into());
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "true" | "True" | "TRUE" => {
            Value::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "false" | "False" | "FALSE" => {
            Value::Bool(false)
        }
        text => number(text).unwrap_or_else(|| Value::String(text.into())),
    }
}

/// A number in one of the forms of YAML 1.1. Their values matter less than that they are no strings.
pub(super) fn number(text: &str) -> Option<Value> {
    if !text.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first)) {
        return None;
    }
    let plain = text.replace('_', "");
    let unsigned = plain.trim_start_matches(['+', '-']);
    let lower = unsigned.to_ascii_lowercase();
    let digits = |radix: u32, prefix: &str| {
        lower.strip_prefix(prefix).and_then(|digits| i64::from_str_radix(digits, radix).ok())
    };
    let whole = digits(16, "0x")
        .or_else(|| digits(2, "0b"))
        .or_else(|| digits(8, "0o"))
        .or_else(|| digits(8, "0").filter(|_| lower.len() > 1));
    if let Some(whole) = whole {
        return Some(Value::from(if plain.starts_with('-') { -whole } else { whole }));
    }
    if matches!(lower.as_str(), ".inf" | ".nan") {
        return Some(Value::from(f64::MAX));
    }
    if !unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return None;
    }
    let signed = plain.strip_prefix('+').unwrap_or(&plain);
    signed.parse::<i64>().map(Value::from).ok().or_else(|| signed.parse::<f64>().ok().map(Value::from))
}

#[cfg(test)]
mod tests;
