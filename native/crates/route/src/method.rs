//! Methods as a bit set, so that the usual condition on a route is decided without following a pointer.

/// The methods of RFC 9110 §9 and RFC 5789; their position is their bit.
const KNOWN: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

/// The bit of a method, 0 if it is not a known one.
#[inline]
pub(crate) fn bit(method: &str) -> u16 {
    KNOWN.iter().position(|known| *known == method).map_or(0, |position| 1 << position)
}

/// The bits of all methods; `None` if one of them is not known.
pub(crate) fn bits(methods: &[Box<str>]) -> Option<u16> {
    methods.iter().try_fold(0, |bits, method| match bit(method) {
        0 => None,
        bit => Some(bits | bit),
    })
}

#[cfg(test)]
mod tests {
    use super::{KNOWN, bit, bits};

    #[test]
    fn every_known_method_has_its_own_bit_and_no_other_has_one() {
        let all = KNOWN.iter().fold(0_u16, |all, method| all | bit(method));
        assert_eq!(all.count_ones(), KNOWN.len() as u32);
        assert_eq!((bit("get"), bit(""), bit("PURGE")), (0, 0, 0));
    }

    #[test]
    fn sets() {
        assert_eq!(bits(&[]), Some(0));
        assert_eq!(bits(&["GET".into(), "POST".into()]), Some(bit("GET") | bit("POST")));
        assert_eq!(bits(&["GET".into(), "PURGE".into()]), None);
    }
}
