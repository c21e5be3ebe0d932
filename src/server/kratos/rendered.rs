//! An overlay in every form that the cluster needs.

use super::{Overlay, Variable, variables};
use crate::document::{Document, hex_digest};

/// One rendered policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendered {
    pub overlay: Overlay,
    /// `mfa-` and ten hex digits over the overlay and the delivery type alone.
    pub revision: String,
    /// The configuration file, with a header that names the policy and nothing that changes.
    pub file: String,
    /// The same as environment variables, sorted by name.
    pub variables: Vec<Variable>,
}

/// The revision of an overlay.
#[must_use]
pub fn revision(overlay: &Overlay) -> String {
    revision_of(&overlay.document())
}

fn revision_of(document: &Document) -> String {
    format!("mfa-{}", hex_digest(&format!("Environment\n{}", document.canonical()), 10))
}

/// Renders `overlay` for the policy called `policy`, delivered by environment.
#[must_use]
pub fn render(policy: &str, overlay: Overlay) -> Rendered {
    let document = overlay.document();
    let revision = revision_of(&document);
    let file = format!(
        "# Rendered by mfa-operator from the MfaPolicy {policy}.\n# Edits are undone: change the policy instead.\n{}",
        document.to_yaml()
    );
    let variables = variables(&document, &revision);
    Rendered { overlay, revision, file, variables }
}
