//! Frames as a peer writes them, and a driver that feeds them in pieces and notes what comes of it.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)] // each test file uses its part

use trunkline_http2::{Connection, ConnectionError, ErrorCode, Event, Limits, Role, Settings};

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PUSH_PROMISE: u8 = 5;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;
pub const PADDED: u8 = 8;
pub const WITH_PRIORITY: u8 = 0x20;

//--- what a peer writes ---

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    head_only(payload.len(), kind, flags, stream, payload)
}

/// A frame whose header tells another length than it has.
pub fn head_only(length: usize, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = (length as u32).to_be_bytes()[1..].to_vec();
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
    out
}

pub fn settings(entries: &[(u16, u32)]) -> Vec<u8> {
    let payload: Vec<u8> = entries
        .iter()
        .flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat())
        .collect();
    frame(SETTINGS, 0, 0, &payload)
}

pub fn settings_ack() -> Vec<u8> {
    frame(SETTINGS, ACK, 0, &[])
}

pub fn window_update(stream: u32, increment: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &increment.to_be_bytes())
}

pub fn rst_stream(stream: u32, code: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &code.to_be_bytes())
}

pub fn ping() -> Vec<u8> {
    frame(PING, 0, 0, b"12345678")
}

pub fn go_away(last: u32, code: u32) -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[last.to_be_bytes(), code.to_be_bytes()].concat())
}

pub fn data(stream: u32, bytes: &[u8], end: bool) -> Vec<u8> {
    frame(DATA, u8::from(end), stream, bytes)
}

/// A block of plain literals that touch no table.
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in fields {
        out.push(0);
        for text in [name, value] {
            string(&mut out, text.as_bytes());
        }
    }
    out
}

fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    if bytes.len() < 127 {
        out.push(bytes.len() as u8);
    } else {
        out.push(127);
        let mut rest = bytes.len() - 127;
        while rest >= 128 {
            out.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        out.push(rest as u8);
    }
    out.extend_from_slice(bytes);
}

pub const GET: &[(&str, &str)] =
    &[(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "example.test")];
pub const POST: &[(&str, &str)] =
    &[(":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "example.test")];

/// HEADERS with the whole block.
pub fn headers(stream: u32, fields: &[(&str, &str)], end: bool) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | u8::from(end), stream, &block(fields))
}

pub fn get(stream: u32) -> Vec<u8> {
    headers(stream, GET, true)
}

/// A request whose body is still to come.
pub fn post(stream: u32) -> Vec<u8> {
    headers(stream, POST, false)
}

/// GET with further fields.
pub fn get_with(stream: u32, further: &[(&str, &str)]) -> Vec<u8> {
    headers(stream, &[GET, further].concat(), true)
}

//--- what we write ---

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

/// Takes the output off, cut into frames; a client's preface is skipped.
pub fn written(connection: &mut Connection) -> Vec<Written> {
    let bytes = connection.output().to_vec();
    connection.consume_output(bytes.len());
    let mut rest = bytes.strip_prefix(PREFACE).unwrap_or(&bytes);
    let mut frames = Vec::new();
    while !rest.is_empty() {
        let length = u32::from_be_bytes([0, rest[0], rest[1], rest[2]]) as usize;
        let stream = u32::from_be_bytes([rest[5], rest[6], rest[7], rest[8]]);
        let payload = rest[9..9 + length].to_vec();
        frames.push(Written { kind: rest[3], flags: rest[4], stream, payload });
        rest = &rest[9 + length..];
    }
    frames
}

//--- the driver ---

/// An event with what it borrows. DATA frames are joined as long as nothing comes between their pieces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    Head { stream: u32, end: bool, fields: Vec<(String, String)> },
    Informational { stream: u32, fields: Vec<(String, String)> },
    HeadTooLarge { stream: u32, end: bool },
    Data { stream: u32, bytes: Vec<u8>, end: bool },
    Trailers { stream: u32, fields: Vec<(String, String)> },
    Reset { stream: u32, code: ErrorCode, by_peer: bool, reason: &'static str },
    Window { stream: Option<u32> },
    GoAway { last_stream: u32, code: ErrorCode },
    Settings,
    Pong { payload: [u8; 8] },
}

pub fn fields(connection: &Connection) -> Vec<(String, String)> {
    let fields = connection.fields();
    let pseudo = [
        (":method", fields.method().map(str::to_owned)),
        (":scheme", fields.scheme().map(str::to_owned)),
        (":authority", fields.authority().map(str::to_owned)),
        (":path", fields.path().map(str::to_owned)),
        (":protocol", fields.protocol().map(str::to_owned)),
        (":status", fields.status().map(|status| status.to_string())),
    ];
    let lines = fields.lines().map(|line| (line.name.to_owned(), line.value.escape_ascii().to_string()));
    let pseudo = pseudo.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    pseudo.chain(lines).collect()
}

fn seen(connection: &Connection, event: Event<'_>) -> Seen {
    match event {
        Event::Head { stream, end } => Seen::Head { stream, end, fields: fields(connection) },
        Event::Informational { stream } => Seen::Informational { stream, fields: fields(connection) },
        Event::HeadTooLarge { stream, end } => Seen::HeadTooLarge { stream, end },
        Event::Data { stream, bytes, end } => Seen::Data { stream, bytes: bytes.to_vec(), end },
        Event::Trailers { stream } => Seen::Trailers { stream, fields: fields(connection) },
        Event::Reset { stream, code, by_peer, reason } => Seen::Reset { stream, code, by_peer, reason },
        Event::Window { stream } => Seen::Window { stream },
        Event::GoAway { last_stream, code } => Seen::GoAway { last_stream, code },
        Event::Settings => Seen::Settings,
        Event::Pong { payload } => Seen::Pong { payload },
    }
}

/// Appends an event; content that follows content of the same stream is joined to it.
fn note(events: &mut Vec<Seen>, event: Seen) {
    match (events.last_mut(), event) {
        (Some(Seen::Data { stream: a, bytes, end }), Seen::Data { stream: b, bytes: more, end: ends })
            if *a == b && !*end =>
        {
            bytes.extend(more);
            *end = ends;
        }
        (_, event) => events.push(event),
    }
}

/// A connection with the bytes that are not used yet.
pub struct Driver {
    pub connection: Connection,
    pub now_ns: u64,
    /// Every event so far.
    pub seen: Vec<Seen>,
    pending: Vec<u8>,
}

impl Driver {
    pub fn new(role: Role, settings: Settings, limits: Limits) -> Self {
        let connection = match role {
            Role::Server => Connection::server(settings, limits),
            Role::Client => Connection::client(settings, limits),
        };
        Self { connection, now_ns: 10_000_000_000, seen: Vec::new(), pending: Vec::new() }
    }

    /// After the preface and both sides' SETTINGS; what was written until then is gone.
    pub fn greeted(role: Role, settings: Settings, limits: Limits) -> Self {
        let mut driver = Self::new(role, settings, limits);
        driver.feed(&greeting(role)).unwrap();
        written(&mut driver.connection);
        driver
    }

    pub fn server() -> Self {
        Self::greeted(Role::Server, Settings::default(), Limits::default())
    }

    pub fn client() -> Self {
        Self::greeted(Role::Client, Settings::default(), Limits::default())
    }

    /// What these bytes make happen; it is in `seen` too, and there even if the connection is lost.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Seen>, ConnectionError> {
        self.pending.extend_from_slice(bytes);
        let input = std::mem::take(&mut self.pending);
        let mut rest = &input[..];
        let mut events = Vec::new();
        loop {
            let (used, event) = self.connection.receive(rest, self.now_ns)?;
            assert!(used > 0 || event.is_none(), "an event of nothing");
            if let Some(event) = event {
                let event = seen(&self.connection, event);
                note(&mut self.seen, event.clone());
                note(&mut events, event);
            }
            rest = &rest[used..];
            if used == 0 {
                break;
            }
        }
        assert!(rest.len() <= 9, "{} bytes left over", rest.len());
        self.pending = rest.to_vec();
        Ok(events)
    }

    pub fn written(&mut self) -> Vec<Written> {
        written(&mut self.connection)
    }
}

pub fn greeting(role: Role) -> Vec<u8> {
    let preface = if role == Role::Server { PREFACE } else { b"" };
    [preface, &settings(&[]), &settings_ack()].concat()
}

//--- what becomes of it ---

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Fine,
    Stream(u32, ErrorCode),
    Connection(ErrorCode),
}

/// One thing that happens on a connection.
#[derive(Debug, Clone)]
pub enum Step {
    /// The peer writes.
    Peer(Vec<u8>),
    /// We answer 200 without content.
    Answer(u32),
    /// We reset.
    Reset(u32),
    /// We open a stream (clients).
    Open,
    /// We say GOAWAY.
    GoAway,
}

/// Does the steps in order; `piece` bytes at a time are fed.
pub fn verdict(mut driver: Driver, steps: &[Step], piece: usize) -> Verdict {
    let mut verdict = Verdict::Fine;
    for step in steps {
        match step {
            Step::Peer(bytes) => {
                for bytes in bytes.chunks(piece) {
                    verdict = match driver.feed(bytes) {
                        Ok(events) => events.iter().fold(verdict, judge),
                        Err(error) => return lost(&mut driver, error),
                    };
                }
            }
            Step::Answer(stream) => driver.connection.send_head(*stream, &[0x88], true).unwrap(),
            Step::Reset(stream) => driver.connection.reset(*stream, ErrorCode::Cancel),
            Step::Open => {
                let answers = trunkline_http::Answers::Other;
                driver.connection.open(&block(GET), true, answers).unwrap();
            }
            Step::GoAway => driver.connection.go_away(ErrorCode::NoError),
        }
    }
    if let Verdict::Stream(stream, code) = verdict {
        let reset = |frame: &Written| frame.kind == RST_STREAM && frame.stream == stream;
        let resets: Vec<_> = driver.written().into_iter().filter(reset).collect();
        assert!(resets.iter().any(|frame| frame.payload == code.wire().to_be_bytes()), "{resets:?}");
    }
    verdict
}

fn judge(before: Verdict, event: &Seen) -> Verdict {
    match event {
        Seen::Reset { stream, code, by_peer: false, .. } => Verdict::Stream(*stream, *code),
        _ => before,
    }
}

/// GOAWAY with the code is the last that was written, and the connection stays lost.
fn lost(driver: &mut Driver, error: ConnectionError) -> Verdict {
    let last = driver.written().pop().unwrap();
    assert_eq!((last.kind, &last.payload[4..]), (GOAWAY, &error.code.wire().to_be_bytes()[..]));
    assert_eq!(driver.connection.receive(b"more", 2), Err(error));
    Verdict::Connection(error.code)
}

/// A table of cases: section and what is done, the steps, what is due. Each is fed whole, in small pieces and byte by byte.
pub fn check(make: impl Fn() -> Driver, cases: Vec<(&str, Vec<Step>, Verdict)>) {
    for (what, steps, due) in cases {
        for piece in [usize::MAX, 7, 1] {
            assert_eq!(verdict(make(), &steps, piece), due, "{what}, {piece} bytes at a time");
        }
    }
}

/// The peer writes these frames.
pub fn peer(frames: &[Vec<u8>]) -> Vec<Step> {
    vec![Step::Peer(frames.concat())]
}
