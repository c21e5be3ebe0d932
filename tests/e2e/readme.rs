//! The command blocks of the README and of the pages that it leads newcomers to, run as they stand, in their
//! order, over a Kratos in the namespace that they name. What they print is compared with what the pages
//! show.

use std::collections::BTreeSet;
use std::path::Path;

use crate::cluster;
use crate::install;
use crate::markdown::{self, Block};

const NAMESPACE: &str = "identity";
const PAGES: [&str; 3] = ["README.md", "docs/policy.md", "docs/status.md"];

/// What does not run here: how a command begins, and why. One that no page has any more fails.
const ELSEWHERE: [(&str, &str); 6] = [
    ("make demo", "it needs a cluster of its own; the picture in the README is of it"),
    ("make test", "these tests are a part of it"),
    ("docker build ", "the image was packed by scripts/image"),
    ("docker push ", "the image was loaded into the nodes"),
    ("helm test ", "the release of these tests is in another namespace, where they run it"),
    ("helm install ", "by this very command the operator of all these tests was installed"),
];

/// A command as a page has it, and what it shows of the output.
struct Command {
    place: String,
    line: String,
    shown: Option<Vec<String>>,
}

fn commands(page: &str) -> Vec<Command> {
    let mut commands: Vec<Command> = Vec::new();
    for Block { place, language, text, .. } in markdown::page(Path::new(page)).blocks {
        match &*language {
            "sh" => {
                let joined = text.replace("\\\n", " ");
                let lines = joined.lines().filter(|line| !line.trim().is_empty());
                commands.extend(lines.map(|line| Command {
                    place: place.clone(),
                    line: line.into(),
                    shown: None,
                }));
            }
            "console" => {
                for line in text.lines() {
                    if let Some(line) = line.strip_prefix("$ ") {
                        commands.push(Command {
                            place: place.clone(),
                            line: line.into(),
                            shown: Some(Vec::new()),
                        });
                    } else {
                        let shown = commands.last_mut().and_then(|command| command.shown.as_mut());
                        shown
                            .unwrap_or_else(|| panic!("{place} shows output of no command"))
                            .push(line.into());
                    }
                }
            }
            "yaml" => {}
            other => panic!(
                "{place}: a block of {other:?} is neither run nor shown as a policy: call it sh, console or yaml"
            ),
        }
    }
    commands
}

/// Installs the operator by the command of the README, with what the tests need: their namespace and their
/// image.
pub fn install_operator() {
    let command = commands(PAGES[0]).into_iter().find(|command| command.line.starts_with("helm install "));
    let line = command.expect("the README says how to install the operator").line;
    let more = std::env::var("MFA_OPERATOR_HELM_ARGUMENTS").unwrap_or_default();
    let line =
        replaced(&line, " --set image.repository=registry.example.com/mfa-operator", &format!(" {more}"));
    let line = replaced(&line, "--namespace mfa-operator ", &format!("--namespace {} ", install::SYSTEM));
    // A cluster that is kept from run to run has the release already.
    run(&replaced(&line, "helm install ", "helm upgrade --install "), markdown::root());
}

fn replaced(line: &str, from: &str, to: &str) -> String {
    assert!(line.contains(from), "{line:?} has no {from:?} that the tests could replace");
    line.replace(from, to)
}

pub fn every_command() {
    install::begin(NAMESPACE);
    install::operator();
    cluster::kratos("helm", NAMESPACE, 2, &[]);
    // The pages speak of the policy that the README begins with.
    let readme = markdown::page(Path::new(PAGES[0]));
    let policy =
        readme.blocks.into_iter().find(|block| block.language == "yaml").expect("the README shows a policy");
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("policy.yaml"), policy.text).expect("a file");

    let mut elsewhere = BTreeSet::new();
    for command in PAGES.iter().flat_map(|page| commands(page)) {
        if let Some((begin, why)) = ELSEWHERE.iter().find(|(begin, _)| command.line.starts_with(begin)) {
            eprintln!("{}: {} is not run: {why}", command.place, begin.trim());
            elsewhere.insert(*begin);
            continue;
        }
        let printed = run(&command.line, folder.path());
        if let Some(shown) = &command.shown {
            let printed: Vec<_> = printed.lines().map(shape).collect();
            let shown: Vec<_> = shown.iter().map(|line| shape(line)).collect();
            assert_eq!(printed, shown, "{}: {}", command.place, command.line);
        }
    }
    let idle: Vec<_> =
        ELSEWHERE.iter().map(|(begin, _)| *begin).filter(|begin| !elsewhere.contains(begin)).collect();
    assert!(idle.is_empty(), "no page has these any more: {idle:?}");
    assert_eq!(
        cluster::get(NAMESPACE, "mfapolicy/kratos")["spec"]["suspend"],
        false,
        "the pages leave it suspended"
    );
    install::end(NAMESPACE);
}

/// The cells of a line of kubectl's tables; an age is another one each time.
fn shape(line: &str) -> Vec<String> {
    let cells = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty());
    cells.map(|cell| if is_age(cell) { "<age>".into() } else { cell.into() }).collect()
}

fn is_age(cell: &str) -> bool {
    let unit =
        cell.trim_start_matches(|character: char| character.is_ascii_digit() || "dhm".contains(character));
    cell.starts_with(|character: char| character.is_ascii_digit())
        && (unit == "s" || unit.is_empty())
        && cell.ends_with(['s', 'm', 'h', 'd'])
}

fn run(line: &str, folder: &Path) -> String {
    // The pages call the operator by its name, as one who installed it would.
    let program = Path::new(env!("CARGO_BIN_EXE_mfa-operator")).parent().expect("it lies in a folder");
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap_or_default());
    let output = std::process::Command::new("bash")
        .args(["-euc", line])
        .current_dir(folder)
        .env("PATH", path)
        .output();
    let output = output.unwrap_or_else(|error| panic!("bash: {error}"));
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr).trim());
    String::from_utf8_lossy(&output.stdout).into_owned()
}
