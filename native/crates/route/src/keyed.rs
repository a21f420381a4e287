//! A map from `(owner, text)` to a number, filled once and then only read.
//!
//! One open-addressed table for all edges of the trie instead of a map per node: an empty std map is 48 bytes, and most
//! nodes have no child or one. Entries lie in the table itself, which costs 24 bytes more per key than a table of indices and
//! saves a cache miss per edge. Texts lie in one buffer. Linear probing at half load: 1.5 probes for a hit, 2.5 for a
//! miss (Knuth, TAOCP 3, §6.4). Keys come from the configuration, seeds are random, so a peer cannot make probes longer.

/// The value that marks a free slot.
const FREE: u32 = u32::MAX;

#[derive(Debug, Default)]
pub(crate) struct Keyed {
    hasher: ahash::RandomState,
    /// The length is zero or a power of two.
    slots: Box<[Slot]>,
    used: usize,
    text: Vec<u8>,
}

#[derive(Debug, Clone)]
struct Slot {
    start: usize,
    length: u32,
    hash: u32,
    owner: u32,
    value: u32,
}

impl Keyed {
    #[inline]
    pub(crate) fn get(&self, owner: u32, text: &str) -> Option<u32> {
        if self.slots.is_empty() {
            return None;
        }
        let hash = self.hash(owner, text);
        let found = self.probe(hash, |slot| self.holds(slot, hash, owner, text));
        let value = self.slots[found].value;
        (value != FREE).then_some(value)
    }

    /// The value of the key, which becomes `value` (not `u32::MAX`) if it is new.
    pub(crate) fn get_or_insert(&mut self, owner: u32, text: &str, value: u32) -> u32 {
        if let Some(known) = self.get(owner, text) {
            return known;
        }
        self.used += 1;
        if self.used * 2 > self.slots.len() {
            self.grow();
        }
        let (start, hash) = (self.text.len(), self.hash(owner, text));
        self.place(Slot { start, length: text.len() as u32, hash, owner, value });
        self.text.extend_from_slice(text.as_bytes());
        value
    }

    pub(crate) fn shrink(&mut self) {
        self.text.shrink_to_fit();
    }

    fn grow(&mut self) {
        let free = Slot { start: 0, length: 0, hash: 0, owner: 0, value: FREE };
        let doubled = vec![free; (self.slots.len() * 2).max(8)].into_boxed_slice();
        for slot in std::mem::replace(&mut self.slots, doubled) {
            if slot.value != FREE {
                self.place(slot);
            }
        }
    }

    fn place(&mut self, slot: Slot) {
        let free = self.probe(slot.hash, |_| false);
        self.slots[free] = slot;
    }

    /// The first slot from the hash on that is free or holds what is looked for. At half load there always is one.
    #[inline]
    fn probe(&self, hash: u32, is_it: impl Fn(&Slot) -> bool) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        while self.slots[at].value != FREE && !is_it(&self.slots[at]) {
            at = (at + 1) & mask;
        }
        at
    }

    #[inline]
    fn holds(&self, slot: &Slot, hash: u32, owner: u32, text: &str) -> bool {
        let same = slot.hash == hash && slot.owner == owner && slot.length as usize == text.len();
        same && &self.text[slot.start..slot.start + text.len()] == text.as_bytes()
    }

    #[inline]
    fn hash(&self, owner: u32, text: &str) -> u32 {
        self.hasher.hash_one((owner, text)) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::Keyed;

    #[test]
    fn keeps_apart_what_differs_in_owner_or_text() {
        let mut map = Keyed::default();
        assert_eq!(map.get(0, "a"), None);
        let keys: Vec<(u32, String)> = (0..1000).map(|n| (n % 7, format!("t{}", n / 7))).collect();
        for (value, (owner, text)) in (0..).zip(&keys) {
            assert_eq!(map.get_or_insert(*owner, text, value), value);
        }
        for (value, (owner, text)) in (0..).zip(&keys) {
            assert_eq!(map.get(*owner, text), Some(value));
            assert_eq!(map.get_or_insert(*owner, text, 9999), value);
        }
        assert_eq!((map.get(7, "t0"), map.get(0, ""), map.get(0, "t")), (None, None, None));
    }
}
