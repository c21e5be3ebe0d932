//! Ory Kratos: every key that a policy sets, once, and how configuration reaches the process.

mod image;
mod overlay;
mod rendered;
mod variables;

pub use image::runs_kratos;
pub use overlay::Overlay;
pub use rendered::{Rendered, render, revision};
pub use variables::{REVISION, Variable, governed_names, level_variables, variables};
