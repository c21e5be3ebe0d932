//! Lengths of time on the command line.

use std::time::Duration;

use k8s_openapi::jiff::SignedDuration;

/// A deadline beyond all calendars would overflow.
const LONGEST: SignedDuration = SignedDuration::from_hours(366 * 24);

/// As kubectl takes them: `90s`, `1h30m`, `250ms`, or `0`.
///
/// # Errors
/// What to write instead.
pub fn duration(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let parsed = text.parse::<SignedDuration>().ok().filter(|duration| *duration <= LONGEST);
    let positive = parsed.and_then(|duration| Duration::try_from(duration).ok());
    positive.ok_or_else(|| "write numbers with their units, as in 1h30m, 90s or 250ms; a year at most".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_units() {
        for (text, milliseconds) in [
            ("15s", 15_000),
            ("250ms", 250),
            ("2m", 120_000),
            ("1h30m5s", 5_405_000),
            ("1.5h", 5_400_000),
            ("0s", 0),
            ("0", 0),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "15", "s", "m", "1d", "-1s", "99999999999999999999s", "9000000000000h", "1000000h"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
