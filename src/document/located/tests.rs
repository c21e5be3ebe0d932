//! Cases of `located`.

use serde_json::json;

use super::*;

#[test]
fn bare_words_are_what_kubectl_takes_them_for() {
    let text = "[yes, Off, ~, 012, 0x1F, 1_000, -3, +1.5, .5, 1e3, .inf, 2026-01-01, 12:30:45, 0xZ, '1', \"no\", +a, nope]";
    let found = &read(text).expect("it is YAML")[0].value;
    let as_numbers = json!([true, false, null, 10, 31, 1000, -3, 1.5, 0.5, 1000.0, f64::MAX]);
    let as_strings = json!(["2026-01-01", "12:30:45", "0xZ", "1", "no", "+a", "nope"]);
    let (numbers, strings) = found.as_array().expect("a list").split_at(11);
    assert_eq!(
        (numbers, strings),
        (
            as_numbers.as_array().expect("a list").as_slice(),
            as_strings.as_array().expect("a list").as_slice()
        )
    );
}

#[test]
fn a_field_has_a_place_and_a_missing_one_that_of_its_parent() {
    let documents = read("# one\na: 1\n---\nspec:\n  list:\n    - name: x\n").expect("it is YAML");
    assert_eq!(documents.len(), 2);
    assert_eq!(documents[1].place("spec.list[0].name"), Place { line: 6, column: 7 });
    assert_eq!(documents[1].place("spec.list[0].other"), Place { line: 6, column: 7 });
    assert_eq!(documents[1].place("spec.other"), Place { line: 4, column: 1 });
}

#[test]
fn aliases_and_merge_keys_are_what_kubectl_makes_of_them() {
    let text = "a: &a {x: 1, y: 2}\nb: &b {x: 3, z: 4}\none: {<<: *a, y: 5}\ntwo: {<<: [*a, *b], '<<': 6}\nthree: {<<: {<<: *b, w: 7}}\n";
    let found = &read(text).expect("it is YAML")[0];
    assert_eq!(found.value["one"], json!({"x": 1, "y": 5}));
    assert_eq!(found.value["two"], json!({"x": 1, "y": 2, "z": 4, "<<": 6}));
    assert_eq!(found.value["three"], json!({"x": 3, "z": 4, "w": 7}));
    assert_eq!(found.place("one.x"), Place { line: 1, column: 8 }, "where it is written");
    for wrong in ["a: {<<: 1}", "a: {<<: [1]}"] {
        assert!(read(wrong).expect_err(wrong).message.contains("<<"), "{wrong}");
    }
}

#[test]
fn what_aliases_repeat_is_bounded() {
    let refused = |text: &str| read(text).expect_err("too much").message.contains("too often");
    let lines: Vec<_> =
        (1..30).map(|number| format!("a{number}: &a{number} [*a{0}, *a{0}]", number - 1)).collect();
    let text = format!("a0: &a0 [x, x]\n{}\n", lines.join("\n"));
    assert!(refused(&text));
    let long = format!("a: &a \"{}\"\nb: [{}]\n", "x".repeat(1 << 20), ["*a"; 100].join(", "));
    assert!(refused(&long));
    assert!(refused(&format!("{}{}", "[".repeat(200), "]".repeat(200))));
    assert!(read(&"[".repeat(100_000)).is_err(), "deeper than the parser goes");
    assert!(read("a: &a [*a]").is_err(), "it has no end");
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    assert_eq!(read("a: 1\n\"a\": 2\n").expect_err("twice").place, Place { line: 2, column: 1 });
    assert_eq!(read("a: [1\nb: 2").expect_err("no YAML").place.line, 2);
    assert!(read("a: !secret b").expect_err("a tag").message.contains("remove it"));
}
