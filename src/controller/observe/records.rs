//! The records of a policy.

use std::sync::Arc;

use crate::controller::store::Tables;
use crate::model::{Key, Record};

/// Records of the policy with this uid, newest first.
pub fn records(tables: &Tables, key: &Key, uid: &str) -> Vec<Arc<Record>> {
    let mut records: Vec<_> = tables
        .revisions
        .found_by(key)
        .iter()
        .filter_map(|revision| revision.record.clone())
        .filter(|record| *record.owner_uid == *uid)
        .collect();
    // Of two with one number it is always the same that comes first.
    records.sort_by_cached_key(|record| {
        std::cmp::Reverse((record.is_plausible(), record.revision, record.name.clone()))
    });
    records
}
