//! The stable names of advice and of risks, which `spec.acknowledge` takes. docs/advisories.md explains each.

use strum::{IntoStaticStr, VariantArray};

/// What is no fault and still worth a thought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, IntoStaticStr, VariantArray)]
pub enum Advice {
    NoSecondFactor,
    LookupSecretAlone,
    StricterWhoami,
    StricterSettings,
    NoRecoveryForLostFactor,
    RecoveryIsSecondFactor,
    DowntimeLikely,
    NoDrainDelay,
    UntargetedServer,
    SessionCache,
    OriginsNotCovered,
    NotCompared,
    UpstreamMfaTrusted,
    PasswordlessCodeNotAsked,
    OwnersNotRead,
}

impl Advice {
    pub const ALL: &[Self] = Self::VARIANTS;

    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// What it means, and what to do.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Self::NoSecondFactor => {
                "no second factor is switched on: highest_available asks nothing of people who have none, and locks out who has one from before; switch one on, for example methods.totp and methods.lookupSecret"
            }
            Self::LookupSecretAlone => {
                "recovery codes are the only second factor, and each works once: who has used them up is locked out; switch on methods.totp or methods.webauthn beside them"
            }
            Self::StricterWhoami => {
                "apps demand the second factor and the settings page does not: whoever has only the password can remove the factor there and then passes; set requiredAAL.settings to highest_available"
            }
            Self::StricterSettings => {
                "the settings page demands the second factor and apps do not: a stolen password still opens every app; set requiredAAL.whoami to highest_available when the apps can send people to step up"
            }
            Self::NoRecoveryForLostFactor => {
                "there are no recovery codes: recovery signs in with one factor, so who loses the device cannot reach the settings page to replace it, and only an administrator can help; switch on methods.lookupSecret"
            }
            Self::RecoveryIsSecondFactor => {
                "account recovery and the second factor go through the same mailbox: whoever has it has both; switch on methods.totp or methods.webauthn instead of methods.code"
            }
            Self::DowntimeLikely => {
                "a roll ends a pod before its successor serves, by the workload's own strategy and number of pods: nobody can sign in meanwhile; roll with maxSurge 1 and maxUnavailable 0, or run two replicas"
            }
            Self::NoDrainDelay => {
                "the container has no preStop hook, so each roll drops a few requests that are on their way: add lifecycle.preStop.sleep.seconds: 5"
            }
            Self::UntargetedServer => {
                "identity servers in this namespace that no policy names: whoever reaches them is asked for what their own configuration says; add them to spec.targetRefs, or write a policy for them; a second server in the pods of a target needs a workload of its own first"
            }
            Self::SessionCache => {
                "feature_flags.cacheable_sessions lets caches keep the answers of whoami until the session expires, so that a change of the level is seen late; set feature_flags.cacheable_sessions_max_age"
            }
            Self::OriginsNotCovered => {
                "the server's own configuration lists more than 16 origins of keys, and Kratos lets a variable replace only as many as it has: those behind the 16th stay valid, whatever the policy says; shorten selfservice.methods.webauthn.config.rp.origins there, or set delivery.type to ConfigFile"
            }
            Self::NotCompared => {
                "what the server's own configuration says of these cannot be read, so nobody compared it with the policy: a method that is on there goes off, and keys of another relying party or origin stop working; make sure that it says the same"
            }
            Self::UpstreamMfaTrusted => {
                "sessions of these providers are AAL2 by the provider's own word, and Kratos asks them for no second factor: make sure that each value stands for two factors there, and remove those that do not from aal2_acr_values and aal2_amr_values"
            }
            Self::PasswordlessCodeNotAsked => {
                "Kratos before 1.3.0 does not ask people whose only first factor is a code by mail for their second one: upgrade it, or switch selfservice.methods.code.passwordless_enabled off"
            }
            Self::OwnersNotRead => {
                "the operator may not read ReplicaSets here, so whose the pods are is known by the names of these alone, and those of somebody else may pass for its own; grant its account get on replicasets, as the chart does"
            }
        }
    }
}

/// What is refused until it is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
pub enum Risk {
    SettingsBypass,
    /// Followed by a colon and the method.
    MethodSwitchedOff,
    /// Followed by a colon and the new id.
    RelyingPartyChanged,
    CodeCountsForEveryone,
}

impl Risk {
    pub const ALL: &[Self] = Self::VARIANTS;

    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}
