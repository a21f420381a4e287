//! Each flood that is known of HTTP/2 meets its limit, is counted, and has its name; what is within the rate does not.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod kit;

use kit::*;
use trunkline_http2::ErrorCode::{self, EnhanceYourCalm};
use trunkline_http2::{ConnectionError, Counters, Limits, Rate, Role, Settings};

const SECOND: u64 = 1_000_000_000;

/// Ten at once, two a second.
fn tight() -> Limits {
    let rate = Rate { burst: 10, per_second: 2 };
    Limits {
        resets: rate,
        settings: rate,
        pings: rate,
        priorities: rate,
        window_updates: rate,
        empty_data: rate,
        ignored: rate,
        ..Limits::default()
    }
}

fn server(limits: Limits) -> Driver {
    Driver::greeted(Role::Server, Settings::default(), limits)
}

fn calm(reason: &'static str) -> ConnectionError {
    ConnectionError { code: EnhanceYourCalm, reason }
}

type Frames = Box<dyn Fn(u32) -> Vec<u8>>;
type Count = fn(&Counters) -> u64;

/// `before` once, then the frames for 0, 1, 2 …: how many are taken, and what ends it.
fn flood(driver: &mut Driver, before: &[u8], frames: impl Fn(u32) -> Vec<u8>) -> (u32, ConnectionError) {
    driver.feed(before).unwrap();
    for number in 0..10_000 {
        if let Err(error) = driver.feed(&frames(number)) {
            return (number, error);
        }
        // The peer reads what it is sent.
        driver.written();
    }
    panic!("no limit");
}

#[test]
fn each_has_a_limit() {
    let odd = |number: u32| 2 * number + 3;
    let cases: Vec<(&str, Vec<u8>, Frames, u32, Count)> = vec![
        ("reset_flood", vec![], Box::new(move |n| [get(odd(n)), rst_stream(odd(n), 8)].concat()), 10, |c| {
            c.resets_received
        }),
        (
            "reset_flood",
            vec![],
            Box::new(move |n| [post(odd(n)), headers(odd(n), &[("x", "y")], false)].concat()),
            10,
            |c| c.stream_errors,
        ),
        ("reset_flood", vec![], Box::new(move |n| headers(odd(n), &[("x", "y")], true)), 10, |c| {
            c.stream_errors
        }),
        // The first SETTINGS came with the greeting.
        ("settings_flood", vec![], Box::new(|_| settings(&[])), 9, |c| c.settings - 1),
        ("ping_flood", vec![], Box::new(|_| ping()), 10, |c| c.pings),
        ("ping_flood", vec![], Box::new(|_| frame(PING, ACK, 0, &[0; 8])), 10, |c| c.pings),
        ("priority_flood", vec![], Box::new(|_| frame(PRIORITY, 0, 1, &[0; 5])), 10, |c| c.priorities),
        ("window_update_flood", post(1), Box::new(|_| window_update(1, 1)), 10, |c| c.window_updates),
        ("window_update_flood", vec![], Box::new(|_| window_update(0, 1)), 10, |c| c.window_updates),
        ("empty_data_flood", post(1), Box::new(|_| data(1, b"", false)), 10, |c| c.empty_data),
        ("empty_data_flood", post(1), Box::new(|_| frame(DATA, PADDED, 1, &[2, 0, 0])), 10, |c| c.empty_data),
        ("ignored_frame_flood", vec![], Box::new(|_| frame(0x77, 0, 0, b"x")), 10, |c| c.ignored),
        ("ignored_frame_flood", vec![], Box::new(|_| settings_ack()), 10, |c| c.ignored),
        ("ignored_frame_flood", vec![], Box::new(|_| go_away(0, 0)), 10, |c| c.ignored),
    ];
    for (reason, before, frames, taken, count) in cases {
        let mut driver = server(tight());
        let (number, error) = flood(&mut driver, &before, frames);
        assert_eq!((number, error), (taken, calm(reason)), "{reason}");
        let counters = driver.connection.counters();
        assert_eq!((count(counters), counters.floods), (u64::from(taken) + 1, 1), "{reason}");
        let goaway = driver.written().pop().unwrap();
        assert_eq!((goaway.kind, &goaway.payload[4..]), (GOAWAY, &[0, 0, 0, 11][..]));
    }
}

#[test]
fn the_rate_allows_what_is_slow() {
    let mut driver = server(tight());
    for _ in 0..100 {
        driver.now_ns += SECOND / 2;
        driver.feed(&[ping(), settings(&[])].concat()).unwrap();
        driver.written();
    }
    assert_eq!(driver.connection.counters().pings, 100);
}

/// gRPC measures a path with a PING per round trip and a flight of DATA; what carries something earns it.
#[test]
fn useful_frames_earn_pings_and_window_updates() {
    let mut driver = server(tight());
    driver.feed(&post(1)).unwrap();
    driver.connection.send_head(1, &[0x88], false).unwrap();
    for _ in 0..1_000 {
        driver.feed(&[data(1, b"message", false), ping(), frame(PRIORITY, 0, 1, &[0; 5])].concat()).unwrap();
        driver.connection.release(1, 7);
        driver.connection.send_data(1, b"answer", false).unwrap();
        driver.feed(&[window_update(1, 6), window_update(0, 6)].concat()).unwrap();
        driver.written();
    }
}

/// Streams refused for their number are the peer's doing too (`MadeYouReset`).
#[test]
fn refused_streams_count() {
    let settings = Settings { max_concurrent_streams: 1, ..Settings::default() };
    let mut driver = Driver::greeted(Role::Server, settings, tight());
    let (number, error) = flood(&mut driver, &post(1), |n| get(2 * n + 3));
    assert_eq!((number, error), (10, calm("reset_flood")));
    assert_eq!(driver.connection.counters().streams_refused, 11);
}

/// Once a stream is reset, what still comes for it is dropped without an answer.
#[test]
fn resets_are_answered_once() {
    let mut driver = server(tight());
    driver.feed(&[post(1), window_update(1, 0)].concat()).unwrap();
    assert_eq!(driver.written().len(), 1);
    driver.feed(&data(1, b"x", false).repeat(100)).unwrap();
    assert_eq!(driver.written(), []);
    let error = driver.feed(&data(1, b"", false).repeat(11)).unwrap_err();
    assert_eq!(error, calm("ignored_frame_flood"));
}

#[test]
fn continuations() {
    let limits = Limits { continuations: 5, ..Limits::default() };
    let open = frame(HEADERS, 0, 1, &block(GET));
    let further = |bytes: &[u8]| frame(CONTINUATION, 0, 1, bytes);
    let field = block(&[("a", "b")]);
    let (number, error) = flood(&mut server(limits), &open, |_| further(&field));
    assert_eq!((number, error), (5, calm("continuation_flood")));
    let (number, error) = flood(&mut server(Limits::default()), &open, |_| further(b""));
    assert_eq!((number, error), (4, calm("continuation_flood")));
    let wide = Limits { header_list_bytes: 1_000, ..Limits::default() };
    let big = block(&[("a", &"x".repeat(16_000))]);
    let (number, error) = flood(&mut server(wide), &open, |_| further(&big));
    assert_eq!((number, error), (8, calm("header_block_too_large")), "128 KiB");
}

/// An HPACK bomb: one entry of 4 000 bytes, named again and again, one byte each.
#[test]
fn a_bomb() {
    let mut entry = block(&[("a", &"x".repeat(4_000))]);
    entry[0] = 0x40;
    let bomb = |count: usize| [block(GET), entry.clone(), vec![0xBE; count]].concat();
    let limits = Limits { header_list_bytes: 20_000, ..Limits::default() };
    let mut driver = server(limits);
    let events = driver.feed(&frame(HEADERS, 5, 1, &bomb(20))).unwrap();
    assert_eq!(events, [Seen::HeadTooLarge { stream: 1, end: true }]);
    assert_eq!(driver.feed(&frame(HEADERS, 5, 3, &bomb(10_000))).unwrap_err(), calm("header_list_too_large"));
}

/// PINGs are cheap to send; who does not read the answers is cut off before they fill memory.
#[test]
fn answers_that_are_not_read() {
    let mut driver = server(Limits { unsent_control_bytes: 1_000, ..Limits::default() });
    for _ in 0..58 {
        driver.feed(&ping()).unwrap();
    }
    driver.connection.consume_output(17);
    driver.feed(&ping()).unwrap();
    assert_eq!(driver.feed(&ping()).unwrap_err(), calm("output_not_taken"));
    assert!(driver.connection.output().len() < 1_100);
}

#[test]
fn streams_in_all() {
    let mut driver = server(Limits { streams_total: 3, ..Limits::default() });
    driver.feed(&[get(1), get(3)].concat()).unwrap();
    assert!(!driver.connection.is_closing());
    let events = driver.feed(&[get(5), get(7)].concat()).unwrap();
    assert!(matches!(events[..], [Seen::Head { stream: 5, .. }]), "{events:?}");
    assert!(driver.connection.is_closing());
    let goaway = driver.written().pop().unwrap();
    assert_eq!((goaway.kind, goaway.payload), (GOAWAY, [5u32.to_be_bytes(), [0; 4]].concat()));
    for stream in [1, 3, 5] {
        driver.connection.send_head(stream, &[0x88], true).unwrap();
    }
    assert_eq!(driver.connection.open_streams(), 0);
}

/// Default limits, and a client that does its worst within reason: 1 000 cancelled requests at once.
#[test]
fn defaults_are_generous() {
    let mut driver = server(Limits::default());
    for number in 0..1_000 {
        let stream = 2 * number + 1;
        driver.feed(&[get(stream), rst_stream(stream, ErrorCode::Cancel.wire())].concat()).unwrap();
    }
    driver.feed(&ping().repeat(2_000)).unwrap();
}
