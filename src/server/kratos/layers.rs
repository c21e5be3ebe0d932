//! The configuration that a server runs with a policy, as far as it can be told from outside: its
//! files, the literal variables of its container, and the policy among them. What cannot be read makes
//! an answer unknown, never a guess.

use std::collections::BTreeSet;

use super::merged::with_defaults;
use super::{Overlay, inputs};
use crate::document::Document;
use crate::policy::{Delivery, Level};

pub const SETTINGS_LEVEL: &str = "selfservice.flows.settings.required_aal";
pub const WHOAMI_LEVEL: &str = "session.whoami.required_aal";

/// What the container's own variables set, those of the policy aside.
#[derive(Debug, Default)]
pub struct Environment {
    set: Option<Document>,
    /// Paths of keys whose variable cannot be read.
    unknown: BTreeSet<&'static str>,
}

impl Environment {
    /// From names and values; none for a value that is elsewhere.
    pub fn read<'a>(entries: impl IntoIterator<Item = (&'a str, Option<&'a str>)>) -> Self {
        let mut environment = Self::default();
        for (name, value) in entries {
            let Some(input) = inputs::input(name) else { continue };
            match value.and_then(|value| input.read(value)) {
                Some(document) => environment.set = Some(laid(environment.set.take(), document)),
                None => environment.unknown.extend([input.path.as_str()]),
            }
        }
        environment
    }
}

fn laid(under: Option<Document>, over: Document) -> Document {
    under.map_or_else(|| over.clone(), |under| under.merge(&over))
}

/// The merged configuration.
#[derive(Debug)]
pub struct Merged {
    document: Document,
    unknown: BTreeSet<String>,
    /// No file is missing: what is not set is as Kratos takes it by itself.
    whole: bool,
}

impl Merged {
    /// `files` are the server's own, the weakest first; none where one of them cannot be read.
    #[must_use]
    pub fn of(files: Option<&[Document]>, environment: &Environment, overlay: &Overlay, delivery: Delivery) -> Self {
        let own = overlay.document();
        let mut unknown: BTreeSet<_> = environment.unknown.iter().map(|path| (*path).to_owned()).collect();
        let below = match files {
            Some(files) => with_defaults(files, &Overlay::default()),
            None => Overlay::default().document(),
        };
        let below = if files.is_some() { inputs::defaults().merge(&below) } else { below };
        let env = |below: Document| match &environment.set {
            Some(set) => below.merge(set),
            None => below,
        };
        // Variables beat files, and the policy is the one or the other.
        let document = match delivery {
            Delivery::Environment => env(below).merge(&own),
            Delivery::ConfigFile => env(below.merge(&own)),
        };
        if delivery == Delivery::Environment {
            let own: BTreeSet<_> = own.leaves().into_iter().map(|(path, _)| path.join(".")).collect();
            unknown.retain(|path| !own.contains(path));
        }
        Self { document, unknown, whole: files.is_some() }
    }

    /// Whether it is on. None where that is not known.
    #[must_use]
    pub fn flag(&self, path: &str) -> Option<bool> {
        if self.unknown.contains(path) {
            return None;
        }
        self.document.flag(path).or(self.whole.then_some(false))
    }

    /// Whether something stands there. None where that is not known.
    #[must_use]
    pub fn has(&self, path: &str) -> Option<bool> {
        if self.unknown.contains(path) {
            return None;
        }
        let has = self.document.has(path);
        (has || self.whole).then_some(has)
    }

    /// The text that is known to stand there.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<&str> {
        self.document.text(path).filter(|_| !self.unknown.contains(path))
    }

    /// As (settings, whoami); none where one is not known.
    #[must_use]
    pub fn levels(&self) -> (Option<Level>, Option<Level>) {
        let level = |path| self.text(path).and_then(Level::from_word);
        (level(SETTINGS_LEVEL), level(WHOAMI_LEVEL))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::kratos::inputs::{CODE_PASSWORDLESS, RECOVERY_ENABLED};

    fn overlay(whoami: &str) -> Overlay {
        serde_json::from_value(serde_json::json!({"session": {"whoami": {"required_aal": whoami}}})).expect("an overlay")
    }

    fn base(text: &str) -> Vec<Document> {
        vec![Document::parse(text).expect("YAML")]
    }

    #[test]
    fn variables_lie_above_files_and_the_policy_where_its_delivery_puts_it() {
        let files = base("session: {whoami: {required_aal: aal1}}\nselfservice: {methods: {code: {passwordless_enabled: false}}}");
        let env = Environment::read([
            ("SESSION_WHOAMI_REQUIRED_AAL", Some("aal1")),
            ("SELFSERVICE_METHODS_CODE_PASSWORDLESS_ENABLED", Some("true")),
        ]);
        let merged = |delivery| Merged::of(Some(&files), &env, &overlay("highest_available"), delivery);
        assert_eq!(merged(Delivery::Environment).levels(), (Some(Level::HighestAvailable), Some(Level::HighestAvailable)));
        assert_eq!(merged(Delivery::ConfigFile).levels().1, Some(Level::Aal1));
        assert_eq!(merged(Delivery::Environment).flag(CODE_PASSWORDLESS), Some(true));
    }

    #[test]
    fn what_cannot_be_read_is_unknown_and_not_its_default() {
        let nothing = Environment::default();
        let unread = Merged::of(None, &nothing, &overlay("aal1"), Delivery::Environment);
        assert_eq!(unread.levels(), (None, Some(Level::Aal1)));
        assert_eq!((unread.flag(RECOVERY_ENABLED), unread.has("revision")), (None, None));
        let whole = Merged::of(Some(&[]), &nothing, &overlay("aal1"), Delivery::Environment);
        assert_eq!(whole.levels().0, Some(Level::HighestAvailable));
        assert_eq!((whole.flag(RECOVERY_ENABLED), whole.has("revision")), (Some(false), Some(false)));
    }

    #[test]
    fn a_variable_from_elsewhere_hides_what_the_files_say() {
        let files = base("selfservice: {methods: {code: {passwordless_enabled: true}}}\nsession: {whoami: {required_aal: aal1}}");
        let env =
            Environment::read([("SELFSERVICE_METHODS_CODE_PASSWORDLESS_ENABLED", None), ("SESSION_WHOAMI_REQUIRED_AAL", Some("$(LEVEL)"))]);
        let merged = Merged::of(Some(&files), &env, &Overlay::default(), Delivery::Environment);
        assert_eq!((merged.flag(CODE_PASSWORDLESS), merged.levels().1), (None, None));
        let beaten = Merged::of(Some(&files), &env, &overlay("aal1"), Delivery::Environment);
        assert_eq!(beaten.levels().1, Some(Level::Aal1), "the policy's own variable stands in its place");
    }
}
