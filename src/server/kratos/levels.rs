//! The keys of the two levels.

pub const SETTINGS_LEVEL: &str = "selfservice.flows.settings.required_aal";
pub const WHOAMI_LEVEL: &str = "session.whoami.required_aal";
