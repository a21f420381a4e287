//! Answers (RFC 1034 §4.3.2): what the zones say about a question, as a response in a buffer of the caller's. Nothing is allocated, but for
//! proofs out of an NSEC chain and for the server's own name.

use smallvec::SmallVec;

use crate::denial::Absent;
use crate::edns::{self, MIN_UDP_BYTES, UDP_BYTES};
use crate::message::{Full, Message, Owner, Section};
use crate::name::{self, MAX_NAME_BYTES};
use crate::query::{self, Fault, HEADER_BYTES, Opcode, Query};
use crate::rtype::{self, ANY, AXFR, CNAME, DNAME, DS, IXFR, NS, NSEC, RRSIG};
use crate::zone::{Found, Node, RECORD_HEAD_BYTES, Set, Zone};
use crate::zones::Zones;

/// A chain of CNAMEs that is longer is answered as far as it was followed.
const MAX_CHAIN: usize = 16;

const RESPONSE: u16 = 0x8000;
const AUTHORITATIVE: u16 = 0x0400;
const TRUNCATED: u16 = 0x0200;
/// Opcode and RD come back as they were.
const KEPT: u16 = 0x7900;

/// RFC 1035 §4.1.1, RFC 6891 §9.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rcode {
    NoError = 0,
    FormErr = 1,
    ServFail = 2,
    NxDomain = 3,
    NotImp = 4,
    Refused = 5,
    YxDomain = 6,
    NotAuth = 9,
    BadVers = 16,
}

/// How a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    Datagram,
    Stream,
}

/// What was answered, for counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    pub length: usize,
    pub rcode: Rcode,
    pub truncated: bool,
}

/// What a server says of itself.
#[derive(Debug, Clone, Default)]
pub struct Identity {
    /// NSID (RFC 5001) and `id.server.` (RFC 4892); empty = not told.
    pub name: Vec<u8>,
    /// `version.server.`; empty = not told.
    pub version: Vec<u8>,
}

/// Answers `request` into `out`; `None` = silence.
pub fn answer(
    zones: &Zones,
    identity: &Identity,
    carrier: Carrier,
    request: &[u8],
    out: &mut [u8],
) -> Option<Outcome> {
    match query::parse(request) {
        Ok(query) => Some(Answer::begin(zones, identity, carrier, request, &query, out).run()),
        Err(Fault::Ignore) => None,
        Err(Fault::Format) => Some(bare(request, out, Rcode::FormErr)),
        Err(Fault::NotImplemented) => Some(bare(request, out, Rcode::NotImp)),
    }
}

/// A header alone, for what could not be read.
fn bare(request: &[u8], out: &mut [u8], rcode: Rcode) -> Outcome {
    let (Some(header), Some(target)) = (request.get(..HEADER_BYTES), out.get_mut(..HEADER_BYTES)) else {
        return Outcome { length: 0, rcode, truncated: false };
    };
    target.copy_from_slice(header);
    target[4..].fill(0);
    let flags = RESPONSE | (query::u16_at(header, 2) & KEPT) | rcode as u16;
    target[2..4].copy_from_slice(&flags.to_be_bytes());
    Outcome { length: HEADER_BYTES, rcode, truncated: false }
}

pub(crate) struct Answer<'a> {
    zones: &'a Zones,
    identity: &'a Identity,
    query: &'a Query<'a>,
    message: Message<'a>,
    flags: u16,
    rcode: Rcode,
    /// Wildcards that were used, and where the names are that they were used for.
    unproven: SmallVec<[(&'a Zone, &'a Node, usize); 1]>,
}

/// The name that is looked for, in lower case, and where it is in the message.
pub(crate) struct Wanted {
    name: [u8; MAX_NAME_BYTES],
    length: usize,
    owner: Owner,
}

impl Wanted {
    pub(crate) fn name(&self) -> &[u8] {
        &self.name[..self.length]
    }

    /// Whose records those of a wildcard become.
    fn synthesised(&self, wildcard: &Node) -> Owner {
        Owner { longer: self.length - wildcard.name_bytes(), ..self.owner }
    }
}

impl<'a> Answer<'a> {
    fn begin(
        zones: &'a Zones,
        identity: &'a Identity,
        carrier: Carrier,
        request: &'a [u8],
        query: &'a Query<'a>,
        out: &'a mut [u8],
    ) -> Self {
        let limit = match (carrier, &query.edns) {
            (Carrier::Stream, _) => usize::from(u16::MAX),
            (Carrier::Datagram, None) => usize::from(MIN_UDP_BYTES),
            (Carrier::Datagram, Some(edns)) => usize::from(edns.udp_bytes.min(UDP_BYTES)),
        };
        let message = Message::new(out, request, query, limit);
        let flags = RESPONSE | (query::u16_at(request, 2) & KEPT);
        Self { zones, identity, query, message, flags, rcode: Rcode::NoError, unproven: SmallVec::new() }
    }

    fn run(mut self) -> Outcome {
        if self.query.edns.is_some_and(|edns| edns.version > 0) {
            // RFC 6891 §6.1.3.
            self.rcode = Rcode::BadVers;
        } else if self.decide().is_err() {
            self.message.clear(self.query.question_end());
            self.flags |= TRUNCATED;
        }
        self.finish()
    }

    fn finish(mut self) -> Outcome {
        if let Some(edns) = self.query.edns {
            self.append_opt(&edns);
        }
        let truncated = self.flags & TRUNCATED != 0;
        let length = self.message.finish(self.flags | (self.rcode as u16 & 0xF));
        Outcome { length, rcode: self.rcode, truncated }
    }

    /// Ours: the root, 41, our size, the rcode's upper bits, version 0, their DO.
    fn append_opt(&mut self, edns: &edns::Edns<'_>) {
        let mut opt = [0; edns::OPT_BYTES];
        opt[1..3].copy_from_slice(&rtype::OPT.to_be_bytes());
        opt[3..5].copy_from_slice(&UDP_BYTES.to_be_bytes());
        opt[5] = (self.rcode as u16 >> 4) as u8;
        opt[7] = if edns.dnssec_ok { 0x80 } else { 0 };
        // Room was kept for it.
        let _ = self.message.append_raw(&opt);
    }

    /// The header says it all.
    #[allow(clippy::unnecessary_wraps)] // an arm of its callers' matches
    fn refuse(&mut self, rcode: Rcode) -> Result<(), Full> {
        self.rcode = rcode;
        Ok(())
    }

    fn decide(&mut self) -> Result<(), Full> {
        let query = self.query;
        match (query.opcode, query.class, query.rtype) {
            (Opcode::Notify | Opcode::Other, ..) | (_, _, AXFR | IXFR) => self.refuse(Rcode::NotImp),
            (Opcode::Query, IN | ANY_CLASS, _) => self.resolve(),
            (Opcode::Query, CHAOS, rtype::TXT | ANY) => self.introduce(),
            (Opcode::Query, ..) => self.refuse(Rcode::Refused),
        }
    }

    /// RFC 4892: what a server is called and which version it is, if it tells.
    fn introduce(&mut self) -> Result<(), Full> {
        let asked = self.query.name.to_ascii_lowercase();
        let text = match &asked[..] {
            b"\x02id\x06server\x00" | b"\x08hostname\x04bind\x00" => &self.identity.name,
            b"\x07version\x06server\x00" | b"\x07version\x04bind\x00" => &self.identity.version,
            _ => return self.refuse(Rcode::Refused),
        };
        if text.is_empty() {
            return self.refuse(Rcode::Refused);
        }
        let mut data = vec![text.len().min(255) as u8];
        data.extend(text.iter().take(255));
        self.flags |= AUTHORITATIVE;
        self.message.append_record(Section::Answer, HEADER_BYTES, (rtype::TXT, CHAOS), 0, &data).map(|_| ())
    }

    fn resolve(&mut self) -> Result<(), Full> {
        let mut wanted =
            Wanted { name: [0; MAX_NAME_BYTES], length: self.query.name.len(), owner: Owner::QUESTION };
        wanted.name[..wanted.length].copy_from_slice(self.query.name);
        wanted.name[..wanted.length].make_ascii_lowercase();
        for step in 0..MAX_CHAIN {
            let Some(zone) = self.zones.of(wanted.name(), self.query.rtype) else {
                // The end of a chain may be anybody's.
                return if step == 0 { self.refuse(Rcode::Refused) } else { self.prove_wildcards() };
            };
            let Some(found) = zone.find(wanted.name()) else { return self.refuse(Rcode::ServFail) };
            let next = match found {
                Found::Exact(node) => self.at_node(zone, node, &wanted, wanted.owner, Absent::Type(node))?,
                Found::Wildcard(node) => self.at_wildcard(zone, node, &wanted)?,
                Found::Delegation(cut) => self.refer(zone, cut, &wanted, step == 0).map(|()| None)?,
                Found::Redirection(node) => self.redirect(zone, node, &wanted)?,
                Found::Nothing(encloser) => {
                    self.flags |= AUTHORITATIVE;
                    self.rcode = Rcode::NxDomain;
                    self.deny(zone, &wanted, Absent::Name(encloser)).map(|()| None)?
                }
            };
            match next {
                Some(further) => wanted = further,
                None => break,
            }
        }
        self.prove_wildcards()
    }

    /// The records of a wildcard, as those of the name that is wanted.
    fn at_wildcard(
        &mut self,
        zone: &'a Zone,
        node: &'a Node,
        wanted: &Wanted,
    ) -> Result<Option<Wanted>, Full> {
        let rtype = self.query.rtype;
        let answers = |set: &Set| {
            (set.rtype() == CNAME && rtype != NSEC)
                || rtype == ANY
                || if set.is_signatures() { rtype == RRSIG } else { set.rtype() == rtype }
        };
        if zone.sets(node).iter().any(answers) {
            self.unproven.push((zone, node, wanted.owner.place));
        }
        self.at_node(zone, node, wanted, wanted.synthesised(node), Absent::TypeOfWildcard(node))
    }

    /// That nothing was closer than the wildcards that were used: to the authority section, before what comes behind it.
    fn prove_wildcards(&mut self) -> Result<(), Full> {
        while let Some((zone, node, place)) = self.unproven.pop() {
            if let Some(wanted) = self.follow(place) {
                self.prove_wildcard(zone, &wanted, node)?;
            }
        }
        Ok(())
    }

    /// The records of a name that exists; where a CNAME leads.
    fn at_node(
        &mut self,
        zone: &Zone,
        node: &Node,
        wanted: &Wanted,
        owner: Owner,
        absent: Absent<'_>,
    ) -> Result<Option<Wanted>, Full> {
        let rtype = self.query.rtype;
        if node.is_cut() && rtype != DS {
            return self.refer(zone, node, wanted, self.message.is_empty()).map(|()| None);
        }
        self.flags |= AUTHORITATIVE;
        if rtype == ANY {
            let is_data = |set: &&Set| !set.is_signatures() && set.rtype() != NSEC;
            return match zone.sets(node).iter().find(is_data) {
                // One of them will do (RFC 8482 §4.1).
                Some(set) => self.append_signed(Section::Answer, zone, node, set, owner).map(|_| None),
                None => self.deny(zone, wanted, absent).map(|()| None),
            };
        }
        if let Some(set) = zone.set(node, rtype) {
            let at = self.append_signed(Section::Answer, zone, node, set, owner)?;
            if rtype == NS {
                self.prove_wildcards()?;
                // It is a kindness: without room for it the answer is whole.
                let _ = self.addresses(zone, node, set, at);
            }
            return Ok(None);
        }
        if rtype == RRSIG {
            return self.append_signatures(zone, node, wanted, owner, absent).map(|()| None);
        }
        // NSEC records stand beside an alias (RFC 4034 §4): who asks for one means this name.
        if rtype != NSEC
            && let Some(alias) = zone.set(node, CNAME)
        {
            let at = self.append_signed(Section::Answer, zone, node, alias, owner)?;
            return Ok(self.follow(at + RECORD_HEAD_BYTES));
        }
        self.deny(zone, wanted, absent).map(|()| None)
    }

    /// An RRset, with its signatures if they are wanted; where it is.
    pub(crate) fn append_signed(
        &mut self,
        section: Section,
        zone: &Zone,
        node: &Node,
        set: &Set,
        owner: Owner,
    ) -> Result<usize, Full> {
        let at = self.message.append(section, zone, set, owner)?;
        if self.dnssec_ok()
            && let Some(signatures) = zone.signatures(node, set.rtype())
        {
            self.message.append(section, zone, signatures, owner)?;
        }
        Ok(at)
    }

    /// Signatures are asked for by themselves: those of one RRset will do.
    fn append_signatures(
        &mut self,
        zone: &Zone,
        node: &Node,
        wanted: &Wanted,
        owner: Owner,
        absent: Absent<'_>,
    ) -> Result<(), Full> {
        match zone.sets(node).iter().find(|set| set.is_signatures()) {
            Some(set) => self.message.append(Section::Answer, zone, set, owner).map(|_| ()),
            None => self.deny(zone, wanted, absent),
        }
    }

    pub(crate) fn dnssec_ok(&self) -> bool {
        self.query.edns.is_some_and(|edns| edns.dnssec_ok)
    }

    pub(crate) fn message(&mut self) -> &mut Message<'a> {
        &mut self.message
    }

    /// The name at a position of the message as the next that is wanted.
    fn follow(&self, place: usize) -> Option<Wanted> {
        let mut next = Wanted { name: [0; MAX_NAME_BYTES], length: 0, owner: Owner::at(place) };
        next.length = self.message.read_name(place, &mut next.name)?;
        Some(next)
    }

    /// SOA in the authority section: there is no such name or no such type (RFC 2308 §3).
    fn deny(&mut self, zone: &Zone, wanted: &Wanted, absent: Absent<'_>) -> Result<(), Full> {
        let (Some(apex), Some(soa)) = (zone.nodes().next(), zone.soa()) else { return Ok(()) };
        let owner = self.ancestor(wanted, zone.apex().len())?;
        let at = self.append_signed(Section::Authority, zone, apex, soa, owner)?;
        self.message.cap_ttl(at, zone.negative_ttl());
        self.prove_absent(zone, wanted, absent)
    }

    /// The ancestor of what is wanted that is so long, as an owner.
    pub(crate) fn ancestor(&self, wanted: &Wanted, length: usize) -> Result<Owner, Full> {
        let skipped = wanted.length.checked_sub(length).ok_or(Full)?;
        Ok(Owner::at(self.message.skip(wanted.owner.place, skipped)))
    }

    /// NS records and the addresses that cannot be found without us (RFC 1034 §4.3.2 step 3b).
    fn refer(&mut self, zone: &Zone, cut: &Node, wanted: &Wanted, is_first: bool) -> Result<(), Full> {
        let Some(servers) = zone.set(cut, NS) else { return Ok(()) };
        if !is_first {
            self.flags |= AUTHORITATIVE;
        }
        let owner = self.ancestor(wanted, cut.name_bytes())?;
        let at = self.message.append(Section::Authority, zone, servers, owner)?;
        self.prove_delegation(zone, cut, wanted)?;
        self.prove_wildcards()?;
        self.addresses(zone, cut, servers, at)
    }

    /// The addresses of the servers in NS records that are at `at`.
    fn addresses(&mut self, zone: &Zone, node: &Node, servers: &Set, at: usize) -> Result<(), Full> {
        for start in servers.starts(zone.bytes()) {
            self.glue(zone, node, at + start + RECORD_HEAD_BYTES)?;
        }
        Ok(())
    }

    /// The addresses of the server whose name is at `place`: below the cut they have to be there (RFC 9471), elsewhere they may.
    fn glue(&mut self, zone: &Zone, cut: &Node, place: usize) -> Result<(), Full> {
        let mut text = [0; MAX_NAME_BYTES];
        let Some(length) = self.message.read_name(place, &mut text) else { return Ok(()) };
        let server = &text[..length];
        let Some(node) = zone.node(server) else { return Ok(()) };
        let must = name::is_within(server, zone.name(cut));
        for rtype in [rtype::A, rtype::AAAA] {
            let Some(set) = zone.set(node, rtype) else { continue };
            // Only what is ours is signed; real glue is not.
            let appended = self.append_signed(Section::Additional, zone, node, set, Owner::at(place));
            if must {
                appended?;
            }
        }
        Ok(())
    }

    /// DNAME, and the CNAME that it means for this name (RFC 6672 §3.2).
    fn redirect(&mut self, zone: &Zone, node: &Node, wanted: &Wanted) -> Result<Option<Wanted>, Full> {
        let Some(set) = zone.set(node, DNAME) else { return Ok(None) };
        self.flags |= AUTHORITATIVE;
        let owner = self.ancestor(wanted, node.name_bytes())?;
        let at = self.append_signed(Section::Answer, zone, node, set, owner)?;
        let prefix = wanted.length - node.name_bytes();
        let mut name = wanted.name;
        let mut target = [0; MAX_NAME_BYTES];
        let Some(target_length) = self.message.read_name(at + RECORD_HEAD_BYTES, &mut target) else {
            return Ok(None);
        };
        let length = prefix + target_length;
        let Some(rest) = name.get_mut(prefix..length) else {
            self.rcode = Rcode::YxDomain;
            return Ok(None);
        };
        rest.copy_from_slice(&target[..target_length]);
        let ttl = set.ttl(zone.bytes()).unwrap_or(0);
        let place = self.message.append_record(
            Section::Answer,
            wanted.owner.place,
            (CNAME, IN),
            ttl,
            &name[..length],
        )?;
        let next = Wanted { name, length, owner: Owner::at(place) };
        Ok((self.query.rtype != CNAME).then_some(next))
    }
}

const IN: u16 = 1;
const CHAOS: u16 = 3;
const ANY_CLASS: u16 = 255;
