//! Files that a command reads.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::document::{Document, Unreadable};
use crate::model::bounded;
use crate::server::kratos::{Root, root};

/// Reads a file, or standard input where the path is a dash.
pub fn read(path: &Path) -> std::io::Result<String> {
    if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        return Ok(text);
    }
    std::fs::read_to_string(path)
}

/// The server's own configuration from its files; none where none is named. What stands in them may
/// be secret: no error repeats it.
pub fn base(paths: &[PathBuf]) -> Result<Option<Vec<Document>>, String> {
    let document = |path: &PathBuf| {
        let text = read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let misread = |error: Unreadable| match error {
            Unreadable::NotYaml { line } => {
                let line = line.map(|line| format!(":{line}")).unwrap_or_default();
                format!(
                    "{}{line}: it is no configuration of Kratos: give one mapping in YAML",
                    path.display()
                )
            }
            Unreadable::TooMuch => {
                format!(
                    "{}: it is larger than a configuration of Kratos, or its aliases make it so: 256 KiB and 20,000 values are read",
                    path.display()
                )
            }
        };
        let document = Document::parse(&text).map_err(misread)?;
        // They would pass for a configuration that sets nothing.
        let wrong = match root(&document) {
            Root::Kratos { unknown } => {
                for key in unknown {
                    let warning = format!(
                        "{}: warning: {key} is no key of Kratos up to 26.2, which does not start with one",
                        path.display()
                    );
                    crate::cli::output::tell(&(bounded(&warning) + "\n"));
                }
                return Ok(document);
            }
            Root::Other { .. } if document.has("apiVersion") && document.has("kind") => {
                "this is a Kubernetes object: give the kratos.yaml in it".to_owned()
            }
            Root::Other { inside: Some(inside) } => {
                format!(
                    "this is no configuration of Kratos, but has one at {inside}: give what stands there, or what a chart makes of it"
                )
            }
            Root::Other { inside: None } => {
                "this is no configuration of Kratos: no key at its root is one of Kratos'".to_owned()
            }
        };
        Err(bounded(&format!("{}: {wrong}", path.display())))
    };
    let documents = paths.iter().map(document).collect::<Result<Vec<_>, _>>()?;
    Ok((!documents.is_empty()).then_some(documents))
}
