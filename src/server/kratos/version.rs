//! Versions of Kratos, as far as behaviour depends on them.

use std::str::FromStr;

/// The first two numbers of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    major: u32,
    minor: u32,
}

/// From here on a code counts as a second factor of those alone who have set one up.
const CODE_PER_PERSON: Version = Version { major: 25, minor: 4 };

/// From here on people whose only first factor is a code are asked for their second one.
const PASSWORDLESS_CODE_ASKED: Version = Version { major: 1, minor: 3 };

impl Version {
    /// Whether people who sign in by a code are asked for their second factor.
    #[must_use]
    pub fn asks_people_of_codes(self) -> bool {
        self >= PASSWORDLESS_CODE_ASKED
    }

    /// Whether a code by mail counts as set up for people who never did so.
    #[must_use]
    pub fn counts_code_for_everyone(self) -> bool {
        self < CODE_PER_PERSON
    }
}

impl FromStr for Version {
    type Err = &'static str;

    /// `v1.3.1`, `25.4` and the like.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "write the version of Kratos as v1.3.1 or 25.4";
        let mut parts =
            text.strip_prefix('v').unwrap_or(text).split('.').map(|part| part.parse().map_err(|_| WRONG));
        Ok(Self { major: parts.next().ok_or(WRONG)??, minor: parts.next().ok_or(WRONG)?? })
    }
}

#[cfg(test)]
mod tests {
    use super::Version;

    #[test]
    fn versions_are_compared_by_number() {
        for old in ["v1.3.1", "0.13.0", "25.3", "v2.10"] {
            assert!(old.parse::<Version>().expect(old).counts_code_for_everyone(), "{old}");
        }
        for new in ["25.4", "v25.4.0", "v26.2.0", "v25.10"] {
            assert!(!new.parse::<Version>().expect(new).counts_code_for_everyone(), "{new}");
        }
        for (version, asks) in
            [("v1.2.0", false), ("0.13.0", false), ("v1.3.0", true), ("v1.3.1", true), ("26.2.0", true)]
        {
            assert_eq!(version.parse::<Version>().expect(version).asks_people_of_codes(), asks, "{version}");
        }
        for none in ["", "v", "25", "master", "v25.x", "latest"] {
            assert!(none.parse::<Version>().is_err(), "{none}");
        }
    }
}
