//! RFC 9113 §3.4 to §5.5, a row for each rule that a conformance tool tries: which code, and whose error it is.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod kit;

use kit::Step::{Answer, GoAway, Open, Peer, Reset};
use kit::Verdict::{Connection, Fine, Stream};
use kit::*;
use trunkline_http2::ErrorCode::{
    CompressionError, FlowControlError, FrameSizeError, ProtocolError, RefusedStream, StreamClosed,
};
use trunkline_http2::{Limits, Role, Settings};

#[test]
fn the_preface() {
    let fresh = || Driver::new(Role::Server, Settings::default(), Limits::default());
    check(
        fresh,
        vec![
            ("§3.4 preface and SETTINGS", peer(&[PREFACE.to_vec(), settings(&[])]), Fine),
            (
                "§3.4 not a preface",
                peer(&[b"INVALID CONNECTION PREFACE\r\n\r\n".to_vec()]),
                Connection(ProtocolError),
            ),
            ("§3.4 HTTP/1.1", peer(&[b"GET / HTTP/1.1\r\n\r\n".to_vec()]), Connection(ProtocolError)),
            ("§3.4 another frame first", peer(&[PREFACE.to_vec(), ping()]), Connection(ProtocolError)),
            ("§3.4 a request first", peer(&[PREFACE.to_vec(), get(1)]), Connection(ProtocolError)),
            (
                "§3.4 an acknowledgement first",
                peer(&[PREFACE.to_vec(), settings_ack()]),
                Connection(ProtocolError),
            ),
            (
                "§3.4 an unknown frame first",
                peer(&[PREFACE.to_vec(), frame(0xEE, 0, 0, b"x")]),
                Connection(ProtocolError),
            ),
        ],
    );
    let fresh_client = || Driver::new(Role::Client, Settings::default(), Limits::default());
    check(
        fresh_client,
        vec![
            ("§3.4 the server's SETTINGS", peer(&[settings(&[])]), Fine),
            ("§3.4 another frame first", peer(&[ping()]), Connection(ProtocolError)),
            (
                "§3.4 HTTP/1.1",
                peer(&[b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()]),
                Connection(ProtocolError),
            ),
        ],
    );
}

#[test]
fn frames() {
    let big = vec![0; 16_385];
    let full = vec![b'x'; 16_384];
    check(
        Driver::server,
        vec![
            ("§4.1 unknown type", peer(&[frame(0x16, 0, 0, b"\0\0\0"), ping()]), Fine),
            ("§4.1 unknown type on an idle stream", peer(&[frame(0x16, 0, 9, b"\0\0\0"), ping()]), Fine),
            ("§4.1 undefined flags", peer(&[frame(PING, 0x16, 0, b"12345678")]), Fine),
            ("§4.1 reserved bit", peer(&[frame(PING, 0, 0x8000_0000, b"12345678")]), Fine),
            ("§4.2 DATA of the largest size", peer(&[post(1), data(1, &full, true)]), Fine),
            ("§4.2 DATA too large", peer(&[post(1), data(1, &big, true), ping()]), Stream(1, FrameSizeError)),
            ("§4.2 DATA too large, idle stream", peer(&[data(1, &big, true)]), Connection(FrameSizeError)),
            ("§4.2 HEADERS too large", peer(&[frame(HEADERS, 5, 1, &big)]), Connection(FrameSizeError)),
            ("§4.2 SETTINGS too large", peer(&[frame(SETTINGS, 0, 0, &big)]), Connection(FrameSizeError)),
            ("§4.2 unknown type too large", peer(&[frame(0x16, 0, 0, &big)]), Connection(FrameSizeError)),
            (
                "§4.3 a block that is no HPACK",
                peer(&[frame(HEADERS, 5, 1, &[0x40])]),
                Connection(CompressionError),
            ),
            (
                "§4.3 PRIORITY within a block",
                peer(&[
                    frame(HEADERS, 1, 1, &block(GET)),
                    frame(PRIORITY, 0, 1, b"\0\0\0\0\x10"),
                    frame(CONTINUATION, 4, 1, b""),
                ]),
                Connection(ProtocolError),
            ),
            (
                "§4.3 HEADERS of another stream within a block",
                peer(&[frame(HEADERS, 1, 1, &block(GET)), get(3)]),
                Connection(ProtocolError),
            ),
            (
                "§5.5 unknown type within a block",
                peer(&[
                    frame(HEADERS, 1, 1, &block(GET)),
                    frame(0xFF, 0, 1, b"x"),
                    frame(CONTINUATION, 4, 1, b""),
                ]),
                Connection(ProtocolError),
            ),
        ],
    );
}

#[test]
fn stream_states() {
    let closes = |first: Vec<u8>| vec![Peer(get(1)), Answer(1), Peer(first)];
    let after_reset = |first: Vec<u8>| peer(&[post(1), rst_stream(1, 8), first]);
    let after_ours = |first: Vec<u8>| vec![Peer(post(1)), Reset(1), Peer([first, ping(), get(3)].concat())];
    let trailing = headers(1, &[("x", "y")], true);
    check(
        Driver::server,
        vec![
            ("§5.1 idle: DATA", peer(&[data(1, b"test", true)]), Connection(ProtocolError)),
            ("§5.1 idle: RST_STREAM", peer(&[rst_stream(1, 8)]), Connection(ProtocolError)),
            ("§5.1 idle: WINDOW_UPDATE", peer(&[window_update(1, 100)]), Connection(ProtocolError)),
            (
                "§5.1 idle: CONTINUATION",
                peer(&[frame(CONTINUATION, 4, 1, &block(GET))]),
                Connection(ProtocolError),
            ),
            ("§5.1 idle: PRIORITY", peer(&[frame(PRIORITY, 0, 1, b"\0\0\0\0\x10")]), Fine),
            ("§5.1 idle, even: DATA", peer(&[get(1), data(2, b"", true)]), Connection(ProtocolError)),
            ("§5.1 half-closed: DATA", peer(&[get(1), data(1, b"test", true)]), Stream(1, StreamClosed)),
            ("§5.1 half-closed: HEADERS", peer(&[get(1), get(1)]), Stream(1, StreamClosed)),
            (
                "§5.1 half-closed: CONTINUATION",
                peer(&[get(1), frame(CONTINUATION, 4, 1, &block(GET))]),
                Connection(ProtocolError),
            ),
            ("§5.1 half-closed: WINDOW_UPDATE", peer(&[get(1), window_update(1, 5)]), Fine),
            ("§5.1 half-closed: RST_STREAM", peer(&[get(1), rst_stream(1, 8)]), Fine),
            ("§5.1 closed by reset: DATA", after_reset(data(1, b"test", true)), Stream(1, StreamClosed)),
            ("§5.1 closed by reset: HEADERS", after_reset(get(1)), Stream(1, StreamClosed)),
            (
                "§5.1 closed by reset: CONTINUATION",
                after_reset(frame(CONTINUATION, 4, 1, b"")),
                Connection(ProtocolError),
            ),
            ("§5.1 closed by reset: RST_STREAM", after_reset(rst_stream(1, 8)), Fine),
            ("§5.1 closed by reset: WINDOW_UPDATE", after_reset(window_update(1, 1)), Fine),
            ("§5.1 closed: DATA", closes(data(1, b"test", true)), Connection(StreamClosed)),
            ("§5.1 closed: HEADERS", closes(get(1)), Connection(StreamClosed)),
            (
                "§5.1 closed: CONTINUATION",
                closes(frame(CONTINUATION, 4, 1, &block(GET))),
                Connection(ProtocolError),
            ),
            ("§5.1 closed: WINDOW_UPDATE", closes(window_update(1, 1)), Fine),
            ("§5.1 closed: WINDOW_UPDATE of 0", closes(window_update(1, 0)), Fine),
            ("§5.1 closed: RST_STREAM", closes(rst_stream(1, 8)), Fine),
            ("§5.1 closed: PRIORITY", closes(frame(PRIORITY, 0, 1, b"\0\0\0\0\x10")), Fine),
            ("§5.1 reset by us: DATA", after_ours(data(1, b"test", true)), Fine),
            ("§5.1 reset by us: HEADERS", after_ours(trailing.clone()), Fine),
            ("§5.1 reset by us: RST_STREAM", after_ours(rst_stream(1, 8)), Fine),
            (
                "§5.1 reset by us, then by the peer: DATA",
                after_ours([rst_stream(1, 8), data(1, b"", true)].concat()),
                Fine,
            ),
        ],
    );
}

#[test]
fn stream_numbers() {
    check(
        Driver::server,
        vec![
            ("§5.1.1 an even number", peer(&[get(2)]), Connection(ProtocolError)),
            ("§5.1.1 stream 0", peer(&[get(0)]), Connection(ProtocolError)),
            ("§5.1.1 a lower number", peer(&[get(5), get(3)]), Connection(ProtocolError)),
            ("§5.1.1 a skipped number: DATA", peer(&[get(5), data(3, b"x", true)]), Stream(3, StreamClosed)),
            ("§5.1.1 skipping", peer(&[get(5), get(101), get(0x7FFF_FFFF)]), Fine),
        ],
    );
    let two = || {
        let settings = Settings { max_concurrent_streams: 2, ..Settings::default() };
        Driver::greeted(Role::Server, settings, Limits::default())
    };
    check(
        two,
        vec![
            ("§5.1.2 as many as allowed", peer(&[get(1), get(3)]), Fine),
            ("§5.1.2 one more", peer(&[get(1), post(3), get(5)]), Stream(5, RefusedStream)),
            (
                "§5.1.2 one more, with content",
                peer(&[get(1), get(3), post(5), data(5, b"x", true), ping()]),
                Stream(5, RefusedStream),
            ),
            (
                "§5.1.2 one more after an answer",
                vec![Peer([get(1), get(3)].concat()), Answer(1), Peer(get(5))],
                Fine,
            ),
            ("§5.1.2 one more after a reset", peer(&[get(1), get(3), rst_stream(1, 8), get(5)]), Fine),
        ],
    );
}

#[test]
fn priorities() {
    let depends = |on: u32| [&on.to_be_bytes()[..], b"\xff"].concat();
    let with_priority = |on: u32| [depends(on), block(GET)].concat();
    check(
        Driver::server,
        vec![
            ("§5.3 HEADERS with priority", peer(&[frame(HEADERS, 0x25, 1, &with_priority(0))]), Fine),
            (
                "§5.3.1 HEADERS on itself",
                peer(&[frame(HEADERS, 0x25, 1, &with_priority(1)), get(3)]),
                Stream(1, ProtocolError),
            ),
            (
                "§5.3.1 PRIORITY on itself",
                peer(&[post(1), frame(PRIORITY, 0, 1, &depends(0x8000_0001))]),
                Stream(1, ProtocolError),
            ),
            (
                "§5.3.1 PRIORITY on itself, idle",
                peer(&[frame(PRIORITY, 0, 1, &depends(1))]),
                Connection(ProtocolError),
            ),
            (
                "§6.2 too short for priority",
                peer(&[frame(HEADERS, 0x25, 1, b"\0\0\0\0")]),
                Connection(FrameSizeError),
            ),
        ],
    );
}

#[test]
fn going_away() {
    check(
        Driver::server,
        vec![
            (
                "§6.8 new streams after GOAWAY are dropped",
                vec![
                    Peer(get(1)),
                    GoAway,
                    Peer(
                        [
                            post(3),
                            data(3, b"x", false),
                            window_update(3, 1),
                            headers(3, &[("a", "b")], true),
                            rst_stream(3, 0),
                        ]
                        .concat(),
                    ),
                ],
                Fine,
            ),
            (
                "§6.8 old streams go on",
                vec![Peer(post(1)), GoAway, Peer(data(1, b"x", true)), Answer(1)],
                Fine,
            ),
            (
                "§6.8 a dropped block still counts for HPACK",
                vec![GoAway, Peer(frame(HEADERS, 5, 1, &[0xFF; 3]))],
                Connection(CompressionError),
            ),
        ],
    );
}

#[test]
fn clients() {
    let opened = |bytes: Vec<u8>| vec![Open, Peer(bytes)];
    let ok = headers(1, &[(":status", "200")], false);
    let done = headers(1, &[(":status", "200")], true);
    check(
        Driver::client,
        vec![
            ("§5.1 idle: HEADERS", vec![Peer(ok.clone())], Connection(ProtocolError)),
            ("§5.1 idle: DATA", peer(&[data(1, b"x", true)]), Connection(ProtocolError)),
            (
                "§5.1 idle, the next number",
                opened(headers(3, &[(":status", "200")], true)),
                Connection(ProtocolError),
            ),
            (
                "§8.4 PUSH_PROMISE",
                opened(frame(PUSH_PROMISE, 4, 1, &[0, 0, 0, 2, 0x82])),
                Connection(ProtocolError),
            ),
            ("§8.1 DATA before HEADERS", opened(data(1, b"x", false)), Stream(1, ProtocolError)),
            ("§8.1 a response", opened([ok.clone(), data(1, b"x", true)].concat()), Fine),
            (
                "§8.1 a response with trailers",
                opened([ok.clone(), headers(1, &[("x", "y")], true)].concat()),
                Fine,
            ),
            ("§8.1 a second head", opened([ok.clone(), ok.clone()].concat()), Stream(1, ProtocolError)),
            (
                "§5.1 finished: DATA",
                opened([done.clone(), data(1, b"x", true)].concat()),
                Connection(StreamClosed),
            ),
            (
                "§5.1 finished: HEADERS",
                opened([done.clone(), done.clone()].concat()),
                Connection(StreamClosed),
            ),
            (
                "§5.1 reset by us: anything",
                vec![Open, Reset(1), Peer([ok, data(1, b"x", true), done, ping()].concat())],
                Fine,
            ),
            ("§6.5.2 a server that enables push", peer(&[settings(&[(2, 1)])]), Connection(ProtocolError)),
            ("§6.5.2 a server that disables push", peer(&[settings(&[(2, 0)])]), Fine),
            (
                "§6.9.1 overflow",
                opened([window_update(1, 0x7FFF_FFFF)].concat()),
                Stream(1, FlowControlError),
            ),
        ],
    );
}
