//! Percent-encoding (RFC 3986 §2.1): decoding what came, encoding what goes, so that no byte can leave the place in a URI that
//! it was meant for.

/// Decodes `%XX`; a broken triplet stays as it is.
pub(crate) fn decode(encoded: &[u8]) -> impl Iterator<Item = u8> {
    let mut rest = encoded;
    std::iter::from_fn(move || {
        let (&byte, tail) = rest.split_first()?;
        if let Some(value) = (byte == b'%').then(|| triplet(tail)).flatten() {
            rest = tail.get(2..).unwrap_or_default();
            return Some(value);
        }
        rest = tail;
        Some(byte)
    })
}

/// Decodes a query's name or value, where `+` is a space (application/x-www-form-urlencoded).
pub(crate) fn decode_query(encoded: &[u8]) -> impl Iterator<Item = u8> {
    let mut rest = encoded;
    std::iter::from_fn(move || {
        let (&byte, tail) = rest.split_first()?;
        if byte == b'+' {
            rest = tail;
            return Some(b' ');
        }
        let width = if byte == b'%' && triplet(tail).is_some() { 3 } else { 1 };
        let (unit, after) = rest.split_at_checked(width)?;
        rest = after;
        decode(unit).next()
    })
}

/// Puts bytes, all but the unreserved (RFC 3986 §2.3) percent-encoded: safe as a segment and as a query's name or value.
pub(crate) fn encode(bytes: impl Iterator<Item = u8>, put: &mut impl FnMut(&[u8])) {
    for byte in bytes {
        put_unless(byte, is_unreserved(byte), put);
    }
}

/// Puts an encoded path again: slashes and triplets stay, unreserved bytes are decoded, what a path cannot hold is encoded.
pub(crate) fn recode_path(encoded: &[u8], put: &mut impl FnMut(&[u8])) {
    let mut rest = encoded;
    while let Some((&byte, tail)) = rest.split_first() {
        if let Some(value) = (byte == b'%').then(|| triplet(tail)).flatten() {
            put_unless(value, is_unreserved(value), put);
            rest = tail.get(2..).unwrap_or_default();
        } else {
            put_unless(byte, is_path_byte(byte), put);
            rest = tail;
        }
    }
}

/// Puts a query's bytes as they came, but for those that no request line may hold (RFC 9112 §3).
pub(crate) fn recode_query(encoded: &[u8], put: &mut impl FnMut(&[u8])) {
    for &byte in encoded {
        put_unless(byte, byte.is_ascii_graphic() && byte != b'#', put);
    }
}

/// `pchar` without `%`, and `/` (RFC 3986 §3.3).
pub(crate) fn is_path_byte(byte: u8) -> bool {
    is_unreserved(byte) || b"!$&'()*+,;=:@/".contains(&byte)
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

fn put_unless(byte: u8, plain: bool, put: &mut impl FnMut(&[u8])) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    if plain {
        put(&[byte]);
    } else {
        put(&[b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
}

fn triplet(digits: &[u8]) -> Option<u8> {
    let digit = |at: usize| char::from(*digits.get(at)?).to_digit(16);
    Some((digit(0)? << 4 | digit(1)?) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(run: impl FnOnce(&mut dyn FnMut(&[u8]))) -> String {
        let mut out = Vec::new();
        run(&mut |bytes| out.extend_from_slice(bytes));
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn decodes_triplets_and_leaves_broken_ones() {
        let cases: [(&str, &[u8]); 5] =
            [("a%20b", b"a b"), ("%2", b"%2"), ("%zz", b"%zz"), ("%0d%0A", b"\r\n"), ("a+b", b"a+b")];
        for (encoded, plain) in cases {
            assert_eq!(decode(encoded.as_bytes()).collect::<Vec<u8>>(), plain, "{encoded}");
        }
    }

    #[test]
    fn a_plus_is_a_space_in_a_query_only_if_it_came_bare() {
        assert_eq!(decode_query(b"a+b%2Bc%").collect::<Vec<u8>>(), b"a b+c%");
    }

    #[test]
    fn encodes_all_but_unreserved() {
        let encoded = collect(|mut put| encode(b"a/b?c d\r\n\xc3~".iter().copied(), &mut put));
        assert_eq!(encoded, "a%2Fb%3Fc%20d%0D%0A%C3~");
    }

    #[test]
    fn a_recoded_path_keeps_its_segments() {
        let cases =
            [("a/b", "a/b"), ("a%2Fb", "a%2Fb"), ("%2e%2E", ".."), ("a b?", "a%20b%3F"), ("%", "%25")];
        for (encoded, path) in cases {
            assert_eq!(collect(|mut put| recode_path(encoded.as_bytes(), &mut put)), path);
        }
    }
}
