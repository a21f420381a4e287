//! Headers that `HAProxy` 2.6.12 sent to a server (`send-proxy`, `send-proxy-v2`, `send-proxy-v2-ssl-cn` with `proxy-v2-options crc32c,
//! ssl,cert-cn,ssl-cipher,cert-sig,cert-key,authority,unique-id`), for a client that had come over TLS 1.3 with a certificate.
#![allow(clippy::unwrap_used)]

use trunkline_proxyproto::{Error, Extras, MAX_HEADER_BYTES, Proxied, Ssl, parse, write_v2};

const PLAIN: &str = "0d0a0d0a000d0a515549540a2111000c7f0000017f0000018422b67f";
const INET6: &str = "0d0a0d0a000d0a515549540a212100240000000000000000000000000000000100000000000000000000000000000001\
                     e656b24f";
const CHECKSUM: &str = "0d0a0d0a000d0a515549540a211100137f0000017f000001d1128bdd0300047706203b";
const EVERYTHING: &str = "0d0a0d0a000d0a515549540a212100a100000000000000000000000000000001000000000000000000000000000000\
                          01b8dc81a50300046eaedbab010002683202000d66726f6e742e6578616d706c6505000b352d393835333536373936\
                          2000500700000000210007544c5376312e3322000e636c69656e742e6578616d706c65250007525341323034382400\
                          0a5253412d534841323536230016544c535f4145535f3235365f47434d5f534841333834";

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn read(header: &[u8]) -> Proxied<'_> {
    let (proxied, used) = parse(header, MAX_HEADER_BYTES).unwrap().unwrap();
    assert_eq!(used, header.len());
    proxied
}

#[test]
fn addresses() {
    for (header, source, destination) in [
        (bytes(PLAIN), "127.0.0.1:33826", "127.0.0.1:46719"),
        (bytes(INET6), "[::1]:58966", "[::1]:45647"),
        (bytes(CHECKSUM), "127.0.0.1:53522", "127.0.0.1:35805"),
        (bytes(EVERYTHING), "[::1]:47324", "[::1]:33189"),
        (b"PROXY TCP4 127.0.0.1 127.0.0.1 43790 51323\r\n".to_vec(), "127.0.0.1:43790", "127.0.0.1:51323"),
        (b"PROXY TCP6 ::1 ::1 54050 59653\r\n".to_vec(), "[::1]:54050", "[::1]:59653"),
    ] {
        let proxied = read(&header);
        assert_eq!(proxied.source.unwrap(), source.parse().unwrap());
        assert_eq!(proxied.destination.unwrap(), destination.parse().unwrap());
    }
}

#[test]
fn what_is_known_of_the_client() {
    let everything = bytes(EVERYTHING);
    let ssl = Ssl {
        client: Ssl::TLS | Ssl::CERTIFICATE_ON_CONNECTION | Ssl::CERTIFICATE_IN_SESSION,
        verify: 0,
        version: Some("TLSv1.3"),
        common_name: Some("client.example"),
        cipher: Some("TLS_AES_256_GCM_SHA384"),
        signature_algorithm: Some("RSA-SHA256"),
        key_algorithm: Some("RSA2048"),
    };
    assert!(ssl.is_verified());
    let extras = Extras {
        alpn: Some(b"h2"),
        authority: Some("front.example"),
        unique_id: Some(b"5-985356796"),
        ssl: Some(ssl),
        network_namespace: None,
        checksum: true,
    };
    assert_eq!(read(&everything).extras, extras);
    let types: Vec<u8> = read(&everything).tlvs().map(|(kind, _)| kind).collect();
    assert_eq!(types, [0x03, 0x01, 0x02, 0x05, 0x20]);
}

#[test]
fn a_wrong_checksum_is_refused() {
    for header in [CHECKSUM, EVERYTHING] {
        let header = bytes(header);
        // The client's port: still a header, but for its checksum.
        let port = if header.len() == 35 { 24 } else { 48 };
        for bit in 0..8 {
            let mut wrong = header.clone();
            wrong[port] ^= 1 << bit;
            assert_eq!(parse(&wrong, MAX_HEADER_BYTES).unwrap_err(), Error::Checksum);
        }
    }
}

#[test]
fn ours_are_the_same() {
    for (header, extras) in [
        (PLAIN, Extras::default()),
        (INET6, Extras::default()),
        (CHECKSUM, Extras { checksum: true, ..Extras::default() }),
    ] {
        let header = bytes(header);
        let proxied = read(&header);
        let mut written = Vec::new();
        write_v2(&mut written, proxied.source.zip(proxied.destination), &extras).unwrap();
        assert_eq!(written, header);
    }
}
