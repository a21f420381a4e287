//! Whatever bytes come in whatever pieces, to a server and to a client that send in between: no panic, what is handed out is within what came,
//! and memory stays bounded.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trunkline_http::{Answers, HeaderBuffer};
use trunkline_http2::hpack::encode;
use trunkline_http2::{Connection, ErrorCode, Event, Limits, Rate, Settings};

const RATE: Rate = Rate { burst: 50, per_second: 50 };
const LIMITS: Limits = Limits {
    header_list_bytes: 2_048,
    headers: 16,
    target_bytes: 256,
    continuations: 8,
    streams_total: 1_000,
    unsent_control_bytes: 4_096,
    resets: RATE,
    settings: RATE,
    pings: RATE,
    priorities: RATE,
    window_updates: RATE,
    empty_data: RATE,
    ignored: RATE,
};
/// More than 8 KiB of input can make us say: it is sent back once at most, with control frames up to their limit.
const MOST_OUTPUT: usize = 64 << 10;

fuzz_target!(|bytes: &[u8]| {
    // The first byte tells the sizes of the pieces.
    let Some((&seed, bytes)) = bytes.split_first() else { return };
    let settings = Settings { max_concurrent_streams: 8, connect_protocol: true, ..Settings::default() };
    let mut server = Connection::server(settings, LIMITS);
    let mut input = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    input.extend_from_slice(bytes);
    talk(&mut server, &input, seed, false);
    let mut client = Connection::client(settings, LIMITS);
    talk(&mut client, bytes, seed, true);
});

fn talk(connection: &mut Connection, bytes: &[u8], seed: u8, client: bool) {
    let mut pending: Vec<u8> = Vec::new();
    let size = usize::from(seed) + 1;
    for (turn, piece) in bytes.chunks(size).enumerate() {
        pending.extend_from_slice(piece);
        if client {
            open(connection, turn);
        }
        let Some(used) = read(connection, &pending, turn as u64 * 1_000_000, client) else { return };
        pending.drain(..used);
        assert!(pending.len() <= 9, "{} bytes are left", pending.len());
        assert!(connection.output().len() < MOST_OUTPUT);
        assert!(connection.open_streams() <= 100);
        if turn % 3 == 0 {
            connection.consume_output(usize::from(seed) * 5);
        }
    }
}

fn open(connection: &mut Connection, turn: usize) {
    let mut block = Vec::new();
    encode::method(&mut block, "GET");
    let answers = [Answers::Other, Answers::Head, Answers::Connect][turn % 3];
    if connection.open_streams() < 8 {
        connection.open(&block, turn % 2 == 0, answers);
    }
}

/// Reads all there is and does something with it; `None` once the connection is lost.
fn read(connection: &mut Connection, input: &[u8], now_ns: u64, client: bool) -> Option<usize> {
    let mut start = 0;
    loop {
        let rest = &input[start..];
        let Ok((used, event)) = connection.receive(rest, now_ns) else {
            assert!(connection.receive(rest, now_ns).is_err());
            assert!(connection.output().len() >= 17, "GOAWAY is there");
            return None;
        };
        assert!(used <= rest.len());
        start += used;
        if let Some(event) = event {
            react(connection, event, client);
        }
        if used == 0 {
            return Some(start);
        }
    }
}

fn react(connection: &mut Connection, event: Event<'_>, client: bool) {
    match event {
        Event::Head { stream, .. } => {
            {
                let mut storage = HeaderBuffer::new();
                if client {
                    let head = connection.fields().response(Answers::Other, &mut storage).expect("checked");
                    assert!((200..600).contains(&head.status));
                } else if let Ok(head) = connection.fields().request(&mut storage) {
                    assert!(head.method == "CONNECT" || head.path.starts_with(['/', '*']));
                    assert!(!head.authority.is_empty());
                }
            }
            if !client && stream % 3 == 0 {
                let _ = connection.send_head(stream, &[0x88], stream % 5 == 0);
            }
        }
        Event::Data { stream, bytes, .. } => {
            let _ = connection.send_data(stream, bytes, stream % 7 == 0);
            connection.release(stream, bytes.len());
        }
        Event::Trailers { stream } => {
            let _ = connection.send_head(stream, &[0x88], true);
        }
        Event::HeadTooLarge { stream, .. } => connection.reset(stream, ErrorCode::EnhanceYourCalm),
        Event::Window { stream: Some(stream) } => assert!(connection.capacity(stream) <= i32::MAX as usize),
        Event::Reset { stream, .. } => assert_eq!(connection.capacity(stream), 0),
        Event::Settings if connection.open_streams() > 6 => connection.drain(),
        _ => {}
    }
}
