//! What several test binaries share.
#![allow(dead_code, reason = "no binary uses all of it")]

pub mod control_plane;
pub mod operator;
