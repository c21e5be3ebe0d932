//! Providers of single sign-on whose word makes a session AAL2: from the enterprise build 26.2.6 on, Kratos
//! takes it where the provider lists values of `acr` and `amr`.

use crate::document::{Document, Leaf};

/// Keys of a provider that are looked at; none of them holds a secret.
pub(super) const KEYS: [&str; 3] = ["id", ACR, AMR];
const ACR: &str = "aal2_acr_values";
const AMR: &str = "aal2_amr_values";

/// Values that stand for one factor, or for none: of RFC 8176, of SAML, and levels that name the first.
const WEAK: [&str; 12] = [
    "0",
    "aal1",
    "geo",
    "kba",
    "loa1",
    "pin",
    "pwd",
    "rba",
    "urn:oasis:names:tc:SAML:2.0:ac:classes:Password",
    "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport",
    "urn:oasis:names:tc:SAML:2.0:ac:classes:unspecified",
    "user",
];

/// More than a reader takes in.
const MOST: usize = 8;
const LONGEST: usize = 80;

/// In words, one text for each provider whose word is taken.
pub(super) fn trusted(providers: &[Document]) -> Vec<String> {
    let mut all: Vec<_> = providers.iter().filter_map(of_provider).collect();
    all.sort_by_key(|told| !told.proves_nothing);
    all.into_iter().take(MOST).map(|told| told.words).collect()
}

struct Told {
    words: String,
    proves_nothing: bool,
}

fn of_provider(provider: &Document) -> Option<Told> {
    let listed = |key: &str| match provider.leaf(key) {
        Ok(Some(Leaf::List(values))) => values,
        _ => Vec::new(),
    };
    let mut values: Vec<_> = listed(ACR).into_iter().chain(listed(AMR)).collect();
    // What is cut off is never what proves nothing.
    let is_weak = |value: &&str| WEAK.iter().any(|known| known.eq_ignore_ascii_case(value));
    values.sort_by_key(|value| !is_weak(value));
    values.truncate(MOST);
    let weak: Vec<_> = values.iter().filter(|value| is_weak(value)).map(|value| cut(value)).collect();
    let all = values.iter().map(|value| cut(value)).collect::<Vec<_>>().join(", ");
    let id = cut(provider.text("id").unwrap_or("a provider without an id"));
    let proves_nothing = !weak.is_empty();
    let words = match (all.is_empty(), proves_nothing) {
        (true, _) => return None,
        (false, false) => format!("{id} by {all}"),
        (false, true) => format!(
            "{id} by {all}; {} proves no second factor: every sign-in there counts as two",
            weak.join(", ")
        ),
    };
    Some(Told { words, proves_nothing })
}

fn cut(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_provider_is_named_with_its_values_and_the_weak_ones_among_them() {
        let of =
            |text: &str| trusted(&Document::parse(text).expect("YAML").each("providers").expect("a list"));
        let text = "providers: [{id: corp, aal2_amr_values: [mfa, PWD]}, {id: plain}, {id: other, aal2_acr_values: [gold], aal2_amr_values: [hwk]}, x]";
        assert_eq!(
            of(text),
            [
                "corp by PWD, mfa; PWD proves no second factor: every sign-in there counts as two",
                "other by gold, hwk"
            ]
        );
        let hidden = format!(
            "providers: [{}{{id: last, aal2_acr_values: [{}], aal2_amr_values: [pwd]}}]",
            "{id: p, aal2_acr_values: [gold]}, ".repeat(20),
            ["gold"; 8].join(",")
        );
        assert!(
            of(&hidden)[0].starts_with("last by pwd, gold"),
            "what proves nothing is told before what is cut off: {:?}",
            of(&hidden)
        );
        let hostile = format!(
            "providers: [{{id: \"a\\n{}\", aal2_acr_values: [{}]}}]",
            "x".repeat(500),
            vec!["gold"; 50].join(",")
        );
        assert!(of(&hostile)[0].len() < 200 && !of(&hostile)[0].contains('\n'));
    }
}
