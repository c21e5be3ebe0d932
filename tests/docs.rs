//! What the documentation promises a reader who clicks: every link and anchor leads somewhere, every page can
//! be reached from the README. Whether the API server takes its YAML is asked in
//! `tests/control_plane/docs.rs`.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test reads files; src's pure rooms do not"
)]

#[path = "support/markdown.rs"]
mod markdown;

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use markdown::{Page, anchor, page, pages, root};

#[test]
fn every_link_leads_somewhere() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for page in pages() {
        for (place, target) in page.links() {
            seen += 1;
            wrong.extend(fault(&page, &target).map(|fault| format!("{place}: {target}: {fault}")));
        }
    }
    assert!(seen > 40, "only {seen} links found: the search is broken");
    assert!(wrong.is_empty(), "{} of {seen} links lead nowhere:\n{}", wrong.len(), wrong.join("\n"));
}

fn fault(page: &Page, target: &str) -> Option<String> {
    if let Some((scheme, rest)) = target.split_once("://") {
        // Whether somebody answers there is nothing that a test should ask.
        let host = rest.split('/').next().unwrap_or_default();
        let sound = scheme == "https"
            && host.contains('.')
            && rest.chars().all(|character| character.is_ascii_graphic());
        return (!sound).then(|| "not a well-formed https address".into());
    }
    let (file, anchor) = target.split_once('#').map_or((target, None), |(file, anchor)| (file, Some(anchor)));
    let path = if file.is_empty() { page.path.clone() } else { resolved(&page.path, file)? };
    if !root().join(&path).exists() {
        return Some(format!("there is no {}", path.display()));
    }
    let anchor = anchor?;
    if path.extension().is_none_or(|extension| extension != "md") {
        return Some("only a page has anchors".into());
    }
    let anchors = markdown::page(&path).anchors();
    (!anchors.contains(anchor)).then(|| format!("{} has only {anchors:?}", path.display()))
}

/// From the root of the repository.
fn resolved(page: &Path, target: &str) -> Option<PathBuf> {
    let mut path = page.parent().unwrap_or(Path::new("")).to_owned();
    for part in Path::new(target).components() {
        match part {
            Component::Normal(name) => path.push(name),
            Component::ParentDir => assert!(path.pop(), "{}: {target} leaves the repository", page.display()),
            Component::CurDir => {}
            _ => panic!("{}: {target} is not relative", page.display()),
        }
    }
    Some(path)
}

/// A test that was renamed, or taken away, shows nothing any more.
#[test]
fn each_function_that_is_named_is_where_the_link_leads() {
    let (mut seen, mut wrong) = (0, Vec::new());
    for page in pages() {
        for (place, name, target) in page.functions() {
            seen += 1;
            let path = resolved(&page.path, &target).expect("a path within the repository");
            let text = std::fs::read_to_string(root().join(path)).unwrap_or_default();
            if !text.contains(&format!("fn {name}(")) {
                wrong.push(format!("{place}: {target} has no function {name}"));
            }
        }
    }
    assert!(seen > 100, "only {seen} found: the search is broken");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A page that nothing leads to is one that nobody reads, nor keeps true.
#[test]
fn every_page_can_be_reached_from_the_readme() {
    let mut reached = BTreeSet::from([PathBuf::from("README.md")]);
    let mut ahead = vec![PathBuf::from("README.md")];
    while let Some(path) = ahead.pop() {
        for (_, target) in page(&path).links() {
            let file = target.split('#').next().unwrap_or_default();
            if file.is_empty() || file.contains("://") {
                continue;
            }
            let Some(found) = resolved(&path, file) else { continue };
            // A folder shows what is in it.
            let shown = match root().join(&found).is_dir() {
                true => std::fs::read_dir(root().join(&found))
                    .expect("it is readable")
                    .map(|entry| found.join(entry.expect("it is").file_name()))
                    .collect(),
                false => vec![found],
            };
            for found in
                shown.into_iter().filter(|found| found.extension().is_some_and(|extension| extension == "md"))
            {
                if root().join(&found).exists() && reached.insert(found.clone()) {
                    ahead.push(found);
                }
            }
        }
    }
    let told = |path: &PathBuf| {
        reached.contains(path) || path.components().any(|part| part.as_os_str() == "testdata")
    };
    let unread: Vec<_> = pages().into_iter().map(|page| page.path).filter(|path| !told(path)).collect();
    assert!(unread.is_empty(), "no way leads from README.md to {unread:?}");
}

/// By its number a decision is spoken of, and in the folder's README it is found.
#[test]
fn no_two_decisions_have_one_number() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/decisions");
    let index = std::fs::read_to_string(folder.join("README.md")).expect("the folder has a list");
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(folder).expect("it is there") {
        let path = entry.expect("it can be listed").path();
        if path.ends_with("README.md") {
            continue;
        }
        let number = path
            .file_name()
            .and_then(|name| name.to_str()?.split_once('-')?.0.parse::<u32>().ok())
            .expect("a number, and words");
        let text = std::fs::read_to_string(&path).expect("it can be read");
        let title = text.lines().next().and_then(|line| line.strip_prefix(&format!("# {number}. ")));
        let title = title.unwrap_or_else(|| panic!("{} has another number in its title", path.display()));
        let row = format!("| [{number}]({}) | {title} |", path.file_name().unwrap_or_default().display());
        assert!(index.lines().any(|line| line == row), "docs/decisions/README.md lacks: {row}");
        numbers.push(number);
    }
    numbers.sort_unstable();
    assert!(
        numbers.len() > 10 && numbers.windows(2).all(|pair| pair[0] < pair[1]),
        "two have one number: {numbers:?}"
    );
}

#[test]
fn anchors_are_those_of_github() {
    for (title, expected) in [
        ("Before you enforce", "before-you-enforce"),
        ("`required_aal`, and what it is not", "required_aal-and-what-it-is-not"),
        ("With Argo CD, Flux & Helm", "with-argo-cd-flux--helm"),
        ("See [the README](../README.md#limits) first", "see-the-readme-first"),
        ("What's new?", "whats-new"),
    ] {
        assert_eq!(anchor(title), expected, "{title}");
    }
}

/// A marker that stands before no block speaks of one that was moved or removed.
#[test]
fn every_marker_has_its_block() {
    for page in pages() {
        let own = page.blocks.iter().filter_map(|block| block.marker.clone()).collect::<Vec<_>>();
        let lost: Vec<_> = page
            .markers()
            .into_iter()
            .filter(|words| words.starts_with("not applied") || words.starts_with("part of"))
            .filter(|words| !own.contains(words))
            .collect();
        assert!(lost.is_empty(), "{}: {lost:?} stand before no block", page.path.display());
    }
}

/// What others run by our advice, and what our own image is made from, is what somebody has read: tags and
/// branches move.
#[test]
fn what_is_fetched_is_pinned() {
    let hex =
        |text: &str, digits: usize| text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let read = |path: &str| {
        std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    let mut seen = 0;
    for line in read("Dockerfile").lines().filter_map(|line| line.strip_prefix("FROM ")) {
        let image = line.split(' ').next().unwrap_or_default();
        let digest = image.split_once("@sha256:").map(|(_, digest)| digest);
        assert!(image == "scratch" || digest.is_some_and(|digest| hex(digest, 64)), "Dockerfile: {image}");
        seen += 1;
    }
    for page in pages() {
        for block in &page.blocks {
            for line in block.text.lines().map(str::trim) {
                let action = line
                    .trim_start_matches("- ")
                    .strip_prefix("uses: ")
                    .map(|rest| rest.split(' ').next().unwrap_or_default());
                if let Some(action) = action {
                    assert!(
                        action.split_once('@').is_some_and(|(_, commit)| hex(commit, 40)),
                        "{}: {action}",
                        block.place
                    );
                    seen += 1;
                }
                if let Some((_, install)) = line.split_once("cargo install ") {
                    let pinned = install.contains("--locked")
                        && !install.contains("--tag")
                        && !install.contains("--branch");
                    assert!(pinned, "{}: {line}", block.place);
                    seen += 1;
                }
            }
        }
    }
    assert!(seen >= 4, "only {seen} found: the search is broken");
    let hook = read(".pre-commit-hooks.yaml");
    let entry =
        hook.lines().find_map(|line| line.trim().strip_prefix("entry: ")).expect("the hook has an entry");
    assert!(hook.contains("language: script") && read(entry).contains("--locked"), "{hook}");
}
