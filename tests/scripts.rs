//! What scripts leave behind: nothing, however they end, and to whom it belongs. Whatever they call is a stand-in here.
//! And what they may not be written like.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a test has files, processes and a clock")]

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(20);

/// A tree with one real script and stand-ins, each a name and what it does.
fn tree(script: &str, stand_ins: &[(&str, &str)]) -> tempfile::TempDir {
    let tree = tempfile::tempdir().expect("a folder");
    for folder in ["scripts", "tests/cluster", "docs/images", "bin", "tmp"] {
        std::fs::create_dir_all(tree.path().join(folder)).expect("a folder");
    }
    for name in [script, "scripts/environment"] {
        std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join(name), tree.path().join(name)).expect("a script can be copied");
    }
    for (name, does) in stand_ins {
        let path = tree.path().join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{does}\n")).expect("a file can be written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
    }
    tree
}

/// In a process group of its own, as a shell gives it one, where an interrupt is not ignored.
fn start(tree: &Path, script: &str, arguments: &[&str]) -> Child {
    let path = format!("{}:{}", tree.join("bin").display(), std::env::var("PATH").expect("there is a PATH"));
    Command::new("env")
        .arg("--default-signal=INT")
        .arg(tree.join(script))
        .args(arguments)
        .env("PATH", path)
        .env("TMPDIR", tree.join("tmp"))
        .env("CALLS", tree.join("calls"))
        .env_remove("KUBECONFIG")
        .env_remove("MFA_OPERATOR_KEEP")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts")
}

fn calls(tree: &Path) -> Vec<String> {
    std::fs::read_to_string(tree.join("calls")).unwrap_or_default().lines().map(Into::into).collect()
}

fn temporary(tree: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(tree.join("tmp")).expect("a folder");
    entries.map(|entry| entry.expect("it is readable").path().display().to_string()).collect()
}

/// Sends a signal to all processes of the group; whether there was one.
fn signal(signal: &str, group: u32) -> bool {
    let sent = Command::new("kill").args([signal, "--", &format!("-{group}")]).stderr(Stdio::null()).status();
    sent.expect("kill runs").success()
}

fn until(what: &str, group: u32, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !holds() {
        if Instant::now() > deadline {
            signal("-KILL", group);
            panic!("{what}: not after {SOON:?}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

const CLUSTER: (&str, &str) = ("tests/cluster/cluster", r#"echo "$1" >>"$CALLS"; [ "$1" != run ] || exec "$2" 600"#);
const IMAGE: (&str, &str) = ("scripts/image", "echo image.tar");

#[test]
fn an_interrupt_ends_all_that_runs_beside_a_cluster() {
    let tree = tree("scripts/in-cluster", &[CLUSTER, IMAGE]);
    let mut script = start(tree.path(), "scripts/in-cluster", &["sleep"]);
    let group = script.id();
    until("the program runs", group, || calls(tree.path()).last().is_some_and(|call| call == "run"));
    assert_eq!(temporary(tree.path()).len(), 1, "the pipe by which the program asks");
    signal("-INT", group);
    until("the script ends", group, || script.try_wait().expect("a child can be asked").is_some());
    until("nobody is left", group, || !signal("-0", group));
    assert_eq!(calls(tree.path()), ["up", "load", "run", "down"]);
    assert!(temporary(tree.path()).is_empty(), "{:?}", temporary(tree.path()));
}

#[test]
fn what_a_program_answers_is_the_answer_and_nothing_is_left() {
    let tree = tree("scripts/in-cluster", &[CLUSTER, IMAGE, ("bin/program", "exit 7")]);
    let mut script = start(tree.path(), "scripts/in-cluster", &["program"]);
    assert_eq!(script.wait().expect("it ends").code(), Some(7));
    until("nobody is left", script.id(), || !signal("-0", script.id()));
    assert_eq!(calls(tree.path()), ["up", "load", "run", "down"]);
    assert!(temporary(tree.path()).is_empty(), "{:?}", temporary(tree.path()));
}

#[test]
fn a_recorded_demo_leaves_its_picture_alone() {
    let cargo = r#"echo '{"executable":"/built/story"}'"#;
    let stand_ins =
        [("scripts/in-cluster", r#"echo "told by $1""#), ("bin/cargo", cargo), ("scripts/demo-svg", r#"echo drawn >>"$CALLS""#)];
    let tree = tree("scripts/demo", &stand_ins);
    let status = start(tree.path(), "scripts/demo", &["--record"]).wait().expect("it ends");
    assert!(status.success(), "{status}");
    let recorded = std::fs::read_to_string(tree.path().join("docs/images/demo.txt")).expect("it is recorded");
    assert_eq!((recorded.as_str(), calls(tree.path())), ("told by /built/story\n", vec!["drawn".to_owned()]));
    assert!(temporary(tree.path()).is_empty(), "{:?}", temporary(tree.path()));
}

/// Trees share what Cargo built: what one built last is not taken for the other's, whose files are older.
#[test]
fn each_tree_builds_its_own() {
    let cache = tempfile::tempdir().expect("a folder");
    let trees = [tree("scripts/environment", &[]), tree("scripts/environment", &[])];
    let old = std::time::SystemTime::UNIX_EPOCH + SOON;
    let sources = ["src/lib.rs", "src/main.rs"];
    let is_built = |tree: &Path| {
        std::fs::create_dir_all(tree.join("src")).expect("a folder");
        for source in sources {
            std::fs::File::create(tree.join(source)).and_then(|file| file.set_modified(old)).expect("a file");
        }
        let mut shell = Command::new("bash");
        shell
            .args(["-euc", ". scripts/environment"])
            .current_dir(tree)
            .env("MFA_OPERATOR_CACHE", cache.path())
            .env_remove("CARGO_TARGET_DIR");
        assert!(shell.status().expect("there is a shell").success());
        sources.map(|source| std::fs::metadata(tree.join(source)).and_then(|file| file.modified()).expect("it is there") > old)
    };
    let [one, other] = trees.each_ref().map(tempfile::TempDir::path);
    assert_eq!([one, one, other, one].map(is_built), [[true; 2], [false; 2], [true; 2], [true; 2]]);
}

/// Under `pipefail`, a reader that leaves early fails its writer now and then: by the signal that nobody reads on.
#[test]
fn no_reader_of_a_pipe_leaves_early() {
    let leaves_early = r"\|&?[[:space:]]*(head\b|grep[[:space:]]+(-[^[:space:]]+[[:space:]]+)*-[[:alnum:]]*(q|m[[:space:]]*[0-9]))";
    let find = |places: &[&str]| {
        let mut grep = Command::new("grep");
        grep.args(["-rnIE", leaves_early]).args(places).current_dir(env!("CARGO_MANIFEST_DIR"));
        String::from_utf8(grep.output().expect("there is grep").stdout).expect("they are text")
    };
    let found = find(&["Makefile", ".ci", "scripts", "benches", "tests/cluster"]);
    assert!(found.is_empty(), "let the reader read all, as `sed -n 1p` or `grep … >/dev/null` do:\n{found}");

    let known = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(known.path(), "a | head -1\na | grep -q b\na | grep -A3 -qF b\na |grep -m 1 b\na | grep b\n").expect("it is ours");
    assert_eq!(find(&[known.path().to_str().expect("a name")]).lines().count(), 4);
}
