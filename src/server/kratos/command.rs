//! Which configuration files a Kratos process reads, from its command line: `--config` and `-c`, as
//! often as one likes, each with a list separated by commas.

/// The files in their order; a later one beats an earlier one.
#[must_use]
pub fn config_files<'a>(words: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut found = Vec::new();
    let mut words = words.into_iter();
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
        found.extend(value.into_iter().flat_map(|list| list.split(',')).map(unquoted).filter(|path| !path.is_empty()));
    }
    found
}

fn is_shell(word: &str) -> bool {
    matches!(word.rsplit('/').next(), Some("sh" | "ash" | "bash" | "dash"))
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
    use super::config_files;

    #[test]
    fn every_form_that_kratos_takes_is_read() {
        let cases: [(&[&str], &[&str]); 14] = [
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
            (&["serve", "--configuration", "/a", "--config-x=/b"], &[]),
        ];
        for (words, files) in cases {
            assert_eq!(config_files(words.iter().copied()), files, "{words:?}");
        }
    }
}
