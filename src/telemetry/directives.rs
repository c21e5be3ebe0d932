//! What to log, in words.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

/// A filter from directives such as `info` or `mfa_operator=debug,info`.
///
/// # Errors
/// In words for who wrote them. A level that is misspelt would pass for the name of a module, and silence the
/// rest.
pub fn parse(directives: &str) -> Result<EnvFilter, String> {
    let all: Vec<_> = directives.split(',').map(str::trim).collect();
    let is_level = |word: &str| !word.is_empty() && word.parse::<LevelFilter>().is_ok();
    if let Some(wrong) = all.iter().find(|directive| !is_level(directive) && !directive.contains(['=', '[']))
    {
        return Err(format!(
            "{wrong:?} is no level: write off, error, warn, info, debug or trace, or one for a module, as in mfa_operator=debug,info"
        ));
    }
    EnvFilter::try_new(all.join(",")).map_err(|error| format!("{directives:?} is no filter: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_level_is_no_name_of_a_module() {
        for right in [
            "info",
            "off",
            "WARN",
            "mfa_operator=debug,info",
            "info, kube=off",
            "[policy{policy=identity/kratos}]=debug,info",
        ] {
            parse(right).unwrap_or_else(|complaint| panic!("{complaint}"));
        }
        for wrong in ["deubg", "info,deubg", "", "mfa_operator=deubg", "mfa_operator=debug,"] {
            let complaint = parse(wrong).map(|filter| filter.to_string()).expect_err(wrong);
            assert!(complaint.contains("is no"), "{complaint}");
        }
    }
}
