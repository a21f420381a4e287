//! RFC 9113 §5.2 and §6.9, in both directions.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod kit;

use kit::Verdict::{Connection, Fine, Stream};
use kit::*;
use trunkline_http2::ErrorCode::FlowControlError;
use trunkline_http2::{ErrorCode, Gone, Limits, Role, Settings};

/// A server that grants 1 000 bytes a stream (and not less than the protocol's 65 535 a connection).
fn narrow() -> Driver {
    let settings =
        Settings { stream_window_bytes: 1_000, connection_window_bytes: 65_535, ..Settings::default() };
    Driver::greeted(Role::Server, settings, Limits::default())
}

fn updates(driver: &mut Driver) -> Vec<(u32, u32)> {
    let frames = driver.written().into_iter().filter(|frame| frame.kind == WINDOW_UPDATE);
    frames.map(|frame| (frame.stream, u32::from_be_bytes(frame.payload[..4].try_into().unwrap()))).collect()
}

fn content(stream: u32, length: usize) -> Vec<u8> {
    data(stream, &vec![b'x'; length], false)
}

#[test]
fn what_a_peer_may_send() {
    let many = |streams: u32, length: usize| {
        let frames: Vec<_> =
            (0..streams).flat_map(|n| [post(2 * n + 1), content(2 * n + 1, length)]).collect();
        peer(&frames)
    };
    let padded = frame(DATA, PADDED, 1, &[&[100][..], &[0; 900]].concat());
    check(
        narrow,
        vec![
            ("§6.9 all of a stream's window", peer(&[post(1), content(1, 1_000), get(3)]), Fine),
            ("§6.9 one byte more", peer(&[post(1), content(1, 1_001), get(3)]), Stream(1, FlowControlError)),
            (
                "§6.9 one byte more, later",
                peer(&[post(1), content(1, 1_000), content(1, 1), get(3)]),
                Stream(1, FlowControlError),
            ),
            (
                "§6.9.1 padding counts",
                peer(&[post(1), padded.clone(), content(1, 200), get(3)]),
                Stream(1, FlowControlError),
            ),
            (
                "§6.9.1 padding is given back",
                peer(&[post(1), padded.clone(), content(1, 200), get(3)][..2]),
                Fine,
            ),
            ("§6.9.1 all of the connection's window", many(65, 1_000), Fine),
            ("§6.9.1 more than the connection's window", many(66, 1_000), Connection(FlowControlError)),
        ],
    );
    let unacknowledged = || {
        let settings =
            Settings { stream_window_bytes: 1_000, connection_window_bytes: 200_000, ..Settings::default() };
        let mut driver = Driver::new(Role::Server, settings, Limits::default());
        driver.feed(&[PREFACE, &settings_frame()].concat()).unwrap();
        driver
    };
    let full = content(1, 16_000).repeat(4);
    check(
        unacknowledged,
        vec![
            (
                "§6.5.3 the default until the ACK",
                peer(&[post(1), full.clone(), content(1, 1_535), get(3)]),
                Fine,
            ),
            (
                "§6.5.3 not more",
                peer(&[post(1), full.clone(), content(1, 1_536), get(3)]),
                Stream(1, FlowControlError),
            ),
            (
                "§6.9.2 below zero after the ACK",
                peer(&[post(1), full, settings_ack(), content(1, 1), get(3)]),
                Stream(1, FlowControlError),
            ),
            (
                "§6.9.2 the new size after the ACK",
                peer(&[settings_ack(), post(1), content(1, 1_001), get(3)]),
                Stream(1, FlowControlError),
            ),
        ],
    );
}

fn settings_frame() -> Vec<u8> {
    settings(&[])
}

#[test]
fn windows_go_back_by_halves() {
    let mut driver = narrow();
    driver.feed(&[post(1), content(1, 1_000)].concat()).unwrap();
    driver.connection.release(1, 499);
    assert_eq!(updates(&mut driver), []);
    driver.connection.release(1, 1);
    assert_eq!(updates(&mut driver), [(1, 500)]);
    driver.connection.release(1, 10_000);
    assert_eq!(updates(&mut driver), [(1, 500)], "not more than it held");
    let mut passed = 1_000;
    while updates(&mut driver).iter().all(|(stream, _)| *stream != 0) {
        driver.feed(&content(1, 500)).unwrap();
        driver.connection.release(1, 500);
        passed += 500;
    }
    assert_eq!(passed, 33_000, "half of 65 535, in steps of 500");
}

#[test]
fn padding_goes_back_by_itself() {
    let mut driver = narrow();
    let padded = frame(DATA, PADDED, 1, &[&[199][..], &[0; 199]].concat());
    driver.feed(&[post(1), padded.repeat(50)].concat()).unwrap();
    let given: u32 = updates(&mut driver).iter().filter(|(stream, _)| *stream == 1).map(|(_, n)| n).sum();
    assert!((9_500..=10_000).contains(&given), "{given}");
}

/// However a stream ends, what it held of the connection's window is not lost.
#[test]
fn what_a_stream_held_goes_back_when_it_ends() {
    let endings: [fn(&mut Driver, u32); 4] = [
        |driver, stream| driver.connection.reset(stream, ErrorCode::Cancel),
        |driver, stream| assert!(driver.feed(&rst_stream(stream, 8)).unwrap().len() == 1),
        |driver, stream| {
            driver.feed(&data(stream, b"", true)).unwrap();
            driver.connection.send_head(stream, &[0x88], true).unwrap();
        },
        // Reset in the middle of a frame; the rest of it still comes.
        |driver, stream| {
            let frame = content(stream, 100);
            driver.feed(&frame[..50]).unwrap();
            driver.connection.reset(stream, ErrorCode::Cancel);
            assert_eq!(driver.feed(&frame[50..]).unwrap(), []);
        },
    ];
    for (number, end) in endings.into_iter().enumerate() {
        let mut driver = narrow();
        let mut given = 0;
        for stream in (0..200).map(|n| 2 * n + 1) {
            let events = driver.feed(&[post(stream), content(stream, 900)].concat()).unwrap();
            assert_eq!(events.len(), 2, "ending {number}, stream {stream}");
            end(&mut driver, stream);
            driver.connection.release(stream, 900);
            given += updates(&mut driver).iter().filter(|(id, _)| *id == 0).map(|(_, n)| n).sum::<u32>();
        }
        assert!((200 * 900 - 33_000..=200 * 1_000).contains(&given), "ending {number}: {given}");
    }
}

/// DATA for streams that are gone counts, and goes back at once.
#[test]
fn what_is_dropped_goes_back() {
    let mut driver = narrow();
    driver.feed(&post(1)).unwrap();
    driver.connection.reset(1, ErrorCode::NoError);
    for _ in 0..200 {
        assert_eq!(driver.feed(&content(1, 1_000)).unwrap(), []);
    }
    let given: u32 = updates(&mut driver).iter().map(|(stream, n)| if *stream == 0 { *n } else { 0 }).sum();
    assert!(given >= 150_000, "{given}");
}

//--- what we may send ---

#[test]
fn sending_keeps_to_both_windows() {
    let mut driver = Driver::server();
    driver.feed(&[settings(&[(4, 40_000)]), get(1), get(3), get(5)].concat()).unwrap();
    for stream in [1, 3, 5] {
        driver.connection.send_head(stream, &[0x88], false).unwrap();
    }
    driver.written();
    let body = vec![b'x'; 50_000];
    assert_eq!(driver.connection.capacity(1), 40_000);
    assert_eq!(driver.connection.send_data(1, &body, true), Ok(40_000));
    let sizes: Vec<_> = driver.written().iter().map(|frame| (frame.flags, frame.payload.len())).collect();
    assert_eq!(sizes, [(0, 16_384), (0, 16_384), (0, 7_232)]);
    assert_eq!((driver.connection.capacity(1), driver.connection.capacity(3)), (0, 25_535));
    assert_eq!(driver.connection.send_data(3, &body, true), Ok(25_535));
    assert_eq!(driver.connection.send_data(3, &body, true), Ok(0));
    assert_eq!(driver.connection.send_data(3, b"", false), Ok(0));
    assert_eq!(driver.written().len(), 2);

    // Nobody has room in the connection's window; then one has room in both.
    assert_eq!(driver.feed(&window_update(1, 10_000)).unwrap(), [Seen::Window { stream: Some(1) }]);
    assert_eq!(driver.connection.capacity(1), 0);
    assert_eq!(driver.feed(&window_update(0, 20_000)).unwrap(), [Seen::Window { stream: None }]);
    assert_eq!(driver.feed(&window_update(0, 1)).unwrap(), []);
    assert_eq!(driver.connection.send_data(1, &body[40_000..], true), Ok(10_000));
    assert_eq!(driver.written().pop().unwrap().flags, END_STREAM);
    assert_eq!(driver.connection.send_data(1, b"x", true), Err(Gone));
    assert_eq!(driver.connection.capacity(1), 0);

    // An end without content needs no window.
    assert_eq!(driver.connection.send_data(5, &body, false), Ok(10_001));
    assert_eq!(driver.connection.send_data(5, b"", true), Ok(0));
    assert_eq!(driver.connection.open_streams(), 1);
}

/// §6.9.2: a smaller initial window takes from streams that are open, below zero too.
#[test]
fn settings_move_the_windows_of_open_streams() {
    let mut driver = Driver::server();
    driver.feed(&[get(1), window_update(0, 1_000_000)].concat()).unwrap();
    driver.connection.send_head(1, &[0x88], false).unwrap();
    assert_eq!(driver.connection.send_data(1, &vec![b'x'; 60_000], false), Ok(60_000));
    driver.feed(&settings(&[(4, 1_000)])).unwrap();
    assert_eq!(driver.connection.capacity(1), 0);
    assert_eq!(driver.feed(&window_update(1, 59_000)).unwrap(), []);
    assert_eq!(driver.feed(&window_update(1, 5)).unwrap(), [Seen::Window { stream: Some(1) }]);
    assert_eq!(driver.connection.capacity(1), 5);
    driver.feed(&settings(&[(4, 3_000)])).unwrap();
    assert_eq!(driver.connection.capacity(1), 2_005);
}

#[test]
fn frames_are_no_larger_than_the_peer_takes() {
    let mut driver = Driver::server();
    driver.feed(&[settings(&[(4, 100_000), (5, 30_000)]), get(1)].concat()).unwrap();
    driver.connection.send_head(1, &[0x88], false).unwrap();
    driver.written();
    assert_eq!(driver.connection.send_data(1, &vec![b'x'; 60_000], true), Ok(60_000));
    let sizes: Vec<_> = driver.written().iter().map(|frame| (frame.flags, frame.payload.len())).collect();
    assert_eq!(sizes, [(0, 30_000), (1, 30_000)]);
}

#[test]
fn nothing_is_sent_on_streams_that_are_gone() {
    let mut driver = Driver::server();
    driver.feed(&[get(1), rst_stream(1, 8)].concat()).unwrap();
    driver.written();
    assert_eq!(driver.connection.send_head(1, &[0x88], true), Err(Gone));
    assert_eq!(driver.connection.send_data(1, b"x", true), Err(Gone));
    assert_eq!(driver.connection.send_data(99, b"x", true), Err(Gone));
    driver.connection.reset(1, ErrorCode::Cancel);
    driver.connection.release(1, 100);
    assert_eq!(driver.connection.capacity(1), 0);
    assert_eq!(driver.written(), []);
}
