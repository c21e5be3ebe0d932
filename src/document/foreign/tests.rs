//! What is made of hostile texts, and of what Kratos reads in its own way.

use super::*;

fn only(text: &str, paths: &[&str]) -> Result<String, Unreadable> {
    let wanted = Wanted::paths(paths.iter().copied());
    read(text, &wanted, &mut Budget::default()).map(|value| super::super::canonical::write(&value))
}

fn found(text: &str) -> String {
    only(text, &["a.b", "a.c", "d"]).unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

#[test]
fn only_what_is_wanted_is_built() {
    let cases = [
        (
            "a: {b: x, c: [y, z], secret: s}\nother: {b: 1}\nd: true\n",
            r#"{"a":{"b":"x","c":["y","z"]},"d":true}"#,
        ),
        ("", "{}"),
        ("# nothing\n", "{}"),
        ("~", "{}"),
        ("--- {d: 'true'}\n--- {d: false}\n--- [", r#"{"d":"true"}"#),
        ("{\"a\": {\"b\": \"x\\u0041\\/\"},\n\t\"d\": null}", r#"{"a":{"b":"xA/"},"d":null}"#),
        ("a: x\nd: {e: f}", r#"{"a":null,"d":null}"#),
        ("a: {b: [x, [y]], c: 12}", r#"{"a":{"b":null,"c":12}}"#),
        ("a: {b: !!str true, c: !other x}", r#"{"a":{"b":"true","c":null}}"#),
        ("a: {b: 2026-01-01, c: '2026-01-01'}\nd: yes", r#"{"a":{"b":null,"c":"2026-01-01"},"d":"yes"}"#),
        ("a: !other {b: x}", r#"{"a":null}"#),
        ("\u{feff}d: x", r#"{"d":"x"}"#),
    ];
    for (text, expected) in cases {
        assert_eq!(found(text), expected, "{text}");
    }
    let long = format!("a: {{b: {}, c: [{}]}}", "x".repeat(LONGEST_TEXT + 1), "x,".repeat(LONGEST_LIST + 1));
    assert_eq!(found(&long), r#"{"a":{"b":null,"c":null}}"#);
}

/// What yaml.v3 of Go made of each.
#[test]
fn aliases_and_merge_keys_mean_what_they_mean_to_kratos() {
    let cases = [
        ("x: &x {b: 1, c: 2}\na: {<<: *x, b: own}", r#"{"a":{"b":"own","c":2}}"#),
        ("x: &x {b: 1, c: 2}\na: {b: own, <<: *x}", r#"{"a":{"b":"own","c":2}}"#),
        ("a: {<<: &x {b: 1}, c: 2}\nd: *x", r#"{"a":{"b":1,"c":2},"d":null}"#),
        ("a: {<<: [{b: 1}, {b: 2, c: 3}]}", r#"{"a":{"b":1,"c":3}}"#),
        ("x: &x {b: 1}\ny: &y {<<: *x, c: 2}\na: {<<: *y}", r#"{"a":{"b":1,"c":2}}"#),
        ("<<: {d: 1, a: {b: 1}}\na: {c: 2}", r#"{"a":{"c":2},"d":1}"#),
        ("x: &x v\na: {b: *x, c: [*x, *x]}\nd: *x", r#"{"a":{"b":"v","c":["v","v"]},"d":"v"}"#),
        ("x: &x b\na: {*x : v}", r#"{"a":{"b":"v"}}"#),
        ("x: &x 1\ny: &x 2\nd: *x", r#"{"d":2}"#),
        ("x: &x {b: 1}\na: *x\nd: 1", r#"{"a":{"b":1},"d":1}"#),
        ("a: {'<<': {b: 1}, c: 2}", r#"{"a":{"c":2}}"#),
    ];
    for (text, expected) in cases {
        assert_eq!(found(text), expected, "{text}");
    }
    let refused = [
        "d: 1\nd: 2",
        "a: {<<: x}",
        "a: {<<: [x]}",
        "x: &x [{b: 1}]\na: {<<: *x}",
        "a: {<<: {b: 1}, <<: {c: 2}}",
        "[]",
        "x",
        "d: *x",
        "a: [",
    ];
    for text in refused {
        assert!(matches!(only(text, &["a.b", "a.c", "d"]), Err(Unreadable::NotYaml { .. })), "{text}");
    }
    for text in ["!other {d: 1}", "a: {!!merge <<: {b: 1}}", "a: {!!binary Yg==: x}", "a: {[b]: x}"] {
        assert!(only(text, &["a.b", "d"]).is_err(), "what may mean something else is not read: {text}");
    }
    assert_eq!(only("d: 1\na: [\nb: 2", &["d"]), Err(Unreadable::NotYaml { line: Some(3) }));
}

#[test]
fn what_repeats_itself_is_paid_for() {
    let many = |item: &str, count: usize| vec![item; count].join(",");
    let laughs = format!("a: &a [{}]\nb: [{}]", many("0", 6_000), many("*a", 6_000));
    assert_eq!(only(&laughs, &["c"]), Ok("{}".into()), "what is not wanted costs nothing");
    assert_eq!(only(&laughs, &["b"]), Ok(r#"{"b":null}"#.into()), "no list of lists is wanted");
    assert_eq!(read(&laughs, &Wanted::All, &mut Budget::default()), Err(Unreadable::TooMuch));
    let merged = format!(
        "x: &x {{{}}}\na: {{<<: [{}]}}",
        (0..500).map(|n| format!("k{n}: 0,")).collect::<String>(),
        many("*x", 500)
    );
    assert_eq!(only(&merged, &["a.b"]), Err(Unreadable::TooMuch));
    let long = format!("x: &x {}\na: [{}]", "x".repeat(10_000), many("*x", 1_000));
    assert_eq!(read(&long, &Wanted::All, &mut Budget::default()), Err(Unreadable::TooMuch));
    let endless = ["a: &a {b: *a, <<: *a}", "a: &a {<<: *a}", "a: &a [*a]"];
    for text in endless {
        assert_eq!(read(text, &Wanted::All, &mut Budget::default()), Err(Unreadable::TooMuch), "{text}");
    }
    let chain: String = (1..200).map(|n| format!("x{n}: &x{n} {{<<: *x{}}}\n", n - 1)).collect();
    assert_eq!(only(&format!("x0: &x0 {{d: 1}}\n{chain}<<: *x199"), &["d"]), Err(Unreadable::TooMuch));
    assert_eq!(only(&"[".repeat(200), &["d"]), Err(Unreadable::TooMuch));
    assert_eq!(only(&"- ".repeat(200), &["d"]), Err(Unreadable::TooMuch));
    assert_eq!(only(&format!("d: [{}]", many("x", 20_000)), &["e"]), Err(Unreadable::TooMuch));
    assert_eq!(only(&format!("d: {}", "x".repeat(256 * 1024)), &["e"]), Err(Unreadable::TooMuch));
}

#[test]
fn all_files_of_a_configuration_share_a_budget() {
    let mut budget = Budget::default();
    let file = format!("d: {}", "x".repeat(100 * 1024));
    let mut next = || read(&file, &Wanted::paths(["e"]), &mut budget).is_ok();
    assert_eq!([next(), next(), next()], [true, true, false]);
}
