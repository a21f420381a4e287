//! `Accept-Encoding` (RFC 9110 §12.5.3): which coding a client wants, of those we can make.
//!
//! | the field says | then |
//! |---|---|
//! | nothing, or it is missing | none: the RFC would allow any, but clients that want one say so |
//! | a coding with a weight above 0 | the one with the highest weight; of equal ones the first of our preference |
//! | `*` | stands for each coding that is not named |
//! | `identity` with a higher weight | none: the client would rather have it plain |
//! | a weight that is none | as if 0: in doubt nothing is compressed |

use crate::Coding;

/// Weights in thousandths: three digits are all that the grammar allows (RFC 9110 §12.4.2).
const FULL: u16 = 1_000;

/// The best of `preference` for a client that sent these lines.
pub(crate) fn best<'h>(
    lines: impl IntoIterator<Item = &'h [u8], IntoIter: Clone>,
    preference: &[Coding],
) -> Option<Coding> {
    let lines = lines.into_iter();
    let any = weight(lines.clone(), |name| name == b"*").unwrap_or(0);
    let plain = weight(lines.clone(), |name| name.eq_ignore_ascii_case(b"identity")).unwrap_or(0);
    let mut best = None;
    let mut best_weight = plain.max(1) - 1;
    for &coding in preference {
        let weight = weight(lines.clone(), |name| coding.is_named(name)).unwrap_or(any);
        if weight > best_weight {
            (best, best_weight) = (Some(coding), weight);
        }
    }
    best
}

/// The weight of the first member with that name.
fn weight<'h>(lines: impl Iterator<Item = &'h [u8]>, is_meant: impl Fn(&[u8]) -> bool) -> Option<u16> {
    let mut members = lines.flat_map(|line| line.split(|&byte| byte == b','));
    members.find_map(|member| {
        let mut parts = member.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
        let named = is_meant(parts.next()?);
        named.then(|| parts.next().map_or(FULL, quality))
    })
}

/// `q=0.5` as 500.
fn quality(parameter: &[u8]) -> u16 {
    let [b'q' | b'Q', b'=', digits @ ..] = parameter else { return 0 };
    match digits {
        [b'1'] => FULL,
        [b'1', b'.', zeros @ ..] if zeros.len() <= 3 && zeros.iter().all(|&zero| zero == b'0') => FULL,
        [b'0', b'.', decimals @ ..] if decimals.len() <= 3 && decimals.iter().all(u8::is_ascii_digit) => {
            let mut places = [b'0'; 3];
            places.iter_mut().zip(decimals).for_each(|(place, decimal)| *place = *decimal);
            places.iter().fold(0, |sum, place| sum * 10 + u16::from(place - b'0'))
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_gets_what_it_wants_most() {
        use Coding::{Brotli, Gzip, Zstd};
        let cases: &[(&[&str], Option<Coding>)] = &[
            (&[], None),
            (&[""], None),
            (&["gzip"], Some(Gzip)),
            (&["X-GZIP"], Some(Gzip)),
            (&["gzip, deflate, br, zstd"], Some(Zstd)),
            (&["gzip, deflate, br"], Some(Brotli)),
            (&["gzip", "br"], Some(Brotli)),
            (&["gzip;q=1.0, br;q=0.8"], Some(Gzip)),
            (&["gzip ; q=0.2 , br; q=0.21"], Some(Brotli)),
            (&["gzip;Q=0.001"], Some(Gzip)),
            (&["gzip;q=0, br;q=0.000"], None),
            (&["*"], Some(Zstd)),
            (&["*;q=0.5, zstd;q=0"], Some(Brotli)),
            (&["gzip, *;q=0"], Some(Gzip)),
            (&["identity"], None),
            (&["identity, gzip;q=0.5"], None),
            (&["identity;q=0.5, gzip;q=0.5"], Some(Gzip)),
            (&["identity;q=0, gzip;q=0.1"], Some(Gzip)),
            (&["deflate"], None),
            (&["gzip;q=2"], None),
            (&["gzip;q=0.1234"], None),
            (&["gzip;level=9"], None),
            (&["gzip;q=-1, ;;,,=, br;q=\u{ff}"], None),
        ];
        for (lines, expected) in cases {
            let found = best(lines.iter().map(|line| line.as_bytes()), &Coding::ALL);
            assert_eq!(found, *expected, "{lines:?}");
        }
    }

    #[test]
    fn our_preference_decides_between_equals_and_limits_the_choice() {
        let wants_all = [&b"zstd, br, gzip"[..]];
        assert_eq!(best(wants_all, &[Coding::Gzip, Coding::Zstd]), Some(Coding::Gzip));
        assert_eq!(best(wants_all, &[]), None);
        assert_eq!(best([&b"zstd, *"[..]], &[Coding::Brotli]), Some(Coding::Brotli));
    }
}
