//! A response as it is written: the question as it came, then RRsets copied out of zones, as long as there is room.

use crate::edns::OPT_BYTES;
use crate::name::MAX_NAME_BYTES;
use crate::query::{HEADER_BYTES, Query, u16_at};
use crate::zone::{RECORD_HEAD_BYTES, Set, Zone};

/// Pointers reach no further (RFC 1035 §4.1.4).
const FARTHEST: usize = 0x3FFF;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    Answer,
    Authority,
    Additional,
}

/// No room: the response is truncated, or does without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// Whose records an RRset's become: where that name is in the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    pub place: usize,
    /// It stands in for a wildcard's name, so many bytes longer.
    pub longer: usize,
}

impl Owner {
    /// The question's name: RRsets are kept as they look then.
    pub const QUESTION: Self = Self { place: HEADER_BYTES, longer: 0 };

    pub fn at(place: usize) -> Self {
        Self { place, longer: 0 }
    }
}

/// See the module.
pub struct Message<'o> {
    out: &'o mut [u8],
    length: usize,
    /// How long it may become, without what is kept for OPT.
    limit: usize,
    counts: [u16; 3],
}

impl<'o> Message<'o> {
    /// Begins a response to `query`, whose bytes are `request`; `limit` is what the client takes.
    pub fn new(out: &'o mut [u8], request: &[u8], query: &Query<'_>, limit: usize) -> Self {
        let kept = if query.edns.is_some() { OPT_BYTES } else { 0 };
        let end = query.question_end();
        let limit = limit.min(out.len()).saturating_sub(kept);
        let mut message = Self { out, length: 0, limit, counts: [0; 3] };
        if let (Some(question), Some(target)) = (request.get(..end), message.out.get_mut(..end)) {
            target.copy_from_slice(question);
            message.length = end;
        }
        message
    }

    pub fn is_empty(&self) -> bool {
        self.counts == [0; 3]
    }

    /// The position of the next record.
    pub fn end(&self) -> usize {
        self.length
    }

    /// Appends an RRset; whole or not at all.
    pub fn append(&mut self, section: Section, zone: &Zone, set: &Set, owner: Owner) -> Result<usize, Full> {
        let wire = set.wire(zone.bytes());
        let at = self.reserve(wire.len())?;
        self.out[at..at + wire.len()].copy_from_slice(wire);
        if owner != Owner::QUESTION {
            self.move_pointers(at, zone, set, owner);
        }
        self.counts[section as usize] += set.count();
        Ok(at)
    }

    /// Appends an RRset whose owner is nowhere in the message yet: its first labels, then a pointer to the rest. Where the owner is.
    pub fn append_named(
        &mut self,
        section: Section,
        zone: &Zone,
        set: &Set,
        labels: &[u8],
        rest: usize,
    ) -> Result<usize, Full> {
        let wire = set.wire(zone.bytes());
        let at = self.reserve(labels.len() + wire.len())?;
        self.out[at..at + labels.len()].copy_from_slice(labels);
        let from = at + labels.len();
        self.out[from..from + wire.len()].copy_from_slice(wire);
        for start in set.starts(zone.bytes()) {
            self.point(from + start, if start == 0 { rest } else { at });
        }
        self.counts[section as usize] += set.count();
        Ok(at)
    }

    fn reserve(&mut self, count: usize) -> Result<usize, Full> {
        let at = self.length;
        if at + count > self.limit {
            return Err(Full);
        }
        self.length = at + count;
        Ok(at)
    }

    #[cold]
    fn move_pointers(&mut self, at: usize, zone: &Zone, set: &Set, owner: Owner) {
        for start in set.starts(zone.bytes()) {
            self.point(at + start, owner.place);
        }
        for position in set.pointers(zone.bytes()) {
            let into = usize::from(u16_at(self.out, at + position) & 0x3FFF) - HEADER_BYTES;
            let target = self.skip(owner.place, into + owner.longer);
            self.point(at + position, target);
        }
    }

    fn point(&mut self, at: usize, target: usize) {
        let pointer = 0xC000 | target as u16;
        if let Some(place) = self.out.get_mut(at..at + 2) {
            place.copy_from_slice(&pointer.to_be_bytes());
        }
    }

    /// The position `count` bytes into the name at `at`, which may go on elsewhere.
    pub fn skip(&self, mut at: usize, mut count: usize) -> usize {
        while count > 0 {
            let length = usize::from(self.out.get(at).copied().unwrap_or(0));
            if length >= 0xC0 {
                at = usize::from(u16_at(self.out, at) & 0x3FFF);
            } else {
                at += 1 + length;
                count = count.saturating_sub(1 + length);
            }
        }
        at
    }

    /// Writes out the name at a position, in lower case; how long it is. `None`: nothing can point to it.
    pub fn read_name(&self, mut at: usize, into: &mut [u8; MAX_NAME_BYTES]) -> Option<usize> {
        if at > FARTHEST {
            return None;
        }
        let mut used = 0;
        loop {
            let length = usize::from(*self.out.get(at)?);
            if length >= 0xC0 {
                let target = usize::from(u16_at(self.out, at) & 0x3FFF);
                if target >= at {
                    return None;
                }
                at = target;
                continue;
            }
            let label = self.out.get(at..=at + length)?;
            into.get_mut(used..used + label.len())?.copy_from_slice(label);
            into[used..used + label.len()].make_ascii_lowercase();
            used += label.len();
            at += label.len();
            if length == 0 {
                return Some(used);
            }
        }
    }

    /// Appends one record whose owner is at `place`; names in the data are not compressed. Where the data begins.
    pub fn append_record(
        &mut self,
        section: Section,
        place: usize,
        (rtype, class): (u16, u16),
        ttl: u32,
        data: &[u8],
    ) -> Result<usize, Full> {
        let at = self.reserve(RECORD_HEAD_BYTES + data.len())?;
        self.point(at, place);
        let head = &mut self.out[at + 2..at + RECORD_HEAD_BYTES];
        head[..2].copy_from_slice(&rtype.to_be_bytes());
        head[2..4].copy_from_slice(&class.to_be_bytes());
        head[4..8].copy_from_slice(&ttl.to_be_bytes());
        head[8..].copy_from_slice(&(data.len() as u16).to_be_bytes());
        self.out[at + RECORD_HEAD_BYTES..at + RECORD_HEAD_BYTES + data.len()].copy_from_slice(data);
        self.counts[section as usize] += 1;
        Ok(at + RECORD_HEAD_BYTES)
    }

    /// Lowers the TTL of the records from a position on, whose owners are pointers.
    pub fn cap_ttl(&mut self, from: usize, most: u32) {
        let mut at = from;
        while at + RECORD_HEAD_BYTES <= self.length {
            let ttl =
                u32::from_be_bytes([self.out[at + 6], self.out[at + 7], self.out[at + 8], self.out[at + 9]]);
            self.out[at + 6..at + 10].copy_from_slice(&ttl.min(most).to_be_bytes());
            at += RECORD_HEAD_BYTES + usize::from(u16_at(self.out, at + 10));
        }
    }

    /// Forgets everything behind the question.
    pub fn clear(&mut self, question_end: usize) {
        self.length = question_end.min(self.length);
        self.counts = [0; 3];
    }

    /// Raw bytes of the additional section that are one record, such as OPT; what was kept for it is used.
    pub fn append_raw(&mut self, record: &[u8]) -> Result<(), Full> {
        let target = self.out.get_mut(self.length..self.length + record.len()).ok_or(Full)?;
        target.copy_from_slice(record);
        self.length += record.len();
        self.counts[Section::Additional as usize] += 1;
        Ok(())
    }

    /// Writes the header; how long the message is.
    pub fn finish(self, flags: u16) -> usize {
        if self.length < HEADER_BYTES {
            return 0;
        }
        self.out[2..4].copy_from_slice(&flags.to_be_bytes());
        for (index, count) in self.counts.iter().enumerate() {
            self.out[6 + 2 * index..8 + 2 * index].copy_from_slice(&count.to_be_bytes());
        }
        self.length
    }
}
