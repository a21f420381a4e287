//! Which header lines mean something to a proxy, found by length and first letter: most names are dismissed by that.

use crate::head::{Field, Header};

/// Classifies a header name. One that some servers read as a name that means something here is not passed on: CGI and WSGI make
/// the same variable of `X_Forwarded_For` and `X-Forwarded-For`, lighttpd also of `X.Forwarded.For` and `X!Forwarded!For`.
pub fn classify(name: &str) -> Field {
    let first = name.as_bytes().first().map(u8::to_ascii_lowercase);
    for (known, field) in candidates(name.len()) {
        if known.as_bytes().first().copied() != first {
            continue;
        }
        if name.eq_ignore_ascii_case(known) {
            return *field;
        }
        if reads_as(name, known) {
            return Field::HopByHop;
        }
    }
    Field::Other
}

/// True if a server may take `name` for `known` (in lower case), because it makes one sign of all that are no letters or digits.
pub fn reads_as(name: &str, known: &str) -> bool {
    name.len() == known.len()
        && name.bytes().zip(known.bytes()).all(|(byte, wanted)| {
            byte.to_ascii_lowercase() == wanted || (wanted == b'-' && !byte.is_ascii_alphanumeric())
        })
}

/// The names of that length that mean something. RFC 9110 §7.6.1 has the hop-by-hop ones.
fn candidates(length: usize) -> &'static [(&'static str, Field)] {
    match length {
        2 => &[("te", Field::HopByHop)],
        3 => &[("via", Field::Via)],
        4 => &[("host", Field::Host)],
        6 => &[("expect", Field::Expect)],
        7 => &[("upgrade", Field::HopByHop)],
        9 => &[("forwarded", Field::Forwarding), ("x-real-ip", Field::Claim)],
        10 => &[("connection", Field::HopByHop), ("keep-alive", Field::HopByHop)],
        11 => &[("x-client-ip", Field::Claim)],
        12 => &[("x-request-id", Field::RequestId)],
        13 => &[("x-rewrite-url", Field::Claim)],
        // HTTP2-Settings belongs to an h2c upgrade, which is never passed on.
        14 => &[
            ("content-length", Field::Framing),
            ("http2-settings", Field::HopByHop),
            ("x-original-url", Field::Claim),
            ("true-client-ip", Field::Claim),
        ],
        15 => &[("x-forwarded-for", Field::Forwarding), ("x-forwarded-ssl", Field::Claim)],
        16 => &[
            ("x-forwarded-host", Field::Forwarding),
            ("x-forwarded-port", Field::Claim),
            ("proxy-connection", Field::HopByHop),
        ],
        17 => &[("transfer-encoding", Field::Framing), ("x-forwarded-proto", Field::Forwarding)],
        23 => &[("x-forwarded-client-cert", Field::Claim)],
        18 => &[
            ("proxy-authenticate", Field::HopByHop),
            ("x-forwarded-server", Field::Claim),
            ("x-forwarded-prefix", Field::Claim),
        ],
        19 => &[("proxy-authorization", Field::HopByHop)],
        _ => &[],
    }
}

/// The members of a comma-separated list, white space trimmed, empty members left out (RFC 9110 §5.6.1).
fn members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|member| !member.is_empty())
}

/// All that `Connection` says, as one list.
pub fn connection_options(headers: &[Header<'_>]) -> Vec<u8> {
    let lines = headers.iter().filter(|header| header.name.eq_ignore_ascii_case("connection"));
    lines.map(|header| header.value).collect::<Vec<_>>().join(&b',')
}

/// Whether such a list names a field.
pub(crate) fn names(list: &[u8], name: &[u8]) -> bool {
    members(list).any(|member| member.eq_ignore_ascii_case(name))
}

/// Calls `visit` for each member.
pub(crate) fn list_members<'v>(value: &'v [u8], visit: impl FnMut(&'v [u8])) {
    members(value).for_each(visit);
}

/// Whether a server may answer the `offered` protocols with a switch to the `chosen` ones (RFC 9110 §7.8).
pub fn may_switch(offered: &[u8], chosen: &[u8]) -> bool {
    let offers = |protocol: &[u8]| members(offered).any(|offer| offer.eq_ignore_ascii_case(protocol));
    members(chosen).next().is_some() && members(chosen).all(offers)
}

/// Whether `Upgrade` names HTTP/2. Such an offer is never passed on: behind a proxy it opens a tunnel around every rule (the h2c
/// smuggling attack).
pub(crate) fn offers_http2(protocols: &[u8]) -> bool {
    members(protocols).any(|protocol| {
        let name = protocol.split(|&byte| byte == b'/').next().unwrap_or_default().trim_ascii();
        name.eq_ignore_ascii_case(b"h2c") || name.eq_ignore_ascii_case(b"h2")
    })
}

/// Takes the headers that `Connection` names out of the forwarded set (RFC 9110 §7.6.1). Only plain end-to-end fields can be
/// named: a client must not be able to strike out Host, framing or the proxy's own fields.
pub(crate) fn strike_named(headers: &mut [Header<'_>], named: &[&[u8]]) {
    for header in headers.iter_mut().filter(|header| header.field == Field::Other) {
        if named.iter().any(|name| header.name.as_bytes().eq_ignore_ascii_case(name)) {
            header.field = Field::HopByHop;
        }
    }
}

/// Parses Content-Length: digits only, at most 2^63-1 so that sums never overflow (RFC 9110 §8.6).
pub fn content_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 19 {
        return None;
    }
    let length = value.iter().try_fold(0u64, |sum, &byte| {
        byte.is_ascii_digit().then(|| sum.wrapping_mul(10).wrapping_add(u64::from(byte - b'0')))
    })?;
    i64::try_from(length).is_ok().then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_servers_take_for_known_ones_end_here() {
        for name in ["X_Forwarded_For", "X.Forwarded-For", "x!real!ip", "Content.Length", "TRANSFER_ENCODING"]
        {
            assert_eq!(classify(name), Field::HopByHop, "{name}");
        }
    }

    #[test]
    fn only_what_was_offered_may_be_switched_to() {
        for (offered, chosen, may) in [
            ("websocket", "WebSocket", true),
            ("HTTP/3.0, irc/6.9", "IRC/6.9", true),
            ("a, b", "b,, a", true),
            ("websocket", "chat", false),
            ("a", "a, b", false),
            ("a/1", "a/2", false),
            ("a", "", false),
            ("a", " ,", false),
            ("", "a", false),
        ] {
            assert_eq!(may_switch(offered.as_bytes(), chosen.as_bytes()), may, "{offered} → {chosen}");
        }
    }

    #[test]
    fn known_names_in_any_case() {
        for (name, field) in [
            ("VIA", Field::Via),
            ("x-FORWARDED-for", Field::Forwarding),
            ("x-real-ip", Field::Claim),
            ("Content-Length", Field::Framing),
            ("XaForwarded-For", Field::Other),
            ("X_Stay", Field::Other),
            ("Hos.", Field::Other),
        ] {
            assert_eq!(classify(name), field, "{name}");
        }
    }
}
