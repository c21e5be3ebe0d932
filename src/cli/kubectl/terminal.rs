//! The terminal: colours, its width, and what is told beside the output.

use std::io::IsTerminal as _;

use k8s_openapi::jiff::Timestamp;

use crate::cli::kubectl::screen::{Colour, Style};
use crate::cli::output::tell;
use crate::model::bounded;

pub fn style(no_color: bool) -> Style {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    let plain = no_color || dumb || set("NO_COLOR") || !std::io::stdout().is_terminal();
    Style {
        colour: if plain { Colour::Never } else { Colour::Always },
        width: width(),
        now: Timestamp::now(),
    }
}

/// Of the terminal, in characters. A shell seldom passes COLUMNS on.
pub fn width() -> usize {
    let terminal = rustix::termios::tcgetwinsize(std::io::stdout()).ok().map(|size| usize::from(size.ws_col));
    let told = || std::env::var("COLUMNS").ok()?.parse().ok();
    terminal.filter(|columns| *columns > 0).or_else(told).map_or(100, |columns| columns.max(40))
}

/// What may not be read, a line each, where it is no part of the output.
pub fn note(not_seen: &[String]) {
    not_seen.iter().for_each(|note| tell(&format!("note: {}\n", bounded(note))));
}
