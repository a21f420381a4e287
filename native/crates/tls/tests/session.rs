//! Sessions as the engine drives them: records cut anywhere, data both ways, closing, and peers that do not speak TLS, or badly.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod kit;

use std::io::{IoSlice, Write};
use std::sync::Arc;

use kit::{Authority, End, Pair, Side, client, connect, foreign_client, foreign_session, server};
use proptest::prelude::*;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{AlertDescription, ClientConnection, ServerConfig, SupportedProtocolVersion};
use serde_json::json;
use trunkline_tls::{
    Error, MOST_UNCONSUMED_BYTES, PLAIN_ALERT_BYTES, RECORD_PLAIN_BYTES, RECORD_WIRE_BYTES, ServerTls,
    Session, plain_port_alert,
};

const VERSIONS: [(&SupportedProtocolVersion, &str); 2] = [(&TLS12, "TLSv1.2"), (&TLS13, "TLSv1.3")];

fn site() -> (Authority, ServerTls) {
    let authority = Authority::new();
    let entry = authority.p256("site", &["site.example"]).entry();
    let server = server(json!({"certificates": [entry]}));
    (authority, server)
}

fn numbers(count: u32) -> Vec<u8> {
    (0..count).map(|number| number as u8).collect()
}

#[test]
fn data_goes_both_ways_over_both_versions() {
    let (authority, server) = site();
    for (version, name) in VERSIONS {
        let config = Arc::new(foreign_client(&authority, &[version], &[]));
        let (mut pair, result) = kit::meet(&config, &server, "site.example");
        assert_eq!(result, Ok(()));
        assert_eq!(pair.server.session.protocol_version(), Some(name));
        assert_eq!(pair.server.session.server_name(), Some("site.example"));
        assert_eq!(pair.server.session.cipher_suite(), pair.client.session.cipher_suite());
        let data = numbers(100_000);
        assert_eq!(pair.send_up(&data), data);
        assert_eq!(pair.send_down(&data), data);
        assert_eq!(pair.send_down(b""), b"");
    }
}

#[test]
fn records_may_be_cut_at_every_byte() {
    let (authority, server) = site();
    for (version, _) in VERSIONS {
        let config = Arc::new(foreign_client(&authority, &[version], &["h2", "http/1.1"]));
        let mut pair = Pair::new(foreign_session(&config, "site.example"), server.session().unwrap());
        assert_eq!(pair.pump(1), Ok(()));
        assert_eq!(pair.client.session.alpn(), Some(&b"h2"[..]));
        assert!(pair.client.incoming.is_empty() && pair.server.incoming.is_empty());
        let (data, mut records, mut answer) = (numbers(40_000), Vec::new(), Vec::new());
        pair.client.session.encrypt(&data, &mut records).unwrap();
        for byte in records {
            pair.server.incoming.push(byte);
            pair.server.process(&mut answer).unwrap();
            assert!(pair.server.incoming.len() < RECORD_WIRE_BYTES);
        }
        assert_eq!(pair.server.plain, data);
    }
}

#[test]
fn pieces_share_a_record_if_they_fit() {
    let (authority, server) = site();
    let mut pair = connect(&client(&authority), &server, "site.example").unwrap();
    let (head, body) = (numbers(300), numbers(20_000));
    for (pieces, records) in [
        (vec![], 0),
        (vec![&head[..]], 1),
        (vec![&head, &body[..1_000], &head], 1),
        (vec![&head, &body[..RECORD_PLAIN_BYTES - 300]], 1),
        (vec![&head, &body], 3),
    ] {
        let slices: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
        let mut out = Vec::new();
        pair.server.session.encrypt_slices(&slices, &mut out).unwrap();
        let total: usize = pieces.iter().map(|piece| piece.len()).sum();
        // RFC 8446 §5.2: header, content type and tag.
        assert_eq!(out.len(), total + records * (5 + 1 + 16));
        pair.client.incoming = out;
        pair.client.process(&mut Vec::new()).unwrap();
        assert_eq!(std::mem::take(&mut pair.client.plain), pieces.concat());
    }
}

#[test]
fn a_closed_direction_leaves_the_other_open() {
    let (authority, server) = site();
    let mut pair = connect(&client(&authority), &server, "site.example").unwrap();
    let mut out = Vec::new();
    pair.client.session.encrypt(b"last words", &mut out).unwrap();
    pair.client.session.close(&mut out);
    let closed_at = out.len();
    pair.client.session.close(&mut out);
    assert_eq!(out.len(), closed_at, "a second alert");
    assert_eq!(pair.client.session.encrypt(b"more", &mut out), Err(Error::NotOpen));
    out.extend_from_slice(b"rubbish behind the end");

    pair.server.incoming = out;
    let progress = pair.server.process(&mut Vec::new()).unwrap();
    assert!(progress.closed_by_peer && !progress.handshaking);
    assert_eq!(pair.server.plain, b"last words");
    assert!(pair.server.incoming.is_empty(), "RFC 8446 §6.1: data after a closure alert is ignored");
    assert_eq!(pair.send_down(b"an answer"), b"an answer");

    let mut out = Vec::new();
    pair.server.session.close(&mut out);
    pair.client.incoming = out;
    assert!(pair.client.process(&mut Vec::new()).unwrap().closed_by_peer);
}

#[test]
fn nothing_is_sent_before_the_handshake() {
    let (authority, server) = site();
    for mut session in [server.session().unwrap(), client(&authority).session("site.example").unwrap()] {
        let mut out = Vec::new();
        assert_eq!(session.encrypt(b"early", &mut out), Err(Error::NotOpen));
        session.close(&mut Vec::new());
        assert!(!session.is_open());
    }
}

#[test]
fn plain_http_on_a_tls_port_is_told_from_rubbish() {
    let (_authority, server) = site();
    let mut out = Vec::new();
    let mut http = Side::new(server.session().unwrap());
    http.incoming = b"GET / HTTP/1.1\r\nHost: site.example\r\n\r\n".to_vec();
    assert_eq!(http.process(&mut out), Err(Error::PlainHttp));
    assert!(out.is_empty(), "the answer is the engine's, in plain HTTP");

    let mut rubbish = Side::new(server.session().unwrap());
    rubbish.incoming = b"\x05\x01\x00".to_vec();
    assert_eq!(rubbish.process(&mut out), Err(Error::NotTls));
    assert_eq!(out, plain_port_alert());
}

#[test]
fn a_client_of_ten_years_ago_is_told_from_a_bad_one() {
    let (_authority, server) = site();
    // TLS 1.1, a random, no session, ECDHE-ECDSA-AES128-SHA, no compression, no extension.
    let hello = [&[3, 2][..], &[9; 32], &[0], &[0, 2, 0xc0, 0x09], &[1, 0]].concat();
    let message = [&[1, 0, 0, hello.len() as u8], &hello[..]].concat();
    let mut side = Side::new(server.session().unwrap());
    side.incoming = [&[22, 3, 1, 0, message.len() as u8], &message[..]].concat();
    let mut out = Vec::new();
    assert_eq!(side.process(&mut out).unwrap_err().reason(), "tls_version");
    assert_eq!(out[0], 21, "an alert");
}

#[test]
fn a_tls_client_understands_what_a_plain_port_answers() {
    let (authority, _server) = site();
    let mut side = Side::new(client(&authority).session("site.example").unwrap());
    let mut hello = Vec::new();
    side.process(&mut hello).unwrap();
    side.incoming = plain_port_alert().to_vec();
    let refused = side.process(&mut Vec::new()).unwrap_err();
    assert_eq!(refused, Error::PeerAlert(AlertDescription::UnexpectedMessage));
    assert_eq!(refused.reason(), "tls_peer_alert");
    assert_eq!(PLAIN_ALERT_BYTES, 7);
}

#[test]
fn a_changed_record_ends_the_session_with_an_alert() {
    let (authority, server) = site();
    let mut pair = connect(&client(&authority), &server, "site.example").unwrap();
    let mut records = Vec::new();
    pair.client.session.encrypt(b"untouched", &mut records).unwrap();
    *records.last_mut().unwrap() ^= 1;
    pair.server.incoming = records;
    let mut out = Vec::new();
    let error = pair.server.process(&mut out).unwrap_err();
    assert_eq!(error, Error::BrokenRecord(rustls::Error::DecryptError));
    pair.client.incoming = out;
    let answer = pair.client.process(&mut Vec::new()).unwrap_err();
    assert_eq!(answer, Error::PeerAlert(AlertDescription::BadRecordMac));
    assert_eq!(pair.server.process(&mut Vec::new()), Err(Error::NotOpen));
    assert_eq!(pair.server.session.encrypt(b"x", &mut Vec::new()), Err(Error::NotOpen));
    assert!(pair.server.plain.is_empty());
}

/// rustls has read the first record of a ticket by then, and slices its input behind it whatever it is called for.
#[test]
fn data_can_be_sent_while_half_a_handshake_message_is_held() {
    let authority = Authority::new();
    let files = authority.p256("site", &["site.example"]);
    let chain = vec![files.made.der().clone()];
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(&files.key).unwrap())
        .unwrap();
    config.max_fragment_size = Some(64);
    config.ticketer = aws_lc_rs::Ticketer::new().unwrap();
    let session = Session::server(Arc::new(config)).unwrap();
    let mut pair = Pair::new(client(&authority).session("site.example").unwrap(), session);
    let (mut up, mut down) = (Vec::new(), Vec::new());
    while !pair.server.session.is_open() {
        pair.client.incoming.append(&mut down);
        pair.client.process(&mut up).unwrap();
        pair.server.incoming.append(&mut up);
        pair.server.process(&mut down).unwrap();
    }
    for byte in down {
        pair.client.incoming.push(byte);
        pair.client.process(&mut up).unwrap();
        pair.client.session.encrypt(b".", &mut up).unwrap();
    }
    pair.server.incoming = up;
    pair.server.process(&mut Vec::new()).unwrap();
    assert!(pair.server.plain.len() > 500 && pair.server.plain.iter().all(|byte| *byte == b'.'));
    assert_eq!(pair.send_down(b"still in step"), b"still in step");
}

/// Runs the handshake of rustls' buffered client with a session.
fn finish(peer: &mut ClientConnection, side: &mut Side) {
    let mut down = Vec::new();
    while peer.is_handshaking() || !side.session.is_open() || peer.wants_write() {
        let mut up = Vec::new();
        while peer.wants_write() {
            peer.write_tls(&mut up).unwrap();
        }
        side.incoming.extend_from_slice(&up);
        side.process(&mut down).unwrap();
        peer.read_tls(&mut std::mem::take(&mut down).as_slice()).unwrap();
        peer.process_new_packets().unwrap();
    }
}

#[test]
fn keys_are_updated_when_the_peer_asks() {
    let (authority, server) = site();
    let foreign = Arc::new(foreign_client(&authority, &[&TLS13], &[]));
    let mut peer = ClientConnection::new(foreign, ServerName::try_from("site.example").unwrap()).unwrap();
    let mut side = Side::new(server.session().unwrap());
    finish(&mut peer, &mut side);
    for round in [b"one", b"two"] {
        peer.refresh_traffic_keys().unwrap();
        peer.writer().write_all(round).unwrap();
        finish(&mut peer, &mut side);
        assert_eq!(std::mem::take(&mut side.plain), round);
        let mut out = Vec::new();
        side.session.encrypt(round, &mut out).unwrap();
        peer.read_tls(&mut out.as_slice()).unwrap();
        assert_eq!(peer.process_new_packets().unwrap().plaintext_bytes_to_read(), round.len());
        std::io::Read::read(&mut peer.reader(), &mut [0; 8]).unwrap();
    }
}

#[test]
fn a_handshake_message_without_end_is_refused() {
    let (_authority, server) = site();
    let mut side = Side::new(server.session().unwrap());
    // A ClientHello of 64 KB less one byte, one byte in each record.
    let announced = [1, 0, 0xff, 0xfe];
    let message = announced.into_iter().chain(std::iter::repeat(0));
    let mut most = 0;
    let error = message
        .map(|byte| [22, 3, 1, 0, 1, byte])
        .find_map(|record| {
            side.incoming.extend_from_slice(&record);
            most = most.max(side.incoming.len());
            side.process(&mut Vec::new()).err()
        })
        .unwrap();
    assert_eq!(error, Error::MessageTooLong);
    assert!(most <= MOST_UNCONSUMED_BYTES + 6, "{most}");
}

/// What both sides of a handshake said, for changing it.
fn conversation() -> (Authority, ServerTls, Vec<u8>) {
    let (authority, server) = site();
    let mut side = Side::new(client(&authority).session("site.example").unwrap());
    let mut hello = Vec::new();
    side.process(&mut hello).unwrap();
    (authority, server, hello)
}

fn feed(session: Session, bytes: &[u8], piece: usize) -> Result<(), Error> {
    let mut side = Side::new(session);
    let mut out = Vec::new();
    for part in bytes.chunks(piece) {
        side.incoming.extend_from_slice(part);
        side.process(&mut out)?;
    }
    side.session.close(&mut out);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600), piece in 1_usize..200) {
        let (authority, server) = site();
        let _ = feed(server.session().unwrap(), &bytes, piece);
        let record = [&[22, 3, 1, (bytes.len() >> 8) as u8, bytes.len() as u8], &bytes[..]].concat();
        let _ = feed(server.session().unwrap(), &record, piece);
        let _ = feed(client(&authority).session("site.example").unwrap(), &record, piece);
    }
}

#[test]
fn no_changed_byte_of_a_hello_makes_it_panic() {
    let (_authority, server, hello) = conversation();
    let mut refused = 0;
    for at in 0..hello.len() {
        for change in [0x01, 0x80, 0xff] {
            let mut changed = hello.clone();
            changed[at] ^= change;
            refused += u32::from(feed(server.session().unwrap(), &changed, usize::MAX).is_err());
        }
    }
    assert!(refused > 100, "{refused}");
}

#[test]
fn no_changed_byte_of_the_servers_flight_makes_the_client_panic() {
    let (authority, server) = site();
    let client = client(&authority);
    let mut refused = 0;
    for at in 0..400 {
        let mut pair = Pair::new(client.session("site.example").unwrap(), server.session().unwrap());
        let (mut up, mut down) = (Vec::new(), Vec::new());
        pair.client.process(&mut up).unwrap();
        pair.server.incoming = up;
        pair.server.process(&mut down).unwrap();
        *down.get_mut(at).unwrap() ^= 0x41;
        pair.client.incoming = down;
        let result = pair.pump(usize::MAX);
        refused += u32::from(
            matches!(result, Err(End::Client(_) | End::Server(_))) || !pair.client.session.is_open(),
        );
    }
    // All but the versions of records, which nobody looks at (RFC 8446 §5.1).
    assert!(refused >= 390, "{refused}");
}
