//! What several test binaries share.
#![allow(dead_code, reason = "no binary uses all of it")]

use std::path::PathBuf;
use std::process::Command;

pub mod control_plane;
pub mod markdown;
pub mod operator;
pub mod order;

/// The folder of a part of the test bed, which is built where it is missing.
#[allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "a test runs programs")]
pub fn cluster_part(name: &str) -> PathBuf {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cluster/build");
    let path = Command::new(script).args(["--path", name]).output().expect("the test bed has its parts");
    String::from_utf8(path.stdout).expect("a path is text").trim().into()
}
