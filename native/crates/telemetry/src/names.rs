//! Bounded label values: a name gets a slot once and keeps it; when the table is full the rest share one.
//!
//! Cells are arrays indexed by slot, so counting needs no hashing and a label can never have more series than the limit. Slots are
//! handed out when a configuration is compiled, off the worker threads. A name keeps its slot for the life of the
//! process, also over configurations that do not have it: a counter that came back as another name's would go backwards or
//! jump. A deployment that keeps inventing names therefore ends in [`OTHER`], by design: its metrics stop growing.

use std::collections::HashMap;

use parking_lot::RwLock;

/// The label value of the shared series, slot 0.
pub const OTHER: &str = "_other";

/// An index below [`Names::slots`].
pub type Slot = usize;

/// The distinct values of one label.
#[derive(Debug)]
pub struct Names {
    limit: usize,
    table: RwLock<Table>,
}

#[derive(Debug, Default)]
struct Table {
    slots: HashMap<String, Slot>,
    names: Vec<String>,
}

impl Names {
    /// At most `limit` names of their own, besides [`OTHER`].
    pub fn new(limit: usize) -> Self {
        let table = Table { slots: HashMap::new(), names: vec![OTHER.to_owned()] };
        Self { limit, table: RwLock::new(table) }
    }

    /// The slot of `name`: the one it has, else a new one, else that of [`OTHER`]. Takes a lock: for the thread that compiles a configuration.
    pub fn slot(&self, name: &str) -> Slot {
        let mut table = self.table.write();
        if let Some(&slot) = table.slots.get(name) {
            return slot;
        }
        if table.names.len() > self.limit || name == OTHER {
            return 0;
        }
        let slot = table.names.len();
        table.slots.insert(name.to_owned(), slot);
        table.names.push(name.to_owned());
        slot
    }

    /// How many cells an array needs so that every slot is an index of it.
    pub fn slots(&self) -> usize {
        self.limit + 1
    }

    /// The names given so far; the position is the slot.
    pub fn names(&self) -> Vec<String> {
        self.table.read().names.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::{Names, OTHER};

    #[test]
    fn a_name_keeps_its_slot_whatever_comes_after() {
        let names = Names::new(2);
        let (shop, blog) = (names.slot("shop"), names.slot("blog"));
        assert_eq!((shop, blog), (1, 2));
        assert_eq!(names.slot("wiki"), 0);
        assert_eq!((names.slot("shop"), names.slot("blog")), (shop, blog));
        assert_eq!(names.names(), [OTHER, "shop", "blog"]);
    }

    #[test]
    fn every_slot_fits_the_announced_size() {
        let names = Names::new(8);
        let highest = (0..100).map(|n| names.slot(&format!("route-{n}"))).max();
        assert_eq!(highest, Some(names.slots() - 1));
        assert_eq!(names.names().len(), names.slots());
    }

    #[test]
    fn a_route_called_other_does_not_get_a_second_series() {
        let names = Names::new(4);
        assert_eq!(names.slot(OTHER), 0);
        assert_eq!(names.names(), [OTHER]);
    }
}
