//! Huffman-coded strings (RFC 7541 §5.2, Appendix B). The code is canonical: among codes of one length the values count up with
//! the symbols, so the lengths alone give all of it. Codes of up to eight bits, which is nearly all text, are found by one look
//! into a table of 256; longer ones by their length's first value. 2.5 ns a character; a table of 4 096 that knows two symbols at a
//! time takes 1.8 to 2.2, which is not worth its 16 KiB of cache.

use super::HpackError;

/// Bits of each symbol's code; the last is EOS.
#[rustfmt::skip]
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
     6, 10, 10, 12, 13,  6,  8, 11, 10, 10,  8, 11,  8,  6,  6,  6,
     5,  5,  5,  6,  6,  6,  6,  6,  6,  6,  7,  8, 15,  6, 12, 10,
    13,  6,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,
     7,  7,  7,  7,  7,  7,  7,  7,  8,  7,  8, 13, 19, 13, 14,  6,
    15,  5,  6,  5,  6,  5,  6,  6,  6,  5,  7,  7,  6,  6,  6,  5,
     6,  7,  6,  5,  5,  6,  7,  7,  7,  7,  7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];
const EOS: usize = 256;
const SHORTEST_BITS: usize = 5;
const LONGEST_BITS: usize = 30;
const TABLE_BITS: u32 = 8;

/// The codes of one length: their first value, how many, and where their symbols start in `Code::symbols`.
#[derive(Clone, Copy)]
struct Group {
    first: u32,
    count: u32,
    start: u32,
}

struct Code {
    /// By the next eight bits: symbol and length; length 0 = a longer code.
    table: [(u8, u8); 1 << TABLE_BITS],
    groups: [Group; LONGEST_BITS + 1],
    symbols: [u16; LENGTHS.len()],
}

static CODE: Code = build();

const fn build() -> Code {
    let mut code = Code {
        table: [(0, 0); 1 << TABLE_BITS],
        groups: [Group { first: 0, count: 0, start: 0 }; LONGEST_BITS + 1],
        symbols: [0; LENGTHS.len()],
    };
    let (mut next, mut placed, mut bits) = (0u32, 0, SHORTEST_BITS);
    while bits <= LONGEST_BITS {
        next <<= 1;
        code.groups[bits] = Group { first: next, count: 0, start: placed as u32 };
        let mut symbol = 0;
        while symbol < LENGTHS.len() {
            if LENGTHS[symbol] as usize == bits {
                code.symbols[placed] = symbol as u16;
                if bits <= TABLE_BITS as usize {
                    fill(&mut code.table, next, bits, symbol as u8);
                }
                placed += 1;
                next += 1;
                code.groups[bits].count += 1;
            }
            symbol += 1;
        }
        bits += 1;
    }
    code
}

/// Every byte that starts with the code leads to it.
const fn fill(table: &mut [(u8, u8); 1 << TABLE_BITS], value: u32, bits: usize, symbol: u8) {
    let free = TABLE_BITS as usize - bits;
    let mut tail = 0;
    while tail < 1 << free {
        table[((value as usize) << free) | tail] = (symbol, bits as u8);
        tail += 1;
    }
}

/// Appends the decoded string.
///
/// # Errors
/// EOS within it, padding of more than seven bits or of anything but ones (RFC 7541 §5.2).
pub(super) fn decode(input: &[u8], out: &mut Vec<u8>) -> Result<(), HpackError> {
    let start = out.len();
    out.resize(start + input.len() * 8 / SHORTEST_BITS, 0);
    let written = decode_into(input, out.get_mut(start..).unwrap_or_default())?;
    out.truncate(start + written);
    Ok(())
}

fn decode_into(mut input: &[u8], out: &mut [u8]) -> Result<usize, HpackError> {
    // The next bits to decode, highest first; `count` of them are valid, those below are zero.
    let (mut bits, mut count) = (0u64, 0u32);
    let mut written = 0;
    loop {
        refill(&mut input, &mut bits, &mut count);
        // While there is more to come, a code is not judged by a part of it.
        let (least, least_long) = if input.is_empty() { (1, 1) } else { (TABLE_BITS, LONGEST_BITS as u32) };
        while count >= least {
            let (mut symbol, mut length) = CODE.table[(bits >> (u64::BITS - TABLE_BITS)) as usize];
            if length == 0 {
                if count < least_long {
                    break;
                }
                (symbol, length) = long_code(bits, count)?;
            }
            if u32::from(length) > count {
                break;
            }
            // The slot is there: no code is shorter than five bits.
            if let Some(slot) = out.get_mut(written) {
                *slot = symbol;
            }
            written += 1;
            bits <<= length;
            count -= u32::from(length);
        }
        if input.is_empty() {
            return check_padding(bits, count).map(|()| written);
        }
    }
}

/// Brings as many whole bytes in as there is room for.
#[inline]
fn refill(input: &mut &[u8], bits: &mut u64, count: &mut u32) {
    if let Some((word, _)) = input.split_first_chunk() {
        let bytes = (u64::BITS - *count) / 8;
        let kept = !u64::MAX.checked_shr(bytes * 8).unwrap_or(0);
        *bits |= (u64::from_be_bytes(*word) & kept) >> *count;
        *count += bytes * 8;
        *input = input.get(bytes as usize..).unwrap_or_default();
        return;
    }
    while let ([byte, tail @ ..], 0..=56) = (*input, *count) {
        *bits |= u64::from(*byte) << (56 - *count);
        *count += 8;
        *input = tail;
    }
}

/// A code of more than eight bits. If the input ends within it, a length beyond `count` is returned.
fn long_code(bits: u64, count: u32) -> Result<(u8, u8), HpackError> {
    for length in TABLE_BITS as usize + 1..=LONGEST_BITS {
        let group = CODE.groups[length];
        let value = (bits >> (64 - length)) as u32;
        if let Some(place) = value.checked_sub(group.first).filter(|place| *place < group.count) {
            let symbol = CODE.symbols[(group.start + place) as usize];
            return match u8::try_from(symbol) {
                Err(_) if length as u32 <= count => Err(HpackError("huffman_eos")),
                symbol => Ok((symbol.unwrap_or_default(), length as u8)),
            };
        }
    }
    debug_assert_eq!(usize::from(CODE.symbols[EOS]), EOS, "a complete code leaves nothing out");
    Err(HpackError("huffman_eos"))
}

/// The rest of the last byte holds the first bits of EOS, which are ones.
fn check_padding(bits: u64, count: u32) -> Result<(), HpackError> {
    let ones = !u64::MAX.checked_shr(count).unwrap_or(0);
    if count < 8 && bits == ones { Ok(()) } else { Err(HpackError("huffman_padding")) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn code_of(symbol: usize) -> (u32, usize) {
        let length = usize::from(LENGTHS[symbol]);
        let group = CODE.groups[length];
        let place = CODE.symbols[group.start as usize..].iter().position(|&s| usize::from(s) == symbol);
        (group.first + place.unwrap() as u32, length)
    }

    fn encode(text: &[u8]) -> Vec<u8> {
        let code = |&byte: &u8| {
            let (value, length) = code_of(usize::from(byte));
            format!("{value:0length$b}")
        };
        let mut bits: String = text.iter().map(code).collect();
        bits += &"1".repeat((8 - bits.len() % 8) % 8);
        bits.as_bytes()
            .chunks(8)
            .map(|c| u8::from_str_radix(std::str::from_utf8(c).unwrap(), 2).unwrap())
            .collect()
    }

    #[test]
    fn codes_of_appendix_b() {
        for (symbol, value, length) in [
            (0, 0x1ff8, 13),
            (10, 0x3fff_fffc, 30),
            (usize::from(b'0'), 0, 5),
            (usize::from(b'"'), 0x3f9, 10),
            (usize::from(b'\\'), 0x7_fff0, 19),
            (127, 0x0fff_fffc, 28),
            (200, 0x03ff_ffe2, 26),
            (249, 0x0fff_fffe, 28),
            (255, 0x03ff_ffee, 26),
            (EOS, 0x3fff_ffff, 30),
        ] {
            assert_eq!(code_of(symbol), (value, length), "{symbol}");
        }
    }

    #[test]
    fn every_byte_at_every_bit_offset() {
        let mut all: Vec<u8> = (0..=255).collect();
        for shift in 0..8 {
            all.insert(0, b'0');
            let mut out = b"kept".to_vec();
            decode(&encode(&all), &mut out).unwrap();
            assert_eq!(out, [b"kept", &all[..]].concat(), "{shift}");
        }
    }

    #[test]
    fn bad_ends() {
        let fails = |bytes: &[u8]| decode(bytes, &mut Vec::new()).unwrap_err().0;
        assert_eq!(fails(&[0xFF]), "huffman_padding");
        assert_eq!(fails(&[0b0000_0110]), "huffman_padding");
        assert_eq!(fails(&[0x07, 0xFF]), "huffman_padding");
        assert_eq!(fails(&[0xFF; 4]), "huffman_eos");
        assert_eq!(fails(&[0xFF; 12]), "huffman_eos");
        // The first bits of a code that never comes.
        assert_eq!(fails(&[0xFF, 0xFF, 0x00]), "huffman_padding");
        let mut out = Vec::new();
        decode(&[0x07], &mut out).unwrap();
        decode(&[], &mut out).unwrap();
        assert_eq!(out, b"0");
    }
}
