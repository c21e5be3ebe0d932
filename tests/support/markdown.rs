//! The Markdown files of this repository as their readers use them: fences with what stands before them,
//! links, and the anchors that GitHub gives to headings.
#![allow(dead_code, reason = "no binary uses all of it")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A fenced block.
#[derive(Clone, Debug)]
pub struct Block {
    /// File and line, for a message.
    pub place: String,
    pub language: String,
    /// What a comment right before it says, without `<!--` and `-->`.
    pub marker: Option<String>,
    pub text: String,
}

/// A page, without its fences where links and headings are looked for.
pub struct Page {
    /// From the root of the repository.
    pub path: PathBuf,
    pub blocks: Vec<Block>,
    /// Lines outside of fences, with their numbers.
    prose: Vec<(usize, String)>,
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every page, also those that nobody told this test of.
pub fn pages() -> Vec<Page> {
    let mut found = Vec::new();
    collect(root(), &mut found);
    found.sort();
    assert!(found.len() > 10, "only {} pages found: the search is broken", found.len());
    found.iter().map(|path| page(path.strip_prefix(root()).expect("it is below the root"))).collect()
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of the repository is readable") {
        let path = entry.expect("it is readable").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && name != "target" {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") && !is_part(&path) {
            found.push(path);
        }
    }
}

/// The head and the tail of a page that is generated, whose links are right where that lies.
fn is_part(path: &Path) -> bool {
    path.starts_with(root().join("benches"))
}

/// The page at this path from the root.
pub fn page(path: &Path) -> Page {
    let text = std::fs::read_to_string(root().join(path))
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (mut blocks, mut prose) = (Vec::new(), Vec::new());
    let mut marker = None;
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let trimmed = line.trim_start();
        if let Some(fence) = fence(trimmed) {
            let indent = line.len() - trimmed.len();
            let body = lines.by_ref().map(|(_, line)| line).take_while(|line| line.trim() != fence);
            let text: String =
                body.map(|line| format!("{}\n", line.get(indent..).unwrap_or_default())).collect();
            let language = trimmed[fence.len()..].trim().to_owned();
            blocks.push(Block { place: place(path, index), language, marker: marker.take(), text });
        } else {
            if !trimmed.is_empty() {
                marker = trimmed
                    .strip_prefix("<!--")
                    .and_then(|rest| rest.strip_suffix("-->"))
                    .map(|words| words.trim().to_owned());
            }
            prose.push((index, line.to_owned()));
        }
    }
    Page { path: path.to_owned(), blocks, prose }
}

fn fence(line: &str) -> Option<&str> {
    let end = line.find(|character| character != '`').unwrap_or(line.len());
    (end >= 3).then(|| &line[..end])
}

fn place(path: &Path, index: usize) -> String {
    format!("{}:{}", path.display(), index + 1)
}

impl Page {
    /// The only block whose first line names this file in a comment.
    pub fn file(&self, name: &str) -> &str {
        let first = |block: &&Block| {
            block.text.lines().next().is_some_and(|line| line.trim_start_matches(['#', '-', ' ']) == name)
        };
        let mut found = self.blocks.iter().filter(first);
        let block = found.next().unwrap_or_else(|| {
            panic!("{} has no block that begins with a comment {name}", self.path.display())
        });
        assert!(found.next().is_none(), "{} has two blocks named {name}", self.path.display());
        &block.text
    }

    /// Where links and pictures lead, each with its place.
    pub fn links(&self) -> Vec<(String, String)> {
        let of_line = |(index, line): &(usize, String)| {
            let line = without_code(line);
            let mut targets: Vec<_> = line
                .split("](")
                .skip(1)
                .filter_map(|rest| Some(rest.split([')', ' ']).next()?.to_owned()))
                .collect();
            for attribute in ["href=\"", "src=\"", "srcset=\""] {
                targets.extend(
                    line.split(attribute).skip(1).filter_map(|rest| Some(rest.split('"').next()?.to_owned())),
                );
            }
            if let Some((_, target)) = line.trim().strip_prefix('[').and_then(|rest| rest.split_once("]: ")) {
                targets.push(target.to_owned());
            }
            targets.into_iter().map(|target| (place(&self.path, *index), target)).collect::<Vec<_>>()
        };
        self.prose.iter().flat_map(of_line).collect()
    }

    /// Names of functions that a link puts in front of the file that has them, each with its place and that
    /// link.
    pub fn functions(&self) -> Vec<(String, String, String)> {
        let of_line = |(index, line): &(usize, String)| {
            let links = line
                .split("[`")
                .skip(1)
                .filter_map(|rest| rest.split_once("`]("))
                .map(|(name, rest)| (name, rest.split(')').next()));
            let named = links.filter_map(|(name, target)| {
                Some((place(&self.path, *index), name.to_owned(), target?.to_owned()))
            });
            named
                .filter(|(_, name, target)| target.ends_with(".rs") && !name.ends_with(".rs"))
                .collect::<Vec<_>>()
        };
        self.prose.iter().flat_map(of_line).collect()
    }

    /// What may stand behind `#` in a link to this page.
    pub fn anchors(&self) -> BTreeSet<String> {
        let mut anchors = BTreeSet::new();
        for (_, line) in &self.prose {
            let title = line.trim_start_matches('#');
            let depth = line.len() - title.len();
            if (1..=6).contains(&depth) && title.starts_with(' ') {
                let anchor = anchor(title.trim());
                // The second of a name is told from the first by a number.
                let numbered = (1..).map(|number| format!("{anchor}-{number}"));
                let free =
                    std::iter::once(anchor.clone()).chain(numbered).find(|name| !anchors.contains(name));
                anchors.extend(free);
            }
            for attribute in ["id=\"", "name=\""] {
                anchors.extend(
                    line.split(attribute).skip(1).filter_map(|rest| Some(rest.split('"').next()?.to_owned())),
                );
            }
        }
        anchors
    }

    /// Lines that hold a comment which says something of a block, and where they stand.
    pub fn markers(&self) -> Vec<String> {
        let all =
            self.prose.iter().filter_map(|(_, line)| line.trim().strip_prefix("<!--")?.strip_suffix("-->"));
        all.map(|words| words.trim().to_owned()).collect()
    }
}

/// A heading's anchor: lower case, hyphens for spaces, and nothing but letters, digits, hyphens and
/// underscores.
pub fn anchor(title: &str) -> String {
    let mut text = String::new();
    let mut rest = title;
    // Of a link, the text alone counts.
    while let Some((before, after)) = rest.split_once('[') {
        let (shown, tail) = after
            .split_once("](")
            .and_then(|(shown, tail)| Some((shown, tail.split_once(')')?.1)))
            .unwrap_or((after, ""));
        text += before;
        text += shown;
        rest = tail;
    }
    text += rest;
    let kept = text
        .to_lowercase()
        .chars()
        .filter(|character| character.is_alphanumeric() || " -_".contains(*character))
        .collect::<String>();
    kept.replace(' ', "-")
}

/// Without what stands between backticks, where brackets mean themselves.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("`")
}
