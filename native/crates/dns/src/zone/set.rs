//! An RRset as the bytes of an answer.
//!
//! ```text
//!  C0 0C | type | class | TTL | length | data      one after another; names in the data that end like
//!  C0 0C | type | …                                the owner end with a pointer into the owner at 12
//!  position, position, …                           where those pointers are, two bytes each
//! ```
//! Copied as it stands where the owner is the question's name. Elsewhere the pointers are moved.

use crate::query::u16_at;
use crate::rtype::{self, Part};
use crate::{name, query};

/// The pointer to a question's name.
const TO_QUESTION: [u8; 2] = [0xC0, query::HEADER_BYTES as u8];
/// What is before the data: pointer, type, class, TTL, length.
pub(crate) const RECORD_HEAD_BYTES: usize = 12;
const IN: u16 = 1;
/// In `count`: these are the signatures of that type's RRset.
const SIGNATURES: u16 = 0x8000;

/// Its place in the zone's bytes.
#[derive(Debug, Clone, Copy)]
pub struct Set {
    at: u32,
    length: u16,
    /// Of what is signed, for signatures.
    rtype: u16,
    count: u16,
    pointers: u16,
}

impl Set {
    pub fn rtype(&self) -> u16 {
        self.rtype
    }

    pub fn is_signatures(&self) -> bool {
        self.count & SIGNATURES != 0
    }

    /// How many records.
    pub fn count(&self) -> u16 {
        self.count & !SIGNATURES
    }

    /// The records.
    pub fn wire<'z>(&self, bytes: &'z [u8]) -> &'z [u8] {
        let at = self.at as usize;
        bytes.get(at..at + usize::from(self.length)).unwrap_or_default()
    }

    /// Where in [`Self::wire`] data points into the owner's name.
    pub fn pointers<'z>(&self, bytes: &'z [u8]) -> impl Iterator<Item = usize> + 'z {
        let at = self.at as usize + usize::from(self.length);
        let list = bytes.get(at..at + 2 * usize::from(self.pointers)).unwrap_or_default();
        list.chunks_exact(2).map(|pair| usize::from(u16_at(pair, 0)))
    }

    pub fn ttl(&self, bytes: &[u8]) -> Option<u32> {
        let ttl = self.wire(bytes).get(6..10)?;
        ttl.try_into().ok().map(u32::from_be_bytes)
    }

    /// Where its records begin in [`Self::wire`].
    pub fn starts<'z>(&self, bytes: &'z [u8]) -> impl Iterator<Item = usize> + 'z {
        let wire = self.wire(bytes);
        let mut at = 0;
        std::iter::from_fn(move || {
            let here = at;
            let length = wire.get(here + 10..here + RECORD_HEAD_BYTES)?;
            at = here + RECORD_HEAD_BYTES + usize::from(u16_at(length, 0));
            Some(here)
        })
    }
}

/// Data that does not have the parts that its type has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// Why an RRset cannot be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unfit {
    Malformed,
    /// No message could hold it.
    TooLarge,
}

/// Appends an RRset to a zone's bytes.
pub(super) fn write<'r>(
    bytes: &mut Vec<u8>,
    owner: &[u8],
    rtype: u16,
    covers: Option<u16>,
    ttl: u32,
    records: impl Iterator<Item = &'r [u8]>,
) -> Result<Set, Unfit> {
    let at = bytes.len();
    let mut pointers = Vec::new();
    let mut count = 0u16;
    for data in records {
        bytes.extend_from_slice(&TO_QUESTION);
        bytes.extend_from_slice(&rtype.to_be_bytes());
        bytes.extend_from_slice(&IN.to_be_bytes());
        bytes.extend_from_slice(&ttl.to_be_bytes());
        let length_at = bytes.len();
        bytes.extend_from_slice(&[0, 0]);
        write_data(bytes, at, owner, rtype, data, &mut pointers).map_err(|Malformed| Unfit::Malformed)?;
        let length = u16::try_from(bytes.len() - length_at - 2).map_err(|_| Unfit::TooLarge)?;
        bytes[length_at..length_at + 2].copy_from_slice(&length.to_be_bytes());
        count += 1;
    }
    let length = u16::try_from(bytes.len() - at).map_err(|_| Unfit::TooLarge)?;
    for position in &pointers {
        bytes.extend_from_slice(&u16::to_be_bytes(*position));
    }
    Ok(Set {
        at: u32::try_from(at).map_err(|_| Unfit::TooLarge)?,
        length,
        rtype: covers.unwrap_or(rtype),
        count: count | if covers.is_some() { SIGNATURES } else { 0 },
        pointers: pointers.len() as u16,
    })
}

/// The data with its names shortened where that is allowed.
fn write_data(
    bytes: &mut Vec<u8>,
    set_at: usize,
    owner: &[u8],
    rtype: u16,
    data: &[u8],
    pointers: &mut Vec<u16>,
) -> Result<(), Malformed> {
    let mut at = 0;
    for part in rtype::parts(rtype) {
        let rest = data.get(at..).ok_or(Malformed)?;
        let length = match part {
            Part::Fixed(length) => *length,
            Part::Text => 1 + usize::from(*rest.first().ok_or(Malformed)?),
            Part::Name | Part::WholeName => name::uncompressed(rest).ok_or(Malformed)?.len(),
        };
        let piece = rest.get(..length).ok_or(Malformed)?;
        if *part == Part::Name
            && let Some((kept, into)) = shared(piece, owner)
        {
            bytes.extend_from_slice(&piece[..kept]);
            pointers.push((bytes.len() - set_at) as u16);
            let pointer = 0xC000 | (query::HEADER_BYTES + into) as u16;
            bytes.extend_from_slice(&pointer.to_be_bytes());
        } else {
            bytes.extend_from_slice(piece);
        }
        at += length;
    }
    bytes.extend_from_slice(data.get(at..).ok_or(Malformed)?);
    Ok(())
}

/// The longest end that a name has in common with its owner: where it begins in both. Never the root alone, and nothing that begins
/// with a wildcard's `*`, which the question has not.
fn shared(piece: &[u8], owner: &[u8]) -> Option<(usize, usize)> {
    name::labels(piece).find_map(|at| {
        let end = &piece[at..];
        let into = owner.len().checked_sub(end.len())?;
        let fits = owner[into..].eq_ignore_ascii_case(end) && name::labels(owner).any(|start| start == into);
        (fits && !(into == 0 && name::is_wildcard(owner))).then_some((at, into))
    })
}
