//! Headers and what they say, refused ones with their reason; both versions, whole and in every cut.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;

use trunkline_proxyproto::{
    Command, Error, Extras, Family, MAX_HEADER_BYTES, Proxied, Transport, parse, write_v1, write_v2,
};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const INET: &[u8] = b"\xC0\x00\x02\x01\xC6\x33\x64\x02\xDC\x04\x01\xBB";

fn v2(version_and_command: u8, kind: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[version_and_command, kind], &length, block].concat()
}

fn relayed(tlvs: &[u8]) -> Vec<u8> {
    v2(0x21, 0x11, &[INET, tlvs].concat())
}

fn read(header: &[u8]) -> Result<Option<(Proxied<'_>, usize)>, Error> {
    parse(header, MAX_HEADER_BYTES)
}

fn socket(text: &str) -> Option<SocketAddr> {
    (!text.is_empty()).then(|| text.parse().unwrap())
}

#[test]
fn lines() {
    let longest = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    for (line, family, source, destination) in [
        // The specification's example and its longest lines.
        ("TCP4 192.168.0.1 192.168.0.11 56324 443", Family::Inet, "192.168.0.1:56324", "192.168.0.11:443"),
        (
            "TCP4 255.255.255.255 255.255.255.255 65535 65535",
            Family::Inet,
            "255.255.255.255:65535",
            "255.255.255.255:65535",
        ),
        (
            &format!("TCP6 {longest} {longest} 65535 65535"),
            Family::Inet6,
            &format!("[{longest}]:65535"),
            &format!("[{longest}]:65535"),
        ),
        ("TCP6 2001:DB8::1 ::1 0 1", Family::Inet6, "[2001:db8::1]:0", "[::1]:1"),
        ("TCP6 ::ffff:192.0.2.1 :: 1 1", Family::Inet6, "[::ffff:192.0.2.1]:1", "[::]:1"),
        ("UNKNOWN", Family::Unspecified, "", ""),
        ("UNKNOWN ", Family::Unspecified, "", ""),
        (&format!("UNKNOWN {longest} {longest} 65535 65535"), Family::Unspecified, "", ""),
    ] {
        let header = format!("PROXY {line}\r\n").into_bytes();
        let (proxied, used) = read(&header).unwrap().unwrap();
        assert_eq!((proxied.command, proxied.family, used), (Command::Proxy, family, header.len()), "{line}");
        assert_eq!((proxied.source, proxied.destination), (socket(source), socket(destination)), "{line}");
        assert_eq!(proxied.tlvs().count(), 0);
    }
}

#[test]
fn refused_lines() {
    let too_long = format!("PROXY UNKNOWN {}", "x".repeat(100));
    for (line, error) in [
        ("GET / HTTP/1.1\r\n\r\n", Error::Missing),
        ("POST", Error::Missing),
        ("proxy TCP4 1.1.1.1 1.1.1.1 1 1\r\n", Error::Missing),
        ("PROXY\r\n", Error::Missing),
        ("PROXY  TCP4 1.1.1.1 1.1.1.1 1 1\r\n", Error::Malformed),
        ("PROXY \r\n", Error::Malformed),
        ("PROXY TCP5", Error::Malformed),
        ("PROXY TCP\r\n", Error::Malformed),
        ("PROXY UDP4 1.1.1.1 1.1.1.1 1 1\r\n", Error::Malformed),
        ("PROXY UNKNOWNS\r\n", Error::Malformed),
        ("PROXY UNKNOWN\n", Error::Malformed),
        ("PROXY UNKNOWN x\ny\r\n", Error::Malformed),
        ("PROXY UNKNOWN\rx", Error::Malformed),
        ("PROXY TCP4\r\n", Error::Malformed),
        ("PROXY TCP4 1.1.1.1\r", Error::Malformed),
        ("PROXY TCP4 1.1.1.1 1.1.1.1 1\r\n", Error::Malformed),
        ("PROXY TCP4 1.1.1.1 1.1.1.1 1 \r\n", Error::Malformed),
        ("PROXY TCP4 1.1.1.1 1.1.1.1 1 1 \r\n", Error::Malformed),
        ("PROXY TCP4 1.1.1.1 1.1.1.1 1 1 1\r\n", Error::Malformed),
        ("PROXY TCP4 1.1.1.1  1.1.1.1 1 1\r\n", Error::Malformed),
        ("PROXY TCP4 1.1.1.1 1.1.1.1 1 1\n", Error::Malformed),
        ("PROXY TCP4 1.1.1.1 1.1.1.1 1 1\r\r\n", Error::Malformed),
        ("PROXY TCP4 1.1.1 ", Error::Malformed),
        ("PROXY TCP4 1.1.1.256 ", Error::Malformed),
        ("PROXY TCP4 1.1.1.01 ", Error::Malformed),
        ("PROXY TCP4 :", Error::Malformed),
        ("PROXY TCP4 1111111111111111", Error::Malformed),
        ("PROXY TCP6 1.1.1.1 1.1.1.1 1 1\r\n", Error::Malformed),
        ("PROXY TCP6 ::1%lo", Error::Malformed),
        ("PROXY TCP6 1::2::3 ", Error::Malformed),
        ("PROXY TCP4 1.1.1.1 1.1.1.1 65536 ", Error::Malformed),
        ("PROXY TCP4 1.1.1.1 1.1.1.1 01 ", Error::Malformed),
        ("PROXY TCP4 1.1.1.1 1.1.1.1 +1", Error::Malformed),
        ("PROXY TCP4 1.1.1.1 1.1.1.1 1 123456", Error::Malformed),
        (&too_long, Error::TooLong),
    ] {
        assert_eq!(read(line.as_bytes()).unwrap_err(), error, "{line:?}");
    }
}

#[test]
fn binary() {
    let unix = [b'/'; 216];
    let inet6 = [&[0; 15][..], &[1], &[0; 15], &[2], &[0, 3, 0, 4]].concat();
    for (header, command, family, transport, source, destination) in [
        (
            relayed(b""),
            Command::Proxy,
            Family::Inet,
            Transport::Stream,
            "192.0.2.1:56324",
            "198.51.100.2:443",
        ),
        (
            v2(0x21, 0x12, INET),
            Command::Proxy,
            Family::Inet,
            Transport::Datagram,
            "192.0.2.1:56324",
            "198.51.100.2:443",
        ),
        (v2(0x21, 0x21, &inet6), Command::Proxy, Family::Inet6, Transport::Stream, "[::1]:3", "[::2]:4"),
        (v2(0x21, 0x22, &inet6), Command::Proxy, Family::Inet6, Transport::Datagram, "[::1]:3", "[::2]:4"),
        (v2(0x21, 0x31, &unix), Command::Proxy, Family::Unix, Transport::Stream, "", ""),
        (v2(0x21, 0x32, &unix), Command::Proxy, Family::Unix, Transport::Datagram, "", ""),
        (v2(0x21, 0x00, b""), Command::Proxy, Family::Unspecified, Transport::Unspecified, "", ""),
        (v2(0x20, 0x00, b""), Command::Local, Family::Unspecified, Transport::Unspecified, "", ""),
        // What a local header holds is skipped, whatever it is.
        (v2(0x20, 0xFF, b"\x03\x00"), Command::Local, Family::Unspecified, Transport::Unspecified, "", ""),
    ] {
        let (proxied, used) = read(&header).unwrap().unwrap();
        assert_eq!(used, header.len());
        assert_eq!((proxied.command, proxied.family, proxied.transport), (command, family, transport));
        assert_eq!((proxied.source, proxied.destination), (socket(source), socket(destination)));
    }
}

#[test]
fn refused_binary() {
    let unique_id = [&b"\x05\x00\x81"[..], &[b'a'; 129]].concat();
    for (header, error) in [
        (v2(0x11, 0x11, INET), Error::Version),
        (v2(0x31, 0x11, INET), Error::Version),
        (v2(0x22, 0x11, INET), Error::Malformed),
        (v2(0x2F, 0x11, INET), Error::Malformed),
        (v2(0x21, 0x13, INET), Error::Malformed),
        (v2(0x21, 0x10, INET), Error::Malformed),
        (v2(0x21, 0x01, b""), Error::Malformed),
        (v2(0x21, 0x41, INET), Error::Malformed),
        (v2(0x21, 0x11, &INET[..11]), Error::Malformed),
        (v2(0x21, 0x21, &[0; 35]), Error::Malformed),
        (v2(0x21, 0x31, &[0; 215]), Error::Malformed),
        (v2(0x21, 0x11, &[0; MAX_HEADER_BYTES - 15]), Error::TooLong),
        (v2(0x20, 0x00, &[0; MAX_HEADER_BYTES - 15]), Error::TooLong),
        (relayed(b"\x04"), Error::Malformed),
        (relayed(b"\x04\x00\x01"), Error::Malformed),
        (relayed(b"\x02\x00\x01\xFF"), Error::Malformed),
        (relayed(b"\x02\x00\x03a\r\n"), Error::Malformed),
        (relayed(b"\x02\x00\x01a\x02\x00\x01b"), Error::Malformed),
        (relayed(b"\x03\x00\x03abc"), Error::Malformed),
        (relayed(b"\x03\x00\x04abcd"), Error::Checksum),
        (relayed(&unique_id), Error::TooLong),
        (relayed(b"\x20\x00\x04\x01\x00\x00\x00"), Error::Malformed),
        (relayed(b"\x20\x00\x07\x01\x00\x00\x00\x00\x21\x00"), Error::Malformed),
        (relayed(b"\x20\x00\x09\x01\x00\x00\x00\x00\x22\x00\x01\x00"), Error::Malformed),
    ] {
        assert_eq!(read(&header).unwrap_err(), error, "{}", header.escape_ascii());
    }
}

#[test]
fn longest_allowed() {
    let header = v2(0x21, 0x11, &[INET, b"\x04\x0F\xE1", &[0; 0x0FE1]].concat());
    assert_eq!(header.len(), MAX_HEADER_BYTES);
    assert!(read(&header).unwrap().is_some());
    assert_eq!(parse(&header, MAX_HEADER_BYTES - 1).unwrap_err(), Error::TooLong);
    assert_eq!(parse(&header[..16], MAX_HEADER_BYTES - 1).unwrap_err(), Error::TooLong);
}

#[test]
fn refused_as_soon_as_it_shows() {
    let mut header = relayed(b"");
    header[13] = 0x41;
    for (bytes, needed) in
        [(&header[..], 14), (b"PROXY TCP4 1.1.1.x", 18), (b"PROXY TCP4 1.1.1 ", 17), (b"\r\n\r\nx", 5)]
    {
        assert_eq!(read(&bytes[..needed - 1]), Ok(None), "{}", bytes.escape_ascii());
        assert!(read(&bytes[..needed]).is_err(), "{}", bytes.escape_ascii());
    }
}

#[test]
fn vectors_as_they_came() {
    let header = relayed(b"\xEA\x00\x03abc\x04\x00\x00\x30\x00\x04blue");
    let (proxied, _) = read(&header).unwrap().unwrap();
    let vectors: Vec<_> = proxied.tlvs().collect();
    assert_eq!(vectors, [(0xEA, &b"abc"[..]), (0x04, b""), (0x30, b"blue")]);
    assert_eq!(proxied.extras, Extras { network_namespace: Some("blue"), ..Extras::default() });
}

#[test]
fn no_certificate_is_not_verified() {
    let header = relayed(b"\x20\x00\x05\x01\x00\x00\x00\x00");
    let (proxied, _) = read(&header).unwrap().unwrap();
    assert!(!proxied.extras.ssl.unwrap().is_verified());
}

#[test]
fn written_lines() {
    for (source, destination, line) in [
        ("192.0.2.1:1", "192.0.2.2:65535", "PROXY TCP4 192.0.2.1 192.0.2.2 1 65535\r\n"),
        ("[2001:db8::1]:1", "[::1]:2", "PROXY TCP6 2001:db8::1 ::1 1 2\r\n"),
        ("[::ffff:192.0.2.1]:1", "[::ffff:192.0.2.2]:2", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"),
        ("192.0.2.1:1", "[2001:db8::1]:2", "PROXY TCP6 ::ffff:192.0.2.1 2001:db8::1 1 2\r\n"),
        ("", "", "PROXY UNKNOWN\r\n"),
    ] {
        let mut out = Vec::new();
        write_v1(&mut out, socket(source).zip(socket(destination)));
        assert_eq!(String::from_utf8(out).unwrap(), line);
    }
}

#[test]
fn written_checks_are_local() {
    let mut out = Vec::new();
    write_v2(&mut out, None, &Extras::default()).unwrap();
    assert_eq!(out, v2(0x20, 0x00, b""));
}

#[test]
fn too_long_to_write() {
    let (long_id, long_name) = ([b'a'; 129], "a".repeat(65_536));
    for extras in [
        Extras { unique_id: Some(&long_id), ..Extras::default() },
        Extras { authority: Some(&long_name), ..Extras::default() },
        Extras { authority: Some(&long_name[..65_535]), ..Extras::default() },
    ] {
        let mut out = b"before".to_vec();
        assert_eq!(write_v2(&mut out, None, &extras).unwrap_err(), Error::TooLong);
        assert_eq!(out, b"before");
    }
}

#[test]
fn reasons_are_distinct() {
    for error in Error::ALL {
        assert!(error.as_str().starts_with("proxy_header_"));
        assert_eq!(Error::ALL.iter().filter(|other| other.as_str() == error.as_str()).count(), 1);
    }
}
