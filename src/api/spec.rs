//! `MfaPolicy.spec`: the fields, their descriptions for `kubectl explain`, and where each rule holds.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::rules;
use super::status::MfaPolicyStatus;

/// The assurance level that an identity server must demand, and the second factors it offers for it.
#[derive(CustomResource, Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "mfa-operator.dev",
    version = "v1alpha1",
    kind = "MfaPolicy",
    plural = "mfapolicies",
    shortname = "mfap",
    namespaced,
    doc = "MfaPolicy states the authenticator assurance level (AAL) that an Ory Kratos must demand. The operator renders it into Kratos' configuration and rolls the targets until every pod enforces it.",
    status = "MfaPolicyStatus",
    derive = "PartialEq",
    validation = rules::NAME_FITS_LABEL,
    printcolumn(name = "Settings", type_ = "string", json_path = ".status.requiredAAL.settings", description = "Level that the settings flow demands on every pod now"),
    printcolumn(name = "Whoami", type_ = "string", json_path = ".status.requiredAAL.whoami", description = "Level that whoami demands on every pod now"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status", description = "Whether the policy is enforced"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason", description = "Why it is or is not"),
    printcolumn(name = "Pods", type_ = "string", json_path = ".status.pods", description = "Pods that are ready and run the policy, of those wanted"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Targets", type_ = "string", json_path = ".spec.targetRefs[*].name", priority = 1, description = "Workloads that the policy governs"),
    printcolumn(name = "Revision", type_ = "string", json_path = ".status.revision", priority = 1, description = "Revision of the rendered settings")
)]
#[x_kube(
    validation = rules::NO_LEVEL,
    validation = rules::SETTINGS_BYPASS,
    validation = rules::TOTP_OFF,
    validation = rules::WEBAUTHN_OFF,
    validation = rules::LOOKUP_SECRET_OFF,
    validation = rules::CODE_OFF,
    validation = Rule::new(rules::RELYING_PARTY_CHANGED).message(kube::core::Message::Expression(rules::RELYING_PARTY_CHANGED_MESSAGE.to_owned())),
    validation = Rule::new(rules::ORIGIN_LOST).message(kube::core::Message::Expression(rules::ORIGIN_LOST_MESSAGE.to_owned()))
)]
#[serde(rename_all = "camelCase")]
pub struct MfaPolicySpec {
    /// The workloads that run the identity server: one to eight Deployments, StatefulSets or DaemonSets in
    /// the policy's own namespace, rolled in the order given. A workload is governed by one policy at a time.
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["group".into(), "kind".into(), "name".into()]))]
    #[schemars(length(min = 1, max = "rules::MAX_TARGETS"))]
    pub target_refs: Vec<TargetRef>,

    /// The levels to demand. At least one of the two must be set; what is left out stays as the server's own
    /// configuration has it.
    #[serde(rename = "requiredAAL", default, skip_serializing_if = "Option::is_none")]
    pub required_aal: Option<RequiredAal>,

    /// How long after signing in a session may change credentials before it must sign in anew, for example
    /// 15m. From 1m to 24h; units are h, m, s, ms, us and ns. Kratos key:
    /// selfservice.flows.settings.privileged_session_max_age. Default: the server's own configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = "rules::MAX_DURATION"))]
    #[x_kube(validation = rules::SESSION_AGE)]
    pub privileged_session_max_age: Option<String>,

    /// Second factors to switch on or off. What is left out stays as the server's own configuration has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub methods: Option<Methods>,

    /// How the settings reach the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Delivery>,

    /// How changes are rolled out and remembered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,

    /// How pods are asked whether they run the policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification: Option<Verification>,

    /// What to do about a field that another manager already set to another value. Refuse (default): leave it
    /// alone and report FieldConflict. TakeOver: take it from its owner; under the delivery ConfigFile a
    /// variable that beats the file has to be removed by hand.
    #[serde(default = "refuse::default", deserialize_with = "refuse::or_default")]
    #[schemars(length(min = 1, max = "rules::MAX_WORD"))]
    #[x_kube(validation = rules::FIELD_CONFLICTS)]
    pub field_conflicts: String,

    /// Risks that are taken on purpose, each by the word that the refusal printed: SettingsBypass,
    /// MethodSwitchedOff:<method>, RelyingPartyChanged:<new id or none>, CodeCountsForEveryone. Also the
    /// types of status.advisories that shall no longer be told.
    #[serde(default, deserialize_with = "or_empty", skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = "rules::MAX_ACKNOWLEDGED"),
        inner(length(min = 1, max = "rules::MAX_ACKNOWLEDGEMENT"))
    )]
    #[x_kube(merge_strategy = kube::core::ListMerge::Set)]
    pub acknowledge: Vec<String>,

    /// What happens to the workloads when the policy is deleted or no longer names them. Revert (default):
    /// they lose the policy's settings and roll. Retain: they keep them.
    #[serde(default = "revert::default", deserialize_with = "revert::or_default")]
    #[schemars(length(min = 1, max = "rules::MAX_WORD"))]
    #[x_kube(validation = rules::DELETION_POLICY)]
    pub deletion_policy: String,

    /// Whether the operator pauses: it keeps reporting how things are and writes nothing new, neither for an
    /// edit nor against drift. Deleting a suspended policy leaves everything as it is. Default: false.
    #[serde(default, deserialize_with = "or_false")]
    pub suspend: bool,
}

/// A workload that runs the identity server.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct TargetRef {
    /// API group of the workload. Default, and the only value: apps.
    #[serde(default = "apps::default", deserialize_with = "apps::or_default")]
    #[schemars(length(min = 1, max = "rules::MAX_WORD"))]
    #[x_kube(validation = rules::GROUP_APPS)]
    pub group: String,

    /// Kind of the workload: Deployment (default), StatefulSet or DaemonSet.
    #[serde(default = "deployment::default", deserialize_with = "deployment::or_default")]
    #[schemars(length(min = 1, max = "rules::MAX_WORD"))]
    #[x_kube(validation = rules::TARGET_KIND)]
    pub kind: String,

    /// Name of the workload, in the policy's namespace.
    #[schemars(length(min = 1, max = "rules::MAX_NAME"))]
    #[x_kube(validation = rules::OBJECT_NAME)]
    pub name: String,

    /// Container that runs the identity server. Default: the only container, else the one named like the
    /// workload, else kratos.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = "rules::MAX_LABEL"))]
    #[x_kube(validation = rules::DNS_LABEL)]
    pub container: Option<String>,
}

/// Levels: aal1 (a password alone suffices) or highest_available (whoever has set up a second factor must use
/// it; nobody is forced to set one up).
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq)]
pub struct RequiredAal {
    /// Level that the settings page demands: aal1 or highest_available. Kratos key:
    /// selfservice.flows.settings.required_aal. Default: the server's own configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = "rules::MAX_WORD"))]
    #[x_kube(validation = rules::LEVEL)]
    pub settings: Option<String>,

    /// Level that every session check (/sessions/whoami) demands: aal1 or highest_available. Kratos key:
    /// session.whoami.required_aal. Default: the server's own configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = "rules::MAX_WORD"))]
    #[x_kube(validation = rules::LEVEL)]
    pub whoami: Option<String>,
}

/// Second factors.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Methods {
    /// Codes from an authenticator app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub totp: Option<Totp>,

    /// Security keys and platform authenticators, as a second factor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webauthn: Option<Webauthn>,

    /// Recovery codes: a list of single-use codes, for whoever lost the other factor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lookup_secret: Option<LookupSecret>,

    /// One-time codes by mail or SMS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
}

/// Codes from an authenticator app.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq)]
pub struct Totp {
    /// Whether the method is on. Kratos key: selfservice.methods.totp.enabled.
    pub enabled: bool,

    /// Name that the authenticator app shows for the account, without a colon. Avoid & and +: Kratos 1.3 does
    /// not escape them in the enrolment link, and apps show a garbled name. Kratos key:
    /// selfservice.methods.totp.config.issuer. Default: the server's own configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = "rules::MAX_DISPLAY"))]
    #[x_kube(validation = rules::PRINTABLE, validation = rules::ISSUER)]
    pub issuer: Option<String>,
}

/// Security keys and platform authenticators.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq)]
#[x_kube(validation = rules::WEBAUTHN_RP)]
pub struct Webauthn {
    /// Whether the method is on. Kratos key: selfservice.methods.webauthn.enabled.
    pub enabled: bool,

    /// The relying party that keys are registered for; needed when the method is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rp: Option<RelyingParty>,
}

/// A WebAuthn relying party.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq)]
#[x_kube(validation = rules::ORIGIN_OF_RP)]
#[serde(rename_all = "camelCase")]
pub struct RelyingParty {
    /// Domain that keys are bound to; another one makes every registered key useless. Kratos key:
    /// selfservice.methods.webauthn.config.rp.id.
    #[schemars(length(min = 1, max = "rules::MAX_NAME"))]
    #[x_kube(validation = rules::RP_ID)]
    pub id: String,

    /// Name that the browser shows. Kratos key: selfservice.methods.webauthn.config.rp.display_name.
    #[schemars(length(min = 1, max = "rules::MAX_DISPLAY"))]
    #[x_kube(validation = rules::PRINTABLE)]
    pub display_name: String,

    /// Pages that may use the keys: https origins at or below rp.id without the default port, http for
    /// localhost alone; and Android apps, as android:apk-key-hash:… (Kratos 1.3.1 and later). Kratos key:
    /// selfservice.methods.webauthn.config.rp.origins. Default: the server's own configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "origins")]
    pub origins: Option<Vec<String>>,
}

/// Recovery codes.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq)]
pub struct LookupSecret {
    /// Whether the method is on. Kratos key: selfservice.methods.lookup_secret.enabled.
    pub enabled: bool,
}

/// One-time codes by mail or SMS.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Code {
    /// Whether a code counts as a second factor. On Kratos before 25.4 it counts for every identity, enrolled
    /// or not, which beside highest_available has to be acknowledged: CodeCountsForEveryone. Kratos key:
    /// selfservice.methods.code.mfa_enabled.
    pub mfa_enabled: bool,
}

/// How the settings reach the server.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// Environment (default): each setting becomes an environment variable of the container, which beats
    /// every configuration file; every change rolls the pods. ConfigFile: the settings are a file in a
    /// ConfigMap that the workload must mount and name as its last --config; a change of requiredAAL rolls
    /// the pods, any other is read by the running ones.
    #[serde(rename = "type", default = "environment::default", deserialize_with = "environment::or_default")]
    #[schemars(length(min = 1, max = "rules::MAX_WORD"))]
    #[x_kube(validation = rules::DELIVERY_TYPE)]
    pub type_: String,

    /// Name of the ConfigMap that holds the rendered settings as kratos.yaml, whatever the type; it ends in
    /// -mfa. Default: the policy's name followed by -mfa.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = "rules::MAX_NAME"))]
    #[x_kube(validation = rules::OBJECT_NAME)]
    #[x_kube(validation = rules::CONFIG_MAP_NAME)]
    pub config_map_name: Option<String>,
}

/// How changes are rolled out and remembered.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    /// How long a roll may go without one more new pod becoming available, before a new pod that does not
    /// become ready counts as failed; the workload's minReadySeconds comes on top. A pod that has crashed
    /// twice counts at once. Default: 10m.
    #[serde(default = "ten_minutes::default", deserialize_with = "ten_minutes::or_default")]
    #[schemars(length(min = 1, max = "rules::MAX_DURATION"))]
    #[x_kube(validation = rules::DURATION)]
    pub progress_timeout: String,

    /// What happens when new pods do not survive a change while old ones run well. Rollback (default): each
    /// target that fails goes back to its last good revision, and one that runs well keeps the new one; a
    /// change of levels, session age, totp and lookupSecret alone is never taken back. Hold: it is left as it
    /// is, and told.
    #[serde(default = "rollback::default", deserialize_with = "rollback::or_default")]
    #[schemars(length(min = 1, max = "rules::MAX_WORD"))]
    #[x_kube(validation = rules::ON_FAILURE)]
    pub on_failure: String,

    /// Number of old revisions to remember, 0 to 50. Default: 5. Those that a target still runs are kept
    /// beside them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = "rules::MAX_REVISIONS"))]
    pub revision_history_limit: Option<i64>,
}

/// How pods are asked whether they run the policy, at their admin API.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq)]
pub struct Verification {
    /// IfSupported (default): pods are asked, and what they cannot tell keeps nothing from being ready.
    /// Required: Ready waits until they confirm it. Off: nobody is asked for a proof.
    #[serde(default = "if_supported::default", deserialize_with = "if_supported::or_default")]
    #[schemars(length(min = 1, max = "rules::MAX_WORD"))]
    #[x_kube(validation = rules::VERIFICATION_MODE)]
    pub mode: String,

    /// Port of the container that serves Kratos' admin API: its name, or its number in quotes. Default:
    /// http-admin, or 4434 where the container names no such port.
    #[serde(default = "http_admin::default", deserialize_with = "http_admin::or_default")]
    #[schemars(length(min = 1, max = "rules::MAX_WORD"))]
    #[x_kube(validation = rules::PORT)]
    pub port: String,

    /// How long a pod may take to answer, 100ms to 10s. Default: 2s.
    #[serde(default = "two_seconds::default", deserialize_with = "two_seconds::or_default")]
    #[schemars(length(min = 1, max = "rules::MAX_WORD"))]
    #[x_kube(validation = rules::PATIENCE)]
    pub timeout: String,
}

/// A word with a default. An explicit null means the default too, as it does to the API server.
macro_rules! word_with_default {
    ($name:ident, $default:literal) => {
        mod $name {
            use serde::Deserialize;

            pub(super) fn default() -> String {
                $default.into()
            }

            pub(super) fn or_default<'de, D: serde::Deserializer<'de>>(
                deserializer: D,
            ) -> Result<String, D::Error> {
                Ok(Option::deserialize(deserializer)?.unwrap_or_else(default))
            }
        }
    };
}

word_with_default!(apps, "apps");
word_with_default!(deployment, "Deployment");
word_with_default!(environment, "Environment");
word_with_default!(http_admin, "http-admin");
word_with_default!(if_supported, "IfSupported");
word_with_default!(refuse, "Refuse");
word_with_default!(revert, "Revert");
word_with_default!(rollback, "Rollback");
word_with_default!(ten_minutes, "10m");
word_with_default!(two_seconds, "2s");

fn or_false<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

fn or_empty<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A list whose items carry a rule: the derive reaches fields only.
fn origins(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "array",
        "nullable": true,
        "minItems": 1,
        "maxItems": rules::MAX_ORIGINS,
        "x-kubernetes-list-type": "set",
        "items": {
            "type": "string",
            "minLength": 1,
            "maxLength": rules::MAX_ORIGIN,
            "x-kubernetes-validations": [
                {"rule": rules::ORIGIN.0, "message": rules::ORIGIN.1},
                {"rule": rules::DEFAULT_PORT.0, "message": rules::DEFAULT_PORT.1},
            ],
        },
    })
}
