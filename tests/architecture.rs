//! The arrows between the rooms of the house: what each folder of `src` may use, by `crate::` paths.
//!
//! Pure rooms (api, policy, document, server, plan, lint) also name no client, clock, environment, file,
//! log or async function. clippy.toml forbids most of these too, by what is called rather than what is
//! written.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test reads files; src's pure rooms do not"
)]

#[path = "support/source.rs"]
mod source;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use source::{Function, calls, functions};

/// Each room and what it may use, from the ground up.
const ROOMS: [(&str, &[&str]); 14] = [
    ("api", &[]),
    ("policy", &["api"]),
    ("document", &["api", "policy"]),
    ("server", &["api", "policy", "document"]),
    ("model", &["api", "policy", "document", "server"]),
    ("plan", &["api", "policy", "document", "server", "model"]),
    ("lint", &["api", "policy", "document", "server"]),
    ("admin", &["model"]),
    ("telemetry", &["api", "policy", "document", "server", "model"]),
    ("controller", &["api", "policy", "document", "server", "model", "plan", "admin", "telemetry"]),
    ("leader", &["api", "model", "telemetry"]),
    ("http", &["telemetry"]),
    ("fuzz", &["api", "policy", "document", "server", "model", "plan", "lint", "admin", "controller"]),
    (
        "cli",
        &[
            "api",
            "policy",
            "document",
            "server",
            "model",
            "plan",
            "lint",
            "controller",
            "leader",
            "http",
            "telemetry",
        ],
    ),
];

const PURE: [&str; 7] = ["api", "policy", "document", "server", "model", "plan", "lint"];

const IMPURE: [&str; 14] = [
    "kube::Client",
    "kube::client",
    "kube::Api",
    "kube::runtime",
    "tokio::",
    "async ",
    "tracing::",
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "SystemTime",
    "Instant::now",
    "println!",
];

#[test]
fn no_arrow_points_up() {
    let mut wrong = Vec::new();
    for (room, allowed) in ROOMS {
        for (place, line) in code_of(room) {
            for used in used_rooms(&line).filter(|used| used != room && !allowed.contains(&used.as_str())) {
                wrong.push(format!("{place}: {room} may not use {used}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pure_rooms_touch_nothing_outside() {
    let mut wrong = Vec::new();
    for (place, line) in PURE.into_iter().flat_map(code_of) {
        wrong.extend(
            IMPURE.into_iter().filter(|word| line.contains(word)).map(|word| format!("{place}: {word}")),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// So that a new room is given its place here.
#[test]
fn every_room_has_its_arrows() {
    let library = std::fs::read_to_string(src().join("lib.rs")).expect("the library is readable");
    let declared: Vec<_> =
        library.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    for room in &declared {
        assert!(ROOMS.iter().any(|(known, _)| known == room), "say in ROOMS what {room} may use");
    }
    for (room, _) in ROOMS {
        assert!(declared.contains(&room), "{room} is gone: remove it from ROOMS");
    }
}

/// Keeps the file that newcomers open readable at a glance.
#[test]
fn no_file_is_beyond_four_hundred_lines() {
    for path in files(&src()) {
        let lines = std::fs::read_to_string(&path).expect("a source file is readable").lines().count();
        let most = if path.ends_with("tests.rs") { 450 } else { 400 };
        assert!(lines <= most, "{} has {lines} lines: split it by what it does", path.display());
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    for path in files(&src()).into_iter().filter(|path| !path.ends_with("main.rs")) {
        let text = std::fs::read_to_string(&path).expect("a source file is readable");
        assert!(text.starts_with("//! "), "{} begins without a word about its job", path.display());
    }
}

/// A claim is worth what shows it.
#[test]
fn every_claim_about_security_names_a_test() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let text = std::fs::read_to_string(docs.join("security.md")).expect("it is there");
    let named: Vec<_> = text
        .split("[`")
        .skip(1)
        .filter_map(|rest| rest.split_once("`](")?.1.split_once(".rs)").map(|(path, _)| (rest, path)))
        .collect();
    assert!(named.len() > 20, "the table lost its tests");
    for (rest, path) in named {
        let name = rest.split('`').next().unwrap_or_default();
        let read = |path: &str| {
            std::fs::read_to_string(docs.join(format!("{path}.rs")))
                .unwrap_or_else(|error| panic!("{path}.rs: {error}"))
        };
        let code = read(path);
        // An end-to-end test is a function that the list of tests calls.
        if let Some(module) = path.strip_prefix("../tests/e2e/") {
            let is_run = read("../tests/e2e/main").contains(&format!("{module}::{name}"));
            assert!(
                is_run && code.contains(&format!("pub fn {name}(")),
                "{path}.rs has no test {name} that is run"
            );
            continue;
        }
        let test = code.split(&format!("fn {name}(")).next().filter(|before| before.len() < code.len());
        let attribute = test.and_then(|before| before.rsplit("#[").next()).unwrap_or_default();
        assert!(
            attribute.starts_with("test]") || attribute.starts_with("tokio::test"),
            "{path}.rs has no test {name}"
        );
    }
}

/// What a task waits for is waited for by every policy, and a text of aliases takes seconds and many times
/// its size. JSON is read where objects are decoded, each within its ceilings; beside that, what is listed
/// here.
#[test]
fn no_task_parses_what_others_wrote() {
    const JSON: [(&str, &str); 3] = [
        // A body of 256 bytes at most.
        ("src/admin/version.rs", "version"),
        // What one person edits, at a terminal.
        ("src/controller/preview.rs", "foresee"),
        // The log's own fields.
        ("src/telemetry/json.rs", "format_event"),
    ];
    let parsers = parsers();
    for known in ["Document::parse(", "Document::read(", "Layer::read(", "Overlay::read("] {
        assert!(parsers.contains(known), "{known} is no parser any more: the search is broken");
    }
    let (mut wrong, mut off, mut json) = (Vec::new(), 0, BTreeSet::new());
    let tasks = all_functions();
    for function in tasks.iter().filter(|function| is_of_tasks(&function.path)) {
        let on_runtime = without_what_is_off_the_runtime(function.body());
        off += parsers.iter().filter(|parser| function.calls(parser) && !calls(&on_runtime, parser)).count();
        let called = parsers.iter().filter(|parser| calls(&on_runtime, parser));
        wrong.extend(
            called.map(|parser| {
                format!("{}:{}: {} calls {parser})", function.path, function.line, function.name)
            }),
        );
        if on_runtime.contains("serde_json::from_") {
            json.insert(function.place());
        }
    }
    assert!(wrong.is_empty(), "hand it to off_runtime:\n{}", wrong.join("\n"));
    assert!(off >= 2, "only {off} texts are read off the runtime: the search is broken");
    assert_eq!(json, BTreeSet::from(JSON), "who parses JSON beside the views");
}

/// With 10,000 policies, each looking at all others, no look would end.
#[test]
fn no_look_scans_all_policies() {
    const SCANS: [(&str, &str); 5] = [
        // Once for a list or for taking over, not for each policy.
        ("src/controller/watch/catch_up.rs", "begin_in"),
        ("src/controller/store/mod.rs", "policies_in"),
        ("src/controller/watch/mod.rs", "open"),
        // Once for a page of metrics.
        ("src/controller/metrics.rs", "encode"),
        ("src/controller/store/mod.rs", "unreadable"),
    ];
    // Those that cannot be read alone: the definition lets none in, and the table holds them apart.
    const UNREADABLE: [(&str, &str); 1] = [("src/controller/observe/claims.rs", "by")];
    let walks = [
        "all(",
        "all_unreadable(",
        "entries.keys(",
        "entries.values(",
        "entries.iter(",
        "found_by.keys(",
        "found_by.values(",
    ];
    let scans = |function: &Function| {
        let over = walks.iter().any(|walk| calls(function.body(), &format!("policies.{walk}")));
        // All of a table by another name would be found by none of these.
        over || function.calls(".policies_in(")
            || calls(function.body(), "in &tables.policies")
            || function.body().contains("= &tables.policies;")
    };
    let of_controller = |function: &&Function| function.path.starts_with("src/controller");
    let all = all_functions();
    let found: BTreeSet<_> =
        all.iter().filter(of_controller).filter(|function| scans(function)).map(Function::place).collect();
    assert_eq!(found, SCANS.into_iter().chain(UNREADABLE).collect(), "who goes through all policies");
}

/// An empty annotation in the place of what was remembered would be a memory of nothing.
#[test]
fn nothing_is_written_in_the_place_of_what_cannot_be() {
    const INSTEAD: [&str; 8] = [
        "unwrap_or_default()",
        "unwrap_or(",
        "unwrap_or_else(",
        "map_or(",
        "map_or_else(",
        ".ok()",
        ".flatten()",
        "Err(_)",
    ];
    const LIBRARY: [&str; 2] = ["serde_json::to_", "serde_yaml::to_"];
    let all = all_functions();
    // What a number of a file that is read means is written nowhere.
    let writing: Vec<_> = all.iter().filter(|function| function.path != "src/document/foreign.rs").collect();
    let can_fail = |function: &Function| {
        function.text.contains("Result<") && LIBRARY.iter().any(|call| function.calls(call))
    };
    // What a command prints is asked for by the library's names alone.
    let own: Vec<_> = writing
        .iter()
        .filter(|function| !function.path.starts_with("src/cli") && can_fail(function))
        .collect();
    for known in ["written", "as_stored", "from_typed"] {
        assert!(
            own.iter().any(|function| function.name == known),
            "{known} writes nothing any more: the search is broken"
        );
    }
    let (mut seen, mut wrong) = (0, Vec::new());
    for function in &writing {
        // One that is not public is called in its file alone.
        let reached = own.iter().filter(|own| own.path == function.path || own.text.starts_with("pub"));
        let writers: Vec<_> =
            LIBRARY.into_iter().map(str::to_owned).chain(reached.map(|own| own.name.clone() + "(")).collect();
        for statement in function.body().split_inclusive("; ") {
            let Some(writer) = writers.iter().find(|writer| calls(statement, writer)) else { continue };
            seen += 1;
            let (_, after) = statement.split_once(&**writer).expect("it is called");
            let instead = INSTEAD.iter().filter(|word| after.contains(*word));
            wrong.extend(instead.map(|word| {
                format!("{}:{}: {} has {word} in {statement}", function.path, function.line, function.name)
            }));
        }
    }
    assert!(seen >= 15, "only {seen} writes: the search is broken");
    assert!(wrong.is_empty(), "it is an error:\n{}", wrong.join("\n"));
}

fn all_functions() -> Vec<Function> {
    functions(&files(&src()))
}

/// What runs beside other tasks of the operator: no pure room, nothing that decodes within ceilings, and no
/// command.
fn is_of_tasks(path: &str) -> bool {
    let in_room = |room: &str| path.starts_with(&format!("src/{room}/")) || path == format!("src/{room}.rs");
    let others = ["fuzz", "cli", "controller/decode", "controller/fuzz"];
    path != "src/main.rs" && path != "src/lib.rs" && !PURE.into_iter().chain(others).any(in_room)
        || path == "src/cli/run.rs"
}

/// How whatever reads a text of others is called: the parser, and all in the pure rooms that call it, and so
/// on.
fn parsers() -> BTreeSet<String> {
    let all = all_functions();
    let pure: Vec<_> = all
        .iter()
        .filter(|function| PURE.iter().any(|room| function.path.starts_with(&format!("src/{room}/"))))
        .collect();
    let mut found = BTreeSet::from(["foreign::read(".to_owned()]);
    loop {
        let calling = pure.iter().filter(|function| found.iter().any(|parser| function.calls(parser)));
        let more: BTreeSet<_> = calling.map(|function| function.called()).collect();
        if more.is_subset(&found) {
            return found;
        }
        found.extend(more);
    }
}

/// A body without the closures that are handed to `off_runtime`, in its arguments or by a name.
fn without_what_is_off_the_runtime(body: &str) -> String {
    let mut left = body.to_owned();
    for (at, call) in body.match_indices("off_runtime(") {
        let argument = closed(&body[at + call.len() - 1..]);
        left = left.replacen(argument, "()", 1);
        let named = format!("let {} = move || ", &argument[1..argument.len() - 1]);
        if let Some((_, closure)) =
            body[..at].rsplit_once(&named).filter(|(_, closure)| closure.starts_with('{'))
        {
            left = left.replacen(closed(closure), "{}", 1);
        }
    }
    left
}

/// From the bracket that this begins with to the one that closes it.
fn closed(text: &str) -> &str {
    let mut depth = 0;
    for (at, letter) in text.char_indices() {
        match letter {
            '(' | '{' => depth += 1,
            ')' | '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &text[..=at];
        }
    }
    panic!("it is never closed: {text}");
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The names behind `crate::` in a line, those in braces included.
fn used_rooms(line: &str) -> impl Iterator<Item = String> {
    let name = |text: &str| {
        text.chars()
            .take_while(|character| character.is_alphanumeric() || *character == '_')
            .collect::<String>()
    };
    line.split("crate::").skip(1).flat_map(move |rest| match rest.strip_prefix('{') {
        Some(list) => match list.split_once('}') {
            Some((list, _)) => list.split(',').map(|item| name(item.trim())).collect::<Vec<_>>(),
            None => vec!["several rooms in a list over several lines".to_owned()],
        },
        None => vec![name(rest)],
    })
}

/// The lines of a room that are no comments, each with its place.
fn code_of(room: &str) -> Vec<(String, String)> {
    let (folder, file) = (src().join(room), src().join(format!("{room}.rs")));
    let paths = if folder.is_dir() { files(&folder) } else { vec![file] };
    let mut lines = Vec::new();
    for path in paths {
        let text =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let place = path.strip_prefix(src()).unwrap_or(&path).display().to_string();
        let code = text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
        lines.extend(code.map(|(index, line)| (format!("src/{place}:{}", index + 1), line.to_owned())));
    }
    lines
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut found = Vec::new();
    for path in entries.map(|entry| entry.expect("it is readable").path()) {
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found.sort();
    found
}
