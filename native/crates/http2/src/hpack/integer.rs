//! Integers with a prefix (RFC 7541 §5.1): what fits the prefix is there, the rest follows in groups of seven bits, lowest first.

use super::HpackError;

/// Five groups hold 35 bits; nothing in HTTP/2 needs more than 32.
const MAX_SHIFT: u32 = 28;

/// The integer that starts in the low `prefix` bits of `first`; takes its further bytes off `rest`.
#[inline]
pub(super) fn decode(first: u8, prefix: u32, rest: &mut &[u8]) -> Result<usize, HpackError> {
    let mask = (1u8 << prefix) - 1;
    let low = first & mask;
    if low < mask { Ok(usize::from(low)) } else { extended(mask, rest) }
}

fn extended(mask: u8, rest: &mut &[u8]) -> Result<usize, HpackError> {
    let mut value = u64::from(mask);
    let mut shift = 0;
    loop {
        let [byte, tail @ ..] = *rest else { return Err(HpackError("integer_cut_short")) };
        *rest = tail;
        value += u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            let value = u32::try_from(value).map_err(|_| HpackError("integer_too_large"))?;
            return Ok(value as usize);
        }
        shift += 7;
        if shift > MAX_SHIFT {
            return Err(HpackError("integer_too_large"));
        }
    }
}

/// Appends `value` below the bits of `pattern`.
#[inline]
pub(super) fn encode(out: &mut Vec<u8>, pattern: u8, prefix: u32, value: usize) {
    let mask = (1usize << prefix) - 1;
    if value < mask {
        out.push(pattern | value as u8);
        return;
    }
    out.push(pattern | mask as u8);
    let mut rest = value - mask;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn examples_of_the_rfc() {
        for (value, prefix, bytes) in
            [(10, 5, &[10][..]), (1337, 5, &[31, 154, 10]), (42, 8 - 1, &[42]), (127, 7, &[127, 0])]
        {
            let mut out = Vec::new();
            encode(&mut out, 0, prefix, value);
            assert_eq!(out, bytes);
            let mut rest = &out[1..];
            assert_eq!(decode(out[0], prefix, &mut rest).unwrap(), value);
            assert!(rest.is_empty());
        }
    }

    #[test]
    fn bounds() {
        let read = |mut rest: &[u8]| decode(0x7F, 7, &mut rest);
        assert_eq!(read(&[]), Err(HpackError("integer_cut_short")));
        assert_eq!(read(&[0x80]), Err(HpackError("integer_cut_short")));
        assert_eq!(read(&[0x80, 0xFF, 0xFF, 0xFF, 0x0F]), Ok(u32::MAX as usize));
        assert_eq!(read(&[0x81, 0xFF, 0xFF, 0xFF, 0x0F]), Err(HpackError("integer_too_large")));
        assert_eq!(read(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x00]), Err(HpackError("integer_too_large")));
    }
}
