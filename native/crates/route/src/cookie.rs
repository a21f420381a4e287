//! The `Cookie` header of a request as pairs (RFC 6265 §4.2.1). Values are taken as they stand, quotes included.
//!
//! One line holds them all in HTTP/1.1 (§5.4); HTTP/2 may split it, and who translates joins the parts (RFC 9113 §8.2.3).

/// The values of every cookie of that name, which is case-sensitive; of one without `=` nothing is known.
pub(crate) fn values<'c>(cookies: Option<&'c [u8]>, name: &'c str) -> impl Iterator<Item = &'c [u8]> {
    let pairs = cookies.unwrap_or_default().split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
    pairs.filter_map(move |pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

#[cfg(test)]
mod tests {
    use super::values;

    #[test]
    fn pairs_are_found_by_their_whole_name() {
        let texts = |cookies: &'static str, name| values(Some(cookies.as_bytes()), name).collect::<Vec<_>>();
        assert_eq!(texts("a=1; b=2;a=3", "a"), [b"1", b"3"]);
        assert_eq!(texts("aa=1; A=2; a; =a", "a"), [b""; 0]);
        assert_eq!(texts("a=; b=x=y", "a"), [b""]);
        assert_eq!(texts("a=\"q\"; b=x=y", "b"), [b"x=y"]);
        assert_eq!(texts("", "a"), [b""; 0]);
        assert_eq!(values(None, "a").count(), 0);
    }
}
