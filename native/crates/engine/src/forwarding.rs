//! Who the client really is, and how the upstream is told: `X-Forwarded-*` or `Forwarded` (RFC 7239). What a client writes into
//! these headers is believed only if the connection comes from a trusted network; else it is replaced.

use std::net::{IpAddr, SocketAddr};

use smallvec::SmallVec;
use trunkline_filter::Networks;
use trunkline_http::{Field, RequestHead, Version, encode, find};

use crate::plan::{self, ForwardingStyle};

/// What is known of a client's certificate, in Envoy's form.
pub(crate) const CLIENT_CERTIFICATE: &str = "X-Forwarded-Client-Cert";

pub(crate) struct Forwarding {
    pub(crate) style: ForwardingStyle,
    trusted: Networks,
    /// `1.0 name`, `1.1 name` and `2.0 name`, ready for use.
    via: Option<[Vec<u8>; 3]>,
}

/// The other end of a client connection; what is the same for all its requests is made once.
pub(crate) struct Peer {
    pub(crate) address: IpAddr,
    pub(crate) text: String,
    /// Both ends, for servers that want them in a PROXY header.
    pub(crate) endpoints: Option<(SocketAddr, SocketAddr)>,
    /// A PROXY header told of it: whoever wrote that may have taken off the TLS.
    pub(crate) introduced: bool,
    /// It came by TLS.
    pub(crate) secure: bool,
    /// The value of `X-Forwarded-Client-Cert`.
    pub(crate) certificate: Option<String>,
}

impl Peer {
    pub(crate) fn new(address: IpAddr) -> Self {
        let address = address.to_canonical();
        let text = address.to_string();
        Self { address, text, endpoints: None, introduced: false, secure: false, certificate: None }
    }

    pub(crate) fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }

    /// Whether a request for a resource of that scheme cannot have come by this connection.
    pub(crate) fn contradicts(&self, scheme: &str) -> bool {
        !self.introduced && scheme.eq_ignore_ascii_case(if self.secure { "http" } else { "https" })
    }
}

impl Forwarding {
    pub(crate) fn compile(plan: &plan::Forwarding) -> Result<Self, String> {
        let trusted = Networks::parse(&plan.trusted).map_err(|wrong| describe(&wrong))?;
        let line =
            |name: &String| ["1.0", "1.1", "2.0"].map(|version| format!("{version} {name}").into_bytes());
        let via = plan.via.as_ref().map(line);
        Ok(Self { style: plan.style, trusted, via })
    }

    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        !self.trusted.is_empty() && self.trusted.contains(address)
    }

    /// The client's address: the peer's, or behind trusted proxies the last address in the chain that is not one of theirs.
    pub(crate) fn client(&self, head: &RequestHead<'_, '_>, peer: &Peer) -> IpAddr {
        if !self.trusts(peer.address) {
            return peer.address;
        }
        let lines = head.headers.iter().rev().filter(|header| header.field == Field::Forwarding);
        let mut client = peer.address;
        for header in lines {
            let address_of = match (self.style, header.name.len()) {
                (ForwardingStyle::Forwarded, 9) => forwarded_for,
                (ForwardingStyle::XForwarded | ForwardingStyle::Off, 15) => parse_address,
                _ => continue,
            };
            let Some(hops) = split_unquoted(header.value, b',') else { return client };
            for hop in hops.iter().rev() {
                // An unreadable hop ends the chain: what is left of it was written by someone we know nothing about.
                let Some(address) = address_of(hop) else { return client };
                client = address;
                if !self.trusts(address) {
                    return client;
                }
            }
        }
        client
    }

    /// Writes the headers that tell the upstream.
    pub(crate) fn write(&self, out: &mut Vec<u8>, head: &RequestHead<'_, '_>, peer: &Peer) {
        let trusted = self.trusts(peer.address);
        match self.style {
            ForwardingStyle::XForwarded => x_forwarded(out, head, peer, trusted),
            ForwardingStyle::Forwarded => forwarded(out, head, peer, trusted),
            ForwardingStyle::Off => {}
        }
        if let Some(certificate) = &peer.certificate {
            encode::header(out, CLIENT_CERTIFICATE, certificate.as_bytes());
        }
        if let Some(via) = self.via(head.version) {
            chain(
                out,
                "Via",
                head.headers.iter().filter(|header| header.field == Field::Via).map(|header| header.value),
                via,
            );
        }
    }

    /// Our part of `Via`, with the version that the message was received with (RFC 9110 §7.6.3).
    pub(crate) fn via(&self, received: Version) -> Option<&[u8]> {
        let [http10, http11, http2] = self.via.as_ref()?;
        Some(match received {
            Version::Http10 => http10,
            Version::Http11 => http11,
            Version::Http2 => http2,
        })
    }
}

fn describe(wrong: &[(usize, String)]) -> String {
    wrong.iter().map(|(index, why)| format!("trusted[{index}]: {why}")).collect::<Vec<_>>().join("; ")
}

fn x_forwarded(out: &mut Vec<u8>, head: &RequestHead<'_, '_>, peer: &Peer, trusted: bool) {
    if trusted {
        let before = head.headers.iter().filter(|header| header.name.eq_ignore_ascii_case("x-forwarded-for"));
        chain(out, "X-Forwarded-For", before.map(|header| header.value), peer.text.as_bytes());
        let proto = find(head.headers, "x-forwarded-proto").unwrap_or(peer.scheme().as_bytes());
        let host = find(head.headers, "x-forwarded-host").unwrap_or(head.authority.as_bytes());
        encode::header(out, "X-Forwarded-Proto", proto);
        encode::header(out, "X-Forwarded-Host", host);
        return;
    }
    encode::header(out, "X-Forwarded-For", peer.text.as_bytes());
    encode::header(out, "X-Forwarded-Proto", peer.scheme().as_bytes());
    if !head.authority.is_empty() {
        encode::header(out, "X-Forwarded-Host", head.authority.as_bytes());
    }
}

fn forwarded(out: &mut Vec<u8>, head: &RequestHead<'_, '_>, peer: &Peer, trusted: bool) {
    let node = if peer.address.is_ipv6() { format!("\"[{}]\"", peer.text) } else { peer.text.clone() };
    let element = format!("for={node};host=\"{}\";proto={}", head.authority, peer.scheme());
    let before =
        head.headers.iter().filter(|header| trusted && header.name.eq_ignore_ascii_case("forwarded"));
    chain(out, "Forwarded", before.map(|header| header.value), element.as_bytes());
}

/// One list header: what was there, then ours.
fn chain<'v>(out: &mut Vec<u8>, name: &str, before: impl Iterator<Item = &'v [u8]>, own: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    for value in before {
        out.extend_from_slice(value);
        out.extend_from_slice(b", ");
    }
    out.extend_from_slice(own);
    out.extend_from_slice(b"\r\n");
}

fn parse_address(hop: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(hop.trim_ascii()).ok()?;
    let bare = text.parse::<IpAddr>().ok();
    let with_port = || text.parse::<std::net::SocketAddr>().ok().map(|address| address.ip());
    bare.or_else(with_port).map(|address| address.to_canonical())
}

/// The parts between separators that stand outside quoted strings (RFC 9110 §5.6.4); `None` if a quote is not closed.
fn split_unquoted(value: &[u8], separator: u8) -> Option<SmallVec<[&[u8]; 8]>> {
    let (mut parts, mut start) = (SmallVec::new(), 0);
    let (mut quoted, mut escaped) = (false, false);
    for (index, &byte) in value.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if byte == separator && !quoted => {
                parts.push(value.get(start..index).unwrap_or_default());
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(value.get(start..).unwrap_or_default());
    (!quoted).then_some(parts)
}

/// The `for` parameter of one `Forwarded` element (RFC 7239 §4, §6).
fn forwarded_for(element: &[u8]) -> Option<IpAddr> {
    let parameters = split_unquoted(element, b';')?;
    let value =
        parameters.iter().map(|text| text.trim_ascii()).filter(|text| text.len() > 4).find_map(|text| {
            let (name, value) = text.split_at(4);
            name.eq_ignore_ascii_case(b"for=").then_some(value)
        })?;
    let text = std::str::from_utf8(value).ok()?.trim_matches('"');
    match text.strip_prefix('[') {
        Some(literal) => literal.split(']').next().and_then(|address| parse_address(address.as_bytes())),
        None => parse_address(text.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn separators_in_quoted_strings_are_text() {
        let parts = split_unquoted(br#"host="a;for=1.2.3.4";for=6.6.6.6"#, b';').unwrap();
        assert_eq!(parts.as_slice(), [&br#"host="a;for=1.2.3.4""#[..], b"for=6.6.6.6"]);
        assert_eq!(split_unquoted(br#"host="a\";for=1.2.3.4;by=x"#, b';'), None);
    }

    #[test]
    fn addresses_of_forwarded_elements() {
        for (element, address) in [
            ("for=192.0.2.1", Some("192.0.2.1")),
            (r#"proto=http; FOR="[2001:db8::1]:80""#, Some("2001:db8::1")),
            (r#"host="x;for=1.2.3.4";for=192.0.2.2"#, Some("192.0.2.2")),
            ("for=unknown", None),
            ("by=192.0.2.1", None),
        ] {
            assert_eq!(
                forwarded_for(element.as_bytes()),
                address.map(|text| text.parse().unwrap()),
                "{element}"
            );
        }
    }
}
