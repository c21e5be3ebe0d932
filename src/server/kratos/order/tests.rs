//! The table of the order, row by row, and what holds for every row.

use serde_json::Value as Json;

use super::*;
use crate::document::Budget;
use crate::policy::parse;

#[path = "../../../../tests/support/order.rs"]
mod table;

fn overlay(spec: Json) -> Overlay {
    let spec = serde_json::from_value(spec).expect("a spec");
    Overlay::of(&parse("kratos", &spec).unwrap_or_else(|refused| panic!("{refused:?}")))
}

/// A row as one of the three: what stands there, merged, and what of it a policy stated; then what is to be.
struct Tried {
    before: (Merged, Overlay),
    after: (Merged, Overlay),
    change: Change,
}

impl Tried {
    fn sides(&self) -> (Side<'_>, Side<'_>) {
        (
            Side { merged: &self.before.0, stated: &self.before.1 },
            Side { merged: &self.after.0, stated: &self.after.1 },
        )
    }

    fn refused(&self, acknowledged: &[SmolStr]) -> Vec<Rejection> {
        let (old, new) = self.sides();
        weakened(old, new, self.change, acknowledged)
    }
}

/// In an edit, after another policy, and on the server's own file.
fn tried(row: &table::Row) -> [Tried; 3] {
    let file: Option<Vec<Layer>> = match &row.file {
        Some(Json::String(word)) if word == "unreadable" => None,
        Some(part) => Some(vec![Layer::known(
            overlay(row.spec(part.as_object().expect("a part of a spec"))).document(),
        )]),
        None => Some(Vec::new()),
    };
    let (old, new) = (overlay(row.spec(&row.old)), overlay(row.spec(&row.new)));
    let merged = |files: Option<&[Layer]>, overlay: &Overlay| {
        (Merged::of(files, &Layer::default(), overlay, Delivery::Environment), overlay.clone())
    };
    let by_policy = |change| Tried {
        before: merged(file.as_deref(), &old),
        after: merged(file.as_deref(), &new),
        change,
    };
    let own: Option<Vec<_>> =
        file.clone().map(|files| files.into_iter().chain([Layer::known(old.document())]).collect());
    let adopted = Tried {
        before: merged(own.as_deref(), &Overlay::default()),
        after: merged(own.as_deref(), &new),
        change: Change::First,
    };
    [by_policy(Change::Edit), by_policy(Change::First), adopted]
}

#[test]
fn each_row_is_judged_as_told() {
    for row in table::rows() {
        for (tried, said) in tried(&row).into_iter().zip(row.operator.says()) {
            let what = format!("{row:?}, {:?}", tried.change);
            let refused = tried.refused(&[]);
            match said {
                "passes" => assert_eq!(refused, [], "{what}"),
                "state" => assert!(
                    refused.len() == 1 && refused[0].message == rules::NOT_STATED,
                    "{what}: {refused:?}"
                ),
                word => {
                    assert!(refused.len() == 1 && refused[0].message.contains(word), "{what}: {refused:?}");
                    assert_eq!(tried.refused(&[word.into()]), [], "{what}: its word suffices");
                }
            }
        }
    }
}

/// Of what a policy had: a server's own file goes on under it.
#[test]
fn each_row_is_weaker_or_not_as_told() {
    for row in table::rows() {
        let [edit, ..] = tried(&row);
        let compare = |path: &'static String| {
            ordered(path).1.compare(&edit.before.0.value(path), &edit.after.0.value(path))
        };
        assert_eq!(
            governed_paths().iter().any(|path| compare(path) == Verdict::Weaker),
            row.weaker,
            "{row:?}"
        );
    }
}

#[test]
fn what_could_not_be_compared_is_told() {
    for row in table::rows() {
        let [.., adopted] = tried(&row);
        let (old, new) = adopted.sides();
        assert_eq!(not_compared(old, new), row.not_compared, "{row:?}");
    }
}

/// Somebody weighs whatever is weaker: the cluster, or the operator, which sees what the cluster cannot.
#[test]
fn nothing_weaker_passes_both() {
    for row in table::rows().into_iter().filter(|row| row.weaker) {
        assert_eq!(row.edited, table::Cluster::Verb, "{row:?}");
        let unseen = row.operator.says()[1..].contains(&"passes") && row.created == table::Cluster::Free;
        // Kratos' own default may be stated, and what is left out on a server's own file changes nothing
        // there.
        let stated = row.field == "privilegedSessionMaxAge" || row.operator.says()[1] != "passes";
        assert!(!unseen || stated, "{row:?}");
    }
}

#[test]
fn every_leaf_has_its_rows() {
    let tried: Vec<_> = table::rows().iter().map(tried).collect();
    for path in governed_paths() {
        let differs = |[edit, ..]: &[Tried; 3]| edit.before.0.value(path) != edit.after.0.value(path);
        assert!(tried.iter().any(differs), "no row changes {path}");
    }
}

#[test]
fn every_leaf_is_ordered_and_a_new_one_passes_only_as_it_is() {
    for path in governed_paths() {
        assert!(
            !matches!(ordered(path).1, Rule::Other),
            "say how {path} is ordered, and add its rows to the table"
        );
    }
    let (field, rule) = ordered("selfservice.methods.push.enabled");
    let text = |text| Value::Set(Leaf::Text(text));
    assert_eq!(field, "selfservice.methods.push.enabled");
    assert_eq!(rule.compare(&text("a"), &text("a")), Verdict::Passes);
    assert_eq!(rule.compare(&text("a"), &text("b")), Verdict::Weaker);
    assert_eq!(rule.compare(&Value::Absent, &text("b")), Verdict::Weaker);
    assert_eq!(rule.compare(&Value::Unknown, &text("b")), Verdict::Unknown);
}

/// It may hold anything.
#[test]
fn nothing_of_the_servers_own_files_is_repeated() {
    let text = "selfservice: {methods: {webauthn: {config: {rp: {id: hunter2, origins: [hunter3]}}}}}";
    let file = Layer::read(text, &mut Budget::default());
    let rp = serde_json::json!({"id": "a.example", "displayName": "A", "origins": ["https://a.example"]});
    let spec = serde_json::json!({
        "targetRefs": [{"name": "kratos"}],
        "requiredAAL": {"whoami": "aal1"},
        "methods": {"webauthn": {"enabled": true, "rp": rp}},
    });
    let (nothing, asked) = (Overlay::default(), overlay(spec));
    let merged = |overlay: &Overlay| {
        Merged::of(Some(std::slice::from_ref(&file)), &Layer::default(), overlay, Delivery::Environment)
    };
    let (before, after) = (merged(&nothing), merged(&asked));
    let (old, new) = (Side { merged: &before, stated: &nothing }, Side { merged: &after, stated: &asked });
    let refused = weakened(old, new, Change::First, &[]);
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(
        refused[0].message.contains("RelyingPartyChanged:a.example")
            && !refused[0].message.contains("hunter"),
        "{refused:?}"
    );
}
