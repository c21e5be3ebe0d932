//! The overlay: a Kratos configuration with only the keys that a policy sets. The names of these
//! fields are Kratos' own keys and stand nowhere else; files, variables and digests derive from them.

use serde::{Deserialize, Serialize};

use super::variables::governed_paths;
use crate::api;
use crate::document::{Budget, Document, Wanted};
use crate::policy::{Factor, Level, Policy, RelyingParty};

macro_rules! keys {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            $(#[serde(skip_serializing_if = "Option::is_none")] pub $field: Option<$type>,)+
        }
    };
}

keys!(
    /// The root of the configuration.
    Overlay { selfservice: Selfservice, session: Session }
);
keys!(Selfservice { flows: Flows, methods: Methods });
keys!(Flows { settings: Settings });
keys!(Settings { privileged_session_max_age: String, required_aal: String });
keys!(Session { whoami: Whoami });
keys!(Whoami { required_aal: String });
keys!(Methods { code: Code, lookup_secret: LookupSecret, totp: Totp, webauthn: Webauthn });
keys!(Code { mfa_enabled: bool });
keys!(LookupSecret { enabled: bool });
keys!(Totp { config: TotpConfig, enabled: bool });
keys!(TotpConfig { issuer: String });
keys!(Webauthn { config: WebauthnConfig, enabled: bool });
keys!(WebauthnConfig { rp: Rp });
keys!(Rp { display_name: String, id: String, origins: Vec<String> });

impl Overlay {
    /// What `policy` asks for, and nothing else.
    #[must_use]
    pub fn of(policy: &Policy) -> Self {
        let settings = Settings {
            privileged_session_max_age: policy.privileged_session_max_age.as_deref().map(Into::into),
            required_aal: policy.settings.map(|level| level.as_str().into()),
        };
        let flows = (settings != Settings::default()).then_some(Flows { settings: Some(settings) });
        let mut methods = Methods::default();
        policy.factors.iter().for_each(|factor| methods.set(factor));
        let methods = (methods != Methods::default()).then_some(methods);
        let session = policy
            .whoami
            .map(|level| Session { whoami: Some(Whoami { required_aal: Some(level.as_str().into()) }) });
        let selfservice = (flows.is_some() || methods.is_some()).then_some(Selfservice { flows, methods });
        Self { selfservice, session }
    }

    /// The two levels alone, those that it states.
    #[must_use]
    pub fn levels(&self) -> Self {
        let settings = self
            .selfservice
            .as_ref()
            .and_then(|own| own.flows.as_ref())
            .and_then(|flows| flows.settings.as_ref());
        let settings = settings.and_then(|settings| settings.required_aal.clone());
        let flows = settings.map(|level| Flows {
            settings: Some(Settings { required_aal: Some(level), ..Settings::default() }),
        });
        Self {
            selfservice: flows.map(|flows| Selfservice { flows: Some(flows), methods: None }),
            session: self.session.clone(),
        }
    }

    /// The part whose change may keep a server from starting. Levels, the session age, totp and lookup_secret
    /// never do.
    #[must_use]
    pub fn risky(&self) -> Self {
        let methods = self.selfservice.as_ref().and_then(|own| own.methods.as_ref());
        // Field by field, so that the compiler asks for a new method here.
        let risky = |Methods { code, lookup_secret: _, totp: _, webauthn }: &Methods| Methods {
            code: code.clone(),
            webauthn: webauthn.clone(),
            ..Methods::default()
        };
        let methods = methods.map(risky).filter(|methods| *methods != Methods::default());
        Self {
            selfservice: methods.map(|methods| Selfservice { flows: None, methods: Some(methods) }),
            session: None,
        }
    }

    /// Levels as (settings, whoami).
    #[must_use]
    pub fn required_levels(&self) -> (Option<Level>, Option<Level>) {
        let aal = self.spec().required_aal.unwrap_or_default();
        (aal.settings.as_deref().and_then(Level::from_word), aal.whoami.as_deref().and_then(Level::from_word))
    }

    /// The factors that it sets, as a policy would name them.
    #[must_use]
    pub fn factors(&self) -> Vec<Factor> {
        Factor::from_methods(&self.api_methods().unwrap_or_default())
    }

    /// A spec that would ask for it, with no targets yet: what was stored where others may write is
    /// checked by the rules of every spec.
    #[must_use]
    pub fn spec(&self) -> api::MfaPolicySpec {
        let settings = self
            .selfservice
            .as_ref()
            .and_then(|own| own.flows.as_ref())
            .and_then(|flows| flows.settings.clone())
            .unwrap_or_default();
        let whoami = self.session.as_ref().and_then(|session| session.whoami.as_ref());
        api::MfaPolicySpec {
            required_aal: Some(api::RequiredAal {
                settings: settings.required_aal,
                whoami: whoami.and_then(|whoami| whoami.required_aal.clone()),
            }),
            privileged_session_max_age: settings.privileged_session_max_age,
            methods: self.api_methods(),
            field_conflicts: "Refuse".into(),
            deletion_policy: "Revert".into(),
            // What was applied had been acknowledged.
            acknowledge: vec![api::Risk::SettingsBypass.as_str().into()],
            ..api::MfaPolicySpec::default()
        }
    }

    /// This one laid over another.
    #[must_use]
    pub fn over(&self, under: &Self) -> Self {
        under.document().merge(&self.document()).typed().unwrap_or_else(|| self.clone())
    }

    /// What a rendered file says, as far as a policy can.
    #[must_use]
    pub fn read(file: &str) -> Option<Self> {
        let wanted = Wanted::paths(governed_paths().iter().map(String::as_str));
        Document::read(file, &wanted, &mut Budget::default()).ok()?.typed()
    }

    /// # Panics
    /// Never: the types above always have a tree.
    #[must_use]
    pub fn document(&self) -> Document {
        Document::from_typed(self).expect("an overlay is a tree of mappings, strings and booleans")
    }

    fn api_methods(&self) -> Option<api::Methods> {
        let methods = self.selfservice.as_ref()?.methods.as_ref()?;
        Some(api::Methods {
            totp: methods.totp.as_ref().map(|totp| api::Totp {
                enabled: totp.enabled.unwrap_or_default(),
                issuer: totp.config.as_ref().and_then(|config| config.issuer.clone()),
            }),
            webauthn: methods.webauthn.as_ref().map(|webauthn| api::Webauthn {
                enabled: webauthn.enabled.unwrap_or_default(),
                rp: webauthn.config.as_ref().and_then(|config| config.rp.as_ref()).map(|rp| {
                    api::RelyingParty {
                        id: rp.id.clone().unwrap_or_default(),
                        display_name: rp.display_name.clone().unwrap_or_default(),
                        origins: rp.origins.clone(),
                    }
                }),
            }),
            lookup_secret: methods
                .lookup_secret
                .as_ref()
                .map(|lookup| api::LookupSecret { enabled: lookup.enabled.unwrap_or_default() }),
            code: methods
                .code
                .as_ref()
                .map(|code| api::Code { mfa_enabled: code.mfa_enabled.unwrap_or_default() }),
        })
    }
}

impl Methods {
    fn set(&mut self, factor: &Factor) {
        match factor {
            Factor::Totp { enabled, issuer } => {
                self.totp = Some(Totp {
                    config: issuer.as_deref().map(|issuer| TotpConfig { issuer: Some(issuer.into()) }),
                    enabled: Some(*enabled),
                });
            }
            Factor::Webauthn { enabled, rp } => {
                self.webauthn = Some(Webauthn {
                    config: rp.as_ref().map(|rp| WebauthnConfig { rp: Some(Rp::of(rp)) }),
                    enabled: Some(*enabled),
                });
            }
            Factor::LookupSecret { enabled } => {
                self.lookup_secret = Some(LookupSecret { enabled: Some(*enabled) })
            }
            Factor::Code { enabled } => self.code = Some(Code { mfa_enabled: Some(*enabled) }),
        }
    }
}

impl Rp {
    fn of(rp: &RelyingParty) -> Self {
        Self {
            display_name: Some(rp.display_name.to_string()),
            id: Some(rp.id.to_string()),
            origins: rp.origins.as_ref().map(|origins| origins.iter().map(ToString::to_string).collect()),
        }
    }
}
