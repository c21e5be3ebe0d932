//! What is known of the admission policies that guard the operator.

use parking_lot::Mutex;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Guard {
    InForce,
    Absent,
    /// It could not be found out, for want of a right for example.
    #[default]
    Unknown,
}

impl Guard {
    pub fn word(self) -> &'static str {
        match self {
            Self::InForce => "InForce",
            Self::Absent => "Absent",
            Self::Unknown => "Unknown",
        }
    }
}

/// Each with the name that the chart gives it, behind that of the release.
pub type Guards = [(&'static str, Guard); 3];

#[derive(Debug)]
pub struct Known(Mutex<Guards>);

impl Default for Known {
    fn default() -> Self {
        Self(Mutex::new(["confinement", "weakening", "history"].map(|name| (name, Guard::Unknown))))
    }
}

impl Known {
    pub fn all(&self) -> Guards {
        *self.0.lock()
    }

    /// Returns what changed.
    pub fn learn(&self, now: Guards) -> Vec<(&'static str, Guard)> {
        let before = std::mem::replace(&mut *self.0.lock(), now);
        now.into_iter().filter(|one| !before.contains(one)).collect()
    }
}
