//! The rules of the resource: each message once, used by the CEL rule in the schema and by
//! [`crate::policy`], which checks the same rule in Rust. The table in
//! `tests/control_plane/admission` runs both over the same resources.

/// Rejects `aal2` and any other level that Kratos does not know.
pub const LEVEL: (&str, &str) = ("self in ['aal1', 'highest_available']", LEVEL_MESSAGE);
pub const LEVEL_MESSAGE: &str = "Kratos knows two values here and refuses every other, aal2 included: use highest_available, which demands the highest level that the identity has set up (AAL2 for whoever enrolled a second factor), or aal1";

pub const NO_LEVEL: (&str, &str) = (
    "has(self.requiredAAL) && (has(self.requiredAAL.settings) || has(self.requiredAAL.whoami))",
    NO_LEVEL_MESSAGE,
);
pub const NO_LEVEL_MESSAGE: &str =
    "a policy must state a level: set requiredAAL.settings, requiredAAL.whoami or both";

pub const SETTINGS_BYPASS: (&str, &str) = (
    "!(has(self.requiredAAL) && has(self.requiredAAL.whoami) && has(self.requiredAAL.settings) \
     && self.requiredAAL.whoami == 'highest_available' && self.requiredAAL.settings == 'aal1') \
     || (has(self.acknowledge) && 'SettingsBypass' in self.acknowledge)",
    SETTINGS_BYPASS_MESSAGE,
);
pub const SETTINGS_BYPASS_MESSAGE: &str = "requiredAAL.settings aal1 beside requiredAAL.whoami highest_available lets whoever has only the password remove or replace the second factor: set requiredAAL.settings to highest_available, or add SettingsBypass to acknowledge";

/// A method that was on in `oldSelf` must stay on, unless acknowledged under its own name.
macro_rules! switched_off {
    ($method:literal, $field:literal) => {
        (
            concat!(
                "!(has(oldSelf.methods) && has(oldSelf.methods.",
                $method,
                ") && has(oldSelf.methods.",
                $method,
                ".",
                $field,
                ") && oldSelf.methods.",
                $method,
                ".",
                $field,
                ") || (has(self.methods) && has(self.methods.",
                $method,
                ") && has(self.methods.",
                $method,
                ".",
                $field,
                ") && self.methods.",
                $method,
                ".",
                $field,
                ") || (has(self.acknowledge) && 'MethodSwitchedOff:",
                $method,
                "' in self.acknowledge)"
            ),
            concat!(
                "methods.",
                $method,
                " was on and would go off or no longer be set, which locks out whoever holds only that factor: keep methods.",
                $method,
                ".",
                $field,
                " true, or add MethodSwitchedOff:",
                $method,
                " to acknowledge"
            ),
        )
    };
}

pub const TOTP_OFF: (&str, &str) = switched_off!("totp", "enabled");
pub const WEBAUTHN_OFF: (&str, &str) = switched_off!("webauthn", "enabled");
pub const LOOKUP_SECRET_OFF: (&str, &str) = switched_off!("lookupSecret", "enabled");
pub const CODE_OFF: (&str, &str) = switched_off!("code", "mfaEnabled");

/// What the operator says of what stands on a target. No expressions: only the operator sees that.
pub const NOT_STATED: &str = "it would be weaker than what is in force, and the policy does not say so: state it as it stands, or the weaker value (to leave it to the server, state that now and take it out afterwards)";
pub const LEFT_IN_ANOTHER_CONTAINER: &str = "variables of an earlier policy stand in another container, which would lose them: name that one, and change it once this policy governs the workload";
pub const LEFT_TO_OTHERS: &str =
    "other workloads read this file, too: state what is in it, or set a name of its own";

/// Word in `acknowledge` for a relying party that goes away rather than changes.
pub const NO_RELYING_PARTY: &str = "none";

pub const RELYING_PARTY_CHANGED: &str = "!(has(oldSelf.methods) && has(oldSelf.methods.webauthn) && has(oldSelf.methods.webauthn.rp)) \
     || (has(self.methods) && has(self.methods.webauthn) && has(self.methods.webauthn.rp) \
         ? self.methods.webauthn.rp.id == oldSelf.methods.webauthn.rp.id \
           || (has(self.acknowledge) && ('RelyingPartyChanged:' + self.methods.webauthn.rp.id) in self.acknowledge) \
         : has(self.acknowledge) && 'RelyingPartyChanged:none' in self.acknowledge)";
/// The message names the new id, so it is an expression; [`relying_party_changed`] says the same in Rust.
pub const RELYING_PARTY_CHANGED_MESSAGE: &str = "'another methods.webauthn.rp.id makes every registered security key useless: keep ' + oldSelf.methods.webauthn.rp.id + ', or add RelyingPartyChanged:' + (has(self.methods) && has(self.methods.webauthn) && has(self.methods.webauthn.rp) ? self.methods.webauthn.rp.id : 'none') + ' to acknowledge'";

/// The message of [`RELYING_PARTY_CHANGED_MESSAGE`] for these two ids. The old one is none where it is the
/// server's own.
#[must_use]
pub fn relying_party_changed(old: Option<&str>, new: &str) -> String {
    let old = old.unwrap_or("that of the server's own configuration");
    format!(
        "another methods.webauthn.rp.id makes every registered security key useless: keep {old}, or add RelyingPartyChanged:{new} to acknowledge"
    )
}

pub const ORIGIN_LOST: &str = "!(has(oldSelf.methods) && has(oldSelf.methods.webauthn) && has(oldSelf.methods.webauthn.rp) && has(oldSelf.methods.webauthn.rp.origins) \
     && has(self.methods) && has(self.methods.webauthn) && has(self.methods.webauthn.rp)) \
     || (has(self.methods.webauthn.rp.origins) && oldSelf.methods.webauthn.rp.origins.all(o, o in self.methods.webauthn.rp.origins)) \
     || (has(self.acknowledge) && ('RelyingPartyChanged:' + self.methods.webauthn.rp.id) in self.acknowledge)";
/// The message names the id, so it is an expression; [`origins_changed`] says the same in Rust.
pub const ORIGIN_LOST_MESSAGE: &str = "'with other methods.webauthn.rp.origins, security keys no longer work, or begin to work, at some page: keep those that there are, or add RelyingPartyChanged:' + self.methods.webauthn.rp.id + ' to acknowledge'";

/// The message of [`ORIGIN_LOST_MESSAGE`] for this id.
#[must_use]
pub fn origins_changed(id: &str) -> String {
    format!(
        "with other methods.webauthn.rp.origins, security keys no longer work, or begin to work, at some page: keep those that there are, or add RelyingPartyChanged:{id} to acknowledge"
    )
}

/// Go's duration syntax without days. The digits are bounded so that no sum overflows Go's 292 years.
pub const DURATION: (&str, &str) = (
    "self.matches('^([0-9]{1,9}(ns|us|ms|s)|[0-9]{1,7}m|[0-9]{1,5}h)+$') && self.matches('[1-9]')",
    DURATION_MESSAGE,
);
pub const DURATION_MESSAGE: &str = "write a duration greater than zero from numbers and the units h, m, s, ms, us or ns, for example 15m or 1h30m; days do not exist here, write 24h";

/// Shorter, nobody gets to change a factor; longer, a session that was left open does.
pub const SESSION_AGE: (&str, &str) = (
    "self.matches('^([0-9]{1,9}(ns|us|ms|s)|[0-9]{1,7}m|[0-9]{1,5}h)+$') && duration(self) >= duration('1m') && duration(self) <= duration('24h')",
    SESSION_AGE_MESSAGE,
);
pub const SESSION_AGE_MESSAGE: &str = "write a duration from 1m to 24h, for example 15m or 1h30m: with less nobody gets to change a factor, and days do not exist here";

pub const WEBAUTHN_RP: (&str, &str) = ("!self.enabled || has(self.rp)", WEBAUTHN_RP_MESSAGE);
pub const WEBAUTHN_RP_MESSAGE: &str = "webauthn needs its relying party: set methods.webauthn.rp.id to the domain that people sign in at and rp.displayName to the name they shall see";

pub const RP_ID: (&str, &str) = (
    "self.matches('^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?[.])+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$') || self == 'localhost'",
    RP_ID_MESSAGE,
);
pub const RP_ID_MESSAGE: &str =
    "rp.id is a domain in lower case without scheme, port or path, for example example.com (or localhost)";

pub const ORIGIN: (&str, &str) = (
    "self.matches('^(https://([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?[.])*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?|http://localhost)(:[1-9][0-9]{0,4})?$') \
     && (!self.matches(':[0-9]+$') || int(self.find('[0-9]+$')) <= 65535) \
     || self.matches('^android:apk-key-hash:[A-Za-z0-9_-]{43}$')",
    ORIGIN_MESSAGE,
);
pub const ORIGIN_MESSAGE: &str = "an origin is https://host or https://host:port in lower case, with no path, comma or quote, for example https://login.example.com (http for localhost alone); that of an Android app is android:apk-key-hash: with the SHA-256 of its signing certificate in base64url, 43 characters";

/// Kratos compares origins as text with what the browser sends.
pub const DEFAULT_PORT: (&str, &str) = (
    "!(self.startsWith('https://') && self.endsWith(':443')) && !(self.startsWith('http://') && self.endsWith(':80'))",
    DEFAULT_PORT_MESSAGE,
);
pub const DEFAULT_PORT_MESSAGE: &str = "browsers leave the default port out of an origin, so that no key would ever be taken: remove :443, or :80 of http";

pub const ORIGIN_OF_RP: (&str, &str) = (
    "!has(self.origins) || self.origins.all(o, o.startsWith('android:') \
     || (o + ':').contains('://' + self.id + ':') || (o + ':').contains('.' + self.id + ':'))",
    ORIGIN_OF_RP_MESSAGE,
);
pub const ORIGIN_OF_RP_MESSAGE: &str = "browsers accept a key only where rp.id is the host of the origin or a domain above it: change rp.id, or remove the origins of other domains";

/// Control characters reach no authenticator app, and NUL no process.
pub const PRINTABLE: (&str, &str) = ("!self.matches('[\\\\x00-\\\\x1f\\\\x7f-\\\\x9f]')", PRINTABLE_MESSAGE);
pub const PRINTABLE_MESSAGE: &str =
    "remove the control characters (line breaks and tabs included): this name is shown on one line";

/// In the enrolment link a colon ends the issuer and begins the account.
pub const ISSUER: (&str, &str) = ("!self.contains(':')", ISSUER_MESSAGE);
pub const ISSUER_MESSAGE: &str = "some authenticator apps take what stands behind a colon for the account: leave the colon out, or write - in its place";

/// Kubernetes bounds the whole name, not what is between the dots.
pub const OBJECT_NAME: (&str, &str) = (
    "self.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)*$')",
    OBJECT_NAME_MESSAGE,
);
pub const OBJECT_NAME_MESSAGE: &str = "write the name of a Kubernetes object: lower case letters, digits, '-' and '.', beginning and ending with a letter or digit";

/// By it admission tells the ConfigMaps that the operator may make from all others.
pub const CONFIG_MAP_SUFFIX: &str = "-mfa";
pub const CONFIG_MAP_NAME: (&str, &str) = ("self.endsWith('-mfa')", CONFIG_MAP_NAME_MESSAGE);
pub const CONFIG_MAP_NAME_MESSAGE: &str = "the name of a policy's ConfigMap ends in -mfa, for example kratos-mfa: the cluster lets the operator make no other";

pub const DNS_LABEL: (&str, &str) =
    ("self.matches('^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$')", DNS_LABEL_MESSAGE);
pub const DNS_LABEL_MESSAGE: &str = "write the name of a container: at most 63 lower case letters, digits and '-', beginning and ending with a letter or digit";

pub const NAME_FITS_LABEL: (&str, &str) = ("self.metadata.name.size() <= 63", NAME_FITS_LABEL_MESSAGE);
pub const NAME_FITS_LABEL_MESSAGE: &str = "metadata.name becomes a label value on each workload that the policy governs: choose a name of at most 63 characters";

pub const GROUP_APPS: (&str, &str) = ("self == 'apps'", GROUP_APPS_MESSAGE);
pub const GROUP_APPS_MESSAGE: &str = "targets are workloads of the group apps: leave group out or write apps";

pub const TARGET_KIND: (&str, &str) =
    ("self in ['Deployment', 'StatefulSet', 'DaemonSet']", TARGET_KIND_MESSAGE);
pub const TARGET_KIND_MESSAGE: &str =
    "a target is a workload with pods that roll: write Deployment (the default), StatefulSet or DaemonSet";

pub const DELIVERY_TYPE: (&str, &str) = ("self in ['Environment', 'ConfigFile']", DELIVERY_TYPE_MESSAGE);
pub const DELIVERY_TYPE_MESSAGE: &str = "write Environment (the default: variables of the container, nothing to prepare) or ConfigFile (a file that the server reads anew without a restart; it must be mounted and named by --config)";

pub const FIELD_CONFLICTS: (&str, &str) = ("self in ['Refuse', 'TakeOver']", FIELD_CONFLICTS_MESSAGE);
pub const FIELD_CONFLICTS_MESSAGE: &str =
    "write Refuse (leave fields of other owners alone and say so) or TakeOver (take them from their owner)";

pub const DELETION_POLICY: (&str, &str) = ("self in ['Revert', 'Retain']", DELETION_POLICY_MESSAGE);
pub const DELETION_POLICY_MESSAGE: &str =
    "write Revert (the workloads lose the policy's settings with it) or Retain (they keep them)";

pub const ON_FAILURE: (&str, &str) = ("self in ['Rollback', 'Hold']", ON_FAILURE_MESSAGE);
pub const ON_FAILURE_MESSAGE: &str = "write Rollback (the default: a revision that new pods do not survive is taken back while the old ones serve) or Hold (it is left as it is, and told)";

pub const VERIFICATION_MODE: (&str, &str) =
    ("self in ['IfSupported', 'Required', 'Off']", VERIFICATION_MODE_MESSAGE);
pub const VERIFICATION_MODE_MESSAGE: &str = "write IfSupported (the default: pods are asked, and what they cannot tell is no fault), Required (Ready waits for their proof) or Off";

pub const PORT: (&str, &str) = (
    "self.matches('^[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?$') && (!self.matches('^[0-9]+$') || (int(self) >= 1 && int(self) <= 65535))",
    PORT_MESSAGE,
);
pub const PORT_MESSAGE: &str = "write the name of the container port that serves the admin API, for example http-admin, or its number in quotes";

pub const PATIENCE: (&str, &str) =
    ("self.matches('^([1-9]|10)s$') || self.matches('^[1-9][0-9]{2,3}ms$')", PATIENCE_MESSAGE);
pub const PATIENCE_MESSAGE: &str = "write a time from 100ms to 10s, for example 2s";

/// Bounds of strings and lists; the schema and [`crate::policy`] share them.
pub const MAX_TARGETS: usize = 8;
pub const MAX_ORIGINS: usize = 16;
pub const MAX_ORIGIN: usize = 300;
pub const MAX_ACKNOWLEDGED: usize = 32;
pub const MAX_ACKNOWLEDGEMENT: usize = 300;
pub const MAX_NAME: usize = 253;
pub const MAX_LABEL: usize = 63;
pub const MAX_DISPLAY: usize = 100;
pub const MAX_DURATION: usize = 32;
pub const MAX_WORD: usize = 32;
pub const MAX_REVISIONS: i64 = 50;
