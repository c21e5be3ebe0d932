//! The root of a configuration: by its keys it is told from other files.

use crate::document::Document;

/// Those that hold configuration, of Kratos 1.3.1 to 26.2.0. It allows no others there.
const KEYS: [&str; 21] = [
    "ciphers",
    "clients",
    "cookies",
    "courier",
    "database",
    "dsn",
    "enterprise",
    "feature_flags",
    "hashers",
    "identity",
    "log",
    "oauth2_provider",
    "organizations",
    "preview",
    "revision",
    "secrets",
    "security",
    "selfservice",
    "serve",
    "session",
    "tracing",
];
/// Those that files of any kind may have.
const ANYBODYS: [&str; 7] =
    ["config", "dev", "expose-metrics-port", "help", "sqa-opt-out", "version", "watch-courier"];
/// Keys of which one makes a mapping a configuration of Kratos, wherever it is found.
const UNMISTAKABLE: [&str; 3] = ["identity", "selfservice", "session"];

/// What a document is, by the keys of its root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Root {
    /// A configuration of Kratos, with keys beside that none of the known versions has.
    Kratos { unknown: Vec<String> },
    /// None; where in it there is one, if there is.
    Other { inside: Option<String> },
}

/// Judges a document.
#[must_use]
pub fn root(document: &Document) -> Root {
    let keys = document.keys();
    if !keys.is_empty() && !keys.iter().any(|key| KEYS.contains(key)) {
        return Root::Other {
            inside: document.path_to(|keys| keys.iter().any(|key| UNMISTAKABLE.contains(key))),
        };
    }
    let unknown = keys.into_iter().filter(|key| !KEYS.contains(key) && !ANYBODYS.contains(key));
    Root::Kratos { unknown: unknown.map(Into::into).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_told_by_its_root() {
        let of = |text: &str| root(&Document::parse(text).expect("YAML"));
        let other = |inside: Option<&str>| Root::Other { inside: inside.map(Into::into) };
        for (text, expected) in [
            ("{}", Root::Kratos { unknown: vec![] }),
            ("version: v1.3.1\nserve: {}\n", Root::Kratos { unknown: vec![] }),
            ("selfservice: {}\nnovelty: 1\ndev: true\n", Root::Kratos { unknown: vec!["novelty".into()] }),
            ("kratos: {config: {session: {}}}\n", other(Some("kratos.config"))),
            (
                "replicaCount: 1\nkratos: {enabled: true, kratos: {config: {selfservice: {}}}}\n",
                other(Some("kratos.kratos.config")),
            ),
            ("config: {selfservice: {}}\n", other(Some("config"))),
            ("version: 1\n", other(None)),
            ("a: [{selfservice: {}}]\n", other(None)),
        ] {
            assert_eq!(of(text), expected, "{text}");
        }
    }
}
