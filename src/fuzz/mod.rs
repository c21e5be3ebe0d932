//! What holds of every parser of what others write, whatever bytes come: it ends, and what it says is so.
//! Each target takes one input.
//!
//! `cargo test` runs each for five seconds, over its corpus in `tests/fuzz/corpus` and over inputs made of
//! that; `scripts/fuzz` lets libFuzzer look for inputs that reach further.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::missing_panics_doc,
    reason = "these are tests"
)]
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "these are tests")]

mod hostile;
mod targets;
#[cfg(test)]
mod tests;

/// A target: its name, which is that of its corpus, and what it does with an input.
pub type Target = (&'static str, fn(&[u8]));

pub const TARGETS: [Target; 7] = [
    ("base", targets::base),
    ("arguments", targets::arguments),
    ("object", targets::object),
    ("policy", targets::policy),
    ("record", targets::record),
    ("answer", targets::answer),
    ("check", targets::check),
];

/// Runs the target of this name; false where there is none.
pub fn run(name: &str, input: &[u8]) -> bool {
    let found = TARGETS.iter().find(|(known, _)| *known == name);
    found.inspect(|(_, target)| target(input)).is_some()
}
