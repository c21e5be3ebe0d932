//! What is printed. Whoever reads it may stop, as `head` does: that is no fault of a command and changes no
//! verdict, so that nothing here panics, as `println!` would.

use std::io::{Error, ErrorKind, Write};
use std::process::ExitCode;

/// Whether somebody still reads the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    There,
    Gone,
}

/// Prints.
///
/// # Errors
/// When it cannot be written, and not because nobody reads it: a full disk, for one.
pub(super) fn show(text: &str) -> std::io::Result<Reader> {
    let mut output = std::io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Ok(()) => Ok(Reader::There),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Reader::Gone),
        Err(error) => Err(Error::other(format!("the output cannot be written: {error}"))),
    }
}

/// Prints all that a command has to say, and how it ends then.
pub(super) fn print(text: &str) -> ExitCode {
    match show(text) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => super::fail(&error),
    }
}

/// Prints beside the output, as far as somebody reads that.
pub(super) fn tell(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
