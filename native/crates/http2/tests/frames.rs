//! RFC 9113 §6, a row for each rule of each frame type.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod kit;

use kit::Step::{Open, Peer};
use kit::Verdict::{Connection, Fine, Stream};
use kit::*;
use trunkline_http2::ErrorCode::{
    CompressionError, EnhanceYourCalm, FlowControlError, FrameSizeError, ProtocolError,
};
use trunkline_http2::{ErrorCode, Limits, PeerSettings, Role, Settings};

#[test]
fn data_frames() {
    let padded = |pad: u8, rest: &[u8]| frame(DATA, PADDED | END_STREAM, 1, &[&[pad], rest].concat());
    check(
        Driver::server,
        vec![
            ("§6.1 on stream 0", peer(&[data(0, b"x", true)]), Connection(ProtocolError)),
            ("§6.1 padded", peer(&[post(1), padded(3, b"x\0\0\0"), ping()]), Fine),
            ("§6.1 nothing but padding", peer(&[post(1), padded(4, &[0; 4]), ping()]), Fine),
            (
                "§6.1 padding longer than the rest",
                peer(&[post(1), padded(5, b"x\0\0\0")]),
                Connection(ProtocolError),
            ),
            (
                "§6.1 padding as long as the payload",
                peer(&[post(1), padded(1, b"")]),
                Connection(ProtocolError),
            ),
            (
                "§6.1 padded, but empty",
                peer(&[post(1), frame(DATA, PADDED, 1, b"")]),
                Connection(FrameSizeError),
            ),
        ],
    );
}

#[test]
fn headers_frames() {
    let padded =
        |pad: u8, rest: &[u8]| frame(HEADERS, PADDED | 5, 1, &[&[pad], &block(GET)[..], rest].concat());
    let first = |flags| frame(HEADERS, flags, 1, &block(GET));
    let further = |flags, bytes: &[u8]| frame(CONTINUATION, flags, 1, bytes);
    check(
        Driver::server,
        vec![
            ("§6.2 on stream 0", peer(&[get(0)]), Connection(ProtocolError)),
            ("§6.2 padded", peer(&[padded(2, b"\0\0")]), Fine),
            (
                "§6.2 padding too long",
                peer(&[frame(HEADERS, PADDED | 5, 1, b"\x03\x82\x86")]),
                Connection(ProtocolError),
            ),
            (
                "§6.2 padded, but empty",
                peer(&[frame(HEADERS, PADDED | 5, 1, b"")]),
                Connection(FrameSizeError),
            ),
            (
                "§6.2 padding over priority",
                peer(&[frame(HEADERS, PADDED | WITH_PRIORITY | 5, 1, b"\x01\0\0\0\0\0")]),
                Connection(ProtocolError),
            ),
            ("§6.2 no END_HEADERS, then PING", peer(&[first(1), ping()]), Connection(ProtocolError)),
            (
                "§6.10 in three frames",
                peer(&[first(1), further(0, b""), further(4, &block(&[("a", "b")]))]),
                Fine,
            ),
            (
                "§6.10 on another stream",
                peer(&[first(1), frame(CONTINUATION, 4, 3, b"")]),
                Connection(ProtocolError),
            ),
            (
                "§6.10 on stream 0",
                peer(&[first(1), frame(CONTINUATION, 4, 0, b"")]),
                Connection(ProtocolError),
            ),
            ("§6.10 after END_HEADERS", peer(&[first(4), further(4, b"")]), Connection(ProtocolError)),
            (
                "§6.10 after END_HEADERS of its own",
                peer(&[first(1), further(4, b""), further(4, b"")]),
                Connection(ProtocolError),
            ),
            (
                "§6.10 after DATA",
                peer(&[post(1), data(1, b"x", false), further(4, b"")]),
                Connection(ProtocolError),
            ),
            ("§6.10 DATA within", peer(&[first(0), data(1, b"x", true)]), Connection(ProtocolError)),
        ],
    );
}

#[test]
fn priority_and_rst_stream() {
    check(
        Driver::server,
        vec![
            (
                "§6.3 on stream 0",
                peer(&[frame(PRIORITY, 0, 0, b"\0\0\0\x01\x10")]),
                Connection(ProtocolError),
            ),
            (
                "§6.3 four bytes",
                peer(&[post(1), frame(PRIORITY, 0, 1, b"\0\0\0\x03"), get(3)]),
                Stream(1, FrameSizeError),
            ),
            (
                "§6.3 six bytes",
                peer(&[post(1), frame(PRIORITY, 0, 1, &[0; 6]), get(3)]),
                Stream(1, FrameSizeError),
            ),
            (
                "§6.3 four bytes, idle stream",
                peer(&[frame(PRIORITY, 0, 1, b"\0\0\0\x03")]),
                Connection(FrameSizeError),
            ),
            ("§6.4 on stream 0", peer(&[rst_stream(0, 8)]), Connection(ProtocolError)),
            ("§6.4 on an idle stream", peer(&[rst_stream(1, 8)]), Connection(ProtocolError)),
            (
                "§6.4 three bytes",
                peer(&[post(1), frame(RST_STREAM, 0, 1, b"\0\0\0")]),
                Connection(FrameSizeError),
            ),
            (
                "§6.4 five bytes",
                peer(&[post(1), frame(RST_STREAM, 0, 1, &[0; 5])]),
                Connection(FrameSizeError),
            ),
            ("§7 unknown code", peer(&[post(1), rst_stream(1, 0xFF), get(3)]), Fine),
        ],
    );
}

#[test]
fn settings_frames() {
    check(
        Driver::server,
        vec![
            ("§6.5 ACK with payload", peer(&[frame(SETTINGS, ACK, 0, &[0; 6])]), Connection(FrameSizeError)),
            ("§6.5 on a stream", peer(&[frame(SETTINGS, 0, 1, b"")]), Connection(ProtocolError)),
            ("§6.5 ACK on a stream", peer(&[frame(SETTINGS, ACK, 1, b"")]), Connection(ProtocolError)),
            (
                "§6.5 not a multiple of six",
                peer(&[frame(SETTINGS, 0, 0, b"\0\x03\0")]),
                Connection(FrameSizeError),
            ),
            ("§6.5.2 ENABLE_PUSH 2", peer(&[settings(&[(2, 2)])]), Connection(ProtocolError)),
            ("§6.5.2 ENABLE_PUSH 0 and 1", peer(&[settings(&[(2, 0), (2, 1)])]), Fine),
            (
                "§6.5.2 INITIAL_WINDOW_SIZE too large",
                peer(&[settings(&[(4, 0x8000_0000)])]),
                Connection(FlowControlError),
            ),
            ("§6.5.2 INITIAL_WINDOW_SIZE largest", peer(&[settings(&[(4, 0x7FFF_FFFF)])]), Fine),
            ("§6.5.2 MAX_FRAME_SIZE too small", peer(&[settings(&[(5, 16_383)])]), Connection(ProtocolError)),
            (
                "§6.5.2 MAX_FRAME_SIZE too large",
                peer(&[settings(&[(5, 0x0100_0000)])]),
                Connection(ProtocolError),
            ),
            (
                "§6.5.2 MAX_FRAME_SIZE at its bounds",
                peer(&[settings(&[(5, 16_384), (5, 0x00FF_FFFF)])]),
                Fine,
            ),
            ("§6.5.2 an unknown identifier", peer(&[settings(&[(0xFF, 1)]), ping()]), Fine),
            ("RFC 8441 §3 2", peer(&[settings(&[(8, 2)])]), Connection(ProtocolError)),
            (
                "RFC 8441 §3 0 after 1",
                peer(&[settings(&[(8, 1)]), settings(&[(8, 0)])]),
                Connection(ProtocolError),
            ),
            ("RFC 9218 §2.1 2", peer(&[settings(&[(9, 2)])]), Connection(ProtocolError)),
        ],
    );
}

#[test]
fn settings_are_acknowledged_and_taken() {
    let mut driver = Driver::server();
    let entries = [(3, 100), (4, 70_000), (5, 20_000), (6, 9_000), (8, 1), (0x2A, 7)];
    assert_eq!(driver.feed(&settings(&entries)).unwrap(), [Seen::Settings]);
    assert_eq!(driver.written(), [Written { kind: SETTINGS, flags: ACK, stream: 0, payload: vec![] }]);
    let taken = PeerSettings {
        header_table_bytes: 4_096,
        max_concurrent_streams: 100,
        stream_window_bytes: 70_000,
        max_frame_bytes: 20_000,
        max_header_list_bytes: 9_000,
        connect_protocol: true,
    };
    assert_eq!(driver.connection.peer_settings(), &taken);
}

#[test]
fn ping_goaway_and_push() {
    check(
        Driver::server,
        vec![
            ("§6.7 on a stream", peer(&[frame(PING, 0, 1, &[0; 8])]), Connection(ProtocolError)),
            ("§6.7 six bytes", peer(&[frame(PING, 0, 0, &[0; 6])]), Connection(FrameSizeError)),
            ("§6.7 nine bytes", peer(&[frame(PING, 0, 0, &[0; 9])]), Connection(FrameSizeError)),
            ("§6.7 ACK that was not asked for", peer(&[frame(PING, ACK, 0, b"invalid\0")]), Fine),
            ("§6.8 on a stream", peer(&[frame(GOAWAY, 0, 1, &[0; 8])]), Connection(ProtocolError)),
            ("§6.8 seven bytes", peer(&[frame(GOAWAY, 0, 0, &[0; 7])]), Connection(FrameSizeError)),
            (
                "§6.8 with a reason, then a request",
                peer(&[frame(GOAWAY, 0, 0, &[&[0; 8][..], b"bye"].concat()), get(1)]),
                Fine,
            ),
            (
                "§8.4 PUSH_PROMISE of a client",
                peer(&[get(1), frame(PUSH_PROMISE, 4, 1, &[0, 0, 0, 2])]),
                Connection(ProtocolError),
            ),
        ],
    );
    let mut driver = Driver::server();
    driver.feed(&ping()).unwrap();
    assert_eq!(
        driver.written(),
        [Written { kind: PING, flags: ACK, stream: 0, payload: b"12345678".to_vec() }]
    );
    let pong = Seen::Pong { payload: *b"abcdefgh" };
    assert_eq!(driver.feed(&frame(PING, ACK, 0, b"abcdefgh")).unwrap(), [pong]);
    assert_eq!(driver.written(), []);
}

#[test]
fn window_updates() {
    check(
        Driver::server,
        vec![
            ("§6.9 0 on the connection", peer(&[window_update(0, 0)]), Connection(ProtocolError)),
            ("§6.9 0 on a stream", peer(&[post(1), window_update(1, 0), get(3)]), Stream(1, ProtocolError)),
            (
                "§6.9 three bytes",
                peer(&[frame(WINDOW_UPDATE, 0, 0, b"\0\0\x01")]),
                Connection(FrameSizeError),
            ),
            (
                "§6.9 five bytes on a stream",
                peer(&[post(1), frame(WINDOW_UPDATE, 0, 1, &[1; 5])]),
                Connection(FrameSizeError),
            ),
            ("§6.9 on an idle stream", peer(&[window_update(1, 1)]), Connection(ProtocolError)),
            ("§6.9 the reserved bit", peer(&[post(1), window_update(1, 0x8000_0001)]), Fine),
            (
                "§6.9.1 connection beyond 2^31-1",
                peer(&[window_update(0, 0x7FFF_FFFF)]),
                Connection(FlowControlError),
            ),
            ("§6.9.1 connection to 2^31-1", peer(&[window_update(0, 0x7FFF_FFFF - 65_535)]), Fine),
            (
                "§6.9.1 stream beyond 2^31-1",
                peer(&[post(1), window_update(1, 0x7FFF_FFFF), get(3)]),
                Stream(1, FlowControlError),
            ),
            (
                "§6.9.2 stream beyond 2^31-1 by SETTINGS",
                peer(&[post(1), window_update(1, 1), settings(&[(4, 0x7FFF_FFFF)])]),
                Connection(FlowControlError),
            ),
        ],
    );
    check(
        Driver::client,
        vec![(
            "§6.9.1 a client's stream",
            vec![Open, Peer(window_update(1, 0x7FFF_FFFF))],
            Stream(1, FlowControlError),
        )],
    );
}

#[test]
fn table_size_updates() {
    let small = || {
        let settings = Settings { header_table_bytes: 100, ..Settings::default() };
        Driver::greeted(Role::Server, settings, Limits::default())
    };
    let with = |first: &[u8]| frame(HEADERS, 5, 1, &[first, &block(GET)].concat());
    check(
        small,
        vec![
            ("§4.3.1 acknowledged, but not made smaller", peer(&[get(1)]), Connection(CompressionError)),
            ("§4.3.1 made smaller", peer(&[with(&[0x3E]), get(3)]), Fine),
            ("§4.3.1 made as small as it may be", peer(&[with(&[0x3F, 100 - 31]), get(3)]), Fine),
            ("§4.3.1 still too large", peer(&[with(&[0x3F, 101 - 31])]), Connection(CompressionError)),
        ],
    );
    let unacknowledged = || {
        Driver::new(
            Role::Server,
            Settings { header_table_bytes: 100, ..Settings::default() },
            Limits::default(),
        )
    };
    check(
        unacknowledged,
        vec![("§4.3.1 not acknowledged yet", peer(&[PREFACE.to_vec(), settings(&[]), get(1)]), Fine)],
    );
}

/// RFC 7541 §4.2: a table that shrinks below its first size is given up aloud, once, in the next block.
#[test]
fn we_tell_that_our_table_is_empty() {
    let first_bytes = |driver: &mut Driver| -> Vec<u8> {
        let heads = driver.written().into_iter().filter(|frame| frame.kind == HEADERS);
        heads.map(|frame| frame.payload[0]).collect()
    };
    let mut driver = Driver::server();
    driver.feed(&[get(1), get(3), get(5), settings(&[(1, 8_192)])].concat()).unwrap();
    driver.connection.send_head(1, &[0x88], true).unwrap();
    assert_eq!(first_bytes(&mut driver), [0x88]);
    driver.feed(&settings(&[(1, 0), (1, 4_096)])).unwrap();
    driver.connection.send_head(3, &[0x88], true).unwrap();
    driver.feed(&settings(&[(1, 10)])).unwrap();
    driver.connection.send_head(5, &[0x88], true).unwrap();
    assert_eq!(first_bytes(&mut driver), [0x20, 0x88]);
}

#[test]
fn the_final_goaway_names_the_last_stream() {
    let mut driver = Driver::server();
    driver.feed(&[get(1), get(7)].concat()).unwrap();
    driver.connection.drain();
    driver.connection.drain();
    driver.feed(&get(9)).unwrap();
    driver.connection.go_away(ErrorCode::NoError);
    driver.connection.go_away(ErrorCode::NoError);
    let payload = |last: u32| [last.to_be_bytes(), [0; 4]].concat();
    let frames = driver.written();
    let written: Vec<_> = frames.iter().map(|frame| (frame.kind, frame.payload.clone())).collect();
    assert_eq!(written, [(GOAWAY, payload(0x7FFF_FFFF)), (GOAWAY, payload(9))]);
    assert!(driver.connection.is_closing());
    assert_eq!(driver.feed(&get(11)).unwrap(), []);
    assert_eq!(driver.connection.open_streams(), 3);
    let error = driver.feed(&[get(13), data(0, b"", true)].concat()[..]).unwrap_err();
    assert_eq!(error.code, ProtocolError);
    let last = driver.written().pop().unwrap();
    assert_eq!(last.payload[..4], 9u32.to_be_bytes(), "the last stream of a GOAWAY never rises");
}

#[test]
fn a_client_hears_goaway() {
    let mut driver = Driver::client();
    let answers = trunkline_http::Answers::Other;
    for number in [1, 3, 5] {
        assert_eq!(driver.connection.open(&block(GET), true, answers), Some(number));
    }
    let events = driver.feed(&go_away(3, 0)).unwrap();
    assert_eq!(events, [Seen::GoAway { last_stream: 3, code: ErrorCode::NoError }]);
    assert_eq!((driver.connection.open_streams(), driver.connection.capacity(5)), (2, 0));
    assert_eq!(driver.connection.open(&block(GET), true, answers), None);
    let done = driver.feed(&headers(3, &[(":status", "204")], true)).unwrap();
    assert!(matches!(done[..], [Seen::Head { stream: 3, end: true, .. }]), "{done:?}");
    assert_eq!(driver.connection.send_head(5, &block(&[("a", "b")]), true), Err(trunkline_http2::Gone));
}

#[test]
fn a_client_keeps_to_the_limit_of_streams() {
    let mut driver = Driver::new(Role::Client, Settings::default(), Limits::default());
    let answers = trunkline_http::Answers::Other;
    let opened = (0..200).filter_map(|_| driver.connection.open(&block(GET), true, answers)).count();
    assert_eq!(opened, 100, "assumed until SETTINGS come");
    driver.feed(&settings(&[])).unwrap();
    assert!(driver.connection.can_open());
    driver.feed(&settings(&[(3, 100)])).unwrap();
    assert!(!driver.connection.can_open());
    driver.feed(&rst_stream(1, 7)).unwrap();
    assert_eq!(driver.connection.open(&block(GET), true, answers), Some(201));
    assert!(!driver.connection.can_open());
}

#[test]
fn long_blocks_are_cut_to_the_peers_frame_size() {
    let mut driver = Driver::server();
    driver.feed(&[get(1), settings(&[(1, 0)])].concat()).unwrap();
    driver.written();
    let long: Vec<u8> = (0..40_000u32).map(|number| number as u8).collect();
    driver.connection.send_head(1, &long, true).unwrap();
    let frames = driver.written();
    let shape: Vec<_> = frames.iter().map(|frame| (frame.kind, frame.flags, frame.payload.len())).collect();
    assert_eq!(shape, [(HEADERS, 1, 16_384), (CONTINUATION, 0, 16_384), (CONTINUATION, 4, 40_001 - 32_768)]);
    let sent: Vec<u8> = frames.into_iter().flat_map(|frame| frame.payload).collect();
    assert_eq!(sent, [&[0x20], &long[..]].concat());
}

/// The announcements of both roles, byte by byte.
#[test]
fn what_a_connection_starts_with() {
    let ours = Settings {
        header_table_bytes: 4_096,
        max_concurrent_streams: 10,
        stream_window_bytes: 65_535,
        connection_window_bytes: 65_536,
        max_frame_bytes: 16_384,
        connect_protocol: true,
    };
    let limits = Limits { header_list_bytes: 256, ..Limits::default() };
    let mut server = Driver::new(Role::Server, ours, limits);
    let frames = [settings(&[(3, 10), (6, 256), (8, 1)]), window_update(0, 1)].concat();
    assert_eq!(server.connection.output(), frames);
    server.written();
    let client = Driver::new(Role::Client, ours, limits);
    let frames = [PREFACE, &settings(&[(2, 0), (6, 256)]), &window_update(0, 1)].concat();
    assert_eq!(client.connection.output(), frames);
}

#[test]
fn silence_before_the_flood_limit_is_no_error() {
    check(
        Driver::server,
        vec![(
            "§6.10 empty frames",
            peer(&[
                frame(HEADERS, 1, 1, &block(GET)),
                frame(CONTINUATION, 0, 1, b"").repeat(4),
                frame(CONTINUATION, 4, 1, &block(&[("a", "b")])),
            ]),
            Fine,
        )],
    );
    check(
        Driver::server,
        vec![(
            "§10.5 too many of them",
            peer(&[frame(HEADERS, 1, 1, &block(GET)), frame(CONTINUATION, 0, 1, b"").repeat(5)]),
            Connection(EnhanceYourCalm),
        )],
    );
}
