//! YAML that others wrote and that may be hostile. Its events stand in a row and never become a tree: only
//! what is asked for is built, and what an alias repeats is read again for that. All of it is paid from one
//! budget.
//!
//! Aliases and merge keys (`<<`) mean what they mean to Kratos, which reads by yaml.v3 of Go: the keys of a
//! mapping beat those that are merged into it, and of several mappings the first that has a key counts. Only
//! the first document of a text is read.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Tag};
use serde_yaml::{Mapping, Value};

use super::located::number;

/// What may be read of one configuration, whatever the number of its files: nodes, those that aliases repeat
/// among them, and bytes.
#[derive(Clone, Debug)]
pub struct Budget {
    nodes: usize,
    bytes: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { nodes: 20_000, bytes: 256 * 1024 }
    }
}

impl Budget {
    fn spend(&mut self, nodes: usize, bytes: usize) -> Result<(), Unreadable> {
        self.nodes = self.nodes.checked_sub(nodes).ok_or(Unreadable::TooMuch)?;
        self.bytes = self.bytes.checked_sub(bytes).ok_or(Unreadable::TooMuch)?;
        Ok(())
    }
}

/// Why a text is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// It is no mapping in YAML.
    NotYaml {
        /// Counted from 1, if it is known.
        line: Option<usize>,
    },
    /// It is larger, or repeats itself more often, than any configuration of an identity server.
    TooMuch,
}

const NO_YAML: Unreadable = Unreadable::NotYaml { line: None };

/// Paths to build out of a text.
#[derive(Debug)]
pub enum Wanted {
    All,
    /// A scalar or a list of scalars; anything else stands as null.
    Leaf,
    Keys(BTreeMap<String, Wanted>),
    /// A list of mappings, and of each these keys.
    Items(BTreeMap<String, Wanted>),
}

impl Wanted {
    /// What stands at these paths, keys joined by dots.
    pub fn paths<'a>(paths: impl IntoIterator<Item = &'a str>) -> Self {
        Self::Keys(paths.into_iter().fold(BTreeMap::new(), |root, path| put(root, path, Self::Leaf)))
    }

    /// And the lists at these paths, each with the keys of its items.
    #[must_use]
    pub fn and_items<'a>(self, lists: impl IntoIterator<Item = (&'a str, &'a [&'a str])>) -> Self {
        let Self::Keys(root) = self else { return self };
        let items =
            |keys: &[&str]| Self::Items(keys.iter().map(|key| ((*key).to_owned(), Self::Leaf)).collect());
        Self::Keys(lists.into_iter().fold(root, |root, (path, keys)| put(root, path, items(keys))))
    }
}

fn put(mut root: BTreeMap<String, Wanted>, path: &str, wanted: Wanted) -> BTreeMap<String, Wanted> {
    let mut keys = &mut root;
    let (above, last) = path.rsplit_once('.').map_or((None, path), |(above, last)| (Some(above), last));
    for key in above.into_iter().flat_map(|above| above.split('.')) {
        let below = keys.entry(key.to_owned()).or_insert_with(|| Wanted::Keys(BTreeMap::new()));
        let Wanted::Keys(next) = below else { unreachable!("no key of Kratos is a value and a parent") };
        keys = next;
    }
    keys.insert(last.to_owned(), wanted);
    root
}

/// Deeper than any configuration; what recursion is bounded by.
const DEEPEST: usize = 64;
/// Longer than any value that is asked for by its path, in bytes and items.
const LONGEST_TEXT: usize = 512;
const LONGEST_LIST: usize = 64;

/// What is wanted of the first document of a text.
///
/// # Errors
/// Where it is no YAML, no mapping, or more than the budget pays for. Nothing of it is repeated.
pub fn read(text: &str, wanted: &Wanted, budget: &mut Budget) -> Result<Value, Unreadable> {
    let nodes = row(text, budget)?;
    match nodes.first() {
        Some(Node::Mapping { odd: false, .. }) => Reader { nodes, budget }.value(0, wanted, 0),
        // An empty file sets nothing.
        None => Ok(Value::Mapping(Mapping::new())),
        Some(Node::Scalar { text, form }) if scalar(text, *form).is_null() => {
            Ok(Value::Mapping(Mapping::new()))
        }
        Some(_) => Err(NO_YAML),
    }
}

/// A node in the row. What is below a mapping or a list follows it.
#[derive(Debug)]
enum Node<'a> {
    Scalar {
        text: Cow<'a, str>,
        form: Form,
    },
    /// Alias, with the index of the node that it repeats.
    Alias(usize),
    Mapping {
        end: usize,
        odd: bool,
    },
    List {
        end: usize,
        odd: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Plain,
    Text,
    /// With a tag that is not looked at.
    Odd,
}

fn row<'a>(text: &'a str, budget: &mut Budget) -> Result<Vec<Node<'a>>, Unreadable> {
    budget.spend(0, text.len())?;
    let mut parser = Parser::new_from_str(text);
    let (mut nodes, mut open, mut anchors) = (Vec::new(), Vec::new(), HashMap::new());
    while let Some(event) = parser.next_event() {
        let (node, anchor) = match event.map_err(|error| line(&error))?.0 {
            Event::Nothing | Event::StreamStart | Event::DocumentStart(_) => continue,
            Event::DocumentEnd | Event::StreamEnd => break,
            Event::SequenceEnd | Event::MappingEnd => {
                close(&mut nodes, open.pop());
                continue;
            }
            Event::Alias(anchor) => (Node::Alias(*anchors.get(&anchor).ok_or(NO_YAML)?), 0),
            Event::Scalar(text, style, anchor, tag) => {
                (Node::Scalar { text, form: form(style, tag.as_deref()) }, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                (Node::List { end: 0, odd: is_odd(tag.as_deref(), "seq") }, anchor)
            }
            Event::MappingStart(anchor, tag) => {
                (Node::Mapping { end: 0, odd: is_odd(tag.as_deref(), "map") }, anchor)
            }
        };
        budget.spend(1, 0)?;
        if anchor != 0 {
            anchors.insert(anchor, nodes.len());
        }
        if matches!(node, Node::List { .. } | Node::Mapping { .. }) {
            open.push(nodes.len());
            if open.len() > DEEPEST {
                return Err(Unreadable::TooMuch);
            }
        }
        nodes.push(node);
    }
    Ok(nodes)
}

fn line(error: &ScanError) -> Unreadable {
    Unreadable::NotYaml { line: Some(error.marker().line()) }
}

fn close(nodes: &mut [Node<'_>], opened: Option<usize>) {
    let after = nodes.len();
    if let Some(Node::List { end, .. } | Node::Mapping { end, .. }) = opened.and_then(|at| nodes.get_mut(at))
    {
        *end = after;
    }
}

fn is_odd(tag: Option<&Tag>, usual: &str) -> bool {
    tag.is_some_and(|tag| !(tag.is_yaml_core_schema() && tag.suffix == usual))
}

fn form(style: ScalarStyle, tag: Option<&Tag>) -> Form {
    match tag {
        None if style == ScalarStyle::Plain => Form::Plain,
        None => Form::Text,
        tag if is_odd(tag, "str") => Form::Odd,
        Some(_) => Form::Text,
    }
}

struct Reader<'a, 'b> {
    nodes: Vec<Node<'a>>,
    budget: &'b mut Budget,
}

/// A key of a mapping.
enum Key {
    Text(String),
    Merge,
}

impl Reader<'_, '_> {
    fn after(&self, at: usize) -> usize {
        match self.nodes[at] {
            Node::Mapping { end, .. } | Node::List { end, .. } => end,
            Node::Scalar { .. } | Node::Alias(_) => at + 1,
        }
    }

    /// What stands there, aliases followed.
    fn target(&self, at: usize) -> usize {
        // An alias has no anchor of its own.
        if let Node::Alias(to) = self.nodes[at] { to } else { at }
    }

    fn value(&mut self, at: usize, wanted: &Wanted, depth: usize) -> Result<Value, Unreadable> {
        if depth > DEEPEST {
            return Err(Unreadable::TooMuch);
        }
        let at = self.target(at);
        match (&self.nodes[at], wanted) {
            (Node::Mapping { odd: false, .. }, Wanted::All | Wanted::Keys(_)) => {
                let mut found = Mapping::new();
                self.mapping(at, wanted, &mut found, depth + 1)?;
                Ok(Value::Mapping(found))
            }
            (Node::List { odd: false, .. }, Wanted::All | Wanted::Leaf) => self.list(at, wanted, depth + 1),
            (Node::List { odd: false, .. }, Wanted::Items(_)) => self.items(at, wanted, depth + 1),
            (Node::Scalar { text, form }, Wanted::All | Wanted::Leaf) => {
                let is_time = *form == Form::Plain && is_time(text);
                if matches!(wanted, Wanted::Leaf) && (text.len() > LONGEST_TEXT || is_time) {
                    return Ok(Value::Null);
                }
                self.budget.spend(1, text.len())?;
                Ok(scalar(text, *form))
            }
            _ => Ok(Value::Null),
        }
    }

    fn list(&mut self, at: usize, wanted: &Wanted, depth: usize) -> Result<Value, Unreadable> {
        let (mut items, end) = (Vec::new(), self.after(at));
        let mut next = at + 1;
        while next < end {
            self.budget.spend(1, 0)?;
            let is_scalar = matches!(self.nodes[self.target(next)], Node::Scalar { .. });
            if matches!(wanted, Wanted::Leaf) && (items.len() == LONGEST_LIST || !is_scalar) {
                return Ok(Value::Null);
            }
            items.push(self.value(next, wanted, depth)?);
            next = self.after(next);
        }
        Ok(Value::Sequence(items))
    }

    /// What is wanted of the mappings in a list.
    fn items(&mut self, at: usize, wanted: &Wanted, depth: usize) -> Result<Value, Unreadable> {
        let (mut items, end) = (Vec::new(), self.after(at));
        let mut next = at + 1;
        while next < end {
            self.budget.spend(1, 0)?;
            if items.len() == LONGEST_LIST {
                return Ok(Value::Null);
            }
            let mut found = Mapping::new();
            if matches!(self.nodes[self.target(next)], Node::Mapping { odd: false, .. }) {
                self.mapping(self.target(next), wanted, &mut found, depth)?;
            }
            items.push(Value::Mapping(found));
            next = self.after(next);
        }
        Ok(Value::Sequence(items))
    }

    /// Adds what is wanted and not there yet.
    fn mapping(
        &mut self,
        at: usize,
        wanted: &Wanted,
        found: &mut Mapping,
        depth: usize,
    ) -> Result<(), Unreadable> {
        if depth > DEEPEST {
            return Err(Unreadable::TooMuch);
        }
        let (mut own, mut merged) = (Vec::new(), None);
        let (mut next, end) = (at + 1, self.after(at));
        while next < end {
            self.budget.spend(1, 0)?;
            let value = self.after(next);
            match self.key(next)? {
                Key::Text(name) => own.extend(wanted_below(wanted, &name).map(|below| (name, value, below))),
                // Kratos does not start with two of one name.
                Key::Merge if merged.replace(value).is_some() => return Err(NO_YAML),
                Key::Merge => {}
            }
            next = self.after(value);
        }
        let before: Vec<_> = own.iter().map(|(name, ..)| found.contains_key(name)).collect();
        for ((name, value, below), known) in own.into_iter().zip(before) {
            if known {
                continue;
            }
            let value = self.value(value, below, depth)?;
            if found.insert(name.into(), value).is_some() {
                return Err(NO_YAML);
            }
        }
        merged.map_or(Ok(()), |merged| self.merge(merged, wanted, found, depth))
    }

    fn merge(
        &mut self,
        at: usize,
        wanted: &Wanted,
        found: &mut Mapping,
        depth: usize,
    ) -> Result<(), Unreadable> {
        if matches!(self.nodes[self.target(at)], Node::Mapping { .. }) {
            return self.mapping(self.target(at), wanted, found, depth + 1);
        }
        // A list of mappings stands there itself, never by an alias.
        let Node::List { end, .. } = self.nodes[at] else { return Err(NO_YAML) };
        let mut next = at + 1;
        while next < end {
            let item = self.target(next);
            if !matches!(self.nodes[item], Node::Mapping { .. }) {
                return Err(NO_YAML);
            }
            self.mapping(item, wanted, found, depth + 1)?;
            next = self.after(next);
        }
        Ok(())
    }

    /// A tag may make any other key of a text.
    fn key(&self, at: usize) -> Result<Key, Unreadable> {
        match &self.nodes[self.target(at)] {
            Node::Scalar { text, form: Form::Plain } if text == "<<" => Ok(Key::Merge),
            Node::Scalar { text, form: Form::Plain | Form::Text } => Ok(Key::Text(text.to_string())),
            Node::Scalar { .. } | Node::Alias(_) | Node::Mapping { .. } | Node::List { .. } => Err(NO_YAML),
        }
    }
}

fn wanted_below<'a>(wanted: &'a Wanted, name: &str) -> Option<&'a Wanted> {
    match wanted {
        Wanted::All => Some(&Wanted::All),
        Wanted::Leaf => None,
        Wanted::Keys(keys) | Wanted::Items(keys) => keys.get(name),
    }
}

fn scalar(text: &str, form: Form) -> Value {
    match (form, text) {
        (Form::Odd, _) | (Form::Plain, "" | "~" | "null" | "Null" | "NULL") => Value::Null,
        (Form::Plain, "true" | "True" | "TRUE") => Value::Bool(true),
        (Form::Plain, "false" | "False" | "FALSE") => Value::Bool(false),
        (Form::Plain, text) => number(text)
            .and_then(|number| serde_yaml::to_value(number).ok())
            .unwrap_or_else(|| Value::String(text.into())),
        (Form::Text, text) => Value::String(text.into()),
    }
}

/// Whether a bare text may be a time, which Kratos writes out in another form.
fn is_time(text: &str) -> bool {
    let (year, rest) = text.split_at_checked(4).unwrap_or_default();
    year.bytes().all(|byte| byte.is_ascii_digit()) && rest.starts_with('-')
}

#[cfg(test)]
mod tests;
