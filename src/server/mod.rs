//! Identity servers: what a policy means in their configuration. A second server would be a
//! second folder here.

pub mod kratos;
