//! What is wrong with a policy on top of what a server has: what Kratos refuses there, and what opens a
//! way around the second factor. Values of the files are never repeated: they may be secrets.

use super::inputs::{CODE_PASSWORDLESS, RP_ORIGIN, WEBAUTHN_PASSWORDLESS};
use super::levels::{SETTINGS_LEVEL, WHOAMI_LEVEL};
use super::{Merged, Version};
use crate::api::Risk;
use crate::policy::{Factor, Level, Policy, Rejection};

const CODE_MFA: &str = "selfservice.methods.code.mfa_enabled";
const RP_ORIGINS: &str = "selfservice.methods.webauthn.config.rp.origins";

/// `merged` has the policy in it. Only what is known is said.
#[must_use]
pub fn conflicts(merged: &Merged, policy: &Policy) -> Vec<Rejection> {
    let mut found = Vec::new();
    let mut refuse =
        |field: &str, message: &str| found.push(Rejection { field: field.into(), message: message.into() });
    let on = |path| merged.flag(path) == Some(true);
    if on(CODE_MFA) && on(CODE_PASSWORDLESS) {
        refuse(
            "spec.methods.code.mfaEnabled",
            "Kratos refuses a code as second factor where it is a first one: the server's own configuration sets selfservice.methods.code.passwordless_enabled; switch that off, or leave methods.code out",
        );
    }
    let webauthn =
        policy.factors.iter().any(|factor| matches!(factor, Factor::Webauthn { enabled: true, .. }));
    if webauthn && on(WEBAUTHN_PASSWORDLESS) {
        refuse(
            "spec.methods.webauthn",
            "the server's own configuration sets selfservice.methods.webauthn.config.passwordless, which makes security keys a first factor: switch that off, or leave methods.webauthn out",
        );
    }
    if merged.has(RP_ORIGIN) == Some(true) && merged.has(RP_ORIGINS) == Some(true) {
        refuse(
            "spec.methods.webauthn.rp.origins",
            "Kratos refuses origins beside selfservice.methods.webauthn.config.rp.origin, which the server's own configuration sets: remove that one, or leave rp.origins out",
        );
    }
    for (path, field) in
        [(SETTINGS_LEVEL, "spec.requiredAAL.settings"), (WHOAMI_LEVEL, "spec.requiredAAL.whoami")]
    {
        if merged.text(path).is_some_and(|word| Level::from_word(word).is_none()) {
            let own = "the server's own configuration sets to something else than aal1 or highest_available (aal2 is no value of it)";
            refuse(
                field,
                &format!(
                    "Kratos does not start with what it has for {path}, which {own}: correct it there, or set {field}"
                ),
            );
        }
    }
    // A policy that sets both was judged without the server.
    let judged = policy.settings.is_some() && policy.whoami.is_some();
    let bypass = merged.levels() == (Some(Level::Aal1), Some(Level::HighestAvailable));
    if bypass && !judged && !policy.acknowledges(Risk::SettingsBypass.as_str()) {
        refuse(
            "spec.requiredAAL",
            "with the server's own configuration, settings is aal1 beside whoami highest_available, which lets whoever has only the password remove or replace the second factor: set requiredAAL.settings to highest_available, or add SettingsBypass to acknowledge",
        );
    }
    found
}

/// A code as second factor where it challenges people who never set one up. `version` is none where it is
/// not known. A level that is not known is taken for the one that Kratos takes by itself.
#[must_use]
pub fn code_counts_for_everyone(
    merged: &Merged,
    policy: &Policy,
    version: Option<Version>,
) -> Option<Rejection> {
    let old = match version {
        Some(version) if !version.counts_code_for_everyone() => return None,
        Some(_) => "this Kratos is older than 25.4 and",
        None => "the version of Kratos is not known, and one before 25.4",
    };
    let (settings, whoami) = merged.levels();
    let demanded = settings != Some(Level::Aal1) || whoami != Some(Level::Aal1);
    if !asks_for_code(policy) || !demanded {
        return None;
    }
    let message = format!(
        "{old} counts a code as set up for everyone: highest_available then challenges people who never set one up, and who cannot get the code is locked out, also after it is taken back; set methods.code.mfaEnabled to false, or add {} to acknowledge",
        Risk::CodeCountsForEveryone.as_str()
    );
    Some(Rejection { field: "spec.methods.code.mfaEnabled".into(), message })
}

/// Whether it depends on the server's version if the policy can be accepted.
#[must_use]
pub fn asks_for_code(policy: &Policy) -> bool {
    policy.factors.contains(&Factor::Code { enabled: true })
        && !policy.acknowledges(Risk::CodeCountsForEveryone.as_str())
}
