//! Advice: what is no fault and still worth a thought. Given only where everything that it depends on is
//! known, so that it neither guesses nor comes and goes.

use std::collections::BTreeMap;

use super::risks::{governed, merged};
use super::{Observed, Replacement, TargetView, Workload, weighed};
use crate::api::{Advice, Advisory};
use crate::policy::{Kind, Level};
use crate::server::kratos::{
    CACHEABLE_SESSIONS, CACHEABLE_SESSIONS_MAX_AGE, CODE_ENABLED, LINK_ENABLED, Merged, RECOVERY_ENABLED, RECOVERY_USE,
    WEBAUTHN_PASSWORDLESS,
};

/// Servers without a policy that are told by name.
pub const NAMED: usize = 3;

/// What the status tells, one entry for each piece of advice, in a fixed order.
#[must_use]
pub fn advisories(observed: &Observed) -> Vec<Advisory> {
    let mut found: BTreeMap<Advice, Vec<String>> = BTreeMap::new();
    for (view, workload, container, spec) in governed(observed) {
        let merged = merged(workload, container, view, spec);
        let mut given = of_configuration(&merged);
        given.extend(loses_pods(workload).then_some(Advice::DowntimeLikely));
        given.extend((!container.traits.drains).then_some(Advice::NoDrainDelay));
        given.into_iter().for_each(|advice| found.entry(advice).or_default().push(TargetView::to_string(view)));
        let uncompared = weighed::uncompared(view, workload, container, spec);
        if !uncompared.is_empty() {
            found.entry(Advice::NotCompared).or_default().push(format!("{view} ({})", uncompared.join(", ")));
        }
    }
    if !observed.untargeted.is_empty() {
        // A number would change with each of them.
        let named = observed.untargeted.iter().take(NAMED).map(|id| format!("{} {}", id.kind, id.key.name));
        let more = (observed.untargeted.len() > NAMED).then(|| "and others".to_owned());
        found.insert(Advice::UntargetedServer, named.chain(more).collect());
    }
    let spec = observed.policy.as_ref().and_then(|policy| observed.standing.accepted(policy));
    let taken = |advice: Advice| spec.is_none_or(|spec| spec.acknowledges(advice.as_str()));
    let told = |(advice, on): (Advice, Vec<String>)| Advisory {
        type_: advice.as_str().into(),
        message: super::bounded(&format!("{}: {}", on.join(", "), message(advice))),
    };
    found.into_iter().filter(|(advice, _)| !taken(*advice)).map(told).collect()
}

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
        Some(Self { totp: on("totp.enabled")?, webauthn, lookup_secret: on("lookup_secret.enabled")?, code: on("code.mfa_enabled")? })
    }

    fn devices(&self) -> bool {
        self.totp || self.webauthn || self.code
    }
}

fn of_configuration(merged: &Merged) -> Vec<Advice> {
    let mut given = Vec::new();
    let levels = merged.levels();
    let strict = |level: Option<Level>| level == Some(Level::HighestAvailable);
    if let Some(factors) = Factors::of(merged) {
        let demanded = strict(levels.0) || strict(levels.1);
        given.extend((demanded && !factors.devices() && !factors.lookup_secret).then_some(Advice::NoSecondFactor));
        given.extend((!factors.devices() && factors.lookup_secret).then_some(Advice::LookupSecretAlone));
        let no_way_back = strict(levels.0) && factors.devices() && !factors.lookup_secret;
        given.extend(no_way_back.then_some(Advice::NoRecoveryForLostFactor));
    }
    match levels {
        (Some(Level::Aal1), Some(Level::HighestAvailable)) => given.push(Advice::StricterWhoami),
        (Some(Level::HighestAvailable), Some(Level::Aal1)) => given.push(Advice::StricterSettings),
        _ => {}
    }
    let on = |path: &str| merged.flag(path) == Some(true);
    let recovers = match merged.text(RECOVERY_USE) {
        Some("link") => on(LINK_ENABLED),
        Some("code") => on(CODE_ENABLED),
        _ => false,
    };
    if on("selfservice.methods.code.mfa_enabled") && on(RECOVERY_ENABLED) && recovers {
        given.push(Advice::RecoveryIsSecondFactor);
    }
    if on(CACHEABLE_SESSIONS) && merged.has(CACHEABLE_SESSIONS_MAX_AGE) == Some(false) {
        given.push(Advice::SessionCache);
    }
    if !merged.outgrown().is_empty() {
        given.push(Advice::OriginsNotCovered);
    }
    given
}

/// Whether a roll leaves a moment in which nobody serves, or nobody on a node.
fn loses_pods(workload: &Workload) -> bool {
    let pods = workload.replicas > 0;
    match (workload.replacement, workload.kind) {
        (Replacement::NewFirst, _) => false,
        (Replacement::AllAtOnce, _) | (Replacement::OldFirst, Kind::Deployment | Kind::DaemonSet) => pods,
        // One after the other, whatever their number.
        (Replacement::OldFirst, Kind::StatefulSet) => workload.replicas == 1,
    }
}

fn message(advice: Advice) -> &'static str {
    match advice {
        Advice::NoSecondFactor => {
            "no second factor is switched on: highest_available asks nothing of people who have none, and locks out who has one from before; switch one on, for example methods.totp and methods.lookupSecret"
        }
        Advice::LookupSecretAlone => {
            "recovery codes are the only second factor, and each works once: who has used them up is locked out; switch on methods.totp or methods.webauthn beside them"
        }
        Advice::StricterWhoami => {
            "apps demand the second factor and the settings page does not: whoever has only the password can remove the factor there and then passes; set requiredAAL.settings to highest_available"
        }
        Advice::StricterSettings => {
            "the settings page demands the second factor and apps do not: a stolen password still opens every app; set requiredAAL.whoami to highest_available when the apps can send people to step up"
        }
        Advice::NoRecoveryForLostFactor => {
            "there are no recovery codes: recovery signs in with one factor, so who loses the device cannot reach the settings page to replace it, and only an administrator can help; switch on methods.lookupSecret"
        }
        Advice::RecoveryIsSecondFactor => {
            "account recovery and the second factor go through the same mailbox: whoever has it has both; switch on methods.totp or methods.webauthn instead of methods.code"
        }
        Advice::DowntimeLikely => {
            "a roll ends a pod before its successor serves, by the workload's own strategy and number of pods: nobody can sign in meanwhile; roll with maxSurge 1 and maxUnavailable 0, or run two replicas"
        }
        Advice::NoDrainDelay => {
            "the container has no preStop hook, so each roll drops a few requests that are on their way: add lifecycle.preStop.sleep.seconds: 5"
        }
        Advice::UntargetedServer => {
            "identity servers in this namespace that no policy names: whoever reaches them is asked for what their own configuration says; add them to spec.targetRefs, or write a policy for them"
        }
        Advice::NotCompared => {
            "what the server's own configuration says of these cannot be read, so nobody compared it with the policy: a method that is on there goes off, and keys of another relying party or origin stop working; make sure that it says the same"
        }
        Advice::SessionCache => {
            "feature_flags.cacheable_sessions lets caches keep the answers of whoami until the session expires, so that a change of the level is seen late; set feature_flags.cacheable_sessions_max_age"
        }
        Advice::OriginsNotCovered => {
            "the server's own configuration lists more than 16 origins of keys, and Kratos lets a variable replace only as many as it has: those behind the 16th stay valid, whatever the policy says; shorten selfservice.methods.webauthn.config.rp.origins there, or set delivery.type to ConfigFile"
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::document::Budget;
    use crate::plan::fixtures::{observed_with, target, workload};
    use crate::plan::{EnvSource, Unusual, WorkloadId};
    use crate::policy::parse;
    use crate::server::kratos::Layer;

    fn seen(spec: &Value, base: Option<&str>, edit: impl FnOnce(&mut Workload)) -> Observed {
        let mut whole = json!({
            "targetRefs": [{"name": "kratos"}],
            "requiredAAL": {"settings": "highest_available", "whoami": "highest_available"},
            "acknowledge": ["SettingsBypass"],
        });
        whole.as_object_mut().expect("a map").extend(spec.as_object().cloned().unwrap_or_default());
        let mut workload = workload(2);
        workload.containers[0].traits.drains = true;
        edit(&mut workload);
        let mut view = target(workload);
        view.base = base.map(|text| Arc::from([Layer::read(text, &mut Budget::default())]));
        observed_with(parse("mfa", &serde_json::from_value(whole).expect("a spec")), vec![view])
    }

    fn types(observed: &Observed) -> Vec<String> {
        advisories(observed).into_iter().map(|advisory| advisory.type_).collect()
    }

    #[test]
    fn advice_follows_the_merged_configuration() {
        let cases = [
            (json!({}), "{}", vec!["NoSecondFactor"]),
            (json!({"methods": {"totp": {"enabled": true}}}), "{}", vec!["NoRecoveryForLostFactor"]),
            (json!({"methods": {"totp": {"enabled": true}, "lookupSecret": {"enabled": true}}}), "{}", vec![]),
            (json!({"methods": {"lookupSecret": {"enabled": true}}}), "{}", vec!["LookupSecretAlone"]),
            (json!({"methods": {"totp": {"enabled": true}}}), "selfservice: {methods: {lookup_secret: {enabled: true}}}", vec![]),
            (
                json!({}),
                "selfservice: {methods: {lookup_secret: {enabled: true}, webauthn: {enabled: true, config: {passwordless: true}}}}",
                vec!["LookupSecretAlone"],
            ),
            (
                json!({"methods": {"code": {"mfaEnabled": true}, "lookupSecret": {"enabled": true}}}),
                "selfservice: {flows: {recovery: {enabled: true}}}",
                vec!["RecoveryIsSecondFactor"],
            ),
            (
                json!({"methods": {"code": {"mfaEnabled": true}, "lookupSecret": {"enabled": true}}}),
                "selfservice: {flows: {recovery: {enabled: true, use: link}}}",
                vec![],
            ),
            (json!({"requiredAAL": {"settings": "aal1", "whoami": "aal1"}}), "{}", vec![]),
            (
                json!({"requiredAAL": {"settings": "aal1", "whoami": "highest_available"}, "methods": {"totp": {"enabled": true}}}),
                "{}",
                vec!["StricterWhoami"],
            ),
            (
                json!({"requiredAAL": {"whoami": "aal1"}, "methods": {"totp": {"enabled": true}, "lookupSecret": {"enabled": true}}}),
                "{}",
                vec!["StricterSettings"],
            ),
            (
                json!({"requiredAAL": {"settings": "aal1", "whoami": "aal1"}}),
                "feature_flags: {cacheable_sessions: true}",
                vec!["SessionCache"],
            ),
            (
                json!({"requiredAAL": {"settings": "aal1", "whoami": "aal1"}}),
                "feature_flags: {cacheable_sessions: true, cacheable_sessions_max_age: 1m}",
                vec![],
            ),
        ];
        for (spec, base, expected) in cases {
            assert_eq!(types(&seen(&spec, Some(base), |_| {})), expected, "{spec} on {base}");
        }
    }

    #[test]
    fn origins_that_no_variable_replaces_are_told() {
        let base = |origins: usize| {
            let list: Vec<_> = (0..origins).map(|number| format!("https://{number}.example.com")).collect();
            let rp = json!({"id": "example.com", "display_name": "x", "origins": list});
            let methods = json!({"lookup_secret": {"enabled": true}, "webauthn": {"enabled": true, "config": {"rp": rp}}});
            json!({"selfservice": {"methods": methods}}).to_string()
        };
        let rp =
            |origins: Value| json!({"webauthn": {"enabled": true, "rp": {"id": "example.com", "displayName": "x", "origins": origins}}});
        let told = |spec: &Value, origins: usize| types(&seen(spec, Some(&base(origins)), |_| {})) == ["OriginsNotCovered"];
        let stated = json!({"methods": rp(json!(["https://example.com"]))});
        assert!(told(&stated, 17) && !told(&stated, 16));
        assert!(!told(&json!({"methods": rp(Value::Null)}), 17), "it leaves them to the server");
        let mut by_file = stated;
        by_file["delivery"] = json!({"type": "ConfigFile"});
        assert!(!told(&by_file, 17), "a file replaces the whole list");
    }

    #[test]
    fn what_is_not_known_is_not_said() {
        assert!(types(&seen(&json!({}), None, |_| {})).is_empty());
        let from = |prefix: &str| {
            let unusual =
                Unusual { env_from: vec![EnvSource::Secret { name: "keys".into(), prefix: prefix.into() }].into(), ..Unusual::default() };
            types(&seen(&json!({}), Some("{}"), |workload| workload.containers[0].unusual = unusual.boxed()))
        };
        assert!(from("").is_empty() && from("SELFSERVICE_METHODS_").is_empty());
        assert_eq!(from("SELFSERVICE_METHODS_TOTP_CONFIG_"), ["NoSecondFactor"], "the issuer alone may be set there");
        let both = json!({"requiredAAL": {"settings": "highest_available", "whoami": "aal1"}});
        assert_eq!(types(&seen(&both, None, |_| {})), ["StricterSettings"], "the policy itself says it");
    }

    #[test]
    fn the_shape_of_a_workload_tells_what_a_roll_costs() {
        let downtime = |kind, replacement, replicas| {
            let observed = seen(&json!({}), None, |workload| {
                (workload.kind, workload.replacement, workload.replicas) = (kind, replacement, replicas);
            });
            types(&observed) == ["DowntimeLikely"]
        };
        assert!(downtime(Kind::Deployment, Replacement::AllAtOnce, 3));
        assert!(downtime(Kind::Deployment, Replacement::OldFirst, 1));
        assert!(!downtime(Kind::Deployment, Replacement::NewFirst, 1));
        assert!(!downtime(Kind::Deployment, Replacement::AllAtOnce, 0));
        assert!(downtime(Kind::StatefulSet, Replacement::OldFirst, 1));
        assert!(!downtime(Kind::StatefulSet, Replacement::OldFirst, 2));
        assert!(downtime(Kind::DaemonSet, Replacement::OldFirst, 2));
        let undrained = seen(&json!({}), None, |workload| workload.containers[0].traits.drains = false);
        assert_eq!(types(&undrained), ["NoDrainDelay"]);
    }

    #[test]
    fn each_is_told_once_and_ends_by_its_name() {
        let mut observed = seen(&json!({}), Some("{}"), |workload| workload.containers[0].traits.drains = false);
        observed.targets.push(TargetView { name: "second".into(), ..observed.targets[0].clone() });
        observed.untargeted = vec![WorkloadId { kind: Kind::StatefulSet, key: crate::plan::Key::new("identity", "old") }];
        let told = advisories(&observed);
        let names: Vec<_> = told.iter().map(|advisory| &*advisory.type_).collect();
        assert_eq!(names, ["NoSecondFactor", "NoDrainDelay", "UntargetedServer"]);
        assert!(told[1].message.starts_with("Deployment kratos, Deployment second: "), "{}", told[1].message);
        assert!(told[2].message.starts_with("StatefulSet old: "), "{}", told[2].message);
        let words = json!({"acknowledge": ["NoSecondFactor", "SomethingOfBefore", "UntargetedServer"]});
        let mut taken = seen(&words, Some("{}"), |_| {});
        taken.untargeted = observed.untargeted;
        assert!(types(&taken).is_empty());
    }
}
