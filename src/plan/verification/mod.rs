//! What the pods of a target prove by their answers.
//!
//! | file | what it is about |
//! |---|---|
//! | `proof` | one target: which question, and what is made of the answers |
//! | `environment` | pods that take the policy from variables |
//! | `config_file` | pods that read it from a file |
//! | `reload` | running pods that are about to read a new file |

pub mod config_file;
pub mod environment;
pub mod file;
pub mod proof;
pub mod reload;
