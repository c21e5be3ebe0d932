//! What is refused on top of what the targets have: where their own configuration or version makes
//! another thing of the policy than it says.

use crate::plan::checks::merged::{governed, merged};
use crate::plan::checks::weakening;
use crate::plan::input::Observed;
use crate::policy::{Factor, Rejection};
use crate::server::kratos::{code_counts_for_everyone, conflicts};

/// Whether a rule waits for what stands in the files of the targets, or for their version.
#[must_use]
pub fn may_be_refused(observed: &Observed) -> bool {
    let Some(spec) = observed.policy.as_ref().and_then(|policy| observed.standing.accepted(policy)) else {
        return false;
    };
    // Even one that is off has origins.
    let merges = |factor: &Factor| matches!(factor, Factor::Code { enabled: true } | Factor::Webauthn { .. });
    spec.factors.iter().any(merges)
        || spec.settings.is_none()
        || spec.whoami.is_none()
        || weakening::is_weighed(observed)
}

/// Why the policy cannot be on these targets, by the rules on the merged configuration.
#[must_use]
pub fn refusals(observed: &Observed) -> Vec<Rejection> {
    let mut found: Vec<(Rejection, Vec<String>)> = Vec::new();
    for (view, workload, container, spec) in governed(observed) {
        let merged = merged(workload, container, view, spec);
        let version = view.server_version.as_deref().and_then(|version| version.parse().ok());
        // What was accepted once does not fall because nobody answers now.
        let silent = version.is_none() && has_code(observed);
        let code = code_counts_for_everyone(&merged, spec, version).filter(|_| !silent);
        let edited = weakening::edited(observed, view, workload, container, spec);
        for rejection in conflicts(&merged, spec).into_iter().chain(code).chain(edited) {
            match found.iter_mut().find(|(known, _)| *known == rejection) {
                Some((_, targets)) => targets.push(view.to_string()),
                None => found.push((rejection, vec![view.to_string()])),
            }
        }
    }
    let told = |(rejection, targets): (Rejection, Vec<String>)| Rejection {
        message: format!("on {}: {}", targets.join(", "), rejection.message),
        field: rejection.field,
    };
    found.into_iter().map(told).collect()
}

/// Whether what is in force has a code as second factor already.
fn has_code(observed: &Observed) -> bool {
    let in_force = observed.standing.in_force.as_ref();
    in_force.is_some_and(|record| record.data.overlay.factors().contains(&Factor::Code { enabled: true }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Budget;
    use crate::model::{Bounded, EnvFromMap, EnvSource, MountedFile, OverrideSources};
    use crate::plan::checks::merged::beside_ours;
    use crate::plan::desired::in_force::Standing;
    use crate::plan::testing::fixtures::{container, observed_with, target, workload};
    use crate::policy::parse;
    use crate::server::kratos::Layer;
    use crate::server::kratos::Overlay;
    use serde_json::{Value, json};
    use std::sync::Arc;

    fn seen(spec: Value, base: Option<&str>, env: &[(&str, &str)], version: Option<&str>) -> Observed {
        let mut whole = json!({"targetRefs": [{"name": "kratos"}], "requiredAAL": {"settings": "highest_available", "whoami": "highest_available"}});
        whole.as_object_mut().expect("a map").extend(spec.as_object().cloned().unwrap_or_default());
        let mut workload = workload(1);
        workload.containers = vec![container(env)].into();
        let mut view = target(workload);
        view.base = base.map(|text| Arc::from([Layer::read(text, &mut Budget::default())]));
        view.server_version = version.map(Into::into);
        observed_with(parse("mfa", &serde_json::from_value(whole).expect("a spec")), vec![view])
    }

    fn fields(observed: &Observed) -> Vec<String> {
        refusals(observed).into_iter().map(|rejection| rejection.field).collect()
    }

    const PASSWORDLESS: &str = "selfservice: {methods: {code: {passwordless_enabled: true}}}";

    #[test]
    fn what_the_server_makes_of_the_policy_is_refused_by_target() {
        let code =
            json!({"methods": {"code": {"mfaEnabled": true}}, "acknowledge": ["CodeCountsForEveryone"]});
        let refused = refusals(&seen(code.clone(), Some(PASSWORDLESS), &[], None));
        assert_eq!(refused.len(), 1, "{refused:?}");
        assert!(refused[0].message.starts_with("on Deployment kratos: "), "{}", refused[0].message);
        assert!(fields(&seen(code.clone(), None, &[], None)).is_empty(), "what cannot be read is not known");
        let env = [("SELFSERVICE_METHODS_CODE_PASSWORDLESS_ENABLED", "true")];
        assert_eq!(fields(&seen(code.clone(), None, &env, None)), ["spec.methods.code.mfaEnabled"]);
        let off = [("SELFSERVICE_METHODS_CODE_PASSWORDLESS_ENABLED", "false")];
        assert!(fields(&seen(code, Some(PASSWORDLESS), &off, None)).is_empty(), "a variable beats the file");
    }

    #[test]
    fn a_bypass_that_the_base_completes_is_refused() {
        let whoami = json!({"requiredAAL": {"whoami": "highest_available"}});
        let base = "selfservice: {flows: {settings: {required_aal: aal1}}}";
        assert_eq!(fields(&seen(whoami.clone(), Some(base), &[], None)), ["spec.requiredAAL"]);
        assert!(fields(&seen(whoami, Some("{}"), &[], None)).is_empty());
    }

    const WHOAMI_ALONE: &str = r#"{"requiredAAL": {"whoami": "highest_available"}}"#;

    fn whoami_alone() -> Value {
        serde_json::from_str(WHOAMI_ALONE).expect("JSON")
    }

    #[test]
    fn merge_keys_complete_it_too() {
        let base = "selfservice:\n  flows:\n    settings:\n      <<: &weak {required_aal: aal1}\n      ui_url: https://login.example.com/\n";
        assert_eq!(fields(&seen(whoami_alone(), Some(base), &[], None)), ["spec.requiredAAL"]);
    }

    #[test]
    fn a_level_that_kratos_does_not_start_with_is_told_before_it_is_rolled() {
        let base = "selfservice: {flows: {settings: {required_aal: aal2}}}";
        let refused = refusals(&seen(whoami_alone(), Some(base), &[], None));
        assert_eq!(refused.len(), 1, "{refused:?}");
        assert!(
            refused[0].field == "spec.requiredAAL.settings" && refused[0].message.contains("does not start"),
            "{refused:?}"
        );
        assert!(
            fields(&seen(json!({}), Some(base), &[], None)).is_empty(),
            "the policy's own level lies above it"
        );
        let by_variable = [("SELFSERVICE_FLOWS_SETTINGS_REQUIRED_AAL", "aal2")];
        assert_eq!(
            fields(&seen(whoami_alone(), Some("{}"), &by_variable, None)),
            ["spec.requiredAAL.settings"]
        );
    }

    #[test]
    fn what_is_filled_in_later_is_neither_taken_for_off_nor_for_a_level() {
        let base = "selfservice: {flows: {settings: {required_aal: \"${AAL}\"}}, methods: {code: {passwordless_enabled: \"${CODE}\"}}}";
        let code =
            json!({"methods": {"code": {"mfaEnabled": true}}, "acknowledge": ["CodeCountsForEveryone"]});
        assert!(fields(&seen(whoami_alone(), Some(base), &[], None)).is_empty());
        let observed = seen(code, Some(base), &[], None);
        let (view, workload, container, policy) = governed(&observed).next().expect("a target");
        assert_eq!(
            merged(workload, container, view, policy).flag("selfservice.methods.code.passwordless_enabled"),
            None
        );
    }

    #[test]
    fn what_comes_from_elsewhere_hides_no_more_than_it_may_set() {
        let base = "selfservice: {flows: {settings: {required_aal: aal1}}}";
        let refused = |source: EnvSource, names: Option<&[&str]>, env: &[(&str, &str)]| {
            let mut observed = seen(whoami_alone(), Some(base), env, None);
            let view = &mut observed.targets[0];
            let own = view.workload.as_mut().map(Arc::make_mut).expect("a workload");
            own.containers[0].unusual =
                OverrideSources { env_from: vec![source.clone()].into(), ..OverrideSources::default() }
                    .boxed();
            let names = names.map(|names| names.iter().map(|name| (*name).into()).collect());
            view.env_from.sources = vec![EnvFromMap { source, names }];
            !fields(&observed).is_empty()
        };
        let secret = |prefix: &str| EnvSource::Secret { name: "keys".into(), prefix: prefix.into() };
        let map = || EnvSource::ConfigMap { name: "settings".into(), prefix: "".into() };
        assert!(!refused(secret(""), None, &[]) && !refused(secret("SELFSERVICE_FLOWS_"), None, &[]));
        assert!(refused(secret("SELFSERVICE_METHODS_"), None, &[]) && refused(secret("DB_"), None, &[]));
        assert!(refused(map(), Some(&[]), &[]), "no name in it matters");
        assert!(!refused(map(), None, &[]), "it may not be read");
        assert!(!refused(map(), Some(&["SELFSERVICE_FLOWS_SETTINGS_REQUIRED_AAL"]), &[]));
        let plain = [("SELFSERVICE_FLOWS_SETTINGS_REQUIRED_AAL", "aal1")];
        assert!(
            refused(map(), Some(&["SELFSERVICE_FLOWS_SETTINGS_REQUIRED_AAL"]), &plain),
            "a plain entry comes before it"
        );
        assert!(
            !refused(map(), Some(&["selfservice_flows_settings"]), &plain),
            "another name beats it on some pods"
        );
    }

    #[test]
    fn a_code_is_refused_before_the_version_that_counts_it_per_person() {
        let code = json!({"methods": {"code": {"mfaEnabled": true}}});
        for (version, refused) in
            [(Some("v1.3.1"), true), (None, true), (Some("master"), true), (Some("v25.4.0"), false)]
        {
            assert_eq!(!fields(&seen(code.clone(), None, &[], version)).is_empty(), refused, "{version:?}");
        }
        let weak = json!({"methods": {"code": {"mfaEnabled": true}}, "requiredAAL": {"settings": "aal1", "whoami": "aal1"}});
        assert!(fields(&seen(weak, None, &[], None)).is_empty(), "nobody is asked for it");
        let open = json!({"methods": {"code": {"mfaEnabled": true}}, "requiredAAL": {"settings": "aal1"}});
        assert!(
            !fields(&seen(open, None, &[], None)).is_empty(),
            "what is left open is highest_available to Kratos"
        );
    }

    #[test]
    fn what_was_accepted_does_not_fall_because_nobody_answers() {
        let code = json!({"methods": {"code": {"mfaEnabled": true}}});
        let mut observed = seen(code, None, &[], None);
        let spec =
            observed.policy.as_ref().and_then(|policy| policy.spec.clone().ok()).expect("it is accepted");
        let mut record = crate::plan::testing::fixtures::record("mfa", 1, "highest_available");
        Arc::make_mut(&mut record).data.overlay = Overlay::of(&spec);
        observed.standing = Standing { in_force: Some(record), ..Standing::default() };
        assert!(fields(&observed).is_empty());
        observed.targets[0].server_version = Some("v1.3.1".into());
        assert_eq!(fields(&observed).len(), 1, "an old version that is known is told");
    }

    #[test]
    fn files_are_known_only_with_the_command_line() {
        let file = |name: &str| {
            Some(MountedFile { config_map: name.into(), key: "kratos.yaml".into(), reloads: true })
        };
        let mut container = container(&[]);
        container.files = vec![file("base"), None, file("ours")].into();
        assert_eq!(beside_ours(&container, "ours"), Some(vec![&file("base"), &None]));
        (container.traits.serves, container.files) = (false, Bounded::default());
        assert_eq!(beside_ours(&container, "ours"), None);
    }
}
