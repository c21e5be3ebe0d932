//! What stands against a policy on its targets.
//!
//! | file | what it looks for |
//! |---|---|
//! | `claims` | who holds a workload or a config map |
//! | `conflicts` | what the server's own configuration or version makes of the policy |
//! | `weakening` | what a target had, and would lose |
//! | `overrides` | what in a workload beats the policy |
//! | `unchecked` | what could not be looked at |
//! | `advice` | what is no fault and still worth a thought |

pub mod advice;
pub mod claims;
pub mod conflicts;
pub mod merged;
pub mod overrides;
pub mod policy_keys;
pub mod unchecked;
pub mod weakening;
