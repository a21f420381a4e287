//! Heads between lines, which all of the engine works with, and field blocks. The lines are our own, so that nothing of them has to be
//! checked again; what only HTTP/1.1 has is left out (RFC 9113 §8.2.2).

use trunkline_http2::{Fields, hpack::encode};

/// `METHOD SP target SP HTTP/1.1`, Host, then the others; the target of a CONNECT is its authority.
pub(super) fn request(lines: &[u8], scheme: &str, out: &mut Vec<u8>) {
    let mut rest = Lines(lines);
    let (method, target) = request_line(rest.next().unwrap_or_default());
    let upgrades = method == "GET" && Lines(lines).any(is_websocket);
    encode::method(out, if upgrades { "CONNECT" } else { method });
    if upgrades {
        encode::protocol(out, "websocket");
    }
    if method != "CONNECT" {
        encode::scheme(out, scheme);
        encode::path(out, target, None);
    }
    for line in rest {
        let Some((name, value)) = split(line) else { continue };
        if name.eq_ignore_ascii_case("host") {
            encode::authority(out, std::str::from_utf8(value).unwrap_or_default());
        } else if !(upgrades && name.eq_ignore_ascii_case("sec-websocket-key")) {
            field(out, name, value);
        }
    }
}

/// `HTTP/1.1 SP status SP reason`, then lines. A switch of protocols is a plain success here (RFC 8441 §5).
pub(super) fn response(lines: &[u8], out: &mut Vec<u8>) {
    let mut rest = Lines(lines);
    let line = rest.next().unwrap_or_default();
    let status = std::str::from_utf8(line.get(9..12).unwrap_or_default()).ok();
    let status = status.and_then(|digits| digits.parse().ok()).unwrap_or(502);
    encode::status(out, if status == 101 { 200 } else { status });
    fields(rest, out);
}

pub(super) fn trailers(lines: &[u8], out: &mut Vec<u8>) {
    fields(Lines(lines), out);
}

fn fields(lines: Lines<'_>, out: &mut Vec<u8>) {
    for (name, value) in lines.filter_map(split) {
        field(out, name, value);
    }
}

fn field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    if !is_connection_specific(name) {
        encode::header(out, name, value);
    }
}

/// A trailer section as HTTP/1.1 has it, with the empty line at its end.
pub(super) fn of_trailers(fields: &Fields) -> Vec<u8> {
    let mut out = Vec::new();
    for header in fields.lines() {
        trunkline_http::encode::header(&mut out, header.name, header.value);
    }
    if !out.is_empty() {
        out.extend_from_slice(b"\r\n");
    }
    out
}

fn request_line(line: &[u8]) -> (&str, &str) {
    let text = std::str::from_utf8(line).unwrap_or_default();
    let (method, rest) = text.split_once(' ').unwrap_or_default();
    (method, rest.rsplit_once(' ').unwrap_or_default().0)
}

fn is_websocket(line: &[u8]) -> bool {
    line.len() == 18 && line.eq_ignore_ascii_case(b"upgrade: websocket")
}

fn is_connection_specific(name: &str) -> bool {
    let is = |wanted: &str| name.eq_ignore_ascii_case(wanted);
    match name.len() {
        7 => is("upgrade"),
        10 => is("connection") || is("keep-alive"),
        17 => is("transfer-encoding"),
        20 => is("sec-websocket-accept"),
        _ => false,
    }
}

fn split(line: &[u8]) -> Option<(&str, &[u8])> {
    let colon = memchr::memchr(b':', line)?;
    let name = std::str::from_utf8(line.get(..colon)?).ok()?;
    Some((name, line.get(colon + 2..).unwrap_or_default()))
}

/// Lines without their CRLF, up to the empty one.
struct Lines<'l>(&'l [u8]);

impl<'l> Iterator for Lines<'l> {
    type Item = &'l [u8];

    fn next(&mut self) -> Option<&'l [u8]> {
        let end = memchr::memchr(b'\n', self.0)?;
        let (line, rest) = self.0.split_at(end + 1);
        self.0 = rest;
        line.strip_suffix(b"\r\n").filter(|line| !line.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out);
        out
    }

    #[test]
    fn a_request() {
        let lines =
            b"POST /a?b=c HTTP/1.1\r\nHost: shop.test\r\nX-A: 1\r\nTransfer-Encoding: chunked\r\n\r\n";
        let expected = blocks(|out| {
            encode::method(out, "POST");
            encode::scheme(out, "https");
            encode::path(out, "/a", Some("b=c"));
            encode::authority(out, "shop.test");
            encode::header(out, "x-a", b"1");
        });
        assert_eq!(blocks(|out| request(lines, "https", out)), expected);
    }

    #[test]
    fn a_websocket_becomes_an_extended_connect() {
        let lines = b"GET /chat HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\
            Connection: upgrade\r\nUpgrade: websocket\r\n\r\n";
        let expected = blocks(|out| {
            encode::method(out, "CONNECT");
            encode::protocol(out, "websocket");
            encode::scheme(out, "http");
            encode::path(out, "/chat", None);
            encode::authority(out, "a");
            encode::header(out, "sec-websocket-version", b"13");
        });
        assert_eq!(blocks(|out| request(lines, "http", out)), expected);
    }

    #[test]
    fn a_response() {
        let lines = b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\nConnection: close\r\nX-Empty: \r\n\r\n";
        let expected = blocks(|out| {
            encode::status(out, 404);
            encode::header(out, "content-length", b"2");
            encode::header(out, "x-empty", b"");
        });
        assert_eq!(blocks(|out| response(lines, out)), expected);
    }
}
