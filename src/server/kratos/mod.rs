//! Ory Kratos: every key that a policy sets, once, and how configuration reaches the process.

mod command;
mod image;
mod merged;
mod overlay;
mod rendered;
mod variables;

pub use command::config_files;
pub use image::runs_kratos;
pub use merged::{changes, conflicts, governed_part, merge};
pub use overlay::Overlay;
pub use rendered::{Rendered, levels_digest, render, revision};
pub use variables::{REVISION, Variable, governed_names, governed_paths, level_variables, variables};
