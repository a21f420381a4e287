//! Proofs for clients that validate: that there is no such name, no such type, no closer name than a wildcard's, no DS at a cut
//! (RFC 4035 §3.1.3, RFC 5155 §7.2).

use crate::answer::{Answer, Wanted};
use crate::message::{Full, Owner, Section};
use crate::name::{self, MAX_NAME_BYTES};
use crate::rtype::{DS, NSEC, NSEC3};
use crate::zone::{Node, Zone};

/// Why a proof is needed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Absent<'z> {
    /// No such name; its closest encloser.
    Name(&'z Node),
    /// The name is there, without that type.
    Type(&'z Node),
    /// The type is not there at the wildcard that the name is made of.
    TypeOfWildcard(&'z Node),
}

/// Records that a proof has already. It takes three at most.
type Shown<'z> = smallvec::SmallVec<[&'z Node; 4]>;

impl Answer<'_> {
    /// Proves what is absent, if the client wants proofs and the zone has them.
    pub(crate) fn prove_absent(
        &mut self,
        zone: &Zone,
        wanted: &Wanted,
        absent: Absent<'_>,
    ) -> Result<(), Full> {
        if !self.wants_proof(zone) {
            return Ok(());
        }
        let mut shown = Shown::new();
        match absent {
            Absent::Name(encloser) if zone.is_hashed() => {
                self.prove_encloser(zone, wanted, encloser, &mut shown)?;
                self.cover_wildcard(zone, wanted, encloser, &mut shown)
            }
            Absent::Name(encloser) => {
                self.show_before(zone, wanted, wanted.name(), &mut shown)?;
                self.cover_wildcard(zone, wanted, encloser, &mut shown)
            }
            Absent::Type(node) => self.prove_no_type(zone, wanted, node, &mut shown),
            Absent::TypeOfWildcard(wildcard) => {
                self.prove_no_closer(zone, wanted, wildcard, &mut shown)?;
                self.show_matching(zone, wanted, zone.name(wildcard), &mut shown)
            }
        }
    }

    /// A wildcard was used: proves that nothing closer is there.
    pub(crate) fn prove_wildcard(
        &mut self,
        zone: &Zone,
        wanted: &Wanted,
        wildcard: &Node,
    ) -> Result<(), Full> {
        if !self.wants_proof(zone) {
            return Ok(());
        }
        if !zone.is_hashed() {
            return self.show_before(zone, wanted, wanted.name(), &mut Shown::new());
        }
        let encloser = name::parent(zone.name(wildcard)).unwrap_or_default();
        let next = next_closer(wanted.name(), encloser);
        self.show_matching(zone, wanted, next, &mut Shown::new())
    }

    /// DS records of a delegation, or the proof that there are none.
    pub(crate) fn prove_delegation(&mut self, zone: &Zone, cut: &Node, wanted: &Wanted) -> Result<(), Full> {
        if !self.wants_proof(zone) {
            return Ok(());
        }
        let owner = self.ancestor(wanted, cut.name_bytes())?;
        match zone.set(cut, DS) {
            Some(set) => self.append_signed(Section::Authority, zone, cut, set, owner).map(|_| ()),
            None => self.prove_no_type(zone, wanted, cut, &mut Shown::new()),
        }
    }

    fn wants_proof(&self, zone: &Zone) -> bool {
        self.dnssec_ok() && zone.is_signed()
    }

    fn prove_no_type<'z>(
        &mut self,
        zone: &'z Zone,
        wanted: &Wanted,
        node: &'z Node,
        shown: &mut Shown<'z>,
    ) -> Result<(), Full> {
        let name = zone.name(node);
        if !zone.is_hashed() {
            // An empty non-terminal has no NSEC of its own: the one before it proves both.
            return self.show_before(zone, wanted, name, shown);
        }
        match zone.nsec3_for(name) {
            Some((_, true)) => self.show_matching(zone, wanted, name, shown),
            // Opt-out: an unsigned delegation is in a gap (RFC 5155 §7.2.4).
            _ => match Self::provable_above(zone, name) {
                Some(encloser) => self.prove_encloser_of(zone, wanted, name, encloser, shown),
                None => Ok(()),
            },
        }
    }

    fn prove_no_closer<'z>(
        &mut self,
        zone: &'z Zone,
        wanted: &Wanted,
        wildcard: &Node,
        shown: &mut Shown<'z>,
    ) -> Result<(), Full> {
        if !zone.is_hashed() {
            return self.show_before(zone, wanted, wanted.name(), shown);
        }
        let encloser = name::parent(zone.name(wildcard)).unwrap_or_default();
        self.show_matching(zone, wanted, encloser, shown)?;
        self.show_matching(zone, wanted, next_closer(wanted.name(), encloser), shown)
    }

    fn prove_encloser<'z>(
        &mut self,
        zone: &'z Zone,
        wanted: &Wanted,
        encloser: &Node,
        shown: &mut Shown<'z>,
    ) -> Result<(), Full> {
        let Some(provable) = Self::provable_at(zone, zone.name(encloser)) else { return Ok(()) };
        self.prove_encloser_of(zone, wanted, wanted.name(), provable, shown)
    }

    /// The closest encloser matches, the next closer name is covered (RFC 5155 §7.2.1).
    fn prove_encloser_of<'z>(
        &mut self,
        zone: &'z Zone,
        wanted: &Wanted,
        name: &[u8],
        encloser: &[u8],
        shown: &mut Shown<'z>,
    ) -> Result<(), Full> {
        self.show_matching(zone, wanted, encloser, shown)?;
        self.show_matching(zone, wanted, next_closer(name, encloser), shown)
    }

    /// The name itself or the nearest above it that has an NSEC3 record.
    fn provable_at<'n>(zone: &Zone, name: &'n [u8]) -> Option<&'n [u8]> {
        let matches = |name: &&[u8]| zone.nsec3_for(name).is_some_and(|(_, matches)| matches);
        let within = std::iter::successors(Some(name), |name| name::parent(name));
        within.take_while(|name| name.len() >= zone.apex().len()).find(matches)
    }

    fn provable_above<'n>(zone: &Zone, name: &'n [u8]) -> Option<&'n [u8]> {
        Self::provable_at(zone, name::parent(name)?)
    }

    fn cover_wildcard<'z>(
        &mut self,
        zone: &'z Zone,
        wanted: &Wanted,
        encloser: &Node,
        shown: &mut Shown<'z>,
    ) -> Result<(), Full> {
        let suffix = zone.name(encloser);
        let mut text = [0; MAX_NAME_BYTES + 2];
        text[..2].copy_from_slice(b"\x01*");
        text[2..2 + suffix.len()].copy_from_slice(suffix);
        let wildcard = &text[..2 + suffix.len()];
        self.show_matching(zone, wanted, wildcard, shown)
    }

    /// The NSEC record at or before a name.
    fn show_before<'z>(
        &mut self,
        zone: &'z Zone,
        wanted: &Wanted,
        name: &[u8],
        shown: &mut Shown<'z>,
    ) -> Result<(), Full> {
        match zone.nsec_before(name) {
            Some(node) => self.show(zone, wanted, node, NSEC, shown),
            None => Ok(()),
        }
    }

    /// The record that matches a name, or covers it.
    fn show_matching<'z>(
        &mut self,
        zone: &'z Zone,
        wanted: &Wanted,
        name: &[u8],
        shown: &mut Shown<'z>,
    ) -> Result<(), Full> {
        if !zone.is_hashed() {
            return self.show_before(zone, wanted, name, shown);
        }
        match zone.nsec3_for(name) {
            Some((node, _)) => self.show(zone, wanted, node, NSEC3, shown),
            None => Ok(()),
        }
    }

    fn show<'z>(
        &mut self,
        zone: &'z Zone,
        wanted: &Wanted,
        node: &'z Node,
        rtype: u16,
        shown: &mut Shown<'z>,
    ) -> Result<(), Full> {
        if shown.iter().any(|other| std::ptr::eq(*other, node)) {
            return Ok(());
        }
        shown.push(node);
        let Some(set) = zone.set(node, rtype) else { return Ok(()) };
        let owner = if name::is_within(wanted.name(), zone.name(node)) {
            self.ancestor(wanted, node.name_bytes())?
        } else {
            let apex = self.ancestor(wanted, zone.apex().len())?;
            let prefix = node.name_bytes() - zone.apex().len();
            let labels = zone.name(node).get(..prefix).unwrap_or_default();
            let place = self.message().append_named(Section::Authority, zone, set, labels, apex.place)?;
            if let Some(signatures) = zone.signatures(node, rtype) {
                self.message().append(Section::Authority, zone, signatures, Owner::at(place))?;
            }
            return Ok(());
        };
        self.append_signed(Section::Authority, zone, node, set, owner).map(|_| ())
    }
}

/// The ancestor of a name, or itself, that is one label longer than the encloser.
fn next_closer<'n>(name: &'n [u8], encloser: &[u8]) -> &'n [u8] {
    let longest = std::iter::successors(Some(name), |name| name::parent(name));
    longest.take_while(|name| name.len() > encloser.len()).last().unwrap_or(name)
}
