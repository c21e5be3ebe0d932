//! The keys of the server's own configuration that decisions look at: those that a policy may set,
//! and a closed list beside them. None of them holds a secret.

use std::sync::LazyLock;

use super::levels::{SETTINGS_LEVEL, WHOAMI_LEVEL};
use super::upstream;
use super::variables::everything;
use crate::document::{Document, Leaf, Wanted};
use crate::policy::Level;

/// Keys that no policy sets and that rules or advice depend on.
pub const CODE_ENABLED: &str = "selfservice.methods.code.enabled";
pub const CODE_PASSWORDLESS: &str = "selfservice.methods.code.passwordless_enabled";
pub const LINK_ENABLED: &str = "selfservice.methods.link.enabled";
pub const WEBAUTHN_PASSWORDLESS: &str = "selfservice.methods.webauthn.config.passwordless";
pub const RP_ORIGIN: &str = "selfservice.methods.webauthn.config.rp.origin";
pub const RECOVERY_ENABLED: &str = "selfservice.flows.recovery.enabled";
pub const RECOVERY_USE: &str = "selfservice.flows.recovery.use";
pub const CACHEABLE_SESSIONS: &str = "feature_flags.cacheable_sessions";
pub const CACHEABLE_SESSIONS_MAX_AGE: &str = "feature_flags.cacheable_sessions_max_age";
/// Path of the providers, each with what its sessions are worth by its own word.
pub const TRUSTED_PROVIDERS: &str = "selfservice.methods.oidc.config.providers";
/// Kratos 25.4 and later answer it.
pub(super) const OWN_REVISION: &str = "revision";

/// Each with what Kratos takes where nobody sets it; 1.3.1 and 26.2.0 agree in these.
const BESIDE: [(&str, Form, Option<Leaf<'static>>); 11] = [
    (CODE_ENABLED, Form::Flag, Some(Leaf::Bool(true))),
    (CODE_PASSWORDLESS, Form::Flag, Some(Leaf::Bool(false))),
    (LINK_ENABLED, Form::Flag, Some(Leaf::Bool(false))),
    (WEBAUTHN_PASSWORDLESS, Form::Flag, Some(Leaf::Bool(false))),
    (RP_ORIGIN, Form::Text, None),
    (RECOVERY_ENABLED, Form::Flag, Some(Leaf::Bool(false))),
    (RECOVERY_USE, Form::Text, Some(Leaf::Text("code"))),
    (CACHEABLE_SESSIONS, Form::Flag, Some(Leaf::Bool(false))),
    (CACHEABLE_SESSIONS_MAX_AGE, Form::Text, None),
    (TRUSTED_PROVIDERS, Form::Providers, None),
    (OWN_REVISION, Form::Text, None),
];

/// Longer than any value that means something here, in bytes and items.
const LONGEST_TEXT: usize = 512;
const LONGEST_LIST: usize = 64;

/// How a key is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Flag,
    Text,
    List,
    /// Providers: of a file, what is told of its items; of a variable nothing, since secrets stand in it.
    Providers,
}

/// A key that is looked at.
#[derive(Debug)]
pub struct Input {
    /// The variable of this key.
    pub name: String,
    pub path: String,
    pub form: Form,
}

/// All of them, sorted by the names of their variables.
#[must_use]
pub fn inputs() -> &'static [Input] {
    static INPUTS: LazyLock<Vec<Input>> = LazyLock::new(|| {
        let everything = everything().document();
        let governed = everything.leaves().into_iter().map(|(path, leaf)| {
            let form = match leaf {
                Leaf::Bool(_) => Form::Flag,
                Leaf::Text(_) => Form::Text,
                Leaf::List(_) => Form::List,
            };
            (path.join("."), form)
        });
        let beside = BESIDE.iter().map(|(path, form, _)| ((*path).to_owned(), *form));
        let name = |path: &str| path.replace('.', "_").to_ascii_uppercase();
        let mut inputs: Vec<_> =
            governed.chain(beside).map(|(path, form)| Input { name: name(&path), path, form }).collect();
        inputs.sort_by(|a, b| a.name.cmp(&b.name));
        inputs
    });
    &INPUTS
}

/// The key that a variable of this name sets.
#[must_use]
pub fn input(name: &str) -> Option<&'static Input> {
    let inputs = inputs();
    inputs.binary_search_by(|input| input.name.as_str().cmp(name)).ok().map(|index| &inputs[index])
}

/// Whether the key at this path is among them.
pub(super) fn is_looked_at(path: &str) -> bool {
    inputs().iter().any(|input| input.path == path)
}

/// All of them, as what is wanted of a file.
pub(super) fn wanted() -> &'static Wanted {
    static WANTED: LazyLock<Wanted> = LazyLock::new(|| {
        let lists = [(TRUSTED_PROVIDERS, upstream::KEYS.as_slice())];
        let leaves = inputs().iter().filter(|input| input.form != Form::Providers).map(|input| &*input.path);
        Wanted::paths(leaves).and_items(lists)
    });
    &WANTED
}

/// What Kratos takes where nobody sets a key beside those of a policy.
pub(super) fn defaults() -> Document {
    let set = BESIDE.iter().filter_map(|(path, _, default)| Some(Document::with(path, default.as_ref()?)));
    set.reduce(|all, one| all.merge(&one)).unwrap_or_else(|| Document::with("", &Leaf::Bool(false)))
}

impl Input {
    /// What Kratos makes of the variable. None where Kubernetes makes another value of it first.
    pub(super) fn read<'a>(&self, value: &'a str) -> Option<Leaf<'a>> {
        if value.contains('$') || self.form == Form::Providers {
            return None;
        }
        self.judged(match self.form {
            // As Go reads a truth value; anything else is false to Kratos, without a word.
            Form::Flag => Leaf::Bool(matches!(value, "1" | "t" | "T" | "true" | "TRUE" | "True")),
            Form::Text => Leaf::Text(value),
            Form::List | Form::Providers => Leaf::List(value.split(',').take(LONGEST_LIST + 1).collect()),
        })
    }

    /// The value as it stands there. None where it is of another form, or filled in before Kratos reads it.
    pub(super) fn judged<'a>(&self, leaf: Leaf<'a>) -> Option<Leaf<'a>> {
        let is_final = match (self.form, &leaf) {
            (Form::Flag, Leaf::Bool(_)) => true,
            (Form::Text, Leaf::Text(text)) if self.is_level() => is_word(text),
            (Form::Text, Leaf::Text(text)) => is_final(text),
            (Form::List, Leaf::List(items)) => {
                items.len() <= LONGEST_LIST && items.iter().all(|item| is_final(item))
            }
            (Form::Providers, Leaf::List(_)) => true,
            (Form::Flag | Form::Text | Form::List | Form::Providers, _) => false,
        };
        is_final.then_some(leaf)
    }

    fn is_level(&self) -> bool {
        [SETTINGS_LEVEL, WHOAMI_LEVEL].contains(&&*self.path)
    }
}

/// A level, or what may be meant as one: what templates have in its place looks otherwise.
fn is_word(text: &str) -> bool {
    Level::from_word(text).is_some()
        || (text.len() < 32
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'))
}

fn is_final(text: &str) -> bool {
    text.len() <= LONGEST_TEXT && !["$", "{{", "<%", "@@"].iter().any(|mark| text.contains(mark))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::kratos::{REVISION, governed_names};

    #[test]
    fn variables_are_found_by_name_and_read_as_kratos_reads_them() {
        let canonical = |name: &str, value: &str| {
            input(name)
                .and_then(|input| input.read(value).map(|leaf| Document::with(&input.path, &leaf)))
                .map(|read| read.canonical())
        };
        let code = "SELFSERVICE_METHODS_CODE_PASSWORDLESS_ENABLED";
        let set = |value: bool| {
            Some(format!(r#"{{"selfservice":{{"methods":{{"code":{{"passwordless_enabled":{value}}}}}}}}}"#))
        };
        assert_eq!(canonical(code, "true"), set(true));
        assert_eq!(canonical(code, "1"), set(true));
        assert_eq!(canonical(code, "yes"), set(false));
        assert_eq!(canonical(code, "$(ELSEWHERE)"), None);
        assert_eq!(
            canonical("SELFSERVICE_FLOWS_RECOVERY_USE", "link"),
            Some(r#"{"selfservice":{"flows":{"recovery":{"use":"link"}}}}"#.into())
        );
        assert_eq!(canonical("DSN", "postgres://hunter2@db"), None);
        for name in governed_names().iter().filter(|name| *name != REVISION) {
            assert!(input(name).is_some(), "{name}");
        }
    }
}
