//! Makes a zone of its records, and refuses what could not be served.

use std::fmt;

use ahash::RandomState;
use hashbrown::HashTable;

use super::set::{self, Unfit};
use super::{CUT, Chain, HASHED, NOWHERE, Node, OCCLUDED, REDIRECTED, WILD, Zone};
use crate::name;
use crate::query::u16_at;
use crate::rtype::{self, CNAME, DNAME, NS, NSEC, NSEC3, RRSIG, SOA};

/// Why a zone was refused: the name, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    pub name: String,
    pub rtype: u16,
    pub what: &'static str,
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.name, self.what)
    }
}

impl std::error::Error for Error {}

/// Records on their way into a zone.
pub struct Builder {
    apex: Vec<u8>,
    hasher: RandomState,
    index: HashTable<u32>,
    names: Vec<u8>,
    nodes: Vec<Node>,
    data: Vec<u8>,
    records: Vec<Raw>,
}

#[derive(Clone, Copy)]
struct Raw {
    node: u32,
    rtype: u16,
    /// What a signature covers, else 0.
    covers: u16,
    ttl: u32,
    at: u32,
    length: u16,
}

impl Raw {
    /// Sorts signatures behind what they sign.
    fn key(&self) -> (u32, u16, bool) {
        let rtype = if self.rtype == RRSIG { self.covers } else { self.rtype };
        (self.node, rtype, self.rtype == RRSIG)
    }
}

impl Builder {
    /// For a zone with that apex.
    pub fn new(apex: &[u8]) -> Self {
        let mut builder = Self {
            apex: name::lower(apex),
            hasher: RandomState::new(),
            index: HashTable::new(),
            names: Vec::new(),
            nodes: Vec::new(),
            data: Vec::new(),
            records: Vec::new(),
        };
        let apex = builder.apex.clone();
        builder.ensure(&apex);
        builder
    }

    /// Takes a record of class IN; names in its data are not compressed.
    ///
    /// # Errors
    /// It cannot be in this zone.
    pub fn add(&mut self, owner: &[u8], rtype: u16, ttl: u32, data: &[u8]) -> Result<(), Error> {
        let owner = name::lower(owner);
        let refuse = |what| Error { name: name::Text(&owner).to_string(), rtype, what };
        if !name::is_within(&owner, &self.apex) {
            return Err(refuse("is not in the zone"));
        }
        if rtype::is_question_only(rtype) || rtype == 0 {
            return Err(refuse("has a type that no zone may have"));
        }
        let length = u16::try_from(data.len()).map_err(|_| refuse("has data of more than 65535 bytes"))?;
        let at = u32::try_from(self.data.len()).map_err(|_| refuse("is beyond 4 GiB of data"))?;
        let covers = if rtype == RRSIG { u16_at(data, 0) } else { 0 };
        let node = self.ensure(&owner);
        self.data.extend_from_slice(data);
        // RFC 2181 §8: the top bit makes it 0.
        let ttl = if ttl > i32::MAX as u32 { 0 } else { ttl };
        self.records.push(Raw { node, rtype, covers, ttl, at, length });
        Ok(())
    }

    /// The zone.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn build(mut self) -> Result<Zone, Error> {
        self.records.sort_by_key(Raw::key);
        let mut bytes = std::mem::take(&mut self.names);
        let mut sets = Vec::new();
        let mut record_count = 0;
        let mut from = 0;
        while let Some(&first) = self.records.get(from) {
            let same = self.records[from..].iter().take_while(|record| record.key() == first.key()).count();
            let rrset = self.distinct(from, from + same);
            record_count += rrset.len();
            let ttl = rrset.iter().map(|record| record.ttl).min().unwrap_or(0);
            let node = first.node as usize;
            let owner = self.name(&bytes, node).to_vec();
            let covers = (first.rtype == RRSIG).then_some(first.covers);
            let datas = rrset.iter().map(|record| self.data_of(record));
            let set = set::write(&mut bytes, &owner, first.rtype, covers, ttl, datas);
            let set = set.map_err(|unfit| self.refuse(&bytes, node, first.rtype, unfit.why()))?;
            if self.nodes[node].set_count == 0 {
                self.nodes[node].first_set = sets.len() as u32;
            }
            self.nodes[node].set_count += 1;
            if covers.is_none() {
                self.flag(node, first.rtype);
            }
            if is_single(first.rtype) && set.count() > 1 {
                return Err(self.refuse(
                    &bytes,
                    node,
                    first.rtype,
                    "has more than one record of a type that has one",
                ));
            }
            sets.push(set);
            from += same;
        }
        self.occlude(&bytes);
        let mut zone = Zone {
            apex: self.apex.into(),
            bytes: bytes.into(),
            nodes: self.nodes.into(),
            sets: sets.into(),
            index: self.index,
            hasher: self.hasher,
            record_count,
            chain: Chain::Unsigned,
        };
        check(&zone)?;
        zone.chain = Chain::of(&zone).map_err(|what| Error {
            name: name::Text(&zone.apex).to_string(),
            rtype: NSEC3,
            what,
        })?;
        Ok(zone)
    }

    /// Of equal records one stays (RFC 2181 §5).
    fn distinct(&self, from: usize, to: usize) -> Vec<Raw> {
        let mut kept: Vec<Raw> = Vec::with_capacity(to - from);
        let mut rrset = self.records[from..to].to_vec();
        if rrset.len() > 1 {
            rrset.sort_by(|one, other| self.data_of(one).cmp(self.data_of(other)));
        }
        for record in rrset {
            if kept.last().is_none_or(|last| self.data_of(last) != self.data_of(&record)) {
                kept.push(record);
            }
        }
        kept
    }

    fn data_of(&self, record: &Raw) -> &[u8] {
        let at = record.at as usize;
        &self.data[at..at + usize::from(record.length)]
    }

    fn name<'b>(&self, bytes: &'b [u8], node: usize) -> &'b [u8] {
        let node = &self.nodes[node];
        let at = node.name as usize;
        &bytes[at..at + usize::from(node.name_bytes)]
    }

    fn refuse(&self, bytes: &[u8], node: usize, rtype: u16, what: &'static str) -> Error {
        Error { name: name::Text(self.name(bytes, node)).to_string(), rtype, what }
    }

    fn flag(&mut self, node: usize, rtype: u16) {
        let flag = match rtype {
            NS if node != 0 => CUT,
            DNAME => REDIRECTED,
            NSEC3 => HASHED,
            _ => 0,
        };
        if rtype != NSEC3 {
            self.nodes[node].flags &= !HASHED;
        }
        self.nodes[node].flags |= flag;
    }

    /// Parents come before their children, so one pass does.
    fn occlude(&mut self, bytes: &[u8]) {
        for index in 1..self.nodes.len() {
            let parent = self.nodes[index].parent as usize;
            if self.nodes[parent].flags & (CUT | REDIRECTED | OCCLUDED) != 0 {
                self.nodes[index].flags |= OCCLUDED;
            }
            if name::is_wildcard(self.name(bytes, index)) {
                self.nodes[parent].flags |= WILD;
            }
        }
    }

    /// The node of a name, made with all above it if it is new.
    fn ensure(&mut self, owner: &[u8]) -> u32 {
        let hash = self.hasher.hash_one(owner);
        let (names, nodes) = (&self.names, &self.nodes);
        let is_it = |&index: &u32| {
            let node = &nodes[index as usize];
            let at = node.name as usize;
            &names[at..at + usize::from(node.name_bytes)] == owner
        };
        if let Some(&index) = self.index.find(hash, is_it) {
            return index;
        }
        let parent = match name::parent(owner) {
            Some(parent) if owner.len() > self.apex.len() => self.ensure(parent),
            _ => NOWHERE,
        };
        let index = self.nodes.len() as u32;
        let name = self.names.len() as u32;
        self.names.extend_from_slice(owner);
        let name_bytes = owner.len() as u8;
        self.nodes.push(Node { name, first_set: 0, parent, set_count: 0, name_bytes, flags: 0 });
        let (names, nodes, hasher) = (&self.names, &self.nodes, &self.hasher);
        self.index.insert_unique(hash, index, |&index| {
            let node = &nodes[index as usize];
            let at = node.name as usize;
            hasher.hash_one(&names[at..at + usize::from(node.name_bytes)])
        });
        index
    }
}

impl Unfit {
    fn why(self) -> &'static str {
        match self {
            Self::Malformed => "has data that is not of its type",
            Self::TooLarge => "has more records of one type than a message can hold",
        }
    }
}

fn is_single(rtype: u16) -> bool {
    matches!(rtype, SOA | CNAME | DNAME)
}

/// What a zone must have, and what cannot be side by side.
fn check(zone: &Zone) -> Result<(), Error> {
    let refuse =
        |node: &Node, rtype, what| Error { name: name::Text(zone.name(node)).to_string(), rtype, what };
    let Some(apex) = zone.nodes().next() else { return Ok(()) };
    for (rtype, what) in [(SOA, "has no SOA record"), (NS, "has no NS records")] {
        if zone.set(apex, rtype).is_none() {
            return Err(refuse(apex, rtype, what));
        }
    }
    for node in zone.nodes() {
        let has = |rtype| zone.set(node, rtype).is_some();
        // RFC 1034 §3.6.2, RFC 4034 §2.5 and §4: DNSSEC's own types may be beside it.
        let others = zone.sets(node).iter().any(|set| !matches!(set.rtype(), CNAME | NSEC | RRSIG));
        if has(CNAME) && others {
            return Err(refuse(node, CNAME, "has a CNAME record beside others"));
        }
        if has(SOA) && !std::ptr::eq(node, apex) {
            return Err(refuse(node, SOA, "has a SOA record and is not the zone's own name"));
        }
        // RFC 6672 §2.4.
        if has(DNAME) && node.is_cut() {
            return Err(refuse(node, DNAME, "has a DNAME record beside a delegation"));
        }
    }
    Ok(())
}
