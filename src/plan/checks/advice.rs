//! Advice: what is no fault and still worth a thought. Given only where everything that it depends on is
//! known, so that it neither guesses nor comes and goes.

use std::collections::BTreeMap;

use crate::api::{Advice, Advisory};
use crate::model::{MAX_MESSAGE, Replacement, Selected, Workload};
use crate::plan::checks::merged::{governed, merged};
use crate::plan::checks::weakening;
use crate::plan::input::{Observed, TargetView};
use crate::policy::Kind;
use crate::server::kratos::{Given, Merged, advice, depends_on_version};

/// Servers without a policy that are told by name.
pub const NAMED: usize = 3;

/// What the status tells, one entry for each piece of advice, in a fixed order.
#[must_use]
pub fn advisories(observed: &Observed) -> Vec<Advisory> {
    let mut found: BTreeMap<Advice, Vec<String>> = BTreeMap::new();
    for (view, workload, container, spec) in governed(observed) {
        let merged = merged(workload, container, view, spec);
        let version = view.server_version.as_deref().and_then(|version| version.parse().ok());
        let mut given = advice(&merged, version);
        let of_shape = [
            (loses_pods(workload), Advice::DowntimeLikely),
            (!container.traits.drains, Advice::NoDrainDelay),
        ];
        given.extend(
            of_shape
                .into_iter()
                .filter(|(holds, _)| *holds)
                .map(|(_, advice)| Given { advice, about: String::new() }),
        );
        for Given { advice, about } in given {
            let about = if about.is_empty() { about } else { format!(" ({about})") };
            found.entry(advice).or_default().push(format!("{view}{about}"));
        }
        if view.selected == Selected::OwnByName {
            found.entry(Advice::OwnersNotRead).or_default().push(view.to_string());
        }
        let uncompared = weakening::uncompared(view, workload, container, spec);
        if !uncompared.is_empty() {
            found.entry(Advice::NotCompared).or_default().push(format!("{view} ({})", uncompared.join(", ")));
        }
    }
    let untargeted = observed.untargeted.iter().map(|id| format!("{} {}", id.kind, id.key.name));
    let mut untargeted = beside(observed).chain(untargeted);
    let mut told: Vec<_> = untargeted.by_ref().take(NAMED).collect();
    // A number would change with each of them.
    told.extend(untargeted.next().map(|_| "and others".to_owned()));
    if !told.is_empty() {
        found.insert(Advice::UntargetedServer, told);
    }
    let spec = observed.policy.as_ref().and_then(|policy| observed.standing.accepted(policy));
    let taken = |advice: Advice| spec.is_none_or(|spec| spec.acknowledges(advice.as_str()));
    let told = |(advice, on): (Advice, Vec<String>)| {
        // What to do is never cut off.
        let room = MAX_MESSAGE.saturating_sub(advice.message().chars().count() + 2);
        let on: String = on.join(", ").chars().take(room).collect();
        Advisory {
            type_: advice.as_str().into(),
            message: crate::model::bounded(&format!("{on}: {}", advice.message())),
        }
    };
    found.into_iter().filter(|(advice, _)| !taken(*advice)).map(told).collect()
}

/// Servers in the pods of targets, beside the one that the policy configures.
fn beside(observed: &Observed) -> impl Iterator<Item = String> {
    governed(observed).flat_map(|(view, workload, own, _)| {
        let others = workload
            .containers
            .iter()
            .filter(|other| other.name != own.name && other.is_server(&observed.server_images));
        others.map(move |other| format!("container {} of {view}", other.name))
    })
}

/// Whether advice waits for the version of a target's server.
#[must_use]
pub fn waits_for_version(observed: &Observed) -> bool {
    let waits =
        |view: &TargetView, merged: &Merged| view.server_version.is_none() && depends_on_version(merged);
    governed(observed)
        .any(|(view, workload, container, spec)| waits(view, &merged(workload, container, view, spec)))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Budget;
    use crate::model::{Container, EnvSource, OverrideSources, Traits, WorkloadId};
    use crate::plan::testing::fixtures::{observed_with, target, workload};
    use crate::policy::parse;
    use crate::server::kratos::Layer;
    use serde_json::{Value, json};
    use std::sync::Arc;

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
            (
                json!({"methods": {"totp": {"enabled": true}, "lookupSecret": {"enabled": true}}}),
                "{}",
                vec![],
            ),
            (json!({"methods": {"lookupSecret": {"enabled": true}}}), "{}", vec!["LookupSecretAlone"]),
            (
                json!({"methods": {"totp": {"enabled": true}}}),
                "selfservice: {methods: {lookup_secret: {enabled: true}}}",
                vec![],
            ),
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
        let rp = |origins: Value| json!({"webauthn": {"enabled": true, "rp": {"id": "example.com", "displayName": "x", "origins": origins}}});
        let told = |spec: &Value, origins: usize| {
            types(&seen(spec, Some(&base(origins)), |_| {})) == ["OriginsNotCovered"]
        };
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
            let unusual = OverrideSources {
                env_from: vec![EnvSource::Secret { name: "keys".into(), prefix: prefix.into() }].into(),
                ..OverrideSources::default()
            };
            types(&seen(&json!({}), Some("{}"), |workload| workload.containers[0].unusual = unusual.boxed()))
        };
        assert!(from("").is_empty() && from("SELFSERVICE_METHODS_").is_empty());
        assert_eq!(
            from("SELFSERVICE_METHODS_TOTP_CONFIG_"),
            ["NoSecondFactor"],
            "the issuer alone may be set there"
        );
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
    fn a_second_server_in_the_pods_of_a_target_is_told() {
        let beside = |image: &str, traits: Traits| {
            seen(
                &json!({"methods": {"totp": {"enabled": true}, "lookupSecret": {"enabled": true}}}),
                Some("{}"),
                |workload| {
                    let other = Container {
                        name: "other".into(),
                        image: image.into(),
                        traits,
                        ..workload.containers[0].clone()
                    };
                    workload.containers.push(other);
                },
            )
        };
        let serves = Traits { serves: true, ..Traits::default() };
        let by_image = Traits { by_image: true, ..Traits::default() };
        for traits in [serves, by_image] {
            let told = advisories(&beside("registry.example.com/ory/kratos:v1.3.1", traits));
            assert_eq!(told.len(), 1, "{told:?}");
            assert!(
                told[0].message.starts_with("container other of Deployment kratos: "),
                "{}",
                told[0].message
            );
            assert!(types(&beside("registry.example.com/proxy:1", traits)).is_empty());
        }
        assert!(types(&beside("oryd/kratos:v1.3.1", Traits::default())).is_empty(), "as the courier is");
    }

    #[test]
    fn each_is_told_once_and_ends_by_its_name() {
        let mut observed =
            seen(&json!({}), Some("{}"), |workload| workload.containers[0].traits.drains = false);
        observed.targets.push(TargetView { name: "second".into(), ..observed.targets[0].clone() });
        observed.untargeted =
            vec![WorkloadId { kind: Kind::StatefulSet, key: crate::model::Key::new("identity", "old") }];
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
