//! Second factors. A new one is a new variant here; the compiler lists the other places.

use smol_str::SmolStr;

use crate::api;

/// A second factor as a policy sets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Factor {
    Totp { enabled: bool, issuer: Option<SmolStr> },
    Webauthn { enabled: bool, rp: Option<RelyingParty> },
    LookupSecret { enabled: bool },
    Code { enabled: bool },
}

/// A WebAuthn relying party.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelyingParty {
    pub id: SmolStr,
    pub display_name: SmolStr,
    pub origins: Option<Vec<SmolStr>>,
}

impl Factor {
    /// Its key under `spec.methods`, which is also its name in `acknowledge`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Totp { .. } => "totp",
            Self::Webauthn { .. } => "webauthn",
            Self::LookupSecret { .. } => "lookupSecret",
            Self::Code { .. } => "code",
        }
    }

    #[must_use]
    pub fn enabled(&self) -> bool {
        match self {
            Self::Totp { enabled, .. }
            | Self::Webauthn { enabled, .. }
            | Self::LookupSecret { enabled }
            | Self::Code { enabled } => *enabled,
        }
    }

    /// The factors that `methods` sets, whatever their values.
    #[must_use]
    pub fn from_methods(methods: &api::Methods) -> Vec<Self> {
        // Field by field, so that the compiler asks for a new method here.
        let api::Methods { totp, webauthn, lookup_secret, code } = methods;
        let totp = totp
            .as_ref()
            .map(|totp| Self::Totp { enabled: totp.enabled, issuer: totp.issuer.as_deref().map(Into::into) });
        let webauthn = webauthn.as_ref().map(|webauthn| Self::Webauthn {
            enabled: webauthn.enabled,
            rp: webauthn.rp.as_ref().map(|rp| RelyingParty {
                id: rp.id.as_str().into(),
                display_name: rp.display_name.as_str().into(),
                origins: rp
                    .origins
                    .as_ref()
                    .map(|origins| origins.iter().map(|origin| origin.as_str().into()).collect()),
            }),
        });
        let lookup_secret =
            lookup_secret.as_ref().map(|lookup| Self::LookupSecret { enabled: lookup.enabled });
        let code = code.as_ref().map(|code| Self::Code { enabled: code.mfa_enabled });
        [totp, webauthn, lookup_secret, code].into_iter().flatten().collect()
    }
}
