//! Names in wire form: labels, each behind its length, and the root's zero (RFC 1035 §3.1). No pointers in here.

use std::cmp::Ordering;
use std::fmt::{self, Write};

/// RFC 1035 §2.3.4.
pub const MAX_NAME_BYTES: usize = 255;
pub const MAX_LABEL_BYTES: usize = 63;

/// Where the labels begin, the one nearest to the leaf first; the root's zero is none of them.
pub fn labels(name: &[u8]) -> Labels<'_> {
    Labels { name, at: 0 }
}

/// See [`labels`].
#[derive(Debug, Clone)]
pub struct Labels<'n> {
    name: &'n [u8],
    at: usize,
}

impl Iterator for Labels<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let here = self.at;
        match self.name.get(here) {
            None | Some(0) => None,
            Some(&length) => {
                self.at = here + 1 + usize::from(length);
                Some(here)
            }
        }
    }
}

/// The bytes of a name up to and with the root's zero, if `bytes` begins with a well-formed one without pointers.
pub fn uncompressed(bytes: &[u8]) -> Option<&[u8]> {
    let mut at = 0;
    loop {
        let length = usize::from(*bytes.get(at)?);
        at += 1;
        if length == 0 {
            return if at <= MAX_NAME_BYTES { bytes.get(..at) } else { None };
        }
        if length > MAX_LABEL_BYTES || at > MAX_NAME_BYTES {
            return None;
        }
        at += length;
    }
}

/// What is left without the first label; the root has no parent.
pub fn parent(name: &[u8]) -> Option<&[u8]> {
    match name.first() {
        None | Some(0) => None,
        Some(&length) => name.get(1 + usize::from(length)..),
    }
}

pub fn label_count(name: &[u8]) -> usize {
    labels(name).count()
}

/// Length bytes are below any letter, so that the whole name can be lowered at once (RFC 4343).
pub fn lower(name: &[u8]) -> Vec<u8> {
    name.to_ascii_lowercase()
}

/// Whether `name` is `ancestor` or below it; both in lower case.
pub fn is_within(name: &[u8], ancestor: &[u8]) -> bool {
    let Some(start) = name.len().checked_sub(ancestor.len()) else { return false };
    name.get(start..) == Some(ancestor) && (start == 0 || labels(name).any(|at| at == start))
}

pub fn is_wildcard(name: &[u8]) -> bool {
    name.starts_with(b"\x01*")
}

/// The order of DNSSEC: label by label from the root, each in lower case (RFC 4034 §6.1).
pub fn canonical_order(one: &[u8], other: &[u8]) -> Ordering {
    let (ones, others): (Vec<usize>, Vec<usize>) = (labels(one).collect(), labels(other).collect());
    for (&a, &b) in ones.iter().rev().zip(others.iter().rev()) {
        let lowered = |name: &[u8], at: usize| label(name, at).to_ascii_lowercase();
        match lowered(one, a).cmp(&lowered(other, b)) {
            Ordering::Equal => {}
            unequal => return unequal,
        }
    }
    ones.len().cmp(&others.len())
}

/// The text of the label that begins at `at`.
pub fn label(name: &[u8], at: usize) -> &[u8] {
    let length = name.get(at).copied().map_or(0, usize::from);
    name.get(at + 1..at + 1 + length).unwrap_or_default()
}

/// Master file text of a name (RFC 1035 §5.1): with a dot at its end, odd bytes as `\DDD`.
pub struct Text<'n>(pub &'n [u8]);

impl fmt::Display for Text<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if matches!(self.0, [] | [0]) {
            return out.write_char('.');
        }
        for at in labels(self.0) {
            for &byte in label(self.0, at) {
                match byte {
                    b'.' | b'\\' | b'"' | b'(' | b')' | b';' | b'@' | b'$' => {
                        write!(out, "\\{}", char::from(byte))?;
                    }
                    0x21..=0x7E => out.write_char(char::from(byte))?,
                    _ => write!(out, "\\{byte:03}")?,
                }
            }
            out.write_char('.')?;
        }
        Ok(())
    }
}

/// The wire form of a text; relative names end at the root. `None`: no name.
pub fn parse(text: &str) -> Option<Vec<u8>> {
    if text == "." {
        return Some(vec![0]);
    }
    let (mut name, mut start) = (vec![0], 0);
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'.' => {
                close_label(&mut name, start)?;
                start = name.len();
                name.push(0);
            }
            b'\\' => name.push(escaped(&mut bytes)?),
            _ => name.push(byte),
        }
    }
    if start + 1 != name.len() || start == 0 {
        // The last dot may be missing.
        close_label(&mut name, start)?;
        name.push(0);
    }
    (name.len() <= MAX_NAME_BYTES).then_some(name)
}

fn close_label(name: &mut [u8], start: usize) -> Option<()> {
    let length = name.len() - start - 1;
    *name.get_mut(start)? = u8::try_from(length).ok().filter(|length| (1..=63).contains(length))?;
    Some(())
}

fn escaped(bytes: &mut impl Iterator<Item = u8>) -> Option<u8> {
    let first = bytes.next()?;
    if !first.is_ascii_digit() {
        return Some(first);
    }
    let digits = [first, bytes.next()?, bytes.next()?];
    let text = std::str::from_utf8(&digits).ok()?;
    text.parse().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn text_and_wire_agree() {
        for text in [".", "example.test.", "a\\.b.example.", "\\000\\255.x.", "*.example."] {
            let name = parse(text).expect(text);
            assert_eq!(Text(&name).to_string(), text);
            assert_eq!(uncompressed(&name), Some(&name[..]));
        }
    }

    #[test]
    fn what_is_no_name() {
        let long = "a".repeat(64);
        let deep = "a.".repeat(128);
        for text in ["", "a..b", ".a", "\\25", "\\300.", long.as_str(), deep.as_str()] {
            assert_eq!(parse(text), None, "{text}");
        }
        for bytes in [&b""[..], b"\x01", b"\x01a", b"\x40", b"\xc0\x0c"] {
            assert_eq!(uncompressed(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn the_order_of_rfc_4034() {
        let names = [
            "example.",
            "a.example.",
            "yljkjljk.a.example.",
            "Z.a.example.",
            "zABC.a.EXAMPLE.",
            "z.example.",
            "\\001.z.example.",
            "*.z.example.",
            "\\200.z.example.",
        ];
        let wire: Vec<_> = names.iter().map(|text| parse(text).expect(text)).collect();
        assert!(wire.windows(2).all(|pair| canonical_order(&pair[0], &pair[1]) == Ordering::Less));
    }

    #[test]
    fn within_ends_at_labels() {
        let (zone, other) = (parse("b.test.").unwrap(), parse("ab.test.").unwrap());
        assert!(!is_within(&other, &zone));
        assert!(is_within(&parse("a.b.test.").unwrap(), &zone) && is_within(&zone, &zone));
    }
}
