//! What to log, in words.

use std::time::Duration;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

/// A filter from directives such as `info` or `mfa_operator=debug,info`.
///
/// # Errors
/// In words for who wrote them. A level that is misspelt would pass for the name of a module, and silence the rest.
pub fn parse(directives: &str) -> Result<EnvFilter, String> {
    let all: Vec<_> = directives.split(',').map(str::trim).collect();
    let is_level = |word: &str| !word.is_empty() && word.parse::<LevelFilter>().is_ok();
    if let Some(wrong) = all.iter().find(|directive| !is_level(directive) && !directive.contains(['=', '['])) {
        return Err(format!(
            "{wrong:?} is no level: write off, error, warn, info, debug or trace, or one for a module, as in mfa_operator=debug,info"
        ));
    }
    EnvFilter::try_new(all.join(",")).map_err(|error| format!("{directives:?} is no filter: {error}"))
}

/// How long a change lasts: 30s, 15m, 2h.
///
/// # Errors
/// In words for who wrote it.
pub fn span(text: &str) -> Result<Duration, String> {
    let complaint = || format!("{text:?} is no time: write 30s, 15m or 2h, 24h at most");
    let seconds = [('s', 1), ('m', 60), ('h', 3_600)].into_iter().find_map(|(unit, seconds)| {
        let number = text.strip_suffix(unit).filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()))?;
        number.parse::<u64>().ok()?.checked_mul(seconds)
    });
    let seconds = seconds.filter(|seconds| (1..=86_400).contains(seconds)).ok_or_else(complaint)?;
    Ok(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_level_is_no_name_of_a_module() {
        for right in ["info", "off", "WARN", "mfa_operator=debug,info", "info, kube=off", "[policy{policy=identity/kratos}]=debug,info"] {
            parse(right).unwrap_or_else(|complaint| panic!("{complaint}"));
        }
        for wrong in ["deubg", "info,deubg", "", "mfa_operator=deubg", "mfa_operator=debug,"] {
            let complaint = parse(wrong).map(|filter| filter.to_string()).expect_err(wrong);
            assert!(complaint.contains("is no"), "{complaint}");
        }
    }

    #[test]
    fn times_have_a_unit_and_an_end() {
        assert_eq!(span("15m"), Ok(Duration::from_secs(900)));
        assert_eq!(span("24h"), Ok(Duration::from_secs(86_400)));
        for wrong in ["", "m", "15", "0s", "25h", "-1m", "1.5h", "99999999999999999999h", "15 m"] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }
}
