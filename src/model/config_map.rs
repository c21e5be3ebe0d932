//! A config map that carries our label.

use smol_str::SmolStr;

/// A config map that carries our label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigMapView {
    pub name: SmolStr,
    pub uid: SmolStr,
    pub resource_version: SmolStr,
    pub deleting: bool,
    pub policy_label: Option<SmolStr>,
    pub governed: Option<SmolStr>,
    /// Our field manager wrote the label.
    pub own: bool,
    /// Digest of the rendered file in it.
    pub content: Option<SmolStr>,
    /// The policy that its label names, if that is another one and still holds it.
    pub holder: Option<SmolStr>,
    /// Another accepted policy names it and is not about to go itself.
    pub claimant: bool,
    /// A pod or a pod template mounts it; read only where it is about to be removed.
    pub mounted: bool,
}
