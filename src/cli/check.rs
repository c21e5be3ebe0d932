//! `mfa-operator check`: what is wrong with policies in files, without a cluster.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::api;
use crate::cli::output::{show, tell};
use crate::lint::{Finding, Server, review};
use crate::server::kratos::Version;

/// Something is wrong with a policy, or a text with policies is no YAML.
const FOUND: u8 = 1;

/// Something could not be read, or the outcome not be written. Wrong usage ends with the same status.
const UNREADABLE: u8 = 2;

#[derive(Args)]
#[command(
    after_help = "Advice (docs/advisories.md) is printed too, and is no problem: a name in spec.acknowledge ends it.\n\
    Exit status: 0 nothing is wrong, 1 something is wrong with a policy, 2 a file or folder could not be opened, the output could not be written, or --base is no configuration of Kratos.\n\
    Rules about edits, such as a method that goes off, need the policy as it was: only the API server knows it."
)]
pub struct Options {
    /// Files, and folders with .yaml, .yml and .json files; - reads standard input
    #[arg(value_name = "PATH", required_unless_present = "filename")]
    paths: Vec<PathBuf>,

    /// The same, as kubectl has it; may be repeated
    #[arg(short, long, value_name = "PATH")]
    filename: Vec<PathBuf>,

    /// The server's own configuration, kratos.yaml: adds the rules on what it makes of the policies.
    /// May be repeated; a later file beats an earlier one
    #[arg(long, value_name = "FILE")]
    base: Vec<PathBuf>,

    /// Version of Kratos, for example 25.4: before that, a code as second factor counts for everyone
    /// and has to be acknowledged, as it has where the version is not known
    #[arg(long, value_name = "VERSION")]
    server_version: Option<Version>,

    /// Lines for people, or one JSON list
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    Text,
    Json,
}

#[derive(Serialize)]
struct Found {
    file: String,
    #[serde(flatten)]
    finding: Finding,
}

pub fn run(options: &Options) -> ExitCode {
    let base = match crate::cli::input::base(&options.base) {
        Ok(base) => base,
        Err(error) => {
            tell(&format!("{error}\n"));
            return ExitCode::from(UNREADABLE);
        }
    };
    let (mut policies, mut problems, mut found, mut unreadable) = (0, 0, Vec::new(), false);
    for path in options.paths.iter().chain(&options.filename) {
        let files = files(path);
        for file in files.iter().flatten() {
            let text = match crate::cli::input::read(file) {
                Ok(text) => text,
                Err(error) => {
                    unreadable = true;
                    tell(&format!("{}: {error}\n", file.display()));
                    continue;
                }
            };
            // Templates and other formats are somebody else's.
            if !text.contains(api::KIND) {
                continue;
            }
            let review = review(&text, Server { base: base.as_deref(), version: options.server_version });
            policies += review.policies.len();
            problems += review.findings.len();
            let all = review.findings.into_iter().chain(review.advice);
            found.extend(all.map(|finding| Found { file: file.display().to_string(), finding }));
        }
        if let Err(error) = files {
            unreadable = true;
            tell(&format!("{}: {error}\n", path.display()));
        }
    }
    let report = match options.output {
        Output::Json => {
            serde_json::to_string_pretty(&found).map(|list| list + "\n").map_err(std::io::Error::from)
        }
        Output::Text => Ok(found
            .iter()
            .map(|found| crate::cli::output::line(&found.file, &found.finding) + "\n")
            .collect()),
    };
    let shown = report.and_then(|report| show(&report));
    if let Err(error) = &shown {
        tell(&format!("{error}\n"));
    }
    let pieces = match found.len() - problems {
        0 => String::new(),
        1 => ", 1 piece of advice".into(),
        advice => format!(", {advice} pieces of advice"),
    };
    tell(&format!(
        "{policies} {} checked, {problems} {}{pieces}\n",
        if policies == 1 { "policy" } else { "policies" },
        if problems == 1 { "problem" } else { "problems" }
    ));
    match (unreadable || shown.is_err(), problems == 0) {
        (true, _) => ExitCode::from(UNREADABLE),
        (false, false) => ExitCode::from(FOUND),
        (false, true) => ExitCode::SUCCESS,
    }
}

/// The file itself, or those of a folder and of the folders in it, in the order of their names.
/// Links to folders and hidden folders are not followed.
pub fn files(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.into()]);
    }
    let mut entries = std::fs::read_dir(path)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    let mut found = Vec::new();
    for entry in entries {
        let (path, kind) = (entry.path(), entry.file_type()?);
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        let manifest = path
            .extension()
            .is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|known| extension == *known));
        if kind.is_dir() && !hidden {
            found.extend(files(&path)?);
        } else if !kind.is_dir() && manifest {
            found.push(path);
        }
    }
    Ok(found)
}
