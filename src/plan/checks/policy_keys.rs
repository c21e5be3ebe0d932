//! The keys that a policy sets, and names of others as they are told.

use crate::plan::desired::Desired;
use crate::policy::Delivery;
use crate::server::kratos::written_keys;

/// Longer lists are cut: the rest is seen when these are gone.
pub const MOST: usize = 16;

/// A name in a message; others choose it.
pub const MAX_NAME: usize = 120;

/// The keys that the policy sets.
pub struct Set {
    /// Their paths.
    pub keys: Vec<String>,
    /// The variables that it sets.
    variables: Vec<String>,
    pub by_file: bool,
}

impl Set {
    pub fn of(desired: &Desired) -> Self {
        let keys = desired
            .rendered
            .overlay
            .document()
            .leaves()
            .into_iter()
            .map(|(path, _)| path.join("."))
            .collect();
        let variables = desired.variables().iter().map(|variable| variable.name.clone()).collect();
        Self { keys, variables, by_file: desired.rendered.delivery == Delivery::ConfigFile }
    }

    pub fn is_variable(&self, name: &str) -> bool {
        self.variables.iter().any(|own| own == name)
    }

    /// Whether one of the keys that a variable of this name writes is in the file alone.
    fn is_in_file(&self, variable: &str) -> bool {
        let in_variables = |key: &String| self.variables.iter().any(|own| written_keys(own).contains(key));
        self.by_file && written_keys(variable).iter().any(|key| self.keys.contains(key) && !in_variables(key))
    }

    /// Those that a variable of this name writes, in words. None where it writes none.
    pub fn told(&self, variable: &str) -> Option<String> {
        let written = written_keys(variable).iter().filter(|key| self.keys.contains(*key));
        match written.collect::<Vec<_>>().as_slice() {
            [] => None,
            [only] => Some((*only).clone()),
            [first, second] => Some(format!("{first} and {second}")),
            [first, rest @ ..] => Some(format!("{first} and {} keys more", rest.len())),
        }
    }

    /// What a variable of this name does. They reach the process in no certain order, and the last one
    /// counts.
    pub fn beaten_by(&self, variable: &str) -> Option<String> {
        let keys = self.told(variable)?;
        Some(if self.is_in_file(variable) {
            format!("beats the file of the policy in {keys}")
        } else {
            format!("also sets {keys}, and on some pods it is what counts")
        })
    }
}

/// What was taken for a path may be something else, and hold a secret: only what looks like one is told.
pub fn told_path(path: &str) -> String {
    let looks_like_one =
        |character: char| character.is_ascii_alphanumeric() || matches!(character, '/' | '.' | '_' | '-');
    if path.len() <= MAX_NAME && path.chars().all(looks_like_one) {
        format!("the file {path}")
    } else {
        "a file".into()
    }
}

/// A name that others chose, on one line and bounded.
pub fn cut(name: &str) -> String {
    name.chars()
        .map(|character| if character.is_control() { ' ' } else { character })
        .take(MAX_NAME)
        .collect()
}
