//! The configuration that Kratos makes of all its files, as far as it can be told from outside.

use super::Overlay;
use super::overlay::{
    Code, Flows, LookupSecret, Methods, Selfservice, Session, Settings, Totp, Webauthn, Whoami,
};
use super::variables::as_variables;
use crate::document::Document;
use crate::policy::Delivery;

/// The files of the server with the overlay laid on them as its delivery does it.
#[must_use]
pub fn merge(base: &[Document], overlay: &Overlay, delivery: Delivery) -> Document {
    let files = base.iter().fold(Document::empty(), |below, document| below.merge(document));
    match delivery {
        Delivery::Environment => files.merge_items(&as_variables(overlay)),
        Delivery::ConfigFile => files.merge(&overlay.document()),
    }
}

/// What Kratos takes where nobody sets a key that a policy may set. Kratos 1.3.1 and 26.2.0 agree in these.
pub(super) fn defaults() -> Overlay {
    let level = || Some("highest_available".to_owned());
    let settings = Settings { privileged_session_max_age: Some("1h".into()), required_aal: level() };
    let methods = Methods {
        code: Some(Code { mfa_enabled: Some(false) }),
        lookup_secret: Some(LookupSecret { enabled: Some(false) }),
        totp: Some(Totp { enabled: Some(false), config: None }),
        webauthn: Some(Webauthn { enabled: Some(false), config: None }),
    };
    Overlay {
        selfservice: Some(Selfservice {
            flows: Some(Flows { settings: Some(settings) }),
            methods: Some(methods),
        }),
        session: Some(Session { whoami: Some(Whoami { required_aal: level() }) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_in_a_variable_leaves_the_end_of_a_longer_one() {
        let long: Vec<_> = (0..18).map(|number| format!("https://{number}.example.com")).collect();
        let file = |origins: &[String]| {
            let list = serde_json::to_string(origins).expect("JSON");
            let text =
                format!("selfservice: {{methods: {{webauthn: {{config: {{rp: {{origins: {list}}}}}}}}}}}");
            [Document::parse(&text).expect("YAML")]
        };
        let rp = super::super::overlay::Rp {
            origins: Some(vec!["https://example.com".into()]),
            ..Default::default()
        };
        let webauthn =
            Webauthn { config: Some(super::super::overlay::WebauthnConfig { rp: Some(rp) }), enabled: None };
        let methods = Methods { webauthn: Some(webauthn), ..Methods::default() };
        let own =
            Overlay { selfservice: Some(Selfservice { flows: None, methods: Some(methods) }), session: None };
        let origins = |base: &[Document], delivery| {
            let merged = merge(base, &own, delivery);
            let (_, leaf) = merged.leaves().pop().expect("a list");
            let crate::document::Leaf::List(items) = leaf else { panic!("{leaf:?}") };
            items.into_iter().map(ToOwned::to_owned).collect::<Vec<_>>()
        };
        let only = |items: &[String]| items.iter().all(|item| item == "https://example.com");
        assert!(only(&origins(&file(&long[..16]), Delivery::Environment)));
        assert!(only(&origins(&file(&long), Delivery::ConfigFile)));
        let left = origins(&file(&long), Delivery::Environment);
        assert!(only(&left[..16]) && left[16..] == long[16..], "{left:?}");
    }
}
