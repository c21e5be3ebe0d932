//! Words of others, made harmless.

pub const MAX_MESSAGE: usize = 1_000;

/// One line without what a terminal would obey or nobody would see, control characters and those that turn
/// the direction of writing or have no width: parts of it may be another's words.
#[must_use]
pub fn bounded(message: &str) -> String {
    let harmless = |character: char| match character {
        '\u{61c}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}' => '\u{fffd}',
        '\u{e0000}'..='\u{e007f}' => '\u{fffd}',
        control if control.is_control() => ' ',
        other => other,
    };
    message.chars().map(harmless).take(MAX_MESSAGE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_obeys_nothing_of_what_others_wrote() {
        assert_eq!(
            bounded("red \u{1b}[31m, bell \u{7}, \u{9b}2J, turned \u{202e}, unseen \u{200b}\u{e0041}"),
            "red  [31m, bell  ,  2J, turned \u{fffd}, unseen \u{fffd}\u{fffd}"
        );
    }
}
