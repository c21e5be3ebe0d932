//! Laws: what holds for every policy, whatever strings it holds.

use std::sync::LazyLock;

use mfa_operator::api::MfaPolicySpec;
use mfa_operator::document::{Document, Leaf};
use mfa_operator::model::{Data, TargetData};
use mfa_operator::plan::manifest;
use mfa_operator::policy::{Delivery, Policy, parse};
use mfa_operator::server::kratos::{
    Change, LONGEST_VARIABLE, Layer, Merged, Overlay, Rendered, Side, governed_file, governed_names,
    governed_variables, render, transition, variables, weakened,
};
use proptest::prelude::*;
use regex::Regex;
use serde_yaml::{Mapping, Value};

/// As the API server reads it: the whole of a text.
fn whole(form: &str) -> Regex {
    Regex::new(&format!("^(?:{form})$")).expect("a form is a regular expression")
}

static FORMS: LazyLock<Vec<(String, Regex)>> =
    LazyLock::new(|| governed_variables().into_iter().map(|(name, form)| (name, whole(&form))).collect());
static FILE: LazyLock<Regex> = LazyLock::new(|| whole(&governed_file()));

proptest! {
    #[test]
    fn a_record_gives_back_what_it_holds(spec in strategies::spec()) {
        let data = data(&spec);
        let stored = serde_json::to_value(&data).expect("a record is JSON");
        prop_assert_eq!(Data::read(&stored, &data.digest()), Some(data));
    }

    /// Others may write where records are kept.
    #[test]
    fn a_record_with_a_key_that_no_policy_sets_is_worthless(spec in strategies::spec(), key in "[a-z_]{1,12}") {
        let data = data(&spec);
        let mut stored = serde_json::to_value(&data).expect("a record is JSON");
        prop_assume!(stored["overlay"].get(&key).is_none());
        stored["overlay"][key] = "x".into();
        prop_assert_eq!(Data::read(&stored, &data.digest()), None);
    }

    #[test]
    fn a_record_of_another_policy_is_worthless(one in strategies::spec(), other in strategies::spec()) {
        let (one, other) = (data(&one), data(&other));
        prop_assume!(one != other);
        let stored = serde_json::to_value(&one).expect("a record is JSON");
        prop_assert_eq!(Data::read(&stored, &other.digest()), None);
    }

    #[test]
    fn the_file_is_read_as_the_tree_that_was_written(spec in strategies::spec()) {
        let rendered = rendered(&spec);
        let read: Value = serde_yaml::from_str(&rendered.file).expect("the file is YAML");
        prop_assert_eq!(read, serde_yaml::to_value(&rendered.overlay).expect("an overlay is a tree"));
    }

    /// To them the chart's admission rules confine the operator.
    #[test]
    fn every_variable_has_the_form_of_its_key(spec in strategies::spec()) {
        let rendered = rendered(&spec);
        for variable in &rendered.variables {
            let (_, form) = FORMS.iter().find(|(name, _)| *name == variable.name).expect("a variable of a policy has a form");
            let value = manifest::escape_dollar(&variable.value);
            prop_assert!(form.is_match(&value) && value.chars().count() <= LONGEST_VARIABLE, "{}={:?}", variable.name, value);
        }
        prop_assert!(FILE.is_match(&rendered.file), "{}", rendered.file);
    }

    /// Every value stands on one line, and each string in double quotes, with nothing in it that
    /// YAML forbids, folds or takes for the end of a line.
    #[test]
    fn the_file_leaves_readers_no_choice(spec in strategies::spec()) {
        const SEPARATORS: [char; 5] = ['\u{2028}', '\u{2029}', '\u{feff}', '\u{fffe}', '\u{ffff}'];
        for line in rendered(&spec).file.lines().filter(|line| !line.starts_with('#')) {
            prop_assert!(!line.contains(char::is_control) && !line.contains(SEPARATORS), "{:?}", line);
            let item = line.trim_start();
            let value = item.strip_prefix("- ").or_else(|| item.split_once(": ").map(|(_, value)| value));
            match value {
                Some("true" | "false") => {}
                Some(text) => prop_assert!(text.starts_with('"') && text.ends_with('"'), "{:?}", line),
                None => prop_assert!(item.ends_with(':'), "{:?}", line),
            }
        }
    }

    #[test]
    fn the_order_of_keys_changes_no_digest(spec in strategies::spec(), seed in any::<u64>()) {
        let tree = serde_yaml::to_value(rendered(&spec).overlay).expect("an overlay is a tree");
        let shuffled = Document::from_typed(&shuffle(tree.clone(), seed)).expect("it stays a tree");
        prop_assert_eq!(shuffled.canonical(), Document::from_typed(&tree).expect("it is a tree").canonical());
    }

    /// A later file of Kratos is laid on an earlier one so.
    #[test]
    fn what_is_merged_twice_is_merged_once(under in strategies::spec(), over in strategies::spec(), foreign in "[A-Z]{1,8}") {
        let mut base = serde_yaml::to_value(rendered(&under).overlay).expect("an overlay is a tree");
        base.as_mapping_mut().expect("it is a mapping").insert(foreign.as_str().into(), "kept".into());
        let base = Document::from_typed(&base).expect("it is a tree");
        let over = rendered(&over).overlay.document();
        let merged = base.merge(&over);
        prop_assert_eq!(&merged.merge(&over), &merged);
        prop_assert!(merged.has(&foreign), "a key of the base is lost");
        for (path, leaf) in over.leaves() {
            prop_assert!(merged.leaves().contains(&(path, leaf)), "a value of the overlay is lost");
        }
    }

    /// A pod that must be replaced is made from other variables, and only such a one.
    #[test]
    fn beside_a_file_the_levels_alone_are_variables(one in strategies::spec(), other in strategies::spec()) {
        let (one, other) = (accepted(&one), accepted(&other));
        let same = (one.settings, one.whoami) == (other.settings, other.whoami);
        let beside = |policy: &Policy| variables(&Overlay::of(policy), Delivery::ConfigFile);
        prop_assert_eq!(beside(&one) == beside(&other), same);
        prop_assert_eq!(beside(&one).len(), usize::from(one.settings.is_some()) + usize::from(one.whoami.is_some()));
        prop_assert!(beside(&one).iter().all(|variable| variables(&Overlay::of(&one), Delivery::Environment).contains(variable)));
        prop_assert_eq!(Overlay::of(&one).required_levels(), (one.settings, one.whoami));
    }

    #[test]
    fn the_variables_say_what_the_file_says(spec in strategies::spec()) {
        let overlay = rendered(&spec).overlay;
        let (document, all) = (overlay.document(), variables(&overlay, Delivery::Environment));
        for (path, leaf) in document.leaves() {
            let name = path.join("_").to_uppercase();
            let variable = all.iter().find(|variable| variable.name == name).expect("each key has a variable");
            match leaf {
                Leaf::Bool(value) => prop_assert_eq!(&variable.value, if value { "true" } else { "false" }),
                Leaf::Text(text) => prop_assert_eq!(&variable.value, text),
                // A variable covers a list of the file only with as many items: the last one again, up to the
                // most that may be.
                Leaf::List(items) => {
                    let all: Vec<_> = variable.value.split(',').collect();
                    let (own, repeats) = all.split_at(items.len());
                    prop_assert_eq!(own, items.as_slice());
                    prop_assert_eq!(own.len() + repeats.len(), 16);
                    prop_assert!(repeats.iter().all(|item| items.last() == Some(item)));
                }
            }
        }
        prop_assert_eq!(all.len(), document.leaves().len() + 1, "and one is the revision");
        prop_assert!(all.iter().all(|variable| governed_names().contains(&variable.name)));
        prop_assert!(all.iter().all(|variable| !variable.value.contains('\0')), "no process takes NUL");
    }

    /// The variables alone give the overlay back, and the overlay gives back what the policy set.
    #[test]
    fn what_is_delivered_means_exactly_what_the_policy_says(spec in strategies::spec()) {
        let policy = accepted(&spec);
        let rendered = rendered(&spec);
        let all = variables(&rendered.overlay, Delivery::Environment);
        let all: Vec<_> = all.iter().map(|variable| (variable.name.as_str(), variable.value.clone())).collect();
        prop_assert_eq!(Overlay::from_variables(&all), Some(rendered.overlay.clone()));
        let said = MfaPolicySpec { target_refs: spec.target_refs.clone(), ..rendered.overlay.spec() };
        let again = accepted(&said);
        let values = |policy: &Policy| (policy.settings, policy.whoami, policy.privileged_session_max_age.clone(), policy.factors.clone());
        prop_assert_eq!(values(&again), values(&policy));
    }

    #[test]
    fn an_overlay_holds_the_factors_of_its_policy(spec in strategies::spec()) {
        let policy = accepted(&spec);
        prop_assert_eq!(Overlay::of(&policy).factors(), policy.factors);
    }

    #[test]
    fn a_policy_that_stays_as_it_is_locks_nobody_out(spec in strategies::spec()) {
        let policy = accepted(&spec);
        prop_assert_eq!(transition(&Overlay::of(&policy), &policy), vec![]);
    }

    /// Whatever lies under it, and whether that can be read.
    #[test]
    fn a_policy_that_stays_as_it_is_weakens_nothing(spec in strategies::spec(), base in strategies::spec(), readable in any::<bool>()) {
        let (overlay, files) = (Overlay::of(&accepted(&spec)), [Layer::known(Overlay::of(&accepted(&base)).document())]);
        let merged = Merged::of(readable.then_some(&files[..]), &Layer::default(), &overlay, Delivery::Environment);
        let side = Side { merged: &merged, stated: &overlay };
        prop_assert_eq!(weakened(side, side, Change::First, &[]), vec![]);
    }

    /// What was not weaker step by step is not weaker in all.
    #[test]
    fn the_order_carries_over(specs in (strategies::spec(), strategies::spec(), strategies::spec())) {
        // Nothing is stated, so that nothing passes but what is as strict.
        let merged = |spec: &MfaPolicySpec| {
            let files = [Layer::known(Overlay::of(&accepted(spec)).document())];
            Merged::of(Some(&files), &Layer::default(), &Overlay::default(), Delivery::Environment)
        };
        let (nothing, all) = (Overlay::default(), [merged(&specs.0), merged(&specs.1), merged(&specs.2)]);
        let holds = |old: usize, new: usize| {
            let side = |index: usize| Side { merged: &all[index], stated: &nothing };
            weakened(side(old), side(new), Change::First, &[]).is_empty()
        };
        prop_assert!(!(holds(0, 1) && holds(1, 2)) || holds(0, 2));
    }

    /// Whatever is switched off needs its word, and with every word that is asked for, nothing more is.
    #[test]
    fn the_words_that_are_asked_for_suffice(old in strategies::spec(), new in strategies::spec()) {
        let (old, mut new) = (accepted(&old), accepted(&new));
        let refused = transition(&Overlay::of(&old), &new);
        let enabled = |policy: &Policy, name: &str| policy.factors.iter().any(|factor| factor.name() == name && factor.enabled());
        for factor in old.factors.iter().filter(|factor| factor.enabled() && !enabled(&new, factor.name())) {
            let word = format!("MethodSwitchedOff:{}", factor.name());
            prop_assert!(refused.iter().any(|rejection| rejection.message.contains(&word)), "{word} is not asked for");
        }
        for rejection in refused {
            let word = rejection.message.split_once(", or add ").and_then(|(_, rest)| rest.split_once(" to acknowledge"));
            new.acknowledge.push(word.expect("the message names the word").0.into());
        }
        prop_assert_eq!(transition(&Overlay::of(&old), &new), vec![]);
    }

    #[test]
    fn what_is_written_is_read_as_the_same_spec(spec in strategies::spec()) {
        let json = serde_json::to_string(&spec).expect("a spec is JSON");
        prop_assert_eq!(serde_json::from_str::<MfaPolicySpec>(&json).expect("it is a spec"), spec);
    }
}

fn accepted(spec: &MfaPolicySpec) -> Policy {
    parse("kratos", spec)
        .unwrap_or_else(|rejections| panic!("the strategy makes a spec that is refused: {rejections:?}"))
}

fn rendered(spec: &MfaPolicySpec) -> Rendered {
    let policy = accepted(spec);
    render("kratos", Overlay::of(&policy), policy.delivery)
}

/// What would be remembered of it.
fn data(spec: &MfaPolicySpec) -> Data {
    let target = TargetData { kind: "Deployment".into(), name: "kratos".into(), container: "kratos".into() };
    let Rendered { overlay, delivery, .. } = rendered(spec);
    Data { overlay, delivery, config_map_name: "kratos-mfa".into(), targets: vec![target] }
}

/// The same tree with the keys of each mapping in another order.
fn shuffle(tree: Value, seed: u64) -> Value {
    let Value::Mapping(mapping) = tree else { return tree };
    let mut entries: Vec<_> =
        mapping.into_iter().map(|(key, value)| (key, shuffle(value, seed.rotate_left(7)))).collect();
    entries.sort_by_key(|(key, _)| {
        let name = key.as_str().expect("keys are strings");
        name.bytes().fold(seed, |sum, byte| sum.wrapping_mul(0x0100_0000_01b3) ^ u64::from(byte))
    });
    Value::Mapping(entries.into_iter().collect::<Mapping>())
}

mod strategies {
    //! Specs that pass every rule.

    use mfa_operator::api::{
        Code, Delivery, LookupSecret, Methods, MfaPolicySpec, RelyingParty, RequiredAal, TargetRef, Totp,
        Webauthn,
    };
    use proptest::option;
    use proptest::prelude::*;

    pub fn spec() -> impl Strategy<Value = MfaPolicySpec> {
        let delivery = prop_oneof![Just("Environment".to_owned()), Just("ConfigFile".to_owned())]
            .prop_map(|type_| Delivery { type_, config_map_name: None });
        (levels(), option::of(duration()), option::of(methods()), option::of(delivery)).prop_map(
            |(required_aal, privileged_session_max_age, methods, delivery)| MfaPolicySpec {
                target_refs: vec![TargetRef {
                    group: "apps".into(),
                    kind: "Deployment".into(),
                    name: "kratos".into(),
                    container: None,
                }],
                required_aal: Some(required_aal),
                privileged_session_max_age,
                methods,
                delivery,
                field_conflicts: "Refuse".into(),
                deletion_policy: "Revert".into(),
                acknowledge: vec!["SettingsBypass".into()],
                ..MfaPolicySpec::default()
            },
        )
    }

    fn levels() -> impl Strategy<Value = RequiredAal> {
        let level = || option::of(prop_oneof![Just("aal1".to_owned()), Just("highest_available".to_owned())]);
        (level(), level())
            .prop_filter("a policy states a level", |(settings, whoami)| {
                settings.is_some() || whoami.is_some()
            })
            .prop_map(|(settings, whoami)| RequiredAal { settings, whoami })
    }

    fn duration() -> impl Strategy<Value = String> {
        "([1-9][0-9]{0,2}m|1?[1-9]h)([0-9]{1,3}(ns|us|ms|s)){0,3}"
    }

    fn methods() -> impl Strategy<Value = Methods> {
        (option::of(totp()), option::of(webauthn()), option::of(any::<bool>()), option::of(any::<bool>()))
            .prop_map(|(totp, webauthn, lookup_secret, code)| Methods {
                totp,
                webauthn,
                lookup_secret: lookup_secret.map(|enabled| LookupSecret { enabled }),
                code: code.map(|mfa_enabled| Code { mfa_enabled }),
            })
    }

    fn totp() -> impl Strategy<Value = Totp> {
        let issuer = option::of(display().prop_map(|name| name.replace(':', "-")));
        (any::<bool>(), issuer).prop_map(|(enabled, issuer)| Totp { enabled, issuer })
    }

    fn webauthn() -> impl Strategy<Value = Webauthn> {
        (any::<bool>(), option::of(relying_party()))
            .prop_map(|(enabled, rp)| Webauthn { enabled: enabled && rp.is_some(), rp })
    }

    fn relying_party() -> impl Strategy<Value = RelyingParty> {
        (
            "[a-z0-9]{1,8}[.][a-z]{2,5}",
            display(),
            option::of(prop::collection::btree_set("[a-z][a-z0-9-]{0,6}[a-z]", 1..4)),
        )
            .prop_map(|(id, display_name, hosts)| {
                let origins =
                    hosts.map(|hosts| hosts.into_iter().map(|host| format!("https://{host}.{id}")).collect());
                RelyingParty { id, display_name, origins }
            })
    }

    /// Names that some reader of YAML, shell or Kubernetes takes for something else, and any others.
    fn display() -> impl Strategy<Value = String> {
        let nasty = prop::sample::select(vec![
            "yes",
            "NO",
            "on",
            "~",
            "null",
            "true",
            "1_000",
            "0x1F",
            "1e3",
            ".inf",
            "12:30:45",
            "2026-01-01",
            "<<",
            "=",
            "- a",
            "? a",
            "a: b",
            "a #b",
            "#a",
            "*a",
            "&a",
            "!a",
            "!!int 1",
            "|",
            ">",
            "%a",
            "@a",
            "`a`",
            "'",
            "\"",
            "''",
            "\\",
            "\\n",
            "\\u0041",
            "{a}",
            "[a]",
            "a,b",
            "$(HOME)",
            "$$(HOME)",
            "${HOME}",
            "$HOME",
            " ",
            "a ",
            " a",
            "---",
            "...",
            "\u{a0}",
            "\u{2028}",
            "\u{2029}",
            "\u{feff}",
            "\u{fffd}",
            "\u{fffe}",
            "\u{ffff}",
            "\u{200e}",
            "\u{202e}x",
            "e\u{301}",
            "Zürich",
            "東京",
            "🔐",
            "\u{10ffff}",
        ]);
        let any = prop::collection::vec(
            any::<char>().prop_filter("printable", |character| !character.is_control()),
            1..30,
        )
        .prop_map(|characters| characters.into_iter().collect());
        prop_oneof![nasty.prop_map(str::to_owned), any]
    }
}
