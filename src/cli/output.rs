//! What is printed. A reader that is gone, as behind `| head`, is no reason to panic, and changes no verdict.

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

/// Prints to standard output.
///
/// # Errors
/// Where that is closed or full.
pub(super) fn show(text: &str) -> std::io::Result<()> {
    let mut output = std::io::stdout().lock();
    output.write_all(text.as_bytes())?;
    output.flush()
}

/// The same, where it matters what becomes of the work and not who reads of it.
///
/// # Errors
/// Where it is full.
pub(super) fn say(text: &str) -> std::io::Result<()> {
    show(text).or_else(|error| if is_closed(&error) { Ok(()) } else { Err(error) })
}

/// Prints to standard output, and ends with `code`, whether or not anybody reads it to its end.
pub(super) fn end_with(text: &str, code: ExitCode) -> ExitCode {
    match say(text) {
        Err(error) => super::fail(&error),
        Ok(()) => code,
    }
}

/// Prints beside the output.
pub(super) fn tell(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// Whether the error is that the reader is gone.
pub(super) fn is_closed(error: &(dyn std::error::Error + 'static)) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}
