//! Writes what says in other words what `values.yaml` says: the table of values in the chart's README, and
//! the descriptions in its schema, which editors show.
//!
//!     generate readme|schema       prints the file as it has to be
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    reason = "a generator reads files and prints; src's pure rooms do not"
)]

mod documented;

use std::process::ExitCode;

use documented::{Documented, read, schema_of};
use serde_json::{Value, json};

const BEGIN: &str = "<!-- values.yaml, by `make generate` -->\n";
const END: &str = "<!-- end of values.yaml -->\n";

fn main() -> ExitCode {
    let wanted = std::env::args().nth(1).unwrap_or_default();
    let generated =
        file("values.yaml").and_then(|text| read(&text)).and_then(|values| match wanted.as_str() {
            "readme" => readme(&file("README.md")?, &values),
            "schema" => schema(&file("values.schema.json")?, &values),
            other => Err(format!("{other:?}: give readme or schema")),
        });
    match generated {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn file(name: &str) -> Result<String, String> {
    let path = format!("{}/charts/mfa-operator/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))
}

/// The README with the table between its two marks.
fn readme(text: &str, values: &[Documented]) -> Result<String, String> {
    let parts = text.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = parts.ok_or("README.md: the marks around the table of values are gone")?;
    // A group that nothing is said of has its values, which say all.
    let rows: String =
        values.iter().filter(|value| value.default.is_some() || !value.words.is_empty()).map(row).collect();
    Ok(format!("{before}{BEGIN}| value | default | meaning |\n|---|---|---|\n{rows}{END}{after}"))
}

fn row(value: &Documented) -> String {
    let cell = |text: &str| text.replace('|', "\\|").replace('<', "&lt;");
    let default = value
        .default
        .as_ref()
        .map(|default| format!(" `{}`", default.to_string().replace('|', "\\|")))
        .unwrap_or_default();
    format!("| `{}` |{default} | {} |\n", value.name(), cell(&value.words))
}

/// The schema with the documentation of each value.
fn schema(text: &str, values: &[Documented]) -> Result<String, String> {
    let mut schema: Value =
        serde_json::from_str(text).map_err(|error| format!("values.schema.json: {error}"))?;
    for value in values.iter().filter(|value| !value.words.is_empty()) {
        let own = schema_of(&mut schema, &value.path).and_then(Value::as_object_mut);
        let own = own.ok_or_else(|| {
            format!("values.schema.json: it has no {}: say there what it may be", value.name())
        })?;
        own.insert("description".into(), json!(value.words));
    }
    serde_json::to_string_pretty(&schema).map(|text| text + "\n").map_err(|error| error.to_string())
}
