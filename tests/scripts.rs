//! What scripts leave behind: nothing, however they end, and to whom it belongs. Whatever they call is a
//! stand-in here. And what they may not be written like.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test has files, processes and a clock"
)]

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(120);

/// A tree with one real script and stand-ins, each a name and what it does.
fn tree(script: &str, stand_ins: &[(&str, &str)]) -> tempfile::TempDir {
    let tree = tempfile::tempdir().expect("a folder");
    for folder in ["scripts", "tests/cluster", "docs/images", "bin", "tmp"] {
        std::fs::create_dir_all(tree.path().join(folder)).expect("a folder");
    }
    for name in [script, "scripts/environment"] {
        let text = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect("it can be read");
        write_program(&tree.path().join(name), &text);
    }
    write_stand_ins(tree.path(), stand_ins);
    tree
}

fn write_stand_ins(tree: &Path, stand_ins: &[(&str, &str)]) {
    for (name, does) in stand_ins {
        write_program(&tree.join(name), format!("#!/bin/sh\n{does}\n").as_bytes());
    }
}

/// By another process: a child that another test starts at this moment would hold a file of this one open for
/// writing, and such a file cannot be executed.
fn write_program(path: &Path, text: &[u8]) {
    let mut install = Command::new("install")
        .args(["-m", "755", "/dev/stdin"])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .expect("it starts");
    install.stdin.take().expect("it is piped").write_all(text).expect("it reads");
    assert!(install.wait().expect("it ends").success(), "{}", path.display());
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

const CLUSTER: (&str, &str) =
    ("tests/cluster/cluster", r#"echo "$1" >>"$CALLS"; [ "$1" != run ] || exec "$2" 600"#);
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
    let stand_ins = [
        ("scripts/in-cluster", r#"echo "told by $1""#),
        ("bin/cargo", cargo),
        ("scripts/demo-svg", r#"echo drawn >>"$CALLS""#),
    ];
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
        sources.map(|source| {
            std::fs::metadata(tree.join(source)).and_then(|file| file.modified()).expect("it is there") > old
        })
    };
    let [one, other] = trees.each_ref().map(tempfile::TempDir::path);
    assert_eq!([one, one, other, one].map(is_built), [[true; 2], [false; 2], [true; 2], [true; 2]]);
}

/// Under `pipefail`, a reader that leaves early fails its writer now and then: by the signal that nobody
/// reads on.
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
    std::fs::write(
        known.path(),
        "a | head -1\na | grep -q b\na | grep -A3 -qF b\na |grep -m 1 b\na | grep b\n",
    )
    .expect("it is ours");
    assert_eq!(find(&[known.path().to_str().expect("a name")]).lines().count(), 4);
}

/// A function that bears the name of a program is called in its place, also by the files that a script
/// sources: the way of a first user once waited for ever for a lock that its own caller held.
#[test]
fn no_function_of_a_script_bears_the_name_of_a_program() {
    let names = |folder: &str| {
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name())
    };
    let programs: std::collections::HashSet<_> =
        ["/bin", "/usr/bin", "/sbin", "/usr/sbin"].into_iter().flat_map(names).collect();
    assert!(programs.contains(std::ffi::OsStr::new("cut")), "this machine has programs");
    let defined = r"^[[:space:]]*(function[[:space:]]+)?[A-Za-z_][A-Za-z0-9_-]*[[:space:]]*[(][)]";
    let find = |places: &[&str]| {
        let mut grep = Command::new("grep");
        grep.args(["-rnIoE", defined]).args(places).current_dir(env!("CARGO_MANIFEST_DIR"));
        let found = String::from_utf8(grep.output().expect("there is grep").stdout).expect("they are text");
        let name = |line: &str| {
            line.rsplit(':')
                .next()
                .unwrap_or_default()
                .trim()
                .trim_start_matches("function ")
                .trim_end_matches("()")
                .trim()
                .to_owned()
        };
        let bad = |line: &&str| programs.contains(std::ffi::OsStr::new(&name(line)));
        (found.lines().count(), found.lines().filter(bad).map(str::to_owned).collect::<Vec<_>>())
    };
    let (functions, bad) = find(&["Makefile", ".ci", "scripts", "benches/run", "tests/cluster", "packaging"]);
    assert!(functions > 50, "they are found: {functions}");
    assert!(bad.is_empty(), "give them other names:\n{}", bad.join("\n"));

    let known = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(known.path(), "cut() { :; }\n  function join () {\nverb_cut() { :; }\n")
        .expect("it is ours");
    assert_eq!(find(&["-H", known.path().to_str().expect("a name")]).1.len(), 2);
}

/// Everything that a first user's cluster calls and that is not under test: what builds, what needs root or a
/// package, and the inside of a node.
const FIRST_USER: [(&str, &str); 10] = [
    ("bin/id", "echo 0"),
    ("bin/apt-get", r#"echo "$@" >>"$CALLS""#),
    ("bin/go", BUILDER),
    ("bin/cc", BUILDER),
    ("bin/openssl", r#"while [ $# -gt 0 ]; do case $1 in -out | -keyout) : >"$2" ;; esac; shift; done"#),
    ("bin/ip", ":"),
    ("bin/nsenter", r#"while [ "$1" != -- ]; do shift; done; shift; exec "$@""#),
    ("bin/unshare", r#"while :; do case $1 in --*) shift ;; *) break ;; esac; done; exec "$@""#),
    ("bin/setpriv", "shift 2; exec \"$@\""),
    ("tests/cluster/lib/machine", NODE),
];
/// `go env` tells a version; a build writes a program that succeeds.
const BUILDER: &str = r#"[ "$1" != env ] || { echo go1.99.0; exit; }
echo "${0##*/} $PWD" >>"$CALLS"
while [ "$1" != -o ]; do shift; done; printf '#!/bin/sh\nexit 0\n' >"$2" && chmod 755 "$2""#;
/// A node that is Ready at once, and lives until it is ended.
const NODE: &str = r#"here=$(dirname "$0")
if [ "$1" = database ]; then : >"$2"; exit; fi
exec bash -euc '. "$0/processes.sh"; node=$1/nodes/$2; identity $$ >"$node/pid"; touch "$node/network" "$node/started"; exec sleep 600' "$here" "$2" "$3""#;

/// A copy of the test bed with these stand-ins, and an empty cache. The program, if any, is the Kratos that
/// the user brings.
struct FirstUser {
    tree: tempfile::TempDir,
    kratos: Option<PathBuf>,
}

impl FirstUser {
    fn new() -> Self {
        let tree = tree("scripts/environment", &[]);
        let mut copy = Command::new("cp");
        copy.arg("-rT")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cluster"))
            .arg(tree.path().join("tests/cluster"));
        assert!(copy.status().expect("there is cp").success());
        write_stand_ins(tree.path(), &FIRST_USER);
        Self { tree, kratos: None }
    }

    fn with_kratos(program: &[u8]) -> Self {
        let mut user = Self::new();
        let path = user.tree.path().join("kratos");
        write_program(&path, program);
        user.kratos = Some(path);
        user
    }

    /// Whether it succeeds, and what it says.
    fn cluster(&self, verb: &str) -> (bool, String) {
        let tree = self.tree.path();
        let path =
            format!("{}:{}", tree.join("bin").display(), std::env::var("PATH").expect("there is a PATH"));
        let said = tree.join("said");
        let mut command = Command::new(tree.join("tests/cluster/cluster"));
        for name in ["KUBECONFIG", "MFA_OPERATOR_CLUSTER", "MFA_OPERATOR_INSIDE", "MFA_OPERATOR_TEST_KRATOS"]
        {
            command.env_remove(name);
        }
        command.envs(self.kratos.iter().map(|program| ("MFA_OPERATOR_TEST_KRATOS", program)));
        command.arg(verb).env("PATH", path).env("TMPDIR", tree.join("tmp")).env("CALLS", tree.join("calls"));
        command
            .env("MFA_OPERATOR_CACHE", tree.join("cache"))
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        // In a file: what it starts keeps a pipe open.
        command.stderr(std::fs::File::create(&said).expect("a file"));
        let mut running = command.spawn().expect("it starts");
        let (group, mut status) = (running.id(), None);
        until(&format!("cluster {verb}"), group, || {
            status = running.try_wait().expect("a child can be asked");
            status.is_some()
        });
        (status.is_some_and(|status| status.success()), std::fs::read_to_string(said).expect("it is text"))
    }

    /// Brings a cluster up and takes it down.
    fn up_and_down(&self) {
        let (up, said) = self.cluster("up");
        let (down, last) = self.cluster("down");
        assert!(up && said.contains("default is up after"), "{said}");
        assert!(down, "{last}");
    }

    fn built(&self) -> Vec<&'static str> {
        let calls = calls(self.tree.path());
        let is_built = |part: &&str| calls.iter().any(|call| call.ends_with(&format!("/parts/{part}")));
        ["coredns", "helm", "kratos", "node", "pause", "probe"].into_iter().filter(is_built).collect()
    }
}

/// From an empty cache: the parts are built, then the cluster comes up. Only what builds and what boots is a
/// stand-in.
#[test]
fn a_first_user_gets_a_cluster() {
    let user = FirstUser::new();
    user.up_and_down();
    assert_eq!(user.built(), ["coredns", "helm", "kratos", "node", "pause", "probe"]);
}

#[test]
fn a_full_disk_is_told_before_anything_is_built() {
    let user = FirstUser::new();
    write_stand_ins(user.tree.path(), &[("bin/df", "printf '  Avail\\n   778M\\n'")]);
    let (up, said) = user.cluster("up");
    assert!(!up && said.contains("778 MiB are free") && said.contains("MFA_OPERATOR_CACHE"), "{said}");
    assert_eq!(user.built(), [""; 0]);
}

#[test]
fn a_kratos_that_is_given_is_the_one_that_runs() {
    let user = FirstUser::with_kratos(b"#!/bin/sh\n# of the user\n");
    user.up_and_down();
    assert_eq!(user.built(), ["coredns", "helm", "node", "pause", "probe"]);
    let images = std::fs::read_dir(user.tree.path().join("cache/images"))
        .expect("a folder")
        .flatten()
        .map(|entry| entry.path());
    let kratos = images.filter(|path| path.to_string_lossy().contains("/kratos-")).collect::<Vec<_>>();
    let [archive] = kratos.as_slice() else { panic!("one image of Kratos: {kratos:?}") };
    let archive = String::from_utf8_lossy(&std::fs::read(archive).expect("it is packed")).into_owned();
    assert!(
        archive.contains("# of the user") && archive.contains("docker.io/testbed/kratos:given-"),
        "{archive}"
    );

    let (up, said) = FirstUser::with_kratos(b"\x7fELF\0\0/lib64/ld-linux-x86-64.so.2\0").cluster("up");
    assert!(!up && said.contains("MFA_OPERATOR_TEST_KRATOS needs libraries"), "{said}");
}
