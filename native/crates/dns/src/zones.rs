//! All zones of a server, by their apex. Immutable, too: a change makes a new one of the same `Arc`s.

use std::sync::Arc;

use ahash::RandomState;
use hashbrown::HashTable;

use crate::zone::Zone;
use crate::{name, rtype};

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Zones {
    table: HashTable<Arc<Zone>>,
    hasher: RandomState,
}

impl Zones {
    pub fn new(zones: impl IntoIterator<Item = Arc<Zone>>) -> Self {
        let mut all = Self::default();
        for zone in zones {
            all.insert(zone);
        }
        all
    }

    /// Adds a zone, or replaces the one of the same name.
    pub fn insert(&mut self, zone: Arc<Zone>) {
        self.remove(zone.apex());
        let hash = self.hasher.hash_one(zone.apex());
        self.table.insert_unique(hash, zone, |other| self.hasher.hash_one(other.apex()));
    }

    pub fn remove(&mut self, apex: &[u8]) -> Option<Arc<Zone>> {
        let hash = self.hasher.hash_one(apex);
        let found = self.table.find_entry(hash, |zone| zone.apex() == apex).ok()?;
        Some(found.remove().0)
    }

    pub fn get(&self, apex: &[u8]) -> Option<&Arc<Zone>> {
        self.table.find(self.hasher.hash_one(apex), |zone| zone.apex() == apex)
    }

    /// The zone that answers for a name, which is in lower case: the nearest at or above it. DS records are the parent's (RFC 4035 §3.1.4.1).
    pub fn of(&self, wanted: &[u8], rtype: u16) -> Option<&Zone> {
        let start = if rtype == rtype::DS { name::parent(wanted) } else { Some(wanted) };
        let parent = std::iter::successors(start, |name| name::parent(name)).find_map(|name| self.get(name));
        // Who has the child alone says that there is none.
        let own = || if rtype == rtype::DS { self.get(wanted) } else { None };
        parent.or_else(own).map(|zone| &**zone)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Zone>> {
        self.table.iter()
    }

    pub fn len(&self) -> usize {
        self.table.len()
    }

    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }
}
