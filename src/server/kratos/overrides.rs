//! Which variables reach a key that rules look at, those that a policy may set among them, by their names
//! alone. Kratos lowers each name and takes `_` for `.`, and looks for it among the paths of its schema,
//! where the `_` of keys counts as `.` too. So a key has many spellings. A parent takes JSON for everything
//! below it, and whatever is no JSON empties it. A list takes its items one by one, by their number. Tried on
//! the code of Kratos 1.3.1.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::inputs::{Form, Input, inputs};
use super::variables::governed_paths;

/// What a name writes.
#[derive(Default)]
struct Written {
    looked_at: Vec<&'static Input>,
    /// Paths of those of them that a policy may set.
    governed: Vec<String>,
}

struct Reached {
    /// By the name, lowered and with dots alone.
    keys: BTreeMap<String, Written>,
    /// Those of them that are lists.
    lists: Vec<String>,
}

static REACHED: LazyLock<Reached> = LazyLock::new(|| {
    let (mut keys, mut lists) = (BTreeMap::<_, Written>::new(), Vec::new());
    let mut all: Vec<_> = inputs().iter().collect();
    all.sort_by(|a, b| a.path.cmp(&b.path));
    for input in all {
        let governed = governed_paths().contains(&input.path);
        let parents = input.path.match_indices('.').map(|(end, _)| &input.path[..end]);
        for name in parents.chain([&*input.path]) {
            let written = keys.entry(normal(name)).or_default();
            written.looked_at.push(input);
            written.governed.extend(governed.then(|| input.path.clone()));
        }
        if input.form == Form::List {
            lists.push(normal(&input.path));
        }
    }
    Reached { keys, lists }
});

fn normal(name: &str) -> String {
    name.to_lowercase().replace('_', ".")
}

/// Longer than any such name.
const LONGEST: usize = 256;

fn written(name: &str) -> Option<&'static Written> {
    let name = normal(Some(name).filter(|name| name.len() <= LONGEST)?);
    let item = name
        .rsplit_once('.')
        .filter(|(list, number)| is_number(number) && REACHED.lists.iter().any(|known| known == list));
    REACHED.keys.get(item.map_or(&*name, |(list, _)| list))
}

/// Paths of the keys that a variable of this name writes, of those that a policy may set.
#[must_use]
pub fn written_keys(name: &str) -> &'static [String] {
    written(name).map(|written| &*written.governed).unwrap_or_default()
}

/// The keys that a variable of this name writes, of those that rules look at.
pub fn reaches(name: &str) -> impl Iterator<Item = &'static Input> {
    written(name).into_iter().flat_map(|written| written.looked_at.iter().copied())
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether some variable that begins like this writes a key that rules look at.
#[must_use]
pub fn may_begin(prefix: &str) -> bool {
    beginning_with(prefix).next().is_some()
}

/// The keys that variables which begin like this may write, of those that rules look at.
pub(super) fn beginning_with(prefix: &str) -> impl Iterator<Item = &'static Input> {
    let prefix = normal(prefix);
    let of_list = |list: &str| {
        prefix
            .strip_prefix(list)
            .and_then(|rest| rest.strip_prefix('.'))
            .is_some_and(|rest| rest.is_empty() || is_number(rest))
    };
    let list = REACHED.lists.iter().find(|list| of_list(list)).and_then(|list| REACHED.keys.get(list));
    let names =
        REACHED.keys.iter().filter(move |(name, _)| name.starts_with(&prefix)).map(|(_, written)| written);
    names.chain(list).flat_map(|written| written.looked_at.iter().copied())
}

/// Names of such variables that a command line sets, `NAME=value` as for `env` or in a shell, and those of
/// whole keys that stand there alone, as for `unset`.
#[must_use]
pub fn named_in(word: &str) -> Vec<&str> {
    let is_name = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '.');
    let ends = |character: Option<char>| {
        character.is_none_or(|found| found.is_whitespace() || matches!(found, '\'' | '"' | ';' | '(' | ')'))
    };
    let mut found = Vec::new();
    let mut rest = 0;
    while let Some(start) = word[rest..].find(is_name).map(|offset| rest + offset) {
        let end =
            word[start..].find(|character| !is_name(character)).map_or(word.len(), |length| start + length);
        let (name, before, after) =
            (&word[start..end], word[..start].chars().next_back(), word[end..].chars().next());
        let mut keys = reaches(name);
        let (first, more) = (keys.next(), keys.next().is_some());
        let set = after == Some('=') && ends(before) && first.is_some();
        let alone = ends(after)
            && (ends(before) || before == Some('='))
            && !more
            && first.is_some_and(|key| is_whole(name, &key.path));
        // What follows `=` is a value; of values nothing is kept.
        if set || alone {
            found.push(name);
        }
        rest = end;
    }
    found
}

fn is_whole(name: &str, key: &str) -> bool {
    normal(name) == normal(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::kratos::variables::governed_paths;
    use crate::server::kratos::{REVISION, governed_names};

    const WHOAMI: &str = "session.whoami.required_aal";
    const SETTINGS: &str = "selfservice.flows.settings.required_aal";
    const AGE: &str = "selfservice.flows.settings.privileged_session_max_age";
    const CODE: &str = "selfservice.methods.code.mfa_enabled";
    const LOOKUP: &str = "selfservice.methods.lookup_secret.enabled";
    const ISSUER: &str = "selfservice.methods.totp.config.issuer";
    const TOTP: &str = "selfservice.methods.totp.enabled";
    const NAME: &str = "selfservice.methods.webauthn.config.rp.display_name";
    const ID: &str = "selfservice.methods.webauthn.config.rp.id";
    const ORIGINS: &str = "selfservice.methods.webauthn.config.rp.origins";
    const WEBAUTHN: &str = "selfservice.methods.webauthn.enabled";

    /// What the code of Kratos 1.3.1 made of each name.
    #[test]
    fn names_write_what_kratos_lets_them_write() {
        let all = &[AGE, SETTINGS, CODE, LOOKUP, ISSUER, TOTP, NAME, ID, ORIGINS, WEBAUTHN];
        let cases: [(&str, &[&str]); 47] = [
            ("SESSION_WHOAMI_REQUIRED_AAL", &[WHOAMI]),
            ("session_whoami_required_aal", &[WHOAMI]),
            ("Session.Whoami_required.aal", &[WHOAMI]),
            ("session.whoami.required.aal", &[WHOAMI]),
            ("SESSION.WHOAMI.REQUIRED_AAL", &[WHOAMI]),
            ("SESSION", &[WHOAMI]),
            ("session", &[WHOAMI]),
            ("sEsSiOn", &[WHOAMI]),
            ("SESSION_WHOAMI", &[WHOAMI]),
            ("session.whoami", &[WHOAMI]),
            ("Session.WHOAMI", &[WHOAMI]),
            ("SELFSERVICE_FLOWS_SETTINGS_REQUIRED_AAL", &[SETTINGS]),
            ("selfservice.flows.settings.required_aal", &[SETTINGS]),
            ("SELFSERVICE_FLOWS_SETTINGS_PRIVILEGED.SESSION_MAX.AGE", &[AGE]),
            ("SELFSERVICE", all),
            ("SelfService", all),
            ("SELFSERVICE_FLOWS", &[AGE, SETTINGS]),
            ("selfservice.flows", &[AGE, SETTINGS]),
            ("SELFSERVICE_FLOWS_SETTINGS", &[AGE, SETTINGS]),
            ("SELFSERVICE_METHODS", &[CODE, LOOKUP, ISSUER, TOTP, NAME, ID, ORIGINS, WEBAUTHN]),
            ("SELFSERVICE_METHODS_CODE", &[CODE]),
            ("SELFSERVICE_METHODS_CODE_MFA.ENABLED", &[CODE]),
            ("SELFSERVICE_METHODS_TOTP", &[ISSUER, TOTP]),
            ("SELFSERVICE_METHODS_TOTP_CONFIG", &[ISSUER]),
            ("SELFSERVICE_METHODS_LOOKUP_SECRET", &[LOOKUP]),
            ("selfservice_methods_lookup.secret_enabled", &[LOOKUP]),
            ("SELFSERVICE_METHODS_WEBAUTHN", &[NAME, ID, ORIGINS, WEBAUTHN]),
            ("SELFSERVICE_METHODS_WEBAUTHN_CONFIG", &[NAME, ID, ORIGINS]),
            ("SELFSERVICE.METHODS.WEBAUTHN.CONFIG.RP", &[NAME, ID, ORIGINS]),
            ("SELFSERVICE_METHODS_WEBAUTHN_CONFIG_RP_DISPLAY.NAME", &[NAME]),
            ("SELFSERVICE_METHODS_WEBAUTHN_CONFIG_RP_ORIGINS", &[ORIGINS]),
            ("SELFSERVICE_METHODS_WEBAUTHN_CONFIG_RP_ORIGINS_0", &[ORIGINS]),
            ("selfservice.methods.webauthn.config.rp.origins.12", &[ORIGINS]),
            // Kratos ignores these.
            ("SELFSERVICE_METHODS_WEBAUTHN_CONFIG_RP_ORIGINS_x", &[]),
            ("SELFSERVICE_METHODS_WEBAUTHN_CONFIG_RP_ORIGINS_", &[]),
            ("SELFSERVICE_METHODS_WEBAUTHN_CONFIG_RP_ORIGINS_0_0", &[]),
            ("SELFSERVICE_METHODS_WEBAUTHN_CONFIG_RP_ID_0", &[]),
            ("SELFSERVICE_METHODS_LOOKUP", &[]),
            ("SELFSERVICE_FLOWS_SETTINGS_0", &[]),
            ("_SESSION_WHOAMI_REQUIRED_AAL", &[]),
            ("SESSION__WHOAMI_REQUIRED_AAL", &[]),
            ("SESSION-WHOAMI-REQUIRED-AAL", &[]),
            ("SESSION_WHOAMI_REQUIRED_AAL_", &[]),
            ("SESSION_WHOAMI_REQUIRED", &[]),
            ("SESSION_LIFESPAN", &[]),
            (REVISION, &[]),
            ("", &[]),
        ];
        for (name, keys) in cases {
            assert_eq!(written_keys(name), keys, "{name}");
        }
    }

    #[test]
    fn every_key_is_reached_by_its_own_name_in_any_case_and_by_each_parent() {
        for path in governed_paths() {
            for name in [
                path.to_uppercase().replace('.', "_"),
                path.clone(),
                path.replace('.', "_"),
                path.to_uppercase(),
            ] {
                assert_eq!(written_keys(&name), std::slice::from_ref(path), "{name}");
            }
            let mut above = path.as_str();
            while let Some((parent, _)) = above.rsplit_once('.') {
                assert!(written_keys(&parent.to_uppercase().replace('.', "_")).contains(path), "{parent}");
                above = parent;
            }
        }
        assert_eq!(
            governed_names().iter().filter(|name| written_keys(name).len() == 1).count(),
            governed_paths().len()
        );
    }

    #[test]
    fn a_prefix_that_no_such_name_begins_with_is_harmless() {
        for prefix in [
            "",
            "S",
            "session",
            "SESSION_",
            "SELFSERVICE_METHODS_",
            "selfservice.methods.webauthn.config.rp.origins_1",
        ] {
            assert!(may_begin(prefix), "{prefix}");
        }
        for prefix in ["DB_", "SESSION_X", "KRATOS_", "SELFSERVICE_METHODS_TOTP_ENABLED_", "SESSIONS"] {
            assert!(!may_begin(prefix), "{prefix}");
        }
    }

    #[test]
    fn a_command_line_is_read_for_names_and_never_for_values() {
        let cases: [(&str, &[&str]); 15] = [
            ("session.whoami.required_aal=aal1", &["session.whoami.required_aal"]),
            ("SESSION_WHOAMI_REQUIRED_AAL=aal1", &["SESSION_WHOAMI_REQUIRED_AAL"]),
            ("SESSION={\"whoami\":{\"required_aal\":\"aal1\"}}", &["SESSION"]),
            ("export SESSION_WHOAMI='{}'; exec kratos serve all", &["SESSION_WHOAMI"]),
            ("unset SESSION_WHOAMI_REQUIRED_AAL && kratos serve", &["SESSION_WHOAMI_REQUIRED_AAL"]),
            ("--unset=SESSION_WHOAMI_REQUIRED_AAL", &["SESSION_WHOAMI_REQUIRED_AAL"]),
            ("SESSION_WHOAMI_REQUIRED_AAL", &["SESSION_WHOAMI_REQUIRED_AAL"]),
            ("echo the session", &[]),
            ("session", &[]),
            ("--session=1", &[]),
            ("https://example.com/?session=1&selfservice=2", &[]),
            ("${SESSION_WHOAMI_REQUIRED_AAL}", &[]),
            ("$SESSION_WHOAMI_REQUIRED_AAL", &[]),
            ("DSN=postgres://x", &[]),
            ("", &[]),
        ];
        for (word, names) in cases {
            assert_eq!(named_in(word), names, "{word}");
        }
    }
}
