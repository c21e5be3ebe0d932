//! The configuration that a server runs with a policy, as far as it can be told from outside: its
//! files, the variables of its container, and the policy among them, each a layer. What cannot be read makes
//! an answer unknown, never a guess.

use std::collections::BTreeSet;

use super::inputs::{self, Form, Input, OWN_REVISION};
use super::levels::{SETTINGS_LEVEL, WHOAMI_LEVEL};
use super::merged::defaults;
use super::overrides::{beginning_with, reaches};
use super::variables::{as_variables, outgrown};
use super::{Overlay, upstream};
use crate::document::{Budget, Document, Leaf, Unreadable};
use crate::policy::{Delivery, Level};

/// What one source says of the keys that rules look at: a file, or variables. No secret is among them.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    set: Document,
    /// Paths of keys of which it says, or may say, what is not known.
    unknown: BTreeSet<&'static str>,
    /// Why nothing of it is known, where that is so.
    pub unread: Option<Unreadable>,
}

impl Default for Layer {
    fn default() -> Self {
        Self { set: Document::empty(), unknown: BTreeSet::new(), unread: None }
    }
}

impl Layer {
    /// A file that others wrote.
    #[must_use]
    pub fn read(text: &str, budget: &mut Budget) -> Self {
        match Document::read(text, inputs::wanted(), budget) {
            Ok(document) => Self::of(&document),
            Err(why) => Self { unread: Some(why), ..Self::unread() },
        }
    }

    /// A file of which nothing is known.
    #[must_use]
    pub fn unread() -> Self {
        Self { unknown: inputs::inputs().iter().map(|input| &*input.path).collect(), ..Self::default() }
    }

    /// Makes a layer of what is known entirely.
    #[must_use]
    pub fn known(set: Document) -> Self {
        Self { set, ..Self::default() }
    }

    /// What matters of a document.
    #[must_use]
    pub fn of(document: &Document) -> Self {
        let mut layer = Self::default();
        for input in inputs::inputs() {
            if input.form == Form::Providers {
                match document.each(&input.path).map(|providers| upstream::trusted(&providers)) {
                    Some(told) => {
                        layer.put(input, Some(Leaf::List(told.iter().map(String::as_str).collect())))
                    }
                    // Something else than a list stands there, to be filled in later.
                    None if !matches!(document.leaf(&input.path), Ok(None)) => layer.put(input, None),
                    None => {}
                }
                continue;
            }
            match document.leaf(&input.path) {
                Ok(None) => {}
                Ok(Some(leaf)) => layer.put(input, input.judged(leaf)),
                Err(_) => layer.put(input, None),
            }
        }
        layer
    }

    /// From the names and values of variables; none for a value that is elsewhere. They are applied in no
    /// certain order, so that what two of them write is not known.
    pub fn of_variables<'a>(entries: impl IntoIterator<Item = (&'a str, Option<&'a str>)>) -> Self {
        let mut layer = Self::default();
        for (name, value) in entries {
            match inputs::input(name) {
                Some(input) => layer.put(input, value.and_then(|value| input.read(value))),
                None => layer.hide(name),
            }
        }
        layer
    }

    /// Adds a variable of this name whose value is not known, or counts on some pods only.
    pub fn hide(&mut self, name: &str) {
        reaches(name).for_each(|input| self.put(input, None));
    }

    /// Adds what may be in an object whose every key becomes a variable, its name behind this prefix.
    pub fn hide_all(&mut self, prefix: &str) {
        beginning_with(prefix).for_each(|input| self.put(input, None));
    }

    fn put(&mut self, input: &'static Input, leaf: Option<Leaf<'_>>) {
        match leaf.filter(|_| !self.unknown.contains(&*input.path)) {
            Some(leaf) => self.set = self.set.merge(&Document::with(&input.path, &leaf)),
            None => drop(self.unknown.insert(&input.path)),
        }
    }

    /// Paths of the keys that are not known.
    pub fn unknown(&self) -> impl Iterator<Item = &'static str> {
        self.unknown.iter().copied()
    }

    /// This one laid over another as a file is.
    #[must_use]
    pub fn over(&self, under: &Self) -> Self {
        self.laid(under, Document::merge)
    }

    /// Lays this layer over `under` as variables are laid: item by item in lists.
    #[must_use]
    pub fn over_as_variables(&self, under: &Self) -> Self {
        self.laid(under, Document::merge_items)
    }

    fn laid(&self, under: &Self, merge: fn(&Document, &Document) -> Document) -> Self {
        let hidden = under.unknown.iter().filter(|path| !self.set.has(path));
        Self {
            set: merge(&under.set, &self.set),
            unknown: self.unknown.iter().chain(hidden).copied().collect(),
            unread: None,
        }
    }

    /// Writes a text that is equal for layers that say the same.
    #[must_use]
    pub fn canonical(&self) -> String {
        format!("{} {:?} {:?}", self.set.canonical(), self.unknown, self.unread)
    }
}

/// What stands at the end of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// It cannot be read, or has a form that no policy gives it.
    Unknown,
    /// Nothing, and Kratos takes nothing by itself.
    Absent,
    Set(Leaf<'a>),
}

/// The merged configuration.
#[derive(Debug)]
pub struct Merged {
    all: Layer,
    /// Paths of lists that the policy's variables do not cover.
    outgrown: Vec<String>,
}

impl Merged {
    /// `files` are the server's own, the weakest first; none where it is not known which there are.
    #[must_use]
    pub fn of(files: Option<&[Layer]>, environment: &Layer, overlay: &Overlay, delivery: Delivery) -> Self {
        // Variables beat files, and the policy is the one or the other: beside a file its levels are
        // variables all the same.
        let (file, variables) = match delivery {
            Delivery::Environment => (Layer::default(), overlay.clone()),
            Delivery::ConfigFile => (Layer::known(overlay.document()), overlay.levels()),
        };
        let below = environment.over_as_variables(&file.over(&below(files)));
        let all = Layer::known(as_variables(&variables)).over_as_variables(&below);
        Self { all, outgrown: outgrown(&variables, &below.set) }
    }

    /// Paths of lists that are longer than what the policy's variables lay over them, so that their ends stay
    /// in force.
    #[must_use]
    pub fn outgrown(&self) -> &[String] {
        &self.outgrown
    }

    fn known(&self, path: &str) -> Option<&Document> {
        (inputs::is_looked_at(path) && !self.all.unknown.contains(path)).then_some(&self.all.set)
    }

    /// Whether it is on. None where that is not known.
    #[must_use]
    pub fn flag(&self, path: &str) -> Option<bool> {
        Some(self.known(path)?.flag(path).unwrap_or_default())
    }

    /// Whether something stands there. None where that is not known.
    #[must_use]
    pub fn has(&self, path: &str) -> Option<bool> {
        Some(self.known(path)?.has(path))
    }

    /// The text that is known to stand there.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<&str> {
        self.known(path)?.text(path)
    }

    /// The list that is known to stand there.
    #[must_use]
    pub fn list(&self, path: &str) -> Option<Vec<&str>> {
        match self.value(path) {
            Value::Set(Leaf::List(items)) => Some(items),
            Value::Set(_) | Value::Absent | Value::Unknown => None,
        }
    }

    /// What stands there.
    #[must_use]
    pub fn value(&self, path: &str) -> Value<'_> {
        match self.known(path).map(|document| document.leaf(path)) {
            None | Some(Err(_)) => Value::Unknown,
            Some(Ok(leaf)) => leaf.map_or(Value::Absent, Value::Set),
        }
    }

    /// Levels as (settings, whoami). None where one is not known.
    #[must_use]
    pub fn levels(&self) -> (Option<Level>, Option<Level>) {
        let level = |path| self.text(path).and_then(Level::from_word);
        (level(SETTINGS_LEVEL), level(WHOAMI_LEVEL))
    }
}

/// The server's own files, and what it takes by itself.
fn below(files: Option<&[Layer]>) -> Layer {
    let taken = || Layer::known(inputs::defaults().merge(&defaults().document()));
    files.map_or_else(Layer::unread, |files| files.iter().fold(taken(), |below, file| file.over(&below)))
}

/// Whether a file with the one overlay in the place of another changes what running pods answer, which keep
/// their variables. None where it cannot be known, or where Kratos answers something else than a digest of
/// its configuration.
#[must_use]
pub fn changes(files: Option<&[Layer]>, environment: &Layer, old: &Overlay, new: &Overlay) -> Option<bool> {
    // Their levels are variables, those of before.
    let variables = Layer::known(as_variables(&old.levels()));
    let below = below(files);
    let with = |file: &Overlay| {
        variables
            .over_as_variables(&environment.over_as_variables(&Layer::known(file.document()).over(&below)))
    };
    let (before, after) = (with(old), with(new));
    let unknown = &before.unknown | &after.unknown;
    // Kratos 25.4 and later then answers the revision that stands there.
    if unknown.contains(OWN_REVISION) || before.set.has(OWN_REVISION) {
        return None;
    }
    let alike = |one: &Document, other: &Document, path: &str| match (one.leaf(path), other.leaf(path)) {
        (Ok(one), Ok(other)) => one == other,
        (Err(_), _) | (_, Err(_)) => false,
    };
    let mut known = inputs::inputs().iter().map(|input| &*input.path).filter(|path| !unknown.contains(path));
    if !known.all(|path| alike(&before.set, &after.set, path)) {
        return Some(true);
    }
    let (old, new) = (old.document(), new.document());
    unknown.iter().all(|path| alike(&old, &new, path)).then_some(false)
}

#[cfg(test)]
mod tests;
