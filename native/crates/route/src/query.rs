//! The raw query of a request: pairs split at `&`, names and values decoded as form data.
//!
//! `application/x-www-form-urlencoded` (WHATWG URL §5.1): `+` is a space, `%xx` a byte, anything else stands for itself, also a `%`
//! without two hexadecimal digits. A pair without `=` has an empty value; empty pairs are ignored.

use smallvec::SmallVec;

/// A decoded value; 64 bytes stay on the stack.
pub(crate) type Value = SmallVec<[u8; 64]>;

/// The decoded values of every parameter that is called `name` once decoded.
pub(crate) fn values<'q>(query: Option<&'q str>, name: &'q str) -> impl Iterator<Item = Value> {
    let pairs = query.unwrap_or("").split('&').filter(|pair| !pair.is_empty());
    let split = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    split.filter(|(key, _)| decoded(key).eq(name.bytes())).map(|(_, value)| decoded(value).collect())
}

fn decoded(text: &str) -> impl Iterator<Item = u8> {
    let mut rest = text.as_bytes();
    std::iter::from_fn(move || {
        let (&first, mut after) = rest.split_first()?;
        let byte = match (first, after) {
            (b'%', [high, low, tail @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    after = tail;
                    high << 4 | low
                }
                _ => b'%',
            },
            (b'+', _) => b' ',
            (other, _) => other,
        };
        rest = after;
        Some(byte)
    })
}

fn digit(byte: u8) -> Option<u8> {
    (byte as char).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use super::values;

    fn texts(query: &str, name: &str) -> Vec<String> {
        values(Some(query), name).map(|value| String::from_utf8_lossy(&value).into_owned()).collect()
    }

    #[test]
    fn pairs_are_split_and_decoded() {
        assert_eq!(texts("a=1&b=2&a=3", "a"), ["1", "3"]);
        assert_eq!(texts("a=x%20y+z&%61=%3D", "a"), ["x y z", "="]);
        assert_eq!(texts("a&&=v&a=b=c", "a"), ["", "b=c"]);
        assert_eq!(texts("=v", ""), ["v"]);
        assert_eq!(texts("ab=1", "a"), [""; 0]);
        assert_eq!(values(None, "a").count(), 0);
    }

    #[test]
    fn a_broken_escape_stands_for_itself() {
        assert_eq!(texts("a=%&a=%4&a=%zz&a=%4g%41", "a"), ["%", "%4", "%zz", "%4gA"]);
        assert_eq!(texts("a=%ff", "a"), ["\u{fffd}"]);
    }
}
