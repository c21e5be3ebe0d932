//! What a value of each key may look like, as regular expressions of RE2 without their ends: the chart's
//! admission rules hold to them what the operator writes, or who stole its token.

use super::variables::{everything, name_of};
use super::{REVISION, rendered};
use crate::api::rules::{MAX_DISPLAY, MAX_NAME, MAX_ORIGIN, MAX_ORIGINS};
use crate::document::Leaf;
use crate::policy::Level;

/// What a key may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueForm {
    Switch,
    /// Text of this expression, which matches no `$`.
    Word(String),
    /// Text for people, of at most so many characters.
    Free(usize),
    /// Items of these characters, none of which is a comma or a `$`: how long one may be, and how many there
    /// may be.
    List {
        of: &'static str,
        longest: usize,
        most: usize,
    },
}

/// Every key that a policy may set, its path joined by dots, in the order of the tree.
#[must_use]
pub fn forms() -> Vec<(String, ValueForm)> {
    let form = |(path, leaf): (Vec<&str>, Leaf<'_>)| {
        let form = match (leaf, path.last().copied().unwrap_or_default()) {
            (Leaf::Bool(_), _) => ValueForm::Switch,
            (_, "required_aal") => {
                ValueForm::Word([Level::Aal1, Level::HighestAvailable].map(Level::as_str).join("|"))
            }
            (_, "privileged_session_max_age") => ValueForm::Word("(?:[0-9]{1,9}(?:ns|us|ms|s|m|h))+".into()),
            (_, "id") => ValueForm::Word(format!("[a-z0-9.-]{{1,{MAX_NAME}}}")),
            (_, "issuer" | "display_name") => ValueForm::Free(MAX_DISPLAY),
            (_, "origins") => {
                ValueForm::List { of: "[A-Za-z0-9_:/+=.-]", longest: MAX_ORIGIN, most: MAX_ORIGINS }
            }
            // A key that nobody gave a form holds nothing: its writes are refused, and a test says so.
            _ => ValueForm::Word(r"[^\s\S]".into()),
        };
        (path.join("."), form)
    };
    everything().document().leaves().into_iter().map(form).collect()
}

impl ValueForm {
    /// Regular expression of the value of a variable, as it stands in a pod template: each `$` twice.
    #[must_use]
    pub fn as_variable(&self) -> String {
        match self {
            Self::Switch => "true|false".into(),
            Self::Word(form) => form.clone(),
            Self::Free(most) => format!("(?:[^$[:cntrl:]]|[$][$]){{1,{most}}}"),
            // RE2 repeats nothing more than a thousand times: how long it is, is bounded as a whole.
            Self::List { of, most, .. } => format!("{of}+(?:,{of}+){{0,{}}}", most - 1),
        }
    }

    /// Regular expression of the value in a file, between its quotes.
    fn as_quoted(&self) -> String {
        match self {
            Self::Switch => String::new(),
            Self::Word(form) => form.clone(),
            Self::Free(_) => r#"(?:[^"\\[:cntrl:]]|\\[^[:cntrl:]])+"#.into(),
            Self::List { of, .. } => format!("{of}+"),
        }
    }

    /// Regular expression of the value in JSON, or of each item of a list. None where it is true or false.
    #[must_use]
    pub fn as_text(&self) -> Option<String> {
        match self {
            Self::Switch => None,
            Self::Word(form) => Some(form.clone()),
            Self::Free(most) => Some(format!("[^[:cntrl:]]{{1,{most}}}")),
            Self::List { of, longest, .. } => Some(format!("{of}{{1,{longest}}}")),
        }
    }
}

/// Every variable that some policy may set, with the form of its value, sorted by name.
#[must_use]
pub fn governed_variables() -> Vec<(String, String)> {
    let revision = (REVISION.to_owned(), rendered::REVISION_PATTERN.to_owned());
    let mut all: Vec<_> =
        forms().iter().map(|(path, form)| (name_of(path), form.as_variable())).chain([revision]).collect();
    all.sort();
    all
}

/// What the rendered file of every policy looks like, as a regular expression of RE2 without its ends.
#[must_use]
pub fn governed_file() -> String {
    let forms = forms();
    let form = |path: &str| {
        forms.iter().find(|(known, _)| known == path).map(|(_, form)| form.as_quoted()).unwrap_or_default()
    };
    // A comment ends where any reader sees a line end, so it has none of the characters that some take for
    // one.
    format!(r"(?:# [ -~]*\n)*(?:[{{][}}]\n|{})", everything().document().pattern(&form))
}

/// No value of a variable is longer, in characters.
pub const LONGEST_VARIABLE: usize = MAX_ORIGINS * (MAX_ORIGIN + 1);
