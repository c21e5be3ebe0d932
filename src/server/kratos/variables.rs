//! Environment variables by Kratos' own rule: the path in capitals, dots to underscores, lists
//! comma-separated. And which of them a container is given. Kratos lays a list in a variable over the file's
//! item by item, so that a shorter one leaves the end of the file's in force: ours always have as many items
//! as a policy may have, the last one repeated, which means to Kratos what it means once.

use std::sync::LazyLock;

use super::{Overlay, revision};
use crate::api::{self, rules};
use crate::document::{Document, Leaf};
use crate::policy::{Delivery, Factor, Level, Policy};

/// An environment variable, its value as the process shall see it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Variable {
    pub name: String,
    pub value: String,
}

/// Carries the revision: it rolls the pods when nothing else would tell two configurations apart,
/// and Kratos 25.4 and later answers it at `/admin/health/config`.
pub const REVISION: &str = "REVISION";

/// The variable of the key at this path, its keys joined by dots.
pub(super) fn name_of(path: &str) -> String {
    path.replace('.', "_").to_ascii_uppercase()
}

/// The variables of a container that is given the overlay so, sorted by name. Beside a file these are the
/// levels alone: no file is above them. The revision is not among those, because a server that knows it
/// answers it in the place of the digest that tells whether the file was read.
#[must_use]
pub fn variables(overlay: &Overlay, delivery: Delivery) -> Vec<Variable> {
    match delivery {
        Delivery::Environment => {
            let mut variables = named(&overlay.document());
            variables.push(Variable { name: REVISION.into(), value: revision(overlay, delivery) });
            variables.sort();
            variables
        }
        Delivery::ConfigFile => named(&overlay.levels().document()),
    }
}

/// A variable for each value, sorted by name.
fn named(document: &Document) -> Vec<Variable> {
    let mut variables: Vec<_> = document
        .leaves()
        .into_iter()
        .map(|(path, leaf)| Variable {
            name: name_of(&path.join(".")),
            value: match leaf {
                Leaf::Bool(value) => value.to_string(),
                Leaf::Text(text) => text.to_owned(),
                Leaf::List(items) => covering(&items).join(","),
            },
        })
        .collect();
    variables.sort();
    variables
}

/// Repeats items up to as many as any policy may have.
fn covering<'a>(items: &[&'a str]) -> Vec<&'a str> {
    let repeats = items.last().into_iter().cycle();
    items.iter().chain(repeats).take(items.len().max(rules::MAX_ORIGINS)).copied().collect()
}

/// What Kratos reads out of the variables of this overlay.
pub(super) fn as_variables(overlay: &Overlay) -> Document {
    let read = |(path, leaf): (Vec<&str>, Leaf<'_>)| match leaf {
        Leaf::List(items) => Document::with(&path.join("."), &Leaf::List(covering(&items))),
        other => Document::with(&path.join("."), &other),
    };
    overlay
        .document()
        .leaves()
        .into_iter()
        .map(read)
        .fold(Overlay::default().document(), |all, one| all.merge(&one))
}

/// Paths of the lists among these keys whose variable does not cover what lies under it in this
/// configuration.
pub(super) fn outgrown(overlay: &Overlay, laid: &Document) -> Vec<String> {
    let lists = overlay.document();
    let lists = lists
        .leaves()
        .into_iter()
        .filter_map(|(path, leaf)| matches!(leaf, Leaf::List(_)).then(|| path.join(".")));
    lists.filter(|path| laid.items(path).is_some_and(|items| items > rules::MAX_ORIGINS)).collect()
}

impl Overlay {
    /// The overlay that has these variables, each as (name, value), those aside that no policy would have so.
    #[must_use]
    pub fn from_variables(own: &[(&str, String)]) -> Option<Self> {
        let named =
            |name: &str| own.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
        let mut tree = serde_json::Map::new();
        for (path, kind) in everything().document().leaves() {
            let Some(value) = named(&name_of(&path.join("."))) else { continue };
            let value = match kind {
                Leaf::Bool(_) => match value.parse::<bool>() {
                    Ok(value) => value.into(),
                    Err(_) => continue,
                },
                Leaf::Text(_) => value.into(),
                Leaf::List(_) => {
                    let mut items: Vec<_> = value.split(',').collect();
                    items.dedup();
                    items.into()
                }
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
    static PATHS: LazyLock<Vec<String>> = LazyLock::new(|| {
        everything().document().leaves().into_iter().map(|(path, _)| path.join(".")).collect()
    });
    &PATHS
}

/// Every variable that some policy may set, sorted.
#[must_use]
pub fn governed_names() -> &'static [String] {
    static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
        variables(&everything(), Delivery::Environment).into_iter().map(|variable| variable.name).collect()
    });
    &NAMES
}

/// The variables of `session.whoami.required_aal` and `selfservice.flows.settings.required_aal`:
/// what a pod that carries them demands. Returned as (settings, whoami).
#[must_use]
pub fn level_variables() -> (&'static str, &'static str) {
    static NAMES: LazyLock<(String, String)> = LazyLock::new(|| {
        let only = |policy: &Policy| {
            let variables = named(&Overlay::of(policy).document());
            variables.into_iter().next().map(|variable| variable.name).unwrap_or_default()
        };
        let none = empty();
        (
            only(&Policy { settings: Some(Level::Aal1), ..none.clone() }),
            only(&Policy { whoami: Some(Level::Aal1), ..none }),
        )
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
            rp: Some(api::RelyingParty {
                id: "x".into(),
                display_name: "x".into(),
                origins: Some(vec!["x".into()]),
            }),
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
        assert_eq!(
            level_variables(),
            ("SELFSERVICE_FLOWS_SETTINGS_REQUIRED_AAL", "SESSION_WHOAMI_REQUIRED_AAL")
        );
    }

    #[test]
    fn a_list_covers_every_list_that_a_policy_may_have_and_is_read_back_without_the_repeats() {
        let origins = |items: &[&str]| -> Overlay {
            let rp = serde_json::json!({"id": "example.com", "display_name": "x", "origins": items});
            let methods = serde_json::json!({"webauthn": {"enabled": true, "config": {"rp": rp}}});
            serde_json::from_value(serde_json::json!({"selfservice": {"methods": methods}}))
                .expect("an overlay")
        };
        let all: Vec<_> =
            (0..rules::MAX_ORIGINS).map(|number| format!("https://{number}.example.com")).collect();
        for length in [1, 2, 15, 16] {
            let items: Vec<_> = all[..length].iter().map(String::as_str).collect();
            let overlay = origins(&items);
            let variables = variables(&overlay, Delivery::Environment);
            let own: Vec<_> =
                variables.iter().map(|variable| (variable.name.as_str(), variable.value.clone())).collect();
            let (_, list) = own.iter().find(|(name, _)| name.ends_with("_ORIGINS")).expect("a list");
            let written: Vec<_> = list.split(',').collect();
            assert_eq!((written.len(), &written[..length]), (rules::MAX_ORIGINS, items.as_slice()));
            assert!(written[length..].iter().all(|item| *item == items[length - 1]), "{list}");
            assert_eq!(Overlay::from_variables(&own), Some(overlay));
        }
    }
}
