//! RFC 7541: the examples of Appendix C with their tables, what is an error, and a decoder against an encoder that uses all there is.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod kit;

use std::collections::VecDeque;

use kit::Verdict::{Connection, Fine};
use kit::*;
use proptest::prelude::*;
use trunkline_http2::ErrorCode::CompressionError;
use trunkline_http2::hpack::{Decoder, HpackError, encode};
use trunkline_http2::{Fields, Limits};

fn bytes(hex: &str) -> Vec<u8> {
    let digits: String = hex.split_whitespace().collect();
    digits
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn list(fields: &Fields) -> Vec<(String, String)> {
    let text = |value: Option<&str>| value.map(str::to_owned);
    let pseudo = [
        (":method", text(fields.method())),
        (":scheme", text(fields.scheme())),
        (":path", text(fields.path())),
        (":authority", text(fields.authority())),
        (":status", fields.status().map(|status| status.to_string())),
    ];
    let lines =
        fields.lines().map(|line| (line.name.to_owned(), String::from_utf8(line.value.to_vec()).unwrap()));
    pseudo.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).chain(lines).collect()
}

/// A block, what it says, and the table after it: newest first, and its size.
type Example =
    (&'static str, &'static [(&'static str, &'static str)], &'static [(&'static str, &'static str)], usize);

fn check_examples(name: &str, prefix: &str, examples: &[Example]) {
    let mut decoder = Decoder::default();
    let mut fields = Fields::new(&Limits::default());
    for (number, (block, wanted, table, size)) in examples.iter().enumerate() {
        let prefix = if number == 0 { prefix } else { "" };
        decoder.decode(&bytes(&[prefix, block].concat()), &mut fields).unwrap();
        let own = |fields: &[(&str, &str)]| -> Vec<_> {
            fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let mut found = list(&fields);
        let mut wanted = own(wanted);
        found.sort();
        wanted.sort();
        assert_eq!(found, wanted, "{name}.{}", number + 1);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let entries: Vec<_> =
            decoder.table().entries().map(|(name, value)| (text(name), text(value))).collect();
        assert_eq!((entries, decoder.table().size()), (own(table), *size), "{name}.{}", number + 1);
    }
}

#[test]
fn c2_representations() {
    let key = &[("custom-key", "custom-header")];
    check_examples(
        "C.2.1",
        "",
        &[("400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572", key, key, 55)],
    );
    check_examples(
        "C.2.2",
        "",
        &[("040c 2f73 616d 706c 652f 7061 7468", &[(":path", "/sample/path")], &[], 0)],
    );
    check_examples(
        "C.2.3",
        "",
        &[("1008 7061 7373 776f 7264 0673 6563 7265 74", &[("password", "secret")], &[], 0)],
    );
    check_examples("C.2.4", "", &[("82", &[(":method", "GET")], &[], 0)]);
}

const WWW: (&str, &str) = (":authority", "www.example.com");
const NO_CACHE: (&str, &str) = ("cache-control", "no-cache");
const CUSTOM: (&str, &str) = ("custom-key", "custom-value");
const REQUESTS: [&[(&str, &str)]; 3] = [
    &[(":method", "GET"), (":scheme", "http"), (":path", "/"), WWW],
    &[(":method", "GET"), (":scheme", "http"), (":path", "/"), WWW, NO_CACHE],
    &[(":method", "GET"), (":scheme", "https"), (":path", "/index.html"), WWW, CUSTOM],
];
const REQUEST_TABLES: [(&[(&str, &str)], usize); 3] =
    [(&[WWW], 57), (&[NO_CACHE, WWW], 110), (&[CUSTOM, NO_CACHE, WWW], 164)];

fn requests(blocks: [&'static str; 3]) -> Vec<Example> {
    (0..3).map(|n| (blocks[n], REQUESTS[n], REQUEST_TABLES[n].0, REQUEST_TABLES[n].1)).collect()
}

#[test]
fn c3_requests() {
    let blocks = [
        "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "8286 84be 5808 6e6f 2d63 6163 6865",
        "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
    ];
    check_examples("C.3", "", &requests(blocks));
}

#[test]
fn c4_requests_with_huffman() {
    let blocks = [
        "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
        "8286 84be 5886 a8eb 1064 9cbf",
        "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
    ];
    check_examples("C.4", "", &requests(blocks));
}

const DATE_21: (&str, &str) = ("date", "Mon, 21 Oct 2013 20:13:21 GMT");
const DATE_22: (&str, &str) = ("date", "Mon, 21 Oct 2013 20:13:22 GMT");
const LOCATION: (&str, &str) = ("location", "https://www.example.com");
const PRIVATE: (&str, &str) = ("cache-control", "private");
const GZIP: (&str, &str) = ("content-encoding", "gzip");
const COOKIE: (&str, &str) = ("set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1");
const RESPONSES: [&[(&str, &str)]; 3] = [
    &[(":status", "302"), PRIVATE, DATE_21, LOCATION],
    &[(":status", "307"), PRIVATE, DATE_21, LOCATION],
    &[(":status", "200"), PRIVATE, DATE_22, LOCATION, GZIP, COOKIE],
];
const RESPONSE_TABLES: [(&[(&str, &str)], usize); 3] = [
    (&[LOCATION, DATE_21, PRIVATE, (":status", "302")], 222),
    (&[(":status", "307"), LOCATION, DATE_21, PRIVATE], 222),
    (&[COOKIE, GZIP, DATE_22], 215),
];
/// The examples work with a table of 256 bytes.
const TABLE_256: &str = "3fe1 01";

fn responses(blocks: [&'static str; 3]) -> Vec<Example> {
    (0..3).map(|n| (blocks[n], RESPONSES[n], RESPONSE_TABLES[n].0, RESPONSE_TABLES[n].1)).collect()
}

#[test]
fn c5_responses() {
    let blocks = [
        "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "4803 3330 37c1 c0bf",
        "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31",
    ];
    check_examples("C.5", TABLE_256, &responses(blocks));
}

#[test]
fn c6_responses_with_huffman() {
    let blocks = [
        "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
        "4883 640e ffc1 c0bf",
        "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
    ];
    check_examples("C.6", TABLE_256, &responses(blocks));
}

/// Each is a connection error of type `COMPRESSION_ERROR` (RFC 9113 §4.3).
#[test]
fn errors() {
    let cases: &[(&str, &[u8], &str)] = &[
        ("§2.3.3 index beyond both tables", &[0xBE], "index_beyond_tables"),
        (
            "§2.3.3 a literal's index beyond both tables",
            &[0x40 | 0x3F, 0x10, 0x01, b'x'],
            "index_beyond_tables",
        ),
        ("§5.1 integer without end", &[0xFF, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80], "integer_too_large"),
        ("§5.1 integer cut short", &[0xFF, 0x80], "integer_cut_short"),
        ("§5.2 string without length", &[0x40], "string_missing"),
        ("§5.2 string longer than the block", &[0x40, 0x03, b'a', b'b'], "string_cut_short"),
        (
            "§5.2 value longer than the block",
            &[0x40, 0x01, b'a', 0x7F, 0xFF, 0xFF, 0xFF, 0x7F],
            "string_cut_short",
        ),
        ("§5.2 eight bits of padding", &[0x40, 0x01, b'a', 0x82, 0x07, 0xFF], "huffman_padding"),
        ("§5.2 padding of zeros", &[0x40, 0x01, b'a', 0x81, 0x00], "huffman_padding"),
        ("§5.2 EOS", &[0x40, 0x01, b'a', 0x84, 0xFF, 0xFF, 0xFF, 0xFF], "huffman_eos"),
        ("§6.1 index 0", &[0x80], "index_zero"),
        ("§6.3 above the setting", &[0x3F, 0xE2, 0x1F], "table_size_above_setting"),
        ("§4.2 update at the end", &[0x82, 0x20], "late_table_size_update"),
        ("§4.2 update in the middle", &[0x82, 0x20, 0x84], "late_table_size_update"),
    ];
    for (what, tail, reason) in cases {
        let mut fields = Fields::new(&Limits::default());
        assert_eq!(Decoder::default().decode(tail, &mut fields), Err(HpackError(reason)), "{what}");
        check(
            Driver::server,
            vec![(what, peer(&[frame(HEADERS, 5, 1, tail)]), Connection(CompressionError))],
        );
    }
    let largest = [&[0x3F, 0xE1, 0x1F][..], &block(GET)].concat();
    let twice = [&[0x20, 0x3F, 0xE1, 0x1F][..], &block(GET)].concat();
    check(
        Driver::server,
        vec![
            ("§6.3 the setting itself", peer(&[frame(HEADERS, 5, 1, &largest)]), Fine),
            ("§4.2 two updates", peer(&[frame(HEADERS, 5, 1, &twice)]), Fine),
        ],
    );
}

#[test]
fn what_we_encode() {
    let mut out = Vec::new();
    for status in [200, 204, 206, 304, 400, 404, 500] {
        encode::status(&mut out, status);
    }
    assert_eq!(out, [0x88, 0x89, 0x8A, 0x8B, 0x8C, 0x8D, 0x8E]);
    let made = |encode: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        encode(&mut out);
        out
    };
    assert_eq!(made(&|out| encode::status(out, 418)), b"\x08\x03418");
    assert_eq!(made(&|out| encode::method(out, "GET")), [0x82]);
    assert_eq!(made(&|out| encode::method(out, "PUT")), b"\x02\x03PUT");
    assert_eq!(made(&|out| encode::scheme(out, "https")), [0x87]);
    assert_eq!(made(&|out| encode::path(out, "/", None)), [0x84]);
    assert_eq!(made(&|out| encode::path(out, "/", Some("q"))), b"\x04\x03/?q");
    assert_eq!(made(&|out| encode::header(out, "Content-Type", b"a/b")), b"\x0f\x10\x03a/b");
    assert_eq!(made(&|out| encode::header(out, "Accept-Ranges", b"x")), b"\x0f\x03\x01x");
    assert_eq!(made(&|out| encode::header(out, "X-Test", b"")), b"\0\x06x-test\0");
    for credential in ["Authorization", "Cookie", "Set-Cookie", "Proxy-Authorization"] {
        assert_eq!(made(&|out| encode::header(out, credential, b"x"))[0] & 0xF0, 0x10, "{credential}");
    }
}

/// Whatever is encoded is decoded again.
#[test]
fn our_blocks_are_read_by_our_decoder() {
    let mut block = Vec::new();
    let long = "v".repeat(300);
    encode::method(&mut block, "PATCH");
    encode::scheme(&mut block, "gopher");
    encode::authority(&mut block, "example.test");
    encode::path(&mut block, "/a", Some("b=c"));
    encode::header(&mut block, "X-Long", long.as_bytes());
    encode::header(&mut block, &"N".repeat(200), b"");
    encode::header(&mut block, "WWW-Authenticate", b"Basic");
    let mut fields = Fields::new(&Limits::default());
    Decoder::default().decode(&block, &mut fields).unwrap();
    assert_eq!((fields.method(), fields.scheme()), (Some("PATCH"), Some("gopher")));
    assert_eq!((fields.authority(), fields.path()), (Some("example.test"), Some("/a?b=c")));
    let name = "n".repeat(200);
    let lines: Vec<_> = fields.lines().map(|line| (line.name, line.value)).collect();
    let wanted = [("x-long", long.as_bytes()), (&name[..], b""), ("www-authenticate", b"Basic")];
    assert_eq!(lines, wanted);
}

//--- against an encoder that uses the dynamic table ---

/// How a field is written.
#[derive(Debug, Clone, Copy)]
enum Form {
    Add,
    Plain,
    Never,
}

/// Keeps the table as RFC 7541 §4 has it, in the plainest way.
#[derive(Default)]
struct Encoder {
    table: VecDeque<(String, String)>,
    capacity: usize,
}

impl Encoder {
    fn evict(&mut self) {
        let size = |table: &VecDeque<(String, String)>| -> usize {
            table.iter().map(|(name, value)| name.len() + value.len() + 32).sum()
        };
        while size(&self.table) > self.capacity {
            self.table.pop_back();
        }
    }

    fn resize(&mut self, out: &mut Vec<u8>, capacity: usize) {
        integer(out, 0x20, 5, capacity);
        self.capacity = capacity;
        self.evict();
    }

    fn write(&mut self, out: &mut Vec<u8>, name: &str, value: &str, form: Form) {
        if let Some(place) = self.table.iter().position(|entry| entry.0 == name && entry.1 == value) {
            return integer(out, 0x80, 7, 62 + place);
        }
        let index = self.table.iter().position(|entry| entry.0 == name).map_or(0, |place| 62 + place);
        match form {
            Form::Add => integer(out, 0x40, 6, index),
            Form::Plain => integer(out, 0x00, 4, index),
            Form::Never => integer(out, 0x10, 4, index),
        }
        for text in Some(name).filter(|_| index == 0).into_iter().chain([value]) {
            integer(out, 0, 7, text.len());
            out.extend_from_slice(text.as_bytes());
        }
        if let Form::Add = form {
            self.table.push_front((name.to_owned(), value.to_owned()));
            self.evict();
        }
    }
}

fn integer(out: &mut Vec<u8>, pattern: u8, prefix: u32, value: usize) {
    let mask = (1 << prefix) - 1;
    if value < mask {
        return out.push(pattern | value as u8);
    }
    out.push(pattern | mask as u8);
    let mut rest = value - mask;
    while rest >= 128 {
        out.push(rest as u8 | 0x80);
        rest /= 128;
    }
    out.push(rest as u8);
}

fn form() -> impl Strategy<Value = Form> {
    prop_oneof![4 => Just(Form::Add), 1 => Just(Form::Plain), 1 => Just(Form::Never)]
}

/// Few names and values, so that entries come back; some long enough to empty the table.
fn field() -> impl Strategy<Value = (String, String, Form)> {
    ("[a-c]{1,3}", prop_oneof![8 => "[xy]{0,2}", 1 => "z{50,300}"], form())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_table_state(blocks in prop::collection::vec((prop::option::of(0usize..600), prop::collection::vec(field(), 0..12)), 1..12)) {
        let mut encoder = Encoder { capacity: 4_096, ..Encoder::default() };
        let mut decoder = Decoder::default();
        let mut decoded = Fields::new(&Limits::default());
        for (capacity, fields) in blocks {
            let mut block = Vec::new();
            if let Some(capacity) = capacity {
                encoder.resize(&mut block, capacity);
            }
            for (name, value, form) in &fields {
                encoder.write(&mut block, name, value, *form);
            }
            decoder.decode(&block, &mut decoded).unwrap();
            let found: Vec<_> = decoded.lines().map(|line| (line.name.as_bytes().to_vec(), line.value.to_vec())).collect();
            let wanted: Vec<_> = fields.iter().map(|(name, value, _)| (name.clone().into_bytes(), value.clone().into_bytes())).collect();
            prop_assert_eq!(found, wanted);
            let entries: Vec<_> = decoder.table().entries().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
            let table: Vec<_> = encoder.table.iter().map(|(name, value)| (name.clone().into_bytes(), value.clone().into_bytes())).collect();
            prop_assert_eq!(entries, table);
        }
    }

    #[test]
    fn garbage_never_panics(block in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut decoder = Decoder::default();
        let mut fields = Fields::new(&Limits { header_list_bytes: 200, ..Limits::default() });
        let _ = decoder.decode(&block, &mut fields);
        let _ = decoder.decode(&block, &mut fields);
        prop_assert!(decoder.table().size() <= 4_096);
    }
}
