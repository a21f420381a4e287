//! A bounded table of states, one shard of a keyed limiter.
//!
//! Set-associative, like a processor cache: a key may live in any of the 8 ways of 2 sets chosen by its hash. Keys are not
//! stored but their 128-bit fingerprints, from hashes seeded at random for each limiter: two of a million keys coincide
//! with a probability under 2^-88, and nobody outside can aim for it. 40 bytes per key, all of them allocated as zeroed memory
//! that costs nothing until it is touched; nothing is allocated later.
//!
//! Making room, in this order, among the 16 places a new key may take:
//! 1. an empty one, in the emptier of the two sets (two choices fill a table to about 85 % before any key is pushed out);
//! 2. one whose quota is whole again: forgetting it changes no decision;
//! 3. the one that would be whole soonest, of those that are not limited: it gets its used units back early (counted);
//! 4. none, if all 16 are limited. The new key is then judged by the shard's overflow state, together with all others in
//!    that position (counted). Refusing it would let whoever fills the table lock everyone else out; admitting it would let
//!    him through by inventing keys. Sharing one quota bounds what passes a full shard to one key's worth more.
//!
//! Limited means: a call of cost 1 would be refused or, by a queue, delayed; or the last call was refused and the quota
//! is not whole again yet.

use crate::{Decision, Quota, State};

pub(crate) const WAYS: usize = 8;

/// Fingerprint (lowest bit: was the last call refused) and state.
type Entry = [u64; 4];
const REFUSED: u64 = 1;

/// Where a key may be and how it is recognised.
pub(crate) struct Fingerprint {
    pub(crate) tag: u64,
    pub(crate) check: u64,
    pub(crate) sets: [usize; 2],
}

impl Fingerprint {
    /// From two independent hashes of the key, for a table of `sets` sets.
    pub(crate) fn new(first: u64, second: u64, sets: usize) -> Self {
        // A tag of 0 marks an empty place.
        Self { tag: first.max(1), check: second & !REFUSED, sets: [scale(first, sets), scale(second, sets)] }
    }
}

/// Maps the low half of a hash onto `0..count` without a division (Lemire, "Fast random integer generation", 2019).
pub(crate) fn scale(hash: u64, count: usize) -> usize {
    (((hash & u64::from(u32::MAX)) * count as u64) >> 32) as usize
}

#[derive(Clone, Copy)]
struct Place {
    set: usize,
    way: usize,
}

#[derive(Debug)]
pub(crate) struct Table {
    tags: Box<[[u64; WAYS]]>,
    entries: Box<[[Entry; WAYS]]>,
    overflow: State,
    pub(crate) len: usize,
    pub(crate) evicted: u64,
    pub(crate) overflowed: u64,
}

impl Table {
    pub(crate) fn new(sets: usize) -> Self {
        Self {
            // `vec!` of zeros asks the allocator for zeroed pages.
            tags: vec![[0; WAYS]; sets].into(),
            entries: vec![[[0; 4]; WAYS]; sets].into(),
            overflow: State::default(),
            len: 0,
            evicted: 0,
            overflowed: 0,
        }
    }

    pub(crate) fn check(&mut self, quota: &Quota, key: &Fingerprint, now_ns: u64, cost: u64) -> Decision {
        let Some(place) = self.find(key).or_else(|| self.claim(quota, key, now_ns)) else {
            self.overflowed += 1;
            return quota.check(&mut self.overflow, now_ns, cost);
        };
        let entry = &mut self.entries[place.set][place.way];
        let mut state = state_of(entry);
        let decision = quota.check(&mut state, now_ns, cost);
        let [first, second, third] = state.0;
        *entry = [key.check | u64::from(!decision.allowed), first, second, third];
        decision
    }

    /// What `check` would say, if the key kept or got a place of its own.
    pub(crate) fn peek(&self, quota: &Quota, key: &Fingerprint, now_ns: u64, cost: u64) -> Decision {
        let state =
            self.find(key).map_or(State::default(), |place| state_of(&self.entries[place.set][place.way]));
        quota.peek(&state, now_ns, cost)
    }

    /// Forgets a key; whether it was known.
    pub(crate) fn reset(&mut self, key: &Fingerprint) -> bool {
        let Some(place) = self.find(key) else { return false };
        self.tags[place.set][place.way] = 0;
        self.len -= 1;
        true
    }

    fn find(&self, key: &Fingerprint) -> Option<Place> {
        key.sets.into_iter().find_map(|set| {
            let known =
                |way: &usize| self.tags[set][*way] == key.tag && self.check_of(set, *way) == key.check;
            (0..WAYS).find(known).map(|way| Place { set, way })
        })
    }

    fn check_of(&self, set: usize, way: usize) -> u64 {
        self.entries[set][way][0] & !REFUSED
    }

    /// A place for a new key, fresh, by the order in the file header.
    #[cold]
    fn claim(&mut self, quota: &Quota, key: &Fingerprint, now_ns: u64) -> Option<Place> {
        let mut sets = key.sets;
        sets.sort_by_key(|set| self.tags[*set].iter().filter(|tag| **tag != 0).count());
        let places = sets.into_iter().flat_map(|set| (0..WAYS).map(move |way| Place { set, way }));
        let (loss, place) = places
            .filter_map(|place| self.loss(quota, place, now_ns).map(|loss| (loss, place)))
            .min_by_key(|(loss, _)| *loss)?;
        self.len += usize::from(loss == Loss::Empty);
        self.evicted += u64::from(matches!(loss, Loss::WholeAfter(_)));
        self.tags[place.set][place.way] = key.tag;
        self.entries[place.set][place.way] = [key.check, 0, 0, 0];
        Some(place)
    }

    /// What giving this place away would lose; `None` if its key is limited.
    fn loss(&self, quota: &Quota, place: Place, now_ns: u64) -> Option<Loss> {
        if self.tags[place.set][place.way] == 0 {
            return Some(Loss::Empty);
        }
        let entry = &self.entries[place.set][place.way];
        let standing = quota.peek(&state_of(entry), now_ns, 0);
        let refused = entry[0] & REFUSED != 0;
        match standing.reset_after_ns {
            0 => Some(Loss::Whole),
            _ if refused || standing.remaining == 0 || standing.delay_ns > 0 => None,
            reset_after_ns => Some(Loss::WholeAfter(reset_after_ns)),
        }
    }
}

/// What is lost by forgetting a place, least first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Loss {
    Empty,
    Whole,
    WholeAfter(u64),
}

fn state_of(entry: &Entry) -> State {
    let [_, first, second, third] = *entry;
    State([first, second, third])
}
