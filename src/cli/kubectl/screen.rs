//! How a screen is written: colour, columns, paragraphs and ages. Everything that comes from the cluster
//! passes [`bounded`] on its way, for a terminal obeys more than text.

use clap::ValueEnum;
use k8s_openapi::jiff::Timestamp;

use crate::model::bounded;

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Colour {
    #[default]
    Never,
    Always,
}

/// What a word is, not how it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Plain,
    Title,
    Good,
    Waiting,
    Bad,
    Dim,
}

/// Where a screen is shown.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    pub colour: Colour,
    /// In characters.
    pub width: usize,
    /// For ages.
    pub now: Timestamp,
}

impl Style {
    #[must_use]
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Plain => return text.to_owned(),
            Tone::Title => "1",
            Tone::Good => "32",
            Tone::Waiting => "33",
            Tone::Bad => "31",
            Tone::Dim => "2",
        };
        match self.colour {
            Colour::Never => text.to_owned(),
            Colour::Always => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        }
    }

    /// How long ago it was, as kubectl writes it; empty where that cannot be read.
    #[must_use]
    pub fn age(&self, time: &str) -> String {
        let Ok(then) = time.parse::<Timestamp>() else { return String::new() };
        let seconds = (self.now.as_second() - then.as_second()).max(0);
        match seconds {
            0..=119 => format!("{seconds}s"),
            120..=7_199 => format!("{}m", seconds / 60),
            7_200..=172_799 => format!("{}h", seconds / 3_600),
            _ => format!("{}d", seconds / 86_400),
        }
    }

    /// Words in lines of the screen's width, each line begun with `indent`.
    #[must_use]
    pub fn paragraph(&self, indent: &str, text: &str) -> String {
        let mut out = String::new();
        let mut length = 0;
        for word in bounded(text).split_whitespace() {
            let room = self.width.saturating_sub(indent.chars().count()).max(30);
            let word_length = word.chars().count();
            if length > 0 && length + 1 + word_length <= room {
                out.push(' ');
                length += 1;
            } else {
                if length > 0 {
                    out.push('\n');
                }
                out.push_str(indent);
                length = 0;
            }
            out.push_str(word);
            length += word_length;
        }
        out.push('\n');
        out
    }
}

/// A cell of a table.
#[derive(Clone, Debug)]
pub struct Cell {
    tone: Tone,
    text: String,
}

#[must_use]
pub fn cell(text: &str) -> Cell {
    toned(Tone::Plain, text)
}

#[must_use]
pub fn toned(tone: Tone, text: &str) -> Cell {
    Cell { tone, text: bounded(text) }
}

/// Columns as wide as their widest cell, two spaces between them. The first row is the head.
#[must_use]
pub fn table(style: &Style, indent: &str, rows: &[Vec<Cell>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.text.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..columns).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::from(indent);
        // Spaces outside of the colour, none at the end.
        let last = row.iter().rposition(|cell| !cell.text.is_empty()).unwrap_or_default();
        for (column, cell) in row.iter().enumerate().take(last + 1) {
            line.push_str(&style.paint(cell.tone, &cell.text));
            if column < last {
                line.push_str(&" ".repeat(widths[column] + 2 - cell.text.chars().count()));
            }
        }
        out.push_str(&line);
        out.push('\n');
    }
    out
}

/// The text of an optional value, a dash where there is none.
#[must_use]
pub fn or_dash(text: Option<&str>) -> String {
    text.filter(|text| !text.is_empty()).unwrap_or("-").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn style() -> Style {
        Style { colour: Colour::Never, width: 40, now: "2026-01-02T00:00:00Z".parse().expect("a time") }
    }

    #[test]
    fn ages_are_as_kubectl_writes_them() {
        let age = |time: &str| style().age(time);
        assert_eq!(age("2026-01-01T23:59:01Z"), "59s");
        assert_eq!(age("2026-01-01T23:10:00Z"), "50m");
        assert_eq!(age("2026-01-01T03:00:00Z"), "21h");
        assert_eq!(age("2025-12-02T00:00:00Z"), "31d");
        assert_eq!(age("2026-01-03T00:00:00Z"), "0s", "a clock may be ahead");
        assert_eq!(age("yesterday"), "");
    }

    #[test]
    fn no_line_is_longer_than_the_screen_unless_a_word_is() {
        let text = style().paragraph(
            "  ",
            "a word and another word and still another word, until it is too long for one line",
        );
        assert!(text.lines().all(|line| line.chars().count() <= 40 && line.starts_with("  ")), "{text}");
        assert_eq!(text.split_whitespace().count(), 17);
    }

    #[test]
    fn colour_stands_around_the_words_alone() {
        let style = Style { colour: Colour::Always, ..style() };
        let rows = [vec![toned(Tone::Good, "a"), cell("b")], vec![cell("longer"), cell("")]];
        assert_eq!(table(&style, " ", &rows), " \u{1b}[32ma\u{1b}[0m       b\n longer\n");
    }
}
