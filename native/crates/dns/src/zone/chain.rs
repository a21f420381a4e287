//! What proves that a name or a type is not there: the NSEC chain (RFC 4034 §4) or the NSEC3 chain (RFC 5155) of a signed zone.

use aws_lc_rs::digest;

use super::{Node, Zone};
use crate::name;
use crate::query::u16_at;
use crate::rtype::{NSEC, NSEC3, NSEC3PARAM};

/// SHA-1's, the only hash of NSEC3 there is.
const HASH_BYTES: usize = 20;
/// More would let a question cost too much; validators ignore such zones (RFC 9276 §3.2).
const MOST_ITERATIONS: u16 = 150;
const SHA1: u8 = 1;
const BASE32HEX: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";

pub(super) type Hash = [u8; HASH_BYTES];

/// Nodes in the order of the chain.
#[derive(Debug)]
pub(super) enum Chain {
    Unsigned,
    /// In canonical order.
    Nsec(Box<[u32]>),
    Nsec3 {
        links: Box<[(Hash, u32)]>,
        iterations: u16,
        salt: Box<[u8]>,
    },
}

impl Chain {
    /// The chain of a zone.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn of(zone: &Zone) -> Result<Self, &'static str> {
        let Some(apex) = zone.nodes.first() else { return Ok(Self::Unsigned) };
        if let Some(parameters) = zone.set(apex, NSEC3PARAM) {
            return Self::hashed(zone, parameters.wire(&zone.bytes));
        }
        if zone.set(apex, NSEC).is_none() {
            return Ok(Self::Unsigned);
        }
        let has =
            |index: &u32| zone.nodes.get(*index as usize).is_some_and(|node| zone.set(node, NSEC).is_some());
        let mut order: Vec<u32> = (0..zone.nodes.len() as u32).filter(has).collect();
        order.sort_by(|one, other| name::canonical_order(zone.name_of(*one), zone.name_of(*other)));
        Ok(Self::Nsec(order.into()))
    }

    fn hashed(zone: &Zone, parameters: &[u8]) -> Result<Self, &'static str> {
        // Behind the record's head: algorithm, flags, iterations, length of the salt, salt (RFC 5155 §4.2).
        let data = parameters.get(super::RECORD_HEAD_BYTES..).unwrap_or_default();
        let (Some(&algorithm), Some(&salt_bytes)) = (data.first(), data.get(4)) else {
            return Err("has an NSEC3PARAM record that is cut off");
        };
        let iterations = u16_at(data, 2);
        let salt =
            data.get(5..5 + usize::from(salt_bytes)).ok_or("has an NSEC3PARAM record that is cut off")?;
        if algorithm != SHA1 {
            return Err("has an NSEC3PARAM record with an algorithm that is not 1");
        }
        if iterations > MOST_ITERATIONS {
            return Err("has an NSEC3PARAM record with more than 150 iterations");
        }
        let link = |(index, node): (usize, &Node)| {
            zone.set(node, NSEC3)?;
            Some((unhashed_label(zone.name(node))?, index as u32))
        };
        let mut links: Vec<_> = zone.nodes.iter().enumerate().filter_map(link).collect();
        links.sort_unstable();
        Ok(Self::Nsec3 { links: links.into(), iterations, salt: salt.into() })
    }
}

impl Zone {
    pub fn is_signed(&self) -> bool {
        !matches!(self.chain, Chain::Unsigned)
    }

    pub fn is_hashed(&self) -> bool {
        matches!(self.chain, Chain::Nsec3 { .. })
    }

    /// The node whose NSEC record is at or before a name.
    pub fn nsec_before(&self, wanted: &[u8]) -> Option<&Node> {
        let Chain::Nsec(order) = &self.chain else { return None };
        let after =
            order.partition_point(|index| name::canonical_order(self.name_of(*index), wanted).is_le());
        let index = after.checked_sub(1).or(order.len().checked_sub(1))?;
        self.nodes.get(*order.get(index)? as usize)
    }

    /// The node whose NSEC3 record is of this name's hash (`true`), or covers it.
    pub fn nsec3_for(&self, wanted: &[u8]) -> Option<(&Node, bool)> {
        let Chain::Nsec3 { links, iterations, salt } = &self.chain else { return None };
        let hash = hash_of(wanted, *iterations, salt);
        let after = links.partition_point(|(link, _)| *link <= hash);
        // What is before the first is covered by the last.
        let index = after.checked_sub(1).or(links.len().checked_sub(1))?;
        let (link, node) = links.get(index)?;
        Some((self.nodes.get(*node as usize)?, *link == hash))
    }

    fn name_of(&self, index: u32) -> &[u8] {
        self.nodes.get(index as usize).map(|node| self.name(node)).unwrap_or_default()
    }
}

/// RFC 5155 §5; names are in lower case.
fn hash_of(name: &[u8], iterations: u16, salt: &[u8]) -> Hash {
    let mut hash = [0; HASH_BYTES];
    let round = |input: &[u8], hash: &mut Hash| {
        let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
        context.update(input);
        context.update(salt);
        hash.copy_from_slice(context.finish().as_ref());
    };
    round(name, &mut hash);
    for _ in 0..iterations {
        let before = hash;
        round(&before, &mut hash);
    }
    hash
}

/// The hash that the first label of an NSEC3 record's owner spells.
fn unhashed_label(name: &[u8]) -> Option<Hash> {
    let label = name::label(name, 0);
    let mut hash = [0; HASH_BYTES];
    if label.len() != HASH_BYTES * 8 / 5 {
        return None;
    }
    for (index, &sign) in label.iter().enumerate() {
        let value = BASE32HEX.iter().position(|&known| known == sign)?;
        for bit in 0..5 {
            let place = index * 5 + bit;
            hash[place / 8] |= u8::from(value & (16 >> bit) != 0) << (7 - place % 8);
        }
    }
    Some(hash)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    /// RFC 5155 appendix A.
    #[test]
    fn hashes_of_the_rfc() {
        let salt = [0xAA, 0xBB, 0xCC, 0xDD];
        for (text, label) in [
            ("example.", "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom"),
            ("a.example.", "35mthgpgcu1qg68fab165klnsnk3dpvl"),
            ("*.w.example.", "r53bq7cc2uvmubfu5ocmm6pers9tk9en"),
        ] {
            let hash = hash_of(&name::parse(text).unwrap(), 12, &salt);
            assert_eq!(unhashed_label(&name::parse(label).unwrap()), Some(hash), "{text}");
        }
    }
}
