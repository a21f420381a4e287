//! The dynamic table (RFC 7541 §2.3.2, §4): newest entry first, oldest evicted.
//!
//! ```text
//!   bytes    [ dead | oldest name value | … | newest name value ]   appended at the end
//!   entries  newest first, each with its place in `bytes`
//! ```
//!
//! The dead front is cut off once it is larger than the table may be, so a byte is moved once at most on average, and an entry's
//! name and value are always in one piece.

use std::collections::VecDeque;

use crate::kind::Kind;

/// Added to each entry's length (RFC 7541 §4.1).
const OVERHEAD: usize = 32;

#[derive(Debug, Clone, Copy)]
struct Entry {
    start: usize,
    name_length: usize,
    length: usize,
    name_kind: Kind,
    kind: Kind,
}

/// An entry looked up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found<'t> {
    pub(super) name: &'t [u8],
    pub(super) value: &'t [u8],
    /// What the name alone means; its next value may be another.
    pub(super) name_kind: Kind,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub struct DynamicTable {
    bytes: Vec<u8>,
    entries: VecDeque<Entry>,
    size: usize,
    capacity: usize,
}

impl DynamicTable {
    pub(super) const fn new(capacity: usize) -> Self {
        Self { bytes: Vec::new(), entries: VecDeque::new(), size: 0, capacity }
    }

    /// As RFC 7541 §4.1 counts it.
    pub const fn size(&self) -> usize {
        self.size
    }

    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    /// Name and value of each entry, newest first.
    pub fn entries(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        (0..self.entries.len()).filter_map(|place| self.get(place)).map(|found| (found.name, found.value))
    }

    /// The entry at `place`, 0 being the newest.
    #[inline]
    pub(super) fn get(&self, place: usize) -> Option<Found<'_>> {
        let entry = self.entries.get(place)?;
        let bytes = self.bytes.get(entry.start..entry.start + entry.length)?;
        let (name, value) = bytes.split_at_checked(entry.name_length)?;
        Some(Found { name, value, name_kind: entry.name_kind, kind: entry.kind })
    }

    /// Adds an entry; one that is larger than the table empties it (RFC 7541 §4.4).
    pub(super) fn insert(&mut self, name: &[u8], value: &[u8], name_kind: Kind, kind: Kind) {
        let length = name.len() + value.len();
        self.evict(self.capacity.saturating_sub(length + OVERHEAD));
        if length + OVERHEAD > self.capacity {
            return;
        }
        self.cut_dead_front();
        let start = self.bytes.len();
        self.bytes.extend_from_slice(name);
        self.bytes.extend_from_slice(value);
        self.entries.push_front(Entry { start, name_length: name.len(), length, name_kind, kind });
        self.size += length + OVERHEAD;
    }

    pub(super) fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity;
        self.evict(capacity);
    }

    fn evict(&mut self, size: usize) {
        while self.size > size {
            let Some(oldest) = self.entries.pop_back() else { return };
            self.size -= oldest.length + OVERHEAD;
        }
    }

    fn cut_dead_front(&mut self) {
        let dead = self.entries.back().map_or(self.bytes.len(), |oldest| oldest.start);
        if dead > self.capacity || dead == self.bytes.len() {
            self.bytes.drain(..dead);
            for entry in &mut self.entries {
                entry.start -= dead;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::Malformed;

    const KIND: Kind = Kind::Malformed(Malformed::BadName);

    fn add(table: &mut DynamicTable, name: &str, value: &str) {
        table.insert(name.as_bytes(), value.as_bytes(), KIND, KIND);
    }

    #[test]
    fn evicts_the_oldest() {
        let mut table = DynamicTable::new(3 * (OVERHEAD + 2));
        for name in ["a", "b", "c", "d"] {
            add(&mut table, name, "x");
        }
        assert_eq!(table.entries().map(|(name, _)| name).collect::<Vec<_>>(), [b"d", b"c", b"b"]);
        table.set_capacity(40);
        assert_eq!((table.entries().count(), table.size()), (1, 34));
        add(&mut table, "name", "longer than it all");
        assert_eq!((table.entries().count(), table.size()), (0, 0));
    }

    /// Against a list that is searched from the front, over many times the capacity.
    #[test]
    fn keeps_its_bytes_together() {
        let mut table = DynamicTable::new(500);
        let mut model = Vec::new();
        for number in 0..2_000usize {
            let (name, value) = (format!("name-{number}"), "v".repeat(number * 7 % 90));
            add(&mut table, &name, &value);
            model.insert(0, (name, value));
            let size = |model: &[(String, String)]| -> usize {
                model.iter().map(|(name, value)| name.len() + value.len() + OVERHEAD).sum()
            };
            while size(&model) > 500 {
                model.pop();
            }
            assert_eq!(table.size(), size(&model));
            let entries: Vec<_> = table.entries().collect();
            let wanted: Vec<_> = model.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())).collect();
            assert_eq!(entries, wanted);
            assert!(table.bytes.len() <= 1_000);
        }
    }
}
