//! Time of a request and of a response on a connection that is warm: `cargo bench -p trunkline-http2`.
#![allow(clippy::unwrap_used)]

use divan::{Bencher, black_box};
use trunkline_http::{Answers, HeaderBuffer};
use trunkline_http2::hpack::{Decoder, encode};
use trunkline_http2::{Connection, Event, Fields, Limits, Settings};

fn main() {
    divan::main();
}

/// The five fields that h2load sends, by index from the second request on.
const H2LOAD: &[(&str, &str)] = &[
    (":method", "GET"),
    (":scheme", "http"),
    (":authority", "127.0.0.1:8080"),
    (":path", "/"),
    ("user-agent", "h2load nghttp2/1.64.0"),
];

/// What a browser asks for a page's part with.
const BROWSER: &[(&str, &str)] = &[
    (":method", "GET"),
    (":scheme", "https"),
    (":authority", "shop.example.test"),
    (":path", "/static/app.3f9a1c.js?v=7"),
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"),
    ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    ("accept-language", "en-US,en;q=0.5"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("referer", "https://shop.example.test/cart"),
    ("cookie", "session=2f8e0a6c1b7d4f3d9e5a; theme=dark"),
    ("te", "trailers"),
];

#[derive(Clone, Copy)]
enum Form {
    /// Every field from the dynamic table.
    Indexed,
    /// Every field a plain literal.
    Plain,
}

/// A block as a client's encoder would make it the first time (`Form::Indexed`: with indexing).
fn block(fields: &[(&str, &str)], form: Form) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in fields {
        out.push(if matches!(form, Form::Indexed) { 0x40 } else { 0 });
        for text in [name, value] {
            assert!(text.len() < 127);
            out.push(text.len() as u8);
            out.extend_from_slice(text.as_bytes());
        }
    }
    out
}

/// The same by index: the newest entry is 62.
fn by_index(fields: &[(&str, &str)]) -> Vec<u8> {
    (0..fields.len()).rev().map(|place| 0x80 | (62 + place) as u8).collect()
}

fn frame(stream: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    out.extend_from_slice(&[1, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
    out
}

/// A server that has seen the preface and one request with `fields`, finished.
fn server(fields: &[(&str, &str)], form: Form) -> Connection {
    let mut connection = Connection::server(Settings::default(), Limits::default());
    let mut input = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    input.extend(frame(1, 5, &block(fields, form)));
    let mut rest = &input[..];
    while !rest.is_empty() {
        let (used, _) = connection.receive(rest, 1).unwrap();
        rest = &rest[used..];
    }
    connection.send_head(1, &[0x88], true).unwrap();
    connection
}

/// One request decoded, checked and made a head of, one 200 without content sent.
fn exchange(bencher: Bencher, fields: &[(&str, &str)], form: Form) {
    let mut connection = server(fields, form);
    let payload = if matches!(form, Form::Indexed) { by_index(fields) } else { block(fields, form) };
    let mut input = frame(3, 5, &payload);
    let mut number = 3u32;
    bencher.bench_local(|| {
        input[5..9].copy_from_slice(&number.to_be_bytes());
        let (used, event) = connection.receive(black_box(&input), 1).unwrap();
        assert!(matches!(event, Some(Event::Head { .. })) && used == input.len());
        {
            let mut storage = HeaderBuffer::new();
            black_box(connection.fields().request(&mut storage).unwrap());
        }
        connection.send_head(number, &[0x88], true).unwrap();
        connection.consume_output(usize::MAX);
        number = (number + 2) & 0x7FFF_FFFF;
    });
}

#[divan::bench]
fn exchange_h2load_indexed(bencher: Bencher) {
    exchange(bencher, H2LOAD, Form::Indexed);
}

#[divan::bench]
fn exchange_browser_indexed(bencher: Bencher) {
    exchange(bencher, BROWSER, Form::Indexed);
}

#[divan::bench]
fn exchange_browser_plain(bencher: Bencher) {
    exchange(bencher, BROWSER, Form::Plain);
}

/// The block of a response of an application behind nginx.
#[divan::bench]
fn encode_response(bencher: Bencher) {
    let mut out = Vec::new();
    bencher.bench_local(|| {
        out.clear();
        encode::status(&mut out, black_box(200));
        for (name, value) in RESPONSE {
            encode::header(&mut out, black_box(name), black_box(value.as_bytes()));
        }
        black_box(out.len())
    });
}

const RESPONSE: &[(&str, &str)] = &[
    ("Server", "nginx"),
    ("Date", "Tue, 24 Nov 2026 08:00:00 GMT"),
    ("Content-Type", "text/html; charset=utf-8"),
    ("Content-Length", "1024"),
    ("Last-Modified", "Mon, 23 Nov 2026 08:00:00 GMT"),
    ("ETag", "\"6922c1a0-400\""),
    ("X-Request-Id", "0193f5f0-7c1e-7a3b-8f00-0123456789ab"),
];

/// A response head decoded and made a head of, on a client's connection.
#[divan::bench]
fn decode_response_plain(bencher: Bencher) {
    let mut connection = Connection::client(Settings::default(), Limits::default());
    connection.receive(b"\0\0\0\x04\0\0\0\0\0", 1).unwrap();
    let mut payload = Vec::new();
    encode::status(&mut payload, 200);
    for (name, value) in RESPONSE {
        encode::header(&mut payload, name, value.as_bytes());
    }
    let mut input = frame(1, 4, &payload);
    bencher.bench_local(|| {
        let stream = connection.open(&[0x82, 0x86, 0x84], true, Answers::Other).unwrap();
        input[5..9].copy_from_slice(&stream.to_be_bytes());
        let (_, event) = connection.receive(black_box(&input), 1).unwrap();
        assert!(matches!(event, Some(Event::Head { .. })));
        {
            let mut storage = HeaderBuffer::new();
            black_box(connection.fields().response(Answers::Other, &mut storage).unwrap());
        }
        connection.reset(stream, trunkline_http2::ErrorCode::Cancel);
        connection.consume_output(usize::MAX);
    });
}

/// Six fields, 110 characters of them Huffman-coded: the last example of RFC 7541 C.6, every string a literal.
#[divan::bench]
fn decode_huffman(bencher: Bencher) {
    let block = [
        &[0x88, 0x0F, 0x09, 0x86][..],
        b"\xa8\xeb\x10\x64\x9c\xbf\x00\x88\x25\xa8\x49\xe9\x5b\xa9\x7d\x7f\x89\x25\xa8\x49\xe9\x5b\xb8\xe8\xb4\xbf",
        b"\x0f\x12\x96\xd0\x7a\xbe\x94\x10\x54\xd4\x44\xa8\x20\x05\x95\x04\x0b\x81\x66\xe0\x84\xa6\x2d\x1b\xff",
        b"\x0f\x0b\x83\x9b\xd9\xab\x0f\x28\xad\x94\xe7\x82\x1d\xd7\xf2\xe6\xc7\xb3\x35\xdf\xdf\xcd\x5b\x39\x60",
        b"\xd5\xaf\x27\x08\x7f\x36\x72\xc1\xab\x27\x0f\xb5\x29\x1f\x95\x87\x31\x60\x65\xc0\x03\xed\x4e\xe5\xb1\x06\x3d\x50\x07",
    ]
    .concat();
    let mut fields = Fields::new(&Limits::default());
    let mut decoder = Decoder::default();
    bencher.bench_local(|| decoder.decode(black_box(&block), &mut fields).unwrap());
    assert_eq!(fields.lines().count(), 5);
}

/// 1 KiB of content in, released, and out again.
#[divan::bench]
fn relay_1_kib(bencher: Bencher) {
    let mut connection = server(H2LOAD, Form::Indexed);
    connection.receive(&frame(3, 4, &by_index(H2LOAD)), 1).unwrap();
    let mut input = frame(3, 0, &[b'x'; 1024]);
    input[3] = 0;
    let mut update = frame(0, 0, &1024u32.to_be_bytes());
    update[3] = 8;
    let mut update_stream = frame(3, 0, &1024u32.to_be_bytes());
    update_stream[3] = 8;
    bencher.bench_local(|| {
        let (_, event) = connection.receive(black_box(&input), 1).unwrap();
        let Some(Event::Data { stream, bytes, .. }) = event else { panic!("no data") };
        assert_eq!(connection.send_data(stream, bytes, false), Ok(1024));
        connection.release(stream, 1024);
        connection.consume_output(usize::MAX);
        connection.receive(&update, 1).unwrap();
        connection.receive(&update_stream, 1).unwrap();
    });
}
