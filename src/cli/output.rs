//! What is printed. Whoever reads it may stop, as `head` does: that is no fault of a command and changes no
//! verdict, so that nothing here panics, as `println!` would.

use std::io::{Error, ErrorKind, Write};
use std::process::ExitCode;

use crate::lint::Finding;
use crate::model::bounded;

/// A finding as compilers write theirs, so that editors find the place.
pub fn line(file: &str, finding: &Finding) -> String {
    let field = match finding.advice {
        Some(advice) => format!("advice {advice}: "),
        None if finding.field.is_empty() => String::new(),
        None => format!("{}: ", finding.field),
    };
    // Names of fields are another's words: a terminal and a CI log read more than text.
    bounded(&format!("{file}:{}:{}: {field}{}", finding.place.line, finding.place.column, finding.message))
}

pub fn fail(error: &dyn std::fmt::Display) -> ExitCode {
    tell(&format!("mfa-operator: {error}\n"));
    ExitCode::FAILURE
}

/// Whether somebody still reads the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    There,
    Gone,
}

/// Prints.
///
/// # Errors
/// When it cannot be written, and not because nobody reads it: a full disk, for one.
pub fn show(text: &str) -> std::io::Result<Reader> {
    let mut output = std::io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Ok(()) => Ok(Reader::There),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Reader::Gone),
        Err(error) => Err(Error::other(format!("the output cannot be written: {error}"))),
    }
}

/// Prints all that a command has to say, and how it ends then.
pub fn print(text: &str) -> ExitCode {
    match show(text) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => crate::cli::output::fail(&error),
    }
}

/// Prints beside the output, as far as somebody reads that.
pub fn tell(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
