//! The static table (RFC 7541 Appendix A), and the way from a name to its index.

use trunkline_http::Field;

use crate::kind::{Kind, Malformed, Pseudo};

/// Index 1 is the first.
#[rustfmt::skip]
pub(super) const ENTRIES: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

/// What the name of entry `index` (from 1) means, as [`Kind::of`] would find.
pub(super) const fn kind(index: usize) -> Kind {
    match index {
        1 => Kind::Pseudo(Pseudo::Authority),
        2 | 3 => Kind::Pseudo(Pseudo::Method),
        4 | 5 => Kind::Pseudo(Pseudo::Path),
        6 | 7 => Kind::Pseudo(Pseudo::Scheme),
        8..=14 => Kind::Pseudo(Pseudo::Status),
        28 => Kind::ContentLength,
        32 => Kind::Cookie,
        35 => Kind::Plain(Field::Expect),
        38 => Kind::Host,
        48 | 49 => Kind::Plain(Field::HopByHop),
        57 => Kind::Malformed(Malformed::ConnectionSpecific),
        60 => Kind::Plain(Field::Via),
        _ => Kind::Plain(Field::Other),
    }
}

/// First of the table's entries that is no pseudo-header field.
const FIRST_FIELD: usize = 15;
const SLOTS: usize = 512;

/// Perfect hash over the table's names, found at compile time: one multiplication tells the only candidate.
const MULTIPLIER: u32 = find_multiplier();
static BY_NAME: [u8; SLOTS] = match slots(MULTIPLIER) {
    Some(slots) => slots,
    None => [0; SLOTS],
};

/// The index of a field's name, whatever its case.
#[inline]
pub(super) fn index_of(name: &str) -> Option<usize> {
    let bytes = name.as_bytes();
    let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else { return None };
    let middle = bytes.get(bytes.len() / 2).copied().unwrap_or_default();
    let index = usize::from(BY_NAME[slot(first, middle, last, bytes.len(), MULTIPLIER)]);
    let (candidate, _) = index.checked_sub(1).and_then(|place| ENTRIES.get(place))?;
    candidate.eq_ignore_ascii_case(name).then_some(index)
}

/// The names differ in length, first, middle or last letter.
const fn slot(first: u8, middle: u8, last: u8, length: usize, multiplier: u32) -> usize {
    let key = u32::from_le_bytes([first | 0x20, middle | 0x20, last | 0x20, length as u8]);
    (key.wrapping_mul(multiplier) >> (u32::BITS - SLOTS.trailing_zeros())) as usize
}

const fn find_multiplier() -> u32 {
    let mut multiplier = 0x9E37_79B1_u32;
    while slots(multiplier).is_none() {
        multiplier = multiplier.wrapping_add(2);
    }
    multiplier
}

/// The index in each name's slot, 0 in the others; `None` if two names share one.
const fn slots(multiplier: u32) -> Option<[u8; SLOTS]> {
    let mut slots = [0; SLOTS];
    let mut index = FIRST_FIELD;
    while index <= ENTRIES.len() {
        let name = ENTRIES[index - 1].0.as_bytes();
        let slot = slot(name[0], name[name.len() / 2], name[name.len() - 1], name.len(), multiplier);
        if slots[slot] != 0 {
            return None;
        }
        slots[slot] = index as u8;
        index += 1;
    }
    Some(slots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_those_of_the_names() {
        for (place, (name, _)) in ENTRIES.iter().enumerate() {
            assert_eq!(kind(place + 1), Kind::of(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn every_name_is_found_and_no_other() {
        for (place, (name, _)) in ENTRIES.iter().enumerate().skip(FIRST_FIELD - 1) {
            assert_eq!(index_of(name), Some(place + 1), "{name}");
            assert_eq!(index_of(&name.to_ascii_uppercase()), Some(place + 1), "{name}");
            assert_eq!(index_of(&format!("{name}x")), None);
            assert_eq!(index_of(&format!("x{name}")), None);
        }
        assert_eq!(index_of(""), None);
        assert_eq!(index_of("x"), None);
    }
}
