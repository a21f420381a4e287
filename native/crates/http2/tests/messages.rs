//! RFC 9113 §8 and RFC 8441: which field lists are requests, responses and trailers, and what they become.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod kit;

use kit::Step::{Open, Peer};
use kit::Verdict::{Fine, Stream};
use kit::*;
use trunkline_http::{Answers, Field, Framing, HeaderBuffer, Reason, Version, find};
use trunkline_http2::ErrorCode::ProtocolError;
use trunkline_http2::{Connection, Limits, Malformed, Role, Settings};

const BAD: Verdict = Stream(1, ProtocolError);

/// A request of these fields, then another to see that the connection goes on.
fn request(fields: &[(&str, &str)]) -> Vec<Step> {
    peer(&[headers(1, fields, true), get(3)])
}

fn without(name: &str) -> Vec<(&'static str, &'static str)> {
    GET.iter().copied().filter(|field| field.0 != name).collect()
}

fn with(further: &[(&'static str, &'static str)]) -> Vec<Step> {
    request(&[GET, further].concat())
}

fn replaced(name: &'static str, value: &'static str) -> Vec<Step> {
    request(&GET.iter().map(|&field| if field.0 == name { (name, value) } else { field }).collect::<Vec<_>>())
}

#[test]
fn fields() {
    check(
        Driver::server,
        vec![
            ("§8.2.1 upper case", with(&[("X-TEST", "ok")]), BAD),
            ("§8.2.1 space in a name", with(&[("x test", "ok")]), BAD),
            ("§8.2.1 colon in a name", with(&[("x:", "ok")]), BAD),
            ("§8.2.1 empty name", with(&[("", "ok")]), BAD),
            ("§8.2.1 name of other bytes", with(&[("x\u{e9}", "ok")]), BAD),
            ("§8.2.1 NUL", with(&[("x", "a\0b")]), BAD),
            ("§8.2.1 CR", with(&[("x", "a\rb")]), BAD),
            ("§8.2.1 LF", with(&[("x", "a\nb")]), BAD),
            ("§8.2.1 white space before", with(&[("x", " a")]), BAD),
            ("§8.2.1 white space behind", with(&[("x", "a\t")]), BAD),
            ("§8.2.1 empty value", with(&[("x", "")]), Fine),
            ("§8.2.2 connection", with(&[("connection", "keep-alive")]), BAD),
            ("§8.2.2 proxy-connection", with(&[("proxy-connection", "keep-alive")]), BAD),
            ("§8.2.2 keep-alive", with(&[("keep-alive", "timeout=5")]), BAD),
            ("§8.2.2 transfer-encoding", with(&[("transfer-encoding", "chunked")]), BAD),
            ("§8.2.2 upgrade", with(&[("upgrade", "websocket")]), BAD),
            ("§8.2.2 te: trailers, deflate", with(&[("te", "trailers, deflate")]), BAD),
            ("§8.2.2 te: trailers", with(&[("te", "trailers")]), Fine),
            (
                "§8.2.2 by static index",
                peer(&[frame(HEADERS, 5, 1, &[0x82, 0x86, 0x84, 0x0F, 0x2A, 0x00]), get(3)]),
                BAD,
            ),
        ],
    );
}

#[test]
fn pseudo_header_fields() {
    check(
        Driver::server,
        vec![
            ("§8.3 unknown", with(&[(":test", "ok")]), BAD),
            ("§8.3 unknown, first", request(&[&[(":test", "ok")], GET].concat()), BAD),
            ("§8.3 of a response", request(&[&[(":status", "200")], GET].concat()), BAD),
            ("§8.3 after a field", request(&[&[("x-test", "ok")], GET].concat()), BAD),
            ("§8.3.1 :method missing", request(&without(":method")), BAD),
            ("§8.3.1 :scheme missing", request(&without(":scheme")), BAD),
            ("§8.3.1 :path missing", request(&without(":path")), BAD),
            ("§8.3.1 all missing", request(&[("x", "y")]), BAD),
            ("§8.3.1 :method twice", request(&[&[(":method", "GET")], GET].concat()), BAD),
            ("§8.3.1 :scheme twice", request(&[&[(":scheme", "http")], GET].concat()), BAD),
            ("§8.3.1 :path twice", request(&[&[(":path", "/")], GET].concat()), BAD),
            ("§8.3.1 :authority twice", request(&[&[(":authority", "example.test")], GET].concat()), BAD),
            ("§8.3.1 :path empty", replaced(":path", ""), BAD),
            ("§8.3.1 :path without a slash", replaced(":path", "x"), BAD),
            ("§8.3.1 :path absolute", replaced(":path", "http://example.test/"), BAD),
            ("§8.3.1 :path *", replaced(":path", "*"), BAD),
            (
                "§8.3.1 OPTIONS *",
                request(&[(":method", "OPTIONS"), (":scheme", "http"), (":path", "*"), (":authority", "a")]),
                Fine,
            ),
            ("§8.3.1 a space in :path", replaced(":path", "/a b"), BAD),
            ("§8.3.1 :scheme empty", replaced(":scheme", ""), BAD),
            ("§8.3.1 :scheme 1http", replaced(":scheme", "1http"), BAD),
            ("§8.3.1 :method empty", replaced(":method", ""), BAD),
            ("§8.3.1 :method no token", replaced(":method", "G:T"), BAD),
            ("§8.3.1 :authority with userinfo", replaced(":authority", "user@example.test"), BAD),
            ("§8.3.1 :authority empty", replaced(":authority", ""), BAD),
            ("§8.3.1 :authority with a bad port", replaced(":authority", "example.test:99999"), BAD),
            ("§8.3.1 host agrees", with(&[("host", "EXAMPLE.test")]), Fine),
            ("§8.3.1 host differs", with(&[("host", "other.test")]), BAD),
            ("§8.3.1 host twice", with(&[("host", "example.test"), ("host", "example.test")]), BAD),
            (
                "§8.3.1 host alone",
                request(&[&without(":authority")[..], &[("host", "example.test")]].concat()),
                Fine,
            ),
            (
                "§8.3.1 host alone, bad",
                request(&[&without(":authority")[..], &[("host", "a b")]].concat()),
                BAD,
            ),
        ],
    );
}

#[test]
fn content_length() {
    let body = |length: &'static str, frames: &[Vec<u8>]| {
        peer(&[headers(1, &[POST, &[("content-length", length)]].concat(), false), frames.concat(), get(3)])
    };
    check(
        Driver::server,
        vec![
            ("§8.1.1 as declared", body("4", &[data(1, b"test", true)]), Fine),
            ("§8.1.1 as declared, in two", body("4", &[data(1, b"te", false), data(1, b"st", true)]), Fine),
            (
                "§8.1.1 as declared, then trailers",
                body("4", &[data(1, b"test", false), headers(1, &[("a", "b")], true)]),
                Fine,
            ),
            ("§8.1.1 too little", body("5", &[data(1, b"test", true)]), BAD),
            ("§8.1.1 too much", body("1", &[data(1, b"test", true)]), BAD),
            ("§8.1.1 too much in two", body("3", &[data(1, b"te", false), data(1, b"st", true)]), BAD),
            (
                "§8.1.1 too little before trailers",
                body("5", &[data(1, b"test", false), headers(1, &[("a", "b")], true)]),
                BAD,
            ),
            ("§8.1.1 declared, but none", with(&[("content-length", "1")]), BAD),
            ("§8.1.1 declared 0", with(&[("content-length", "0")]), Fine),
            ("RFC 9110 §8.6 no number", with(&[("content-length", "+0")]), BAD),
            ("RFC 9110 §8.6 a list", with(&[("content-length", "0, 0")]), BAD),
            ("RFC 9110 §8.6 beyond 2^63", with(&[("content-length", "9223372036854775808")]), BAD),
            ("RFC 9110 §8.6 two that differ", with(&[("content-length", "0"), ("content-length", "1")]), BAD),
            ("RFC 9110 §8.6 the same twice", with(&[("content-length", "0"), ("content-length", "0")]), Fine),
        ],
    );
}

#[test]
fn trailers() {
    let after = |second: Vec<u8>| peer(&[post(1), data(1, b"test", false), second, get(3)]);
    check(
        Driver::server,
        vec![
            ("§8.1 trailers", after(headers(1, &[("x", "y")], true)), Fine),
            ("§8.1 no trailers at all", after(frame(HEADERS, 5, 1, b"")), Fine),
            ("§8.1 without END_STREAM", after(headers(1, &[("x", "y")], false)), BAD),
            ("§8.1 with a pseudo-header field", after(headers(1, &[(":method", "GET")], true)), BAD),
            ("§8.1 with a response's", after(headers(1, &[(":status", "200")], true)), BAD),
            ("§8.2.2 with connection", after(headers(1, &[("connection", "close")], true)), BAD),
        ],
    );
}

#[test]
fn connect() {
    let server = |connect_protocol| {
        move || {
            let settings = Settings { connect_protocol, ..Settings::default() };
            Driver::greeted(Role::Server, settings, Limits::default())
        }
    };
    let connect = |further: &[(&'static str, &'static str)]| {
        let fields = [&[(":method", "CONNECT"), (":authority", "example.test:443")], further].concat();
        peer(&[headers(1, &fields, false), get(3)])
    };
    let extended = [(":scheme", "https"), (":path", "/chat"), (":protocol", "websocket")];
    check(
        server(true),
        vec![
            ("§8.5 CONNECT", connect(&[]), Fine),
            ("§8.5 with :scheme", connect(&extended[..1]), BAD),
            ("§8.5 with :path", connect(&extended[1..2]), BAD),
            ("§8.5 without :authority", peer(&[headers(1, &[(":method", "CONNECT")], false), get(3)]), BAD),
            ("RFC 8441 §4", connect(&extended), Fine),
            ("RFC 8441 §4 without :path", connect(&[extended[0], extended[2]]), BAD),
            ("RFC 8441 §4 without :scheme", connect(&extended[1..]), BAD),
            ("RFC 8441 §4 :protocol of a GET", request(&[GET, &extended[2..]].concat()), BAD),
        ],
    );
    check(server(false), vec![("RFC 8441 §4 not offered", connect(&extended), BAD)]);
}

#[test]
fn responses() {
    let answer = |heads: &[(&[(&str, &str)], bool)]| {
        let frames = heads.iter().map(|(fields, end)| headers(1, fields, *end)).collect::<Vec<_>>();
        vec![Open, Peer(frames.concat())]
    };
    let ok: &[(&str, &str)] = &[(":status", "200")];
    check(
        Driver::client,
        vec![
            ("§8.3.2 200", answer(&[(ok, true)]), Fine),
            ("§8.3.2 no status", answer(&[(&[("a", "b")], true)]), BAD),
            ("§8.3.2 status twice", answer(&[(&[ok[0], ok[0]], true)]), BAD),
            ("§8.3.2 of a request", answer(&[(&[ok[0], (":path", "/")], true)]), BAD),
            ("§8.3.2 two digits", answer(&[(&[(":status", "20")], true)]), BAD),
            ("§8.3.2 a sign", answer(&[(&[(":status", "+20")], true)]), BAD),
            ("§8.3.2 600", answer(&[(&[(":status", "600")], true)]), BAD),
            ("§8.1 103, then 200", answer(&[(&[(":status", "103")], false), (ok, true)]), Fine),
            ("§8.1 103 that ends", answer(&[(&[(":status", "103")], true)]), BAD),
            ("§8.6 101", answer(&[(&[(":status", "101")], false)]), BAD),
            ("§8.1.1 length of nothing", answer(&[(&[ok[0], ("content-length", "5")], true)]), BAD),
            (
                "§8.1.1 length of a 304",
                answer(&[(&[(":status", "304"), ("content-length", "5")], true)]),
                Fine,
            ),
            ("§8.2.2 connection", answer(&[(&[ok[0], ("connection", "close")], true)]), BAD),
            (
                "§8.1.1 content of a 204",
                vec![Open, Peer([headers(1, &[(":status", "204")], false), data(1, b"x", true)].concat())],
                BAD,
            ),
        ],
    );
}

#[test]
fn a_response_to_head_may_declare_what_does_not_come() {
    let mut driver = Driver::client();
    let stream = driver.connection.open(&block(GET), true, Answers::Head).unwrap();
    let head = headers(stream, &[(":status", "200"), ("content-length", "5")], true);
    let events = driver.feed(&head).unwrap();
    assert!(matches!(events[..], [Seen::Head { end: true, .. }]), "{events:?}");
    let mut storage = HeaderBuffer::new();
    let response = driver.connection.fields().response(Answers::Head, &mut storage).unwrap();
    assert_eq!((response.status, response.framing, response.content_length), (200, Framing::None, Some(5)));
}

//--- what the heads become ---

/// A server that has just read this request.
fn with_request(fields: &[(&str, &str)], end: bool) -> Connection {
    let mut driver = Driver::greeted(
        Role::Server,
        Settings { connect_protocol: true, ..Settings::default() },
        Limits { target_bytes: 50, ..Limits::default() },
    );
    let events = driver.feed(&headers(1, fields, end)).unwrap();
    assert!(matches!(events[..], [Seen::Head { .. }]), "{events:?}");
    driver.connection
}

#[test]
fn a_request_head() {
    let fields = [
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", "Example.test:8443"),
        (":path", "/a/b?c=d?e"),
        ("content-length", "17"),
        ("cookie", "a=b"),
        ("x-request-id", "7"),
        ("cookie", "c=d"),
        ("expect", "100-continue"),
        ("cookie", "e=f"),
        ("te", "trailers"),
    ];
    let connection = with_request(&fields, false);
    let mut storage = HeaderBuffer::new();
    let head = connection.fields().request(&mut storage).unwrap();
    assert_eq!((head.method, head.target, head.path), ("POST", "/a/b?c=d?e", "/a/b"));
    assert_eq!((head.query, head.authority), (Some("c=d?e"), "Example.test:8443"));
    assert_eq!((head.framing, head.content_length), (Framing::Length(17), Some(17)));
    assert_eq!(head.version, Version::Http2);
    assert!(head.keep_alive && head.expects_continue && head.upgrade.is_none());
    assert_eq!(find(head.headers, "cookie"), Some(&b"a=b; c=d; e=f"[..]));
    let names: Vec<_> = head.headers.iter().map(|header| (header.name, header.field)).collect();
    let wanted = [
        ("content-length", Field::Framing),
        ("cookie", Field::Other),
        ("x-request-id", Field::RequestId),
        ("expect", Field::Expect),
        ("te", Field::HopByHop),
    ];
    assert_eq!(names, wanted);
}

#[test]
fn framing_and_targets() {
    let get = |fields: &[(&str, &str)], end| {
        let connection = with_request(fields, end);
        let mut storage = HeaderBuffer::new();
        let head = connection.fields().request(&mut storage);
        head.map(|head| (head.target.to_owned(), head.path.to_owned(), head.framing))
            .map_err(|reject| (reject.status, reject.reason))
    };
    let fine = |target: &str, path: &str, framing| Ok((target.to_owned(), path.to_owned(), framing));
    let path = |path: &'static str| [GET[0], GET[1], (":path", path), GET[3]];
    let tunnel = [(":method", "CONNECT"), (":authority", "example.test:443")];
    let chat = [tunnel[0], tunnel[1], (":scheme", "https"), (":path", "/chat?a"), (":protocol", "websocket")];
    assert_eq!(get(GET, true), fine("/", "/", Framing::None));
    assert_eq!(get(POST, false), fine("/", "/", Framing::Chunked));
    assert_eq!(get(&[POST, &[("content-length", "0")]].concat(), false), fine("/", "/", Framing::None));
    assert_eq!(get(&path("/a#b"), true), Err((400, Reason::BadTarget)));
    assert_eq!(get(&path("/a\\b"), true), Err((400, Reason::BadTarget)));
    assert_eq!(get(&path("/0123456789012345678901234567890123456789012345678"), true).map(|_| ()), Ok(()));
    assert_eq!(
        get(&path("/01234567890123456789012345678901234567890123456789"), true),
        Err((414, Reason::TargetTooLong))
    );
    assert_eq!(get(&GET[..3], true), Err((400, Reason::MissingHost)));
    assert_eq!(get(&[GET, &[("expect", "x")]].concat(), true), Err((417, Reason::UnknownExpectation)));
    assert_eq!(get(&tunnel, false), fine("example.test:443", "", Framing::Chunked));
    assert_eq!(
        get(&[&tunnel[..], &[("content-length", "5")]].concat(), false),
        Err((400, Reason::BadUpgrade))
    );
    assert_eq!(get(&[tunnel[0], (":authority", "no-port")], false), Err((400, Reason::BadTarget)));
    assert_eq!(get(&chat, false), fine("/chat?a", "/chat", Framing::Chunked));
    assert_eq!(with_request(&chat, false).fields().protocol(), Some("websocket"));
}

#[test]
fn host_stands_in_for_the_authority() {
    let connection = with_request(&[GET[0], GET[1], GET[2], ("host", "host.test")], true);
    let mut storage = HeaderBuffer::new();
    assert_eq!(connection.fields().request(&mut storage).unwrap().authority, "host.test");
}

#[test]
fn lists_over_the_limit_are_answered_not_lost() {
    let limits = Limits { header_list_bytes: 400, headers: 5, ..Limits::default() };
    let mut driver = Driver::greeted(Role::Server, Settings::default(), limits);
    let long = "x".repeat(300);
    let seven: Vec<_> = ["a", "b", "c", "d", "e", "f"].map(|name| (name, "v")).into();
    let five = &seven[..5];
    let events = driver
        .feed(
            &[
                get_with(1, &[("a", &long)]),
                headers(3, &[POST, &[("a", &long)]].concat(), false),
                get_with(5, &seven),
                headers(7, &[&[("a", "v")], five].concat(), true),
                get_with(9, &[("indexed-later", "v")]),
            ]
            .concat(),
        )
        .unwrap();
    let too_large = |stream, end| Seen::HeadTooLarge { stream, end };
    assert_eq!(events[..3], [too_large(1, true), too_large(3, false), too_large(5, true)]);
    assert!(
        matches!(events[3], Seen::HeadTooLarge { stream: 7, .. }),
        "six lines are over the limit of five"
    );
    assert!(matches!(events[4], Seen::Head { stream: 9, .. }));
    assert_eq!(driver.connection.counters().heads_too_large, 4);
    driver.connection.send_head(1, &[0x88], true).unwrap();
    assert_eq!(driver.connection.open_streams(), 4);
}

/// A list that is refused, for its length or for its fields, leaves the dynamic table as it should be.
#[test]
fn refused_lists_keep_the_table_in_step() {
    let limits = Limits { header_list_bytes: 300, ..Limits::default() };
    let mut driver = Driver::greeted(Role::Server, Settings::default(), limits);
    let indexed = |name: &str, value: &str| {
        let mut out = block(&[(name, value)]);
        out[0] = 0x40;
        out
    };
    let long = "y".repeat(400);
    let first = [block(GET), indexed("a", "1"), indexed("b", &long), indexed("c", "3")].concat();
    let second = [block(GET), indexed("Bad", "x"), indexed("d", "4")].concat();
    // d, Bad, c, b, a: 62 to 66.
    let third = [block(GET), vec![0xBE, 0xC0, 0xC2]].concat();
    let fourth = [block(GET), vec![0xBF]].concat();
    let frames = [(1, first), (3, second), (5, third), (7, fourth)]
        .map(|(stream, block)| frame(HEADERS, 5, stream, &block));
    let events = driver.feed(&frames.concat()).unwrap();
    assert_eq!(events[0], Seen::HeadTooLarge { stream: 1, end: true });
    let reset = |stream| Seen::Reset {
        stream,
        code: ProtocolError,
        by_peer: false,
        reason: Malformed::BadName.as_str(),
    };
    assert_eq!(events[1], reset(3));
    let Seen::Head { fields, .. } = &events[2] else { panic!("{events:?}") };
    let own = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(fields[4..], [own("d", "4"), own("c", "3"), own("a", "1")]);
    assert_eq!(events[3], reset(7));
}
