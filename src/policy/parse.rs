//! The rules of the resource in Rust, with the messages of [`crate::api::rules`]. The API server
//! runs the same rules as CEL; a resource may reach the operator past them, through an older
//! definition for example.

use std::collections::BTreeSet;

use super::{
    DeletionPolicy, Delivery, Factor, FieldConflicts, Kind, Level, OnFailure, Policy, Rejection, Target,
    Verification, VerificationMode,
};
use crate::api::{self, rules};

/// Validates the spec of the policy called `name`.
///
/// # Errors
/// Every rule that the spec breaks, in the order of the fields.
pub fn parse(name: &str, spec: &api::MfaPolicySpec) -> Result<Policy, Vec<Rejection>> {
    let mut check = Check::default();
    check.that("metadata.name", is_object_name(name), rules::OBJECT_NAME.1);
    check.that("metadata.name", name.len() <= rules::MAX_LABEL, rules::NAME_FITS_LABEL.1);
    let targets = targets(&mut check, &spec.target_refs);
    let aal = spec.required_aal.clone().unwrap_or_default();
    let settings = level(&mut check, "spec.requiredAAL.settings", aal.settings.as_deref());
    let whoami = level(&mut check, "spec.requiredAAL.whoami", aal.whoami.as_deref());
    check.that("spec.requiredAAL", aal.settings.is_some() || aal.whoami.is_some(), rules::NO_LEVEL.1);
    let acknowledged = |word: &str| spec.acknowledge.iter().any(|known| known == word);
    check.that(
        "spec.requiredAAL",
        (whoami, settings) != (Some(Level::HighestAvailable), Some(Level::Aal1))
            || acknowledged(api::Risk::SettingsBypass.as_str()),
        rules::SETTINGS_BYPASS.1,
    );
    if let Some(age) = &spec.privileged_session_max_age {
        check.length("spec.privilegedSessionMaxAge", age, rules::MAX_DURATION);
        let is_usual = nanoseconds(age).is_some_and(|age| SESSION_AGES.contains(&age));
        check.that("spec.privilegedSessionMaxAge", is_usual, rules::SESSION_AGE.1);
    }
    let factors = spec.methods.as_ref().map(Factor::from_methods).unwrap_or_default();
    factors.iter().for_each(|factor| check_factor(&mut check, factor));
    let delivery = spec
        .delivery
        .as_ref()
        .map_or(Some(Delivery::default()), |delivery| Delivery::from_word(&delivery.type_));
    check.that("spec.delivery.type", delivery.is_some(), rules::DELIVERY_TYPE.1);
    let config_map = match spec.delivery.as_ref().and_then(|delivery| delivery.config_map_name.as_deref()) {
        Some(given) => {
            check.length("spec.delivery.configMapName", given, rules::MAX_NAME);
            check.that("spec.delivery.configMapName", is_object_name(given), rules::OBJECT_NAME.1);
            check.that(
                "spec.delivery.configMapName",
                given.ends_with(rules::CONFIG_MAP_SUFFIX),
                rules::CONFIG_MAP_NAME.1,
            );
            given.to_owned()
        }
        None => format!("{name}{}", rules::CONFIG_MAP_SUFFIX),
    };
    let history_limit = spec.rollout.as_ref().and_then(|rollout| rollout.revision_history_limit).unwrap_or(5);
    check.that(
        "spec.rollout.revisionHistoryLimit",
        (0..=rules::MAX_REVISIONS).contains(&history_limit),
        "write a number from 0 to 50",
    );
    let (progress_timeout, on_failure) = rollout(&mut check, spec.rollout.as_ref());
    let verification = verification(&mut check, spec.verification.as_ref());
    let field_conflicts = FieldConflicts::from_word(&spec.field_conflicts);
    check.that("spec.fieldConflicts", field_conflicts.is_some(), rules::FIELD_CONFLICTS.1);
    let deletion_policy = DeletionPolicy::from_word(&spec.deletion_policy);
    check.that("spec.deletionPolicy", deletion_policy.is_some(), rules::DELETION_POLICY.1);
    acknowledge(&mut check, &spec.acknowledge);

    if !check.rejections.is_empty() {
        return Err(check.rejections);
    }
    Ok(Policy {
        targets,
        settings,
        whoami,
        privileged_session_max_age: spec.privileged_session_max_age.as_deref().map(Into::into),
        factors,
        delivery: delivery.unwrap_or_default(),
        config_map: config_map.into(),
        history_limit: usize::try_from(history_limit).unwrap_or_default(),
        progress_timeout,
        on_failure,
        verification,
        field_conflicts: field_conflicts.unwrap_or_default(),
        deletion_policy: deletion_policy.unwrap_or_default(),
        acknowledge: spec.acknowledge.iter().map(|word| word.as_str().into()).collect(),
    })
}

#[derive(Default)]
struct Check {
    rejections: Vec<Rejection>,
}

impl Check {
    fn that(&mut self, field: &str, holds: bool, message: &str) {
        if !holds {
            self.rejections.push(Rejection { field: field.into(), message: message.into() });
        }
    }

    fn length(&mut self, field: &str, value: &str, max: usize) {
        self.that(field, !value.is_empty(), "must not be empty: write a value or leave the field out");
        self.that(field, value.chars().count() <= max, &format!("must have at most {max} characters"));
    }
}

fn targets(check: &mut Check, refs: &[api::TargetRef]) -> Vec<Target> {
    check.that("spec.targetRefs", !refs.is_empty(), "name at least one target");
    check.that(
        "spec.targetRefs",
        refs.len() <= rules::MAX_TARGETS,
        "name at most 8 targets, or write a second policy",
    );
    let mut names = BTreeSet::new();
    for (index, target) in refs.iter().enumerate() {
        let field = |name: &str| format!("spec.targetRefs[{index}].{name}");
        check.that(&field("group"), target.group == api::APPS, rules::GROUP_APPS.1);
        check.that(&field("kind"), Kind::from_word(&target.kind).is_some(), rules::TARGET_KIND.1);
        check.length(&field("name"), &target.name, rules::MAX_NAME);
        check.that(&field("name"), is_object_name(&target.name), rules::OBJECT_NAME.1);
        check.that(
            &field("name"),
            names.insert((&target.kind, &target.name)),
            "name each target once: remove the second entry",
        );
        if let Some(container) = &target.container {
            check.length(&field("container"), container, rules::MAX_LABEL);
            check.that(&field("container"), is_dns_label(container), rules::DNS_LABEL.1);
        }
    }
    let target = |target: &api::TargetRef| Target {
        kind: Kind::from_word(&target.kind).unwrap_or_default(),
        name: target.name.as_str().into(),
        container: target.container.as_deref().map(Into::into),
    };
    refs.iter().map(target).collect()
}

/// The progress timeout in milliseconds, and what happens on failure.
fn rollout(check: &mut Check, rollout: Option<&api::Rollout>) -> (i64, OnFailure) {
    const TEN_MINUTES: i64 = 600_000;
    let Some(rollout) = rollout else { return (TEN_MINUTES, OnFailure::default()) };
    check.length("spec.rollout.progressTimeout", &rollout.progress_timeout, rules::MAX_DURATION);
    check.that(
        "spec.rollout.progressTimeout",
        nanoseconds(&rollout.progress_timeout).is_some(),
        rules::DURATION.1,
    );
    let on_failure = OnFailure::from_word(&rollout.on_failure);
    check.that("spec.rollout.onFailure", on_failure.is_some(), rules::ON_FAILURE.1);
    (milliseconds(&rollout.progress_timeout), on_failure.unwrap_or_default())
}

/// The part of a spec that says how pods are asked. None where it breaks a rule.
#[must_use]
pub fn parse_verification(written: Option<&api::Verification>) -> Option<Verification> {
    let mut check = Check::default();
    let verification = verification(&mut check, written);
    check.rejections.is_empty().then_some(verification)
}

fn verification(check: &mut Check, verification: Option<&api::Verification>) -> Verification {
    let Some(verification) = verification else { return Verification::default() };
    let mode = VerificationMode::from_word(&verification.mode);
    check.that("spec.verification.mode", mode.is_some(), rules::VERIFICATION_MODE.1);
    check.that("spec.verification.port", is_port(&verification.port), rules::PORT.1);
    check.that("spec.verification.timeout", is_patience(&verification.timeout), rules::PATIENCE.1);
    Verification {
        mode: mode.unwrap_or_default(),
        port: verification.port.as_str().into(),
        timeout: milliseconds(&verification.timeout),
    }
}

fn level(check: &mut Check, field: &str, word: Option<&str>) -> Option<Level> {
    let level = Level::from_word(word?);
    check.that(field, level.is_some(), rules::LEVEL.1);
    level
}

fn check_factor(check: &mut Check, factor: &Factor) {
    match factor {
        Factor::Totp { issuer: Some(issuer), .. } => {
            display(check, "spec.methods.totp.issuer", issuer);
            check.that("spec.methods.totp.issuer", !issuer.contains(':'), rules::ISSUER.1);
        }
        Factor::Webauthn { enabled, rp: None } => {
            check.that("spec.methods.webauthn", !enabled, rules::WEBAUTHN_RP.1)
        }
        Factor::Webauthn { rp: Some(rp), .. } => {
            check.length("spec.methods.webauthn.rp.id", &rp.id, rules::MAX_NAME);
            check.that("spec.methods.webauthn.rp.id", is_rp_id(&rp.id), rules::RP_ID.1);
            display(check, "spec.methods.webauthn.rp.displayName", &rp.display_name);
            let Some(origins) = &rp.origins else { return };
            let field = "spec.methods.webauthn.rp.origins";
            check.that(field, !origins.is_empty(), "name at least one origin or leave the field out");
            check.that(field, origins.len() <= rules::MAX_ORIGINS, "name at most 16 origins");
            let distinct: BTreeSet<_> = origins.iter().collect();
            check.that(field, distinct.len() == origins.len(), "name each origin once");
            for (index, origin) in origins.iter().enumerate() {
                let field = format!("{field}[{index}]");
                check.length(&field, origin, rules::MAX_ORIGIN);
                check.that(&field, !has_default_port(origin), rules::DEFAULT_PORT.1);
                match origin_host(origin) {
                    _ if is_android_app(origin) => {}
                    None => check.that(&field, false, rules::ORIGIN.1),
                    Some(host) => check.that(&field, is_at_or_below(host, &rp.id), rules::ORIGIN_OF_RP.1),
                }
            }
        }
        Factor::Totp { issuer: None, .. } | Factor::LookupSecret { .. } | Factor::Code { .. } => {}
    }
}

fn display(check: &mut Check, field: &str, value: &str) {
    check.length(field, value, rules::MAX_DISPLAY);
    check.that(field, !value.chars().any(char::is_control), rules::PRINTABLE.1);
}

fn acknowledge(check: &mut Check, words: &[String]) {
    check.that(
        "spec.acknowledge",
        words.len() <= rules::MAX_ACKNOWLEDGED,
        "acknowledge at most 32 words: remove old ones",
    );
    let mut seen = BTreeSet::new();
    for (index, word) in words.iter().enumerate() {
        let field = format!("spec.acknowledge[{index}]");
        check.length(&field, word, rules::MAX_ACKNOWLEDGEMENT);
        check.that(&field, seen.insert(word), "name each word once");
    }
}

/// What may stand between the dots of a name, whatever its length.
fn is_label(text: &str) -> bool {
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.first().is_some_and(plain)
        && bytes.last().is_some_and(plain)
        && bytes.iter().all(|byte| plain(byte) || *byte == b'-')
}

fn is_dns_label(text: &str) -> bool {
    text.len() <= 63 && is_label(text)
}

/// Whether an object can have this name: a DNS subdomain, as in RFC 1123.
#[must_use]
pub fn is_object_name(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_label)
}

fn is_host(text: &str) -> bool {
    text.split('.').all(is_dns_label)
}

fn is_rp_id(id: &str) -> bool {
    let top_is_a_word =
        id.rsplit('.').next().is_some_and(|top| top.starts_with(|first: char| first.is_ascii_lowercase()));
    id == "localhost" || (id.contains('.') && is_host(id) && top_is_a_word)
}

/// The host of an origin, if it is one that the rule allows.
fn origin_host(origin: &str) -> Option<&str> {
    let (scheme, rest) = origin.split_once("://")?;
    let (host, port) = rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port)));
    let port_ok = port.is_none_or(|port| {
        port.starts_with(|first| ('1'..='9').contains(&first)) && port.parse::<u16>().is_ok()
    });
    let scheme_ok = scheme == "https" || (scheme == "http" && host == "localhost");
    (is_host(host) && port_ok && scheme_ok).then_some(host)
}

/// Whether it is the origin of an app, by the digest of its signing certificate.
fn is_android_app(origin: &str) -> bool {
    let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let hash = origin.strip_prefix("android:apk-key-hash:");
    hash.is_some_and(|hash| hash.len() == 43 && hash.bytes().all(is_base64url))
}

fn has_default_port(origin: &str) -> bool {
    [("https://", ":443"), ("http://", ":80")]
        .iter()
        .any(|(scheme, port)| origin.starts_with(scheme) && origin.ends_with(port))
}

fn is_at_or_below(host: &str, domain: &str) -> bool {
    host == domain || host.strip_suffix(domain).is_some_and(|above| above.ends_with('.'))
}

/// From a minute to a day, in nanoseconds.
const SESSION_AGES: std::ops::RangeInclusive<i64> = 60_000_000_000..=86_400_000_000_000;

/// The length of a duration in Go's syntax, without days. None where it is none, or zero, or longer than Go
/// can count.
#[must_use]
pub fn nanoseconds(text: &str) -> Option<i64> {
    const UNITS: [(&str, usize, i64); 6] = [
        ("ns", 9, 1),
        ("us", 9, 1_000),
        ("ms", 9, 1_000_000),
        ("s", 9, 1_000_000_000),
        ("m", 7, 60_000_000_000),
        ("h", 5, 3_600_000_000_000),
    ];
    let (mut rest, mut sum) = (text, 0_i64);
    while !rest.is_empty() {
        let (number, tail) = rest.split_at(rest.bytes().take_while(u8::is_ascii_digit).count());
        let (unit, most, length) = UNITS.into_iter().find(|(unit, ..)| tail.starts_with(unit))?;
        let number = number.parse::<i64>().ok().filter(|_| number.len() <= most)?;
        sum = sum.checked_add(number.checked_mul(length)?)?;
        rest = &tail[unit.len()..];
    }
    Some(sum).filter(|sum| *sum > 0)
}

/// The length of a duration that passed its rule, at least one.
fn milliseconds(text: &str) -> i64 {
    (nanoseconds(text).unwrap_or_default() / 1_000_000).max(1)
}

/// The name of a container port, or a number.
fn is_port(text: &str) -> bool {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.len() <= 15 && is_label(text) && (!is_number || text.parse::<u16>().is_ok_and(|port| port > 0))
}

fn is_patience(text: &str) -> bool {
    let digits = |number: &str| {
        !number.starts_with('0') && !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    };
    match text.strip_suffix("ms") {
        Some(number) => digits(number) && (3..=4).contains(&number.len()),
        None => text
            .strip_suffix('s')
            .is_some_and(|number| digits(number) && number.parse::<u8>().is_ok_and(|seconds| seconds <= 10)),
    }
}

#[cfg(test)]
mod tests;
