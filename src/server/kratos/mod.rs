//! Ory Kratos: every key that a policy sets, once, and how configuration reaches the process.

mod advice;
mod command;
mod conflicts;
mod forms;
mod image;
mod inputs;
mod layers;
mod levels;
mod merged;
mod order;
mod overlay;
mod overrides;
mod rendered;
mod root;
mod upstream;
mod variables;
mod version;

pub use advice::{Given, advice, depends_on_version};
pub use command::{config_files, runs_itself, serves};
pub use conflicts::{asks_for_code, code_counts_for_everyone, conflicts};
pub use forms::{LONGEST_VARIABLE, ValueForm, forms, governed_file, governed_variables};
pub use image::runs_kratos;
pub use inputs::{Form, Input, input, inputs};
pub use layers::{Layer, Merged, Value, changes};
pub use merged::merge;
pub use order::{Change, Side, is_stricter, not_compared, transition, weakened};
pub use overlay::Overlay;
pub use overrides::{may_begin, named_in, reaches, written_keys};
pub use rendered::{Rendered, is_revision, render, revision};
pub use root::{Root, root};
pub use variables::{REVISION, Variable, governed_names, level_variables, variables};
pub use version::Version;
