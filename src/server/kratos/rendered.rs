//! An overlay in every form that the cluster needs.

use super::{Overlay, Variable, variables};
use crate::document::{hex_digest, is_digest};
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
    /// What the container is given as environment variables, sorted by name.
    pub variables: Vec<Variable>,
}

/// How a revision begins, and how many hex digits follow.
const REVISION_FORM: (&str, usize) = ("mfa-", 10);

/// Regular expression (RE2, without its ends) of a revision.
pub(super) const REVISION_PATTERN: &str = "mfa-[0-9a-f]{10}";

/// The revision of an overlay that is delivered so.
#[must_use]
pub fn revision(overlay: &Overlay, delivery: Delivery) -> String {
    let (prefix, digits) = REVISION_FORM;
    format!(
        "{prefix}{}",
        hex_digest(&format!("{}\n{}", delivery.as_str(), overlay.document().canonical()), digits)
    )
}

/// Whether the text is a revision of whatever overlay.
#[must_use]
pub fn is_revision(text: &str) -> bool {
    let (prefix, digits) = REVISION_FORM;
    text.strip_prefix(prefix).is_some_and(|digest| is_digest(digest, digits))
}

impl Rendered {
    /// What sets nothing, delivered so: without variables, and with a file that is empty.
    #[must_use]
    pub fn nothing(policy: &str, delivery: Delivery) -> Self {
        let empty = render(policy, Overlay::default(), delivery);
        match delivery {
            Delivery::Environment => Self { revision: String::new(), variables: Vec::new(), ..empty },
            Delivery::ConfigFile => empty,
        }
    }
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
    let variables = variables(&overlay, delivery);
    Rendered { overlay, delivery, revision, file, variables }
}
