//! Namespaces in which work may begin.

use std::collections::HashSet;
use std::fmt::Debug;

use parking_lot::RwLock;
use smol_str::SmolStr;

/// Namespaces of which something holds, or all of them; none goes again.
#[derive(Debug, Default)]
pub struct Namespaces(RwLock<HashSet<Option<SmolStr>>>);

impl Namespaces {
    pub fn contains(&self, namespace: &str) -> bool {
        let found = self.0.read();
        found.contains(&None) || found.contains(&Some(namespace.into()))
    }

    pub fn is(&self, namespace: &Option<SmolStr>) -> bool {
        self.0.read().contains(namespace)
    }

    pub fn any(&self) -> bool {
        !self.0.read().is_empty()
    }

    /// False where it was there.
    pub fn insert(&self, namespace: Option<SmolStr>) -> bool {
        self.0.write().insert(namespace)
    }
}
