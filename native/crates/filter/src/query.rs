//! The query string as pairs, without copying it.

use crate::percent::decode_query;

/// Raw pairs `(name, value)` in order; a pair without `=` has no value. Empty pairs are left out.
pub(crate) fn pairs(query: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| match pair.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (pair, None),
    })
}

/// Whether a raw name means `name`: `api%5Fkey` is `api_key` to every upstream, so it is here.
pub fn is_named(raw: &str, name: &str) -> bool {
    raw == name || decode_query(raw.as_bytes()).eq(name.bytes())
}

/// The raw value of the first parameter of that name.
pub(crate) fn find<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    pairs(query).find(|(raw, _)| is_named(raw, name)).map(|(_, value)| value.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_by_decoded_name() {
        let cases = [
            ("a=1&b=2", Some("2")),
            ("%62=3", Some("3")),
            ("b", Some("")),
            ("&&b=&b=2", Some("")),
            ("a=b", None),
            ("", None),
        ];
        for (query, value) in cases {
            assert_eq!(find(query, "b"), value, "{query}");
        }
    }
}
