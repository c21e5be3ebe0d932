//! The functions of `src` as text, for tests of what calls what. They are found by how rustfmt lays them out;
//! tests among them are left out.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A function with its body.
pub struct Function {
    /// From the root of the repository.
    pub path: String,
    pub line: usize,
    /// The type that it belongs to, if it does.
    pub of: Option<String>,
    pub name: String,
    /// Signature and body on one line, without comments: a chain of calls has no blanks before its dots.
    pub text: String,
}

impl Function {
    /// As a list in a test names it: the file, and the function.
    pub fn place(&self) -> (&str, &str) {
        (&self.path, &self.name)
    }

    /// As it is called from elsewhere, up to the arguments.
    pub fn called(&self) -> String {
        match &self.of {
            Some(_) if self.text.contains("self,") || self.text.contains("self)") => {
                format!(".{}(", self.name)
            }
            Some(of) => format!("{of}::{}(", self.name),
            None => format!("{}(", self.name),
        }
    }

    /// Its body calls this, which is no part of a longer name.
    pub fn calls(&self, called: &str) -> bool {
        calls(self.body(), called)
    }

    /// Without the signature.
    pub fn body(&self) -> &str {
        self.text.split_once('{').map_or("", |(_, body)| body)
    }
}

/// Whether `text` has this call, which is no part of a longer name.
pub fn calls(text: &str, called: &str) -> bool {
    let begins = |at: usize| {
        called.starts_with('.')
            || !text[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_')
    };
    text.match_indices(called).any(|(at, _)| begins(at))
}

/// The functions of these files, those of tests left out.
pub fn functions(paths: &[PathBuf]) -> Vec<Function> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let texts: Vec<_> = paths
        .iter()
        .map(|path| (path, std::fs::read_to_string(path).expect("a source file is readable")))
        .collect();
    let tests: BTreeSet<_> = texts.iter().flat_map(|(path, text)| modules_of_tests(path, text)).collect();
    let is_test = |path: &Path| {
        tests.iter().any(|module| path.starts_with(module) || path.with_extension("") == *module)
    };
    let shipped = texts.iter().filter(|(path, _)| !is_test(path));
    let found: Vec<_> = shipped
        .flat_map(|(path, text)| {
            functions_in(&path.strip_prefix(root).expect("below the root").display().to_string(), text)
        })
        .collect();
    assert!(!found.is_empty(), "no function found: the search is broken");
    found
}

/// Where the modules lie that a file declares for tests alone, without an ending.
fn modules_of_tests(path: &Path, text: &str) -> Vec<PathBuf> {
    let is_folder = path.ends_with("mod.rs") || path.ends_with("lib.rs");
    let folder =
        if is_folder { path.parent().expect("a folder").to_owned() } else { path.with_extension("") };
    let lines: Vec<_> = text.lines().collect();
    let declared = lines.windows(2).filter(|pair| pair[0] == "#[cfg(test)]");
    declared.filter_map(|pair| Some(folder.join(pair[1].rsplit("mod ").next()?.strip_suffix(';')?))).collect()
}

fn functions_in(path: &str, text: &str) -> Vec<Function> {
    let lines: Vec<_> = text.lines().collect();
    let (mut found, mut of, mut at) = (Vec::new(), None, 0);
    while at < lines.len() {
        let line = lines[at];
        if line == "#[cfg(test)]" && lines.get(at + 1).is_some_and(|next| next.ends_with('{')) {
            at = end(&lines, at + 1);
        } else if line.starts_with("impl") {
            of = type_of(line);
        } else if line == "}" {
            of = None;
        } else if let Some(name) = declared(line) {
            let own = &lines[at..=end(&lines, at)];
            let text =
                of.iter().fold(joined(own), |text, of: &String| text.replace("Self::", &format!("{of}::")));
            found.push(Function { path: path.into(), line: at + 1, of: of.clone(), name, text });
        }
        at += 1;
    }
    found
}

/// The line that ends what begins at this one.
fn end(lines: &[&str], begin: usize) -> usize {
    let line = lines[begin];
    if line.ends_with(';') || line.ends_with('}') {
        return begin;
    }
    let indent = &line[..line.len() - line.trim_start().len()];
    let ends = |line: &str| {
        line.strip_prefix(indent)
            .is_some_and(|rest| rest == "}" || (rest.starts_with(')') && rest.ends_with(';')))
    };
    (begin..lines.len()).find(|at| ends(lines[*at])).expect("it ends")
}

/// The name of the function that this line declares.
fn declared(line: &str) -> Option<String> {
    let (before, rest) = line.trim_start().split_once("fn ")?;
    let is_declared = before
        .split_whitespace()
        .all(|word| word.starts_with("pub") || word.ends_with(')') || ["async", "const"].contains(&word));
    let name: String = rest.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect();
    (is_declared && !name.is_empty()).then_some(name)
}

/// The type that an `impl` is of, without its parameters.
fn type_of(line: &str) -> Option<String> {
    let mut depth = 0;
    let mut plain = String::new();
    for letter in line.trim_end_matches(" {").chars() {
        match letter {
            '<' => depth += 1,
            '>' => depth -= 1,
            letter if depth == 0 => plain.push(letter),
            _ => {}
        }
    }
    plain.rsplit([' ', ':']).next().map(Into::into)
}

fn joined(lines: &[&str]) -> String {
    let code = lines.iter().map(|line| line.trim()).filter(|line| !line.starts_with("//"));
    code.fold(String::new(), |all, line| {
        if line.starts_with('.') || all.is_empty() { all + line } else { all + " " + line }
    })
}
