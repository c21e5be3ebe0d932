//! What a command line says of the Kratos process that it starts: whether that is all it starts, whether it
//! serves, and which configuration files it reads: `--config` and `-c`, as often as one likes, each with a
//! list separated by commas.

/// They start the program that they name, and nothing else.
const LAUNCHERS: [&str; 4] = ["catatonit", "dumb-init", "env", "tini"];

fn name(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

/// From the program on, what starts it left out.
fn from_program<'a>(words: impl IntoIterator<Item = &'a str>) -> impl Iterator<Item = &'a str> {
    let mut launched = false;
    words.into_iter().skip_while(move |word| {
        let launcher = LAUNCHERS.contains(&name(word));
        launched |= launcher;
        launcher || (launched && (word.starts_with('-') || word.contains('=')))
    })
}

/// Whether Kratos itself is what runs, and no script or other program that may set variables and read files
/// of its own. `command` is that of the container, empty where the image decides.
pub fn runs_itself<S: AsRef<str>>(command: &[S], arguments: &[S]) -> bool {
    let words = command.iter().chain(arguments).map(AsRef::as_ref);
    command.is_empty() || from_program(words).next().is_some_and(|program| name(program) == "kratos")
}

/// Whether it serves, by its own words or by those of a script among them.
pub fn serves<'a>(words: impl IntoIterator<Item = &'a str>) -> bool {
    words.into_iter().any(|word| word == "serve" || is_script_that_serves(word))
}

fn is_script_that_serves(word: &str) -> bool {
    let is_part = |character: char| character.is_alphanumeric() || "/_-.".contains(character);
    let mut parts = word
        .split(|character| !is_part(character))
        .filter(|part| !part.is_empty())
        .skip_while(|part| name(part) != "kratos");
    parts.next().is_some() && parts.any(|part| part == "serve")
}

/// The files in their order; a later one beats an earlier one.
#[must_use]
pub fn config_files<'a>(words: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut found = Vec::new();
    let mut words = from_program(words);
    let mut before = "";
    while let Some(word) = words.next() {
        let value = match word {
            // What follows is a script, and may hold anything.
            "-c" if is_shell(before) => words.next().and(None),
            // What follows is no flag.
            "--" => break,
            "--config" | "-c" => words.next(),
            _ => word.strip_prefix("--config=").or_else(|| short(word)),
        };
        before = word;
        found.extend(
            value.into_iter().flat_map(|list| list.split(',')).map(unquoted).filter(|path| !path.is_empty()),
        );
    }
    found
}

fn is_shell(word: &str) -> bool {
    matches!(name(word), "sh" | "ash" | "bash" | "dash")
}

/// `-cFILE` or `-c=FILE`.
fn short(word: &str) -> Option<&str> {
    let value = word.strip_prefix("-c")?;
    Some(value.strip_prefix('=').unwrap_or(value))
}

/// The list is read as a line of CSV.
fn unquoted(item: &str) -> &str {
    item.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(item)
}

#[cfg(test)]
mod tests {
    use super::{config_files, runs_itself, serves};

    #[test]
    fn every_form_that_kratos_takes_is_read() {
        let cases: [(&[&str], &[&str]); 16] = [
            (&["serve", "all", "--config", "/a"], &["/a"]),
            (&["serve", "all", "--config=/a"], &["/a"]),
            (&["serve", "-c", "/a", "all"], &["/a"]),
            (&["serve", "-c/a"], &["/a"]),
            (&["serve", "-c=/a"], &["/a"]),
            (&["--config", "/a,/b", "--config", "/c"], &["/a", "/b", "/c"]),
            (&["--config=/a,/b", "-c", "/c,/d"], &["/a", "/b", "/c", "/d"]),
            (&["-c", "\"/a\",/b"], &["/a", "/b"]),
            (&["serve", "all", "--dev", "--watch-courier"], &[]),
            (&["serve", "--config"], &[]),
            (&["/bin/sh", "-c", "kratos serve -c /a"], &[]),
            (&["sh", "-c", "exec kratos \"$@\"", "--", "serve", "-c", "/a"], &[]),
            (&["serve", "--", "--config", "/a"], &[]),
            (&["/sbin/tini", "-g", "--", "kratos", "serve", "-c", "/a"], &["/a"]),
            (&["env", "X=1", "kratos", "serve", "-c", "/a", "--", "-c", "/b"], &["/a"]),
            (&["serve", "--configuration", "/a", "--config-x=/b"], &[]),
        ];
        for (words, files) in cases {
            assert_eq!(config_files(words.iter().copied()), files, "{words:?}");
        }
    }

    #[test]
    fn only_kratos_itself_is_known() {
        for (command, arguments) in [
            (&[][..], &["serve", "all"][..]),
            (&["kratos"], &["serve", "all"]),
            (&["/usr/bin/kratos", "serve"], &[]),
            (&["/sbin/tini", "--"], &["kratos", "serve"]),
            (&["env", "-i", "LOG=x", "kratos"], &["serve"]),
        ] {
            assert!(runs_itself(command, arguments), "{command:?} {arguments:?}");
        }
        for command in [
            &["/bin/sh", "-c", "exec kratos serve"][..],
            &["/entrypoint.sh"],
            &["supervisord"],
            &["tini", "--", "/run.sh"],
            &["tini"],
        ] {
            assert!(!runs_itself(command, &[]), "{command:?}");
        }
    }

    #[test]
    fn a_script_that_serves_is_seen() {
        for words in [
            &["serve", "all"][..],
            &["sh", "-c", "set -a; . /env; exec kratos serve all | tee /log"],
            &["sh", "-c", "/bin/kratos -c /a serve"],
        ] {
            assert!(serves(words.iter().copied()), "{words:?}");
        }
        for words in [
            &["courier", "watch"][..],
            &["sh", "-c", "kratos migrate sql -e --yes"],
            &["sh", "-c", "serve kratos"],
            &["--config=/serve"],
        ] {
            assert!(!serves(words.iter().copied()), "{words:?}");
        }
    }
}
