//! Inputs that somebody hostile could have written: seeds, changed as bytes say. A fuzzer gets past the first
//! brace so, and any bytes give something.

use serde_json::{Map, Value};

/// More changes than find anything new.
const CHANGES: usize = 8;

/// Bytes, read to their end and then as zeros.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn next(&mut self) -> usize {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        usize::from(*first)
    }

    /// Up to so many bytes, as a text.
    fn text(&mut self, most: usize) -> String {
        let (text, rest) = self.0.split_at(most.min(self.0.len()));
        self.0 = rest;
        String::from_utf8_lossy(text).into_owned()
    }
}

/// A text: what the input holds itself, or one of the seeds with some of it taken away, repeated or replaced.
pub fn text(seeds: &[&str], input: &[u8]) -> String {
    let mut input = Input(input);
    let choice = input.next();
    if choice % 4 == 0 {
        return input.text(usize::MAX);
    }
    let mut text: Vec<char> = seeds[choice / 4 % seeds.len()].chars().collect();
    for _ in 0..CHANGES {
        if input.0.is_empty() {
            break;
        }
        let (kind, from, length) = (input.next(), input.next() * 256 + input.next(), input.next());
        let from = from % (text.len() + 1);
        let to = (from + length).min(text.len());
        let part: Vec<char> = text[from..to].to_vec();
        let new: Vec<char> = match kind % 5 {
            0 => Vec::new(),
            1 => part.repeat(3),
            2 => part.iter().rev().copied().collect(),
            3 => input.text(length).chars().collect(),
            _ => [
                "&a ", "*a", "<<: ", "? ", "|\n", "- ", "---\n", "\u{feff}", "\t", "!!str ", "{", "[", "\"",
                "~",
            ][length % 14]
                .chars()
                .collect(),
        };
        text.splice(from..to, new);
    }
    text.into_iter().collect()
}

/// A tree: one of the seeds, with values of it replaced, taken away, added or moved.
pub fn tree(seeds: &[Value], input: &[u8]) -> Value {
    let mut input = Input(input);
    let mut tree = seeds[input.next() % seeds.len()].clone();
    for _ in 0..CHANGES {
        if input.0.is_empty() {
            break;
        }
        let other = node(&mut tree, &mut input).clone();
        let target = node(&mut tree, &mut input);
        let kind = input.next();
        *target = match kind % 18 {
            0 => Value::Null,
            1 => Value::Array(Vec::new()),
            2 => Value::Object(Map::new()),
            3 => Value::String(String::new()),
            4 => i64::MAX.into(),
            5 => i64::MIN.into(),
            6 => 1.5.into(),
            7 => (kind > 127).into(),
            8 => Value::String("x".repeat(70_000)),
            9 => (0..200).fold(Value::Null, |inner, _| Value::Array(vec![inner])),
            10 => Value::Array(vec![Value::Null; 3]),
            11 => Value::Array(vec![target.clone(); 3]),
            12 => target
                .as_str()
                .and_then(|text| text.parse::<i64>().ok())
                .map_or(Value::Bool(false), Value::from),
            13 => target.to_string().into(),
            14 => input.text(24).into(),
            15 => match target {
                Value::Object(map) => {
                    map.iter().skip(1).map(|(key, value)| (key.clone(), value.clone())).collect()
                }
                _ => Value::Null,
            },
            16 => match target {
                Value::Object(map) => {
                    let mut map = map.clone();
                    map.insert(input.text(12), other);
                    Value::Object(map)
                }
                _ => other,
            },
            _ => other,
        };
    }
    tree
}

/// Some value of the tree.
fn node<'a>(tree: &'a mut Value, input: &mut Input<'_>) -> &'a mut Value {
    let choice = input.next();
    let below = match &*tree {
        Value::Array(items) => items.len(),
        Value::Object(map) => map.len(),
        _ => 0,
    };
    // Sooner or later it stops.
    if below == 0 || choice.is_multiple_of(8) {
        return tree;
    }
    match tree {
        Value::Array(items) => node(&mut items[choice % below], input),
        Value::Object(map) => node(map.iter_mut().nth(choice % below).expect("there are so many").1, input),
        _ => unreachable!("it has something below"),
    }
}
