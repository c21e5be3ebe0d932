//! Advice that rests on the merged configuration alone: what is no fault there and still worth a thought.

use super::inputs::{
    CACHEABLE_SESSIONS, CACHEABLE_SESSIONS_MAX_AGE, CODE_ENABLED, CODE_PASSWORDLESS, LINK_ENABLED,
    RECOVERY_ENABLED, RECOVERY_USE, TRUSTED_PROVIDERS, WEBAUTHN_PASSWORDLESS,
};
use super::{Merged, Version};
use crate::api::Advice;
use crate::policy::Level;

/// A piece of advice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    pub advice: Advice,
    /// What of the configuration it is about; empty where its own words say that.
    pub about: String,
}

/// Others' words, in characters: what to do about them has to stand beside.
const LONGEST_ABOUT: usize = 400;

/// What is on; none where one of them is not known.
struct Factors {
    totp: bool,
    webauthn: bool,
    lookup_secret: bool,
    code: bool,
}

impl Factors {
    fn of(merged: &Merged) -> Option<Self> {
        let on = |method: &str| merged.flag(&format!("selfservice.methods.{method}"));
        // Passwordless, a key is a first factor.
        let webauthn = on("webauthn.enabled")? && !merged.flag(WEBAUTHN_PASSWORDLESS)?;
        Some(Self {
            totp: on("totp.enabled")?,
            webauthn,
            lookup_secret: on("lookup_secret.enabled")?,
            code: on("code.mfa_enabled")?,
        })
    }

    fn devices(&self) -> bool {
        self.totp || self.webauthn || self.code
    }
}

/// On this configuration. Given only where everything that it depends on is known; `version` is none where it
/// is not.
#[must_use]
pub fn advice(merged: &Merged, version: Option<Version>) -> Vec<Given> {
    let mut given = Vec::new();
    let mut give =
        |holds: bool, advice: Advice| given.extend(holds.then(|| Given { advice, about: String::new() }));
    let levels = merged.levels();
    let strict = |level: Option<Level>| level == Some(Level::HighestAvailable);
    let demanded = strict(levels.0) || strict(levels.1);
    if let Some(factors) = Factors::of(merged) {
        give(demanded && !factors.devices() && !factors.lookup_secret, Advice::NoSecondFactor);
        give(!factors.devices() && factors.lookup_secret, Advice::LookupSecretAlone);
        give(
            strict(levels.0) && factors.devices() && !factors.lookup_secret,
            Advice::NoRecoveryForLostFactor,
        );
    }
    give(levels == (Some(Level::Aal1), Some(Level::HighestAvailable)), Advice::StricterWhoami);
    give(levels == (Some(Level::HighestAvailable), Some(Level::Aal1)), Advice::StricterSettings);
    let on = |path: &str| merged.flag(path) == Some(true);
    let recovers = match merged.text(RECOVERY_USE) {
        Some("link") => on(LINK_ENABLED),
        Some("code") => on(CODE_ENABLED),
        _ => false,
    };
    give(
        on("selfservice.methods.code.mfa_enabled") && on(RECOVERY_ENABLED) && recovers,
        Advice::RecoveryIsSecondFactor,
    );
    give(
        on(CACHEABLE_SESSIONS) && merged.has(CACHEABLE_SESSIONS_MAX_AGE) == Some(false),
        Advice::SessionCache,
    );
    give(!merged.outgrown().is_empty(), Advice::OriginsNotCovered);
    let passes = version.is_some_and(|version| !version.asks_people_of_codes());
    give(demanded && passes && on(CODE_PASSWORDLESS), Advice::PasswordlessCodeNotAsked);
    let trusted = merged.list(TRUSTED_PROVIDERS).unwrap_or_default();
    if demanded && !trusted.is_empty() {
        let about = trusted.join("; ").chars().take(LONGEST_ABOUT).collect();
        given.push(Given { advice: Advice::UpstreamMfaTrusted, about });
    }
    given
}

/// Whether some of it depends on the version of the server.
#[must_use]
pub fn depends_on_version(merged: &Merged) -> bool {
    merged.flag(CODE_PASSWORDLESS) == Some(true)
}
