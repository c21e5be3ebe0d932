//! The configuration that Kratos makes of all its files, as far as it can be told from outside.

use super::overlay::{Code, Flows, LookupSecret, Methods, Selfservice, Session, Settings, Totp, Webauthn, Whoami};
use super::{Overlay, governed_paths};
use crate::document::Document;
use crate::policy::{Level, Policy, Rejection};

/// Whether `new` in the place of `old` changes the merged configuration. None where it cannot be
/// known, or where Kratos answers something else than a digest of it.
#[must_use]
pub fn changes(base: Option<&[Document]>, old: &Overlay, new: &Overlay) -> Option<bool> {
    let base = base?;
    // Kratos 25.4 and later then answers the revision that stands there.
    if base.iter().any(|document| document.has("revision")) {
        return None;
    }
    let merged = |overlay: &Overlay| with_defaults(base, overlay).canonical();
    Some(merged(old) != merged(new))
}

/// What matters of a file of the server for [`changes`]: the keys that a policy may set, and no secret.
#[must_use]
pub fn governed_part(base: &Document) -> Document {
    base.only(governed_paths().iter().map(String::as_str).chain(["revision"]))
}

/// The files of the server with the overlay as the last.
#[must_use]
pub fn merge(base: &[Document], overlay: &Overlay) -> Document {
    base.iter().fold(Overlay::default().document(), |below, document| below.merge(document)).merge(&overlay.document())
}

fn with_defaults(base: &[Document], overlay: &Overlay) -> Document {
    defaults().document().merge(&merge(base, overlay))
}

/// What is wrong with the policy on top of these files: what Kratos refuses there, and what opens a
/// way around the second factor. Values of the files are never repeated: they may be secrets.
#[must_use]
pub fn conflicts(base: &[Document], policy: &Policy) -> Vec<Rejection> {
    let merged = with_defaults(base, &Overlay::of(policy));
    let mut found = Vec::new();
    let mut refuse = |field: &str, message: &str| found.push(Rejection { field: field.into(), message: message.into() });
    let code = "selfservice.methods.code";
    if merged.is_true(&format!("{code}.mfa_enabled")) && merged.is_true(&format!("{code}.passwordless_enabled")) {
        refuse(
            "spec.methods.code.mfaEnabled",
            "Kratos refuses a code as second factor where it is a first one: the server's own configuration sets selfservice.methods.code.passwordless_enabled; switch that off, or leave methods.code out",
        );
    }
    let webauthn = policy.factors.iter().find(|factor| factor.name() == "webauthn" && factor.enabled());
    if webauthn.is_some() && merged.is_true("selfservice.methods.webauthn.config.passwordless") {
        refuse(
            "spec.methods.webauthn",
            "the server's own configuration sets selfservice.methods.webauthn.config.passwordless, which makes security keys a first factor: switch that off, or leave methods.webauthn out",
        );
    }
    let rp = "selfservice.methods.webauthn.config.rp";
    if merged.has(&format!("{rp}.origin")) && merged.has(&format!("{rp}.origins")) {
        refuse(
            "spec.methods.webauthn.rp.origins",
            "Kratos refuses origins beside selfservice.methods.webauthn.config.rp.origin, which the server's own configuration sets: remove that one, or leave rp.origins out",
        );
    }
    let bypass = merged.text("selfservice.flows.settings.required_aal") == Some(Level::Aal1.as_str())
        && merged.text("session.whoami.required_aal") == Some(Level::HighestAvailable.as_str());
    // A policy that sets both was judged without the files.
    let known = policy.settings.is_some() && policy.whoami.is_some();
    if bypass && !known && !policy.acknowledge.iter().any(|word| word == "SettingsBypass") {
        refuse(
            "spec.requiredAAL",
            "with the server's own configuration, settings is aal1 beside whoami highest_available, which lets whoever has only the password remove or replace the second factor: set requiredAAL.settings to highest_available, or add SettingsBypass to acknowledge",
        );
    }
    found
}

/// What Kratos takes where nobody sets a key that a policy may set. Kratos 1.3.1 and 26.2.0 agree in these.
fn defaults() -> Overlay {
    let level = || Some("highest_available".to_owned());
    let settings = Settings { privileged_session_max_age: Some("1h".into()), required_aal: level() };
    let methods = Methods {
        code: Some(Code { mfa_enabled: Some(false) }),
        lookup_secret: Some(LookupSecret { enabled: Some(false) }),
        totp: Some(Totp { enabled: Some(false), config: None }),
        webauthn: Some(Webauthn { enabled: Some(false), config: None }),
    };
    Overlay {
        selfservice: Some(Selfservice { flows: Some(Flows { settings: Some(settings) }), methods: Some(methods) }),
        session: Some(Session { whoami: Some(Whoami { required_aal: level() }) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overlay(issuer: &str) -> Overlay {
        let totp = Totp { enabled: Some(true), config: Some(super::super::overlay::TotpConfig { issuer: Some(issuer.into()) }) };
        let methods = Methods { totp: Some(totp), ..Methods::default() };
        Overlay { selfservice: Some(Selfservice { flows: None, methods: Some(methods) }), session: None }
    }

    fn base(text: &str) -> Vec<Document> {
        vec![Document::parse(text).expect("YAML")]
    }

    #[test]
    fn what_the_base_has_already_is_no_change() {
        let same = base("selfservice: {methods: {totp: {enabled: true, config: {issuer: A}}}}");
        assert_eq!(changes(Some(&same), &Overlay::default(), &overlay("A")), Some(false));
        assert_eq!(changes(Some(&same), &Overlay::default(), &overlay("B")), Some(true));
        assert_eq!(changes(Some(&[]), &overlay("A"), &overlay("B")), Some(true));
    }

    #[test]
    fn what_kratos_takes_by_itself_is_no_change() {
        let off = Overlay {
            selfservice: Some(Selfservice {
                flows: Some(Flows { settings: Some(Settings { privileged_session_max_age: Some("1h".into()), required_aal: None }) }),
                methods: Some(Methods { code: Some(Code { mfa_enabled: Some(false) }), ..Methods::default() }),
            }),
            session: None,
        };
        assert_eq!(changes(Some(&[]), &Overlay::default(), &off), Some(false));
        assert_eq!(
            changes(Some(&base("selfservice: {flows: {settings: {privileged_session_max_age: 2h}}}")), &Overlay::default(), &off),
            Some(true)
        );
    }

    #[test]
    fn the_part_that_matters_holds_no_secret_and_changes_alike() {
        let whole = base(
            "dsn: postgres://hunter2@db\nrevision: v1\nselfservice: {methods: {oidc: {config: {client_secret: hunter2}}, totp: {enabled: true}}}",
        );
        let part = governed_part(&whole[0]);
        assert_eq!(part.canonical(), r#"{"revision":"v1","selfservice":{"methods":{"totp":{"enabled":true}}}}"#);
    }

    #[test]
    fn what_cannot_be_read_is_unknown() {
        assert_eq!(changes(None, &overlay("A"), &overlay("B")), None);
        assert_eq!(changes(Some(&base("revision: v7")), &overlay("A"), &overlay("B")), None);
    }
}
