//! An overlay in every form that the cluster needs.

use super::{Overlay, Variable, variables};
use crate::document::hex_digest;
use crate::policy::Delivery;

/// One rendered policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendered {
    pub overlay: Overlay,
    pub delivery: Delivery,
    /// `mfa-` and ten hex digits over the overlay and the delivery type alone.
    pub revision: String,
    /// The configuration file, with a header that names the policy and nothing that changes.
    pub file: String,
    /// The same as environment variables, sorted by name.
    pub variables: Vec<Variable>,
}

/// The revision of an overlay that is delivered so.
#[must_use]
pub fn revision(overlay: &Overlay, delivery: Delivery) -> String {
    format!("mfa-{}", hex_digest(&format!("{}\n{}", delivery.as_str(), overlay.document().canonical()), 10))
}

/// `aal-` and ten hex digits over the two levels alone: what rolls the pods that read a file.
#[must_use]
pub fn levels_digest(overlay: &Overlay) -> String {
    format!("aal-{}", hex_digest(&overlay.levels().document().canonical(), 10))
}

/// Renders `overlay` for the policy called `policy`.
#[must_use]
pub fn render(policy: &str, overlay: Overlay, delivery: Delivery) -> Rendered {
    let document = overlay.document();
    let revision = revision(&overlay, delivery);
    let file = format!(
        "# Rendered by mfa-operator from the MfaPolicy {policy}.\n# Edits are undone: change the policy instead.\n{}",
        document.to_yaml()
    );
    let variables = variables(&document, &revision);
    Rendered { overlay, delivery, revision, file, variables }
}
