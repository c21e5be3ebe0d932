//! Environment variables by Kratos' own rule: the path in capitals, dots to underscores, lists
//! comma-separated.

use std::sync::LazyLock;

use super::Overlay;
use crate::api;
use crate::document::{Document, Leaf};
use crate::policy::{Factor, Level, Policy};

/// An environment variable, its value as the process shall see it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Variable {
    pub name: String,
    pub value: String,
}

/// Carries the revision: it rolls the pods when nothing else would tell two configurations apart,
/// and Kratos 25.4 and later answers it at `/admin/health/config`.
pub const REVISION: &str = "REVISION";

/// The variables that `document` becomes, and the one that names its revision, sorted by name.
#[must_use]
pub fn variables(document: &Document, revision: &str) -> Vec<Variable> {
    let mut variables: Vec<_> = document
        .leaves()
        .into_iter()
        .map(|(path, leaf)| Variable {
            name: path.join("_").to_ascii_uppercase(),
            value: match leaf {
                Leaf::Bool(value) => value.to_string(),
                Leaf::Text(text) => text.to_owned(),
                Leaf::List(items) => items.join(","),
            },
        })
        .collect();
    variables.push(Variable { name: REVISION.into(), value: revision.into() });
    variables.sort();
    variables
}

impl Overlay {
    /// The overlay that has these variables, each as (name, value), those aside that no policy would have so.
    #[must_use]
    pub fn from_variables(own: &[(&str, String)]) -> Option<Self> {
        let named = |name: &str| own.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
        let mut tree = serde_json::Map::new();
        for (path, kind) in everything().document().leaves() {
            let Some(value) = named(&path.join("_").to_ascii_uppercase()) else { continue };
            let value = match kind {
                Leaf::Bool(_) => match value.parse::<bool>() {
                    Ok(value) => value.into(),
                    Err(_) => continue,
                },
                Leaf::Text(_) => value.into(),
                Leaf::List(_) => value.split(',').collect::<Vec<_>>().into(),
            };
            insert(&mut tree, &path, value);
        }
        serde_json::from_value(tree.into()).ok()
    }
}

fn insert(tree: &mut serde_json::Map<String, serde_json::Value>, path: &[&str], value: serde_json::Value) {
    match path {
        [] => {}
        [key] => drop(tree.insert((*key).into(), value)),
        [key, rest @ ..] => {
            let below = tree.entry(*key).or_insert_with(|| serde_json::Map::new().into());
            if let Some(below) = below.as_object_mut() {
                insert(below, rest, value);
            }
        }
    }
}

/// The path of every key that some policy may set, its keys joined by dots.
pub(super) fn governed_paths() -> &'static [String] {
    static PATHS: LazyLock<Vec<String>> =
        LazyLock::new(|| everything().document().leaves().into_iter().map(|(path, _)| path.join(".")).collect());
    &PATHS
}

/// Every variable that some policy may set, sorted.
#[must_use]
pub fn governed_names() -> &'static [String] {
    static NAMES: LazyLock<Vec<String>> =
        LazyLock::new(|| variables(&everything().document(), "").into_iter().map(|variable| variable.name).collect());
    &NAMES
}

/// What the rendered file of every policy looks like, as a regular expression of RE2 without its ends.
#[must_use]
pub fn governed_file() -> String {
    // A comment ends where any reader sees a line end, so it has none of the characters that some take for one.
    format!(r"(?:# [ -~]*\n)*(?:[{{][}}]\n|{})", everything().document().pattern())
}

/// The variables of `session.whoami.required_aal` and `selfservice.flows.settings.required_aal`:
/// what a pod that carries them demands. Returned as (settings, whoami).
#[must_use]
pub fn level_variables() -> (&'static str, &'static str) {
    static NAMES: LazyLock<(String, String)> = LazyLock::new(|| {
        let name_of = |policy: &Policy| {
            let variables = variables(&Overlay::of(policy).document(), "");
            variables.into_iter().map(|variable| variable.name).find(|name| name != REVISION).unwrap_or_default()
        };
        let none = empty();
        (name_of(&Policy { settings: Some(Level::Aal1), ..none.clone() }), name_of(&Policy { whoami: Some(Level::Aal1), ..none }))
    });
    (&NAMES.0, &NAMES.1)
}

/// An overlay with every key.
pub(super) fn everything() -> Overlay {
    // Field by field, so that the compiler asks for a new method here.
    let methods = api::Methods {
        totp: Some(api::Totp { enabled: true, issuer: Some("x".into()) }),
        webauthn: Some(api::Webauthn {
            enabled: true,
            rp: Some(api::RelyingParty { id: "x".into(), display_name: "x".into(), origins: Some(vec!["x".into()]) }),
        }),
        lookup_secret: Some(api::LookupSecret { enabled: true }),
        code: Some(api::Code { mfa_enabled: true }),
    };
    Overlay::of(&Policy {
        settings: Some(Level::Aal1),
        whoami: Some(Level::Aal1),
        privileged_session_max_age: Some("1s".into()),
        factors: Factor::from_methods(&methods),
        ..empty()
    })
}

fn empty() -> Policy {
    Policy {
        targets: Vec::new(),
        settings: None,
        whoami: None,
        privileged_session_max_age: None,
        factors: Vec::new(),
        delivery: Default::default(),
        config_map: "".into(),
        history_limit: 0,
        progress_timeout: 0,
        on_failure: Default::default(),
        verification: Default::default(),
        field_conflicts: Default::default(),
        deletion_policy: Default::default(),
        acknowledge: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_path_of_the_key() {
        let names: Vec<_> = governed_names().iter().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "REVISION",
                "SELFSERVICE_FLOWS_SETTINGS_PRIVILEGED_SESSION_MAX_AGE",
                "SELFSERVICE_FLOWS_SETTINGS_REQUIRED_AAL",
                "SELFSERVICE_METHODS_CODE_MFA_ENABLED",
                "SELFSERVICE_METHODS_LOOKUP_SECRET_ENABLED",
                "SELFSERVICE_METHODS_TOTP_CONFIG_ISSUER",
                "SELFSERVICE_METHODS_TOTP_ENABLED",
                "SELFSERVICE_METHODS_WEBAUTHN_CONFIG_RP_DISPLAY_NAME",
                "SELFSERVICE_METHODS_WEBAUTHN_CONFIG_RP_ID",
                "SELFSERVICE_METHODS_WEBAUTHN_CONFIG_RP_ORIGINS",
                "SELFSERVICE_METHODS_WEBAUTHN_ENABLED",
                "SESSION_WHOAMI_REQUIRED_AAL",
            ]
        );
        assert_eq!(level_variables(), ("SELFSERVICE_FLOWS_SETTINGS_REQUIRED_AAL", "SESSION_WHOAMI_REQUIRED_AAL"));
    }
}
