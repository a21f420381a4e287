//! Any endpoints and extras: what is written is read back; every cut asks for more; every damaged byte is noticed or gives another header,
//! and with a checksum nothing of it is believed.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;

use proptest::option::of;
use proptest::prelude::*;
use trunkline_proxyproto::{Command, Extras, MAX_HEADER_BYTES, Ssl, parse, write_v1, write_v2};

/// The parts of [`Extras`], owned.
#[derive(Debug, Clone)]
struct Parts {
    alpn: Option<Vec<u8>>,
    unique_id: Option<Vec<u8>>,
    authority: Option<String>,
    namespace: Option<String>,
    ssl: Option<(u8, u32, [Option<String>; 5])>,
}

impl Parts {
    fn extras(&self, checksum: bool) -> Extras<'_> {
        Extras {
            alpn: self.alpn.as_deref(),
            authority: self.authority.as_deref(),
            unique_id: self.unique_id.as_deref(),
            ssl: self.ssl.as_ref().map(|(client, verify, texts)| {
                let [version, common_name, cipher, signature_algorithm, key_algorithm] =
                    texts.each_ref().map(Option::as_deref);
                let (client, verify) = (*client, *verify);
                Ssl { client, verify, version, common_name, cipher, signature_algorithm, key_algorithm }
            }),
            network_namespace: self.namespace.as_deref(),
            checksum,
        }
    }
}

fn parts() -> impl Strategy<Value = Parts> {
    let text = || of("\\PC{0,20}");
    let bytes = |most| of(prop::collection::vec(any::<u8>(), 0..=most));
    let texts = [text(), text(), text(), text(), text()];
    (bytes(40), bytes(128), text(), text(), of((any::<u8>(), any::<u32>(), texts))).prop_map(
        |(alpn, unique_id, authority, namespace, ssl)| Parts { alpn, unique_id, authority, namespace, ssl },
    )
}

/// Two addresses of one family; mapped ones have a table in `headers.rs`.
fn endpoints() -> impl Strategy<Value = (SocketAddr, SocketAddr)> {
    let inet =
        any::<([u8; 4], [u8; 4])>().prop_map(|(source, destination)| (source.into(), destination.into()));
    let inet6 = any::<([u16; 8], [u16; 8])>()
        .prop_map(|(source, destination)| (source.into(), destination.into()))
        .prop_filter("mapped", |(source, destination): &(std::net::IpAddr, std::net::IpAddr)| {
            source.to_canonical().is_ipv6() && destination.to_canonical().is_ipv6()
        });
    (prop_oneof![inet, inet6], any::<(u16, u16)>()).prop_map(|((source, destination), ports)| {
        (SocketAddr::new(source, ports.0), SocketAddr::new(destination, ports.1))
    })
}

fn cuts_ask_for_more(header: &[u8]) {
    for end in 0..header.len() {
        assert_eq!(parse(&header[..end], MAX_HEADER_BYTES), Ok(None), "cut at {end}");
    }
}

proptest! {
    #[test]
    fn text_is_read_back((source, destination) in endpoints(), behind in any::<Vec<u8>>()) {
        let mut header = Vec::new();
        write_v1(&mut header, Some((source, destination)));
        cuts_ask_for_more(&header);
        let length = header.len();
        header.extend_from_slice(&behind);
        let (proxied, used) = parse(&header, MAX_HEADER_BYTES).unwrap().unwrap();
        prop_assert_eq!((proxied.source, proxied.destination, used), (Some(source), Some(destination), length));
    }

    #[test]
    fn binary_is_read_back(ends in endpoints(), parts in parts(), checksum: bool, behind in any::<Vec<u8>>()) {
        let mut header = Vec::new();
        write_v2(&mut header, Some(ends), &parts.extras(checksum)).unwrap();
        cuts_ask_for_more(&header);
        let length = header.len();
        header.extend_from_slice(&behind);
        let (proxied, used) = parse(&header, MAX_HEADER_BYTES).unwrap().unwrap();
        prop_assert_eq!(proxied.source.zip(proxied.destination), Some(ends));
        prop_assert_eq!((proxied.extras, used), (parts.extras(checksum), length));
    }

    #[test]
    fn damaged_text_says_something_else(ends in endpoints(), at in any::<prop::sample::Index>(), by in 1..=255u8) {
        let mut header = Vec::new();
        write_v1(&mut header, Some(ends));
        let at = at.index(header.len());
        let upper_or_lower = header[at].is_ascii_alphabetic() && by == 0x20;
        header[at] ^= by;
        if let Ok(Some((proxied, _))) = parse(&header, MAX_HEADER_BYTES) {
            prop_assert!(proxied.source.zip(proxied.destination) != Some(ends) || upper_or_lower);
        }
    }

    #[test]
    fn damage_does_not_pass_a_checksum(ends in endpoints(), parts in parts(), by in 1..=255u8) {
        let mut header = Vec::new();
        write_v2(&mut header, Some(ends), &parts.extras(true)).unwrap();
        for at in 0..header.len() {
            header[at] ^= by;
            if let Ok(Some((proxied, _))) = parse(&header, MAX_HEADER_BYTES) {
                // A header that became a local one claims no address; one that lost its checksum's vector is another header.
                let claims_the_same = proxied.source.zip(proxied.destination) == Some(ends);
                prop_assert!(proxied.command == Command::Local || !proxied.extras.checksum, "byte {}", at);
                prop_assert!(!claims_the_same || !proxied.extras.checksum);
            }
            header[at] ^= by;
        }
    }

    #[test]
    fn anything_is_survived(bytes in any::<Vec<u8>>(), kind: u8, command in 0x20..=0x21u8) {
        let text = [b"PROXY ", bytes.as_slice()].concat();
        let block = [b"\r\n\r\n\0\r\nQUIT\n".as_slice(), &[command, kind, 0, bytes.len() as u8], &bytes].concat();
        for header in [bytes, text, block] {
            if let Ok(Some((_, used))) = parse(&header, MAX_HEADER_BYTES) {
                prop_assert!(used <= header.len());
            }
        }
    }
}
