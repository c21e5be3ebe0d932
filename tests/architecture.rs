//! The arrows between the rooms of the house: what each folder of `src` may use, by `crate::` paths.
//!
//! Pure rooms (api, policy, document, server, plan, lint) also name no client, clock, environment, file,
//! log or async function. clippy.toml forbids most of these too, by what is called rather than what is written.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a test reads files; src's pure rooms do not")]

use std::path::{Path, PathBuf};

/// Each room and what it may use, from the ground up.
const ROOMS: [(&str, &[&str]); 13] = [
    ("api", &[]),
    ("policy", &["api"]),
    ("document", &["api", "policy"]),
    ("server", &["api", "policy", "document"]),
    ("plan", &["api", "policy", "document", "server"]),
    ("lint", &["api", "policy", "document", "server"]),
    ("admin", &["plan"]),
    ("telemetry", &["api", "policy", "document", "server", "plan"]),
    ("controller", &["api", "policy", "document", "server", "plan", "admin", "telemetry"]),
    ("leader", &["api", "plan", "telemetry"]),
    ("http", &["telemetry"]),
    ("fuzz", &["api", "policy", "document", "server", "plan", "lint", "admin", "controller"]),
    ("cli", &["api", "policy", "document", "server", "plan", "lint", "controller", "leader", "http", "telemetry"]),
];

const PURE: [&str; 6] = ["api", "policy", "document", "server", "plan", "lint"];

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
        wrong.extend(IMPURE.into_iter().filter(|word| line.contains(word)).map(|word| format!("{place}: {word}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// So that a new room is given its place here.
#[test]
fn every_room_has_its_arrows() {
    let library = std::fs::read_to_string(src().join("lib.rs")).expect("the library is readable");
    let declared: Vec<_> = library.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
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
        assert!(lines <= 420, "{} has {lines} lines: split it by what it does", path.display());
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
    let named: Vec<_> =
        text.split("[`").skip(1).filter_map(|rest| rest.split_once("`](")?.1.split_once(".rs)").map(|(path, _)| (rest, path))).collect();
    assert!(named.len() > 20, "the table lost its tests");
    for (rest, path) in named {
        let name = rest.split('`').next().unwrap_or_default();
        let read =
            |path: &str| std::fs::read_to_string(docs.join(format!("{path}.rs"))).unwrap_or_else(|error| panic!("{path}.rs: {error}"));
        let code = read(path);
        // An end-to-end test is a function that the list of tests calls.
        if let Some(module) = path.strip_prefix("../tests/e2e/") {
            let is_run = read("../tests/e2e/main").contains(&format!("{module}::{name}"));
            assert!(is_run && code.contains(&format!("pub fn {name}(")), "{path}.rs has no test {name} that is run");
            continue;
        }
        let test = code.split(&format!("fn {name}(")).next().filter(|before| before.len() < code.len());
        let attribute = test.and_then(|before| before.rsplit("#[").next()).unwrap_or_default();
        assert!(attribute.starts_with("test]") || attribute.starts_with("tokio::test"), "{path}.rs has no test {name}");
    }
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The names behind `crate::` in a line, those in braces included.
fn used_rooms(line: &str) -> impl Iterator<Item = String> {
    let name = |text: &str| text.chars().take_while(|character| character.is_alphanumeric() || *character == '_').collect::<String>();
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
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
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
