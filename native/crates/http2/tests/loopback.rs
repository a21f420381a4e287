//! Two connections that speak with each other: whole conversations arrive as they were sent, through narrow windows, in any pieces; and
//! whatever frames a peer sends, how they are cut changes nothing.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod kit;

use std::collections::BTreeMap;

use kit::*;
use proptest::prelude::*;
use proptest::sample::Index;
use trunkline_http::Answers;
use trunkline_http2::hpack::encode;
use trunkline_http2::{Connection, Event, Limits, Role, Settings};

/// What is sent one way on a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Message {
    name: String,
    body: Vec<u8>,
    trailer: Option<String>,
    ended: bool,
}

fn message() -> impl Strategy<Value = Message> {
    let body = prop_oneof![
        2 => Just(Vec::new()),
        2 => prop::collection::vec(any::<u8>(), 1..100),
        1 => (0usize..70_000, any::<u8>()).prop_map(|(length, byte)| vec![byte; length]),
    ];
    ("[a-z]{1,20}", body, prop::option::of("[a-z]{1,9}")).prop_map(|(name, body, trailer)| Message {
        name,
        body,
        trailer,
        ended: true,
    })
}

/// One side: what it has still to send, what has arrived.
struct Side {
    connection: Connection,
    input: Vec<u8>,
    sending: BTreeMap<u32, (Message, usize)>,
    arrived: BTreeMap<u32, Message>,
}

impl Side {
    fn new(role: Role, settings: Settings) -> Self {
        let connection = match role {
            Role::Server => Connection::server(settings, Limits::default()),
            Role::Client => Connection::client(settings, Limits::default()),
        };
        Self { connection, input: Vec::new(), sending: BTreeMap::new(), arrived: BTreeMap::new() }
    }

    /// Reads what has come; the streams whose head has come.
    fn read(&mut self) -> Vec<u32> {
        let input = std::mem::take(&mut self.input);
        let (mut rest, mut heads) = (&input[..], Vec::new());
        loop {
            let (used, event) = self.connection.receive(rest, 1).unwrap();
            rest = &rest[used..];
            match event {
                Some(Event::Head { stream, end }) => {
                    let name = self.connection.fields().lines().find(|line| line.name == "x-name").unwrap();
                    let name = String::from_utf8(name.value.to_vec()).unwrap();
                    self.arrived.insert(stream, Message { name, ended: end, ..Message::default() });
                    heads.push(stream);
                }
                Some(Event::Data { stream, bytes, end }) => {
                    let message = self.arrived.get_mut(&stream).unwrap();
                    assert!(!message.ended);
                    message.body.extend_from_slice(bytes);
                    message.ended = end;
                    self.connection.release(stream, bytes.len());
                }
                Some(Event::Trailers { stream }) => {
                    let value = self.connection.fields().lines().next().unwrap().value.to_vec();
                    let message = self.arrived.get_mut(&stream).unwrap();
                    message.trailer = Some(String::from_utf8(value).unwrap());
                    message.ended = true;
                }
                Some(Event::Reset { reason, .. }) => panic!("{reason}"),
                _ => {}
            }
            if used == 0 {
                break;
            }
        }
        self.input = rest.to_vec();
        heads
    }

    /// Sends what the windows let through.
    fn write(&mut self) {
        self.sending.retain(|stream, (message, sent)| {
            let end = message.trailer.is_none();
            *sent += self.connection.send_data(*stream, &message.body[*sent..], end).unwrap();
            if *sent < message.body.len() {
                return true;
            }
            if let Some(trailer) = &message.trailer {
                self.connection.send_head(*stream, &block(&[("x-trailer", trailer)]), true).unwrap();
            }
            false
        });
    }
}

/// Moves up to `most` bytes of one side's output to the other; false if there were none.
fn carry(from: &mut Side, to: &mut Side, most: usize) -> bool {
    let count = from.connection.output().len().min(most);
    to.input.extend_from_slice(&from.connection.output()[..count]);
    from.connection.consume_output(count);
    count > 0
}

fn is_empty(message: &Message) -> bool {
    message.body.is_empty() && message.trailer.is_none()
}

fn settings_of() -> impl Strategy<Value = Settings> {
    (100u32..70_000, 65_535u32..100_000, 1u32..20).prop_map(|(stream, connection, streams)| Settings {
        stream_window_bytes: stream,
        connection_window_bytes: connection,
        max_concurrent_streams: streams,
        ..Settings::default()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn conversations_arrive(
        exchanges in prop::collection::vec((message(), message()), 1..20),
        ours in settings_of(),
        theirs in settings_of(),
        pieces in prop::collection::vec(1usize..20_000, 1..8),
    ) {
        let mut client = Side::new(Role::Client, ours);
        let mut server = Side::new(Role::Server, theirs);
        let mut opened = Vec::new();
        let mut pieces = pieces.into_iter().cycle();
        // The server's SETTINGS first, as a client with many requests would wait for them.
        carry(&mut server, &mut client, usize::MAX);
        client.read();
        let mut quiet = 0;
        while quiet < 3 {
            while let Some((request, _)) = exchanges.get(opened.len()) {
                let mut head = block(POST);
                encode::header(&mut head, "X-Name", request.name.as_bytes());
                let end = is_empty(request);
                let Some(stream) = client.connection.open(&head, end, Answers::Other) else { break };
                opened.push(stream);
                if !end {
                    client.sending.insert(stream, (request.clone(), 0));
                }
            }
            client.write();
            let moved = carry(&mut client, &mut server, pieces.next().unwrap());
            for stream in server.read() {
                let response = &exchanges[opened.iter().position(|id| *id == stream).unwrap()].1;
                let mut head = Vec::new();
                encode::status(&mut head, 200);
                encode::header(&mut head, "x-name", response.name.as_bytes());
                server.connection.send_head(stream, &head, is_empty(response)).unwrap();
                if !is_empty(response) {
                    server.sending.insert(stream, (response.clone(), 0));
                }
            }
            server.write();
            let moved = carry(&mut server, &mut client, pieces.next().unwrap()) || moved;
            client.read();
            quiet = if moved { 0 } else { quiet + 1 };
        }
        prop_assert_eq!(opened.len(), exchanges.len());
        for (stream, (request, response)) in opened.into_iter().zip(&exchanges) {
            prop_assert_eq!(&server.arrived[&stream], request);
            prop_assert_eq!(&client.arrived[&stream], response);
        }
        prop_assert_eq!((client.connection.open_streams(), server.connection.open_streams()), (0, 0));
    }
}

//--- cuts ---

/// What a client does next; streams are named by the order of their opening.
#[derive(Debug, Clone)]
enum Act {
    Get,
    Post,
    /// A head in three frames.
    Split,
    Data(Index, usize, bool),
    Padded(Index, u8, usize),
    Trailers(Index),
    Reset(Index),
    Update(Index, u32),
    Raw(Vec<u8>),
}

fn act() -> impl Strategy<Value = Act> {
    let index = any::<Index>;
    let any_frame = (any::<u8>(), any::<u8>(), 0u32..9, prop::collection::vec(any::<u8>(), 0..40));
    prop_oneof![
        6 => Just(Act::Get),
        9 => Just(Act::Post),
        3 => Just(Act::Split),
        20 => (index(), 0usize..300, prop::bool::weighted(0.1)).prop_map(|(i, length, end)| Act::Data(i, length, end)),
        9 => (index(), 0u8..20, 20usize..60).prop_map(|(i, pad, length)| Act::Padded(i, pad, length)),
        3 => index().prop_map(Act::Trailers),
        3 => index().prop_map(Act::Reset),
        3 => (index(), 1u32..10).prop_map(|(i, increment)| Act::Update(i, increment)),
        3 => (3u16..8, 16_384u32..20_000).prop_map(|(id, value)| Act::Raw(settings(&[(id, value)]))),
        3 => Just(Act::Raw(ping())),
        2 => (0u32..9).prop_map(|last| Act::Raw(go_away(last, 0))),
        1 => any_frame.prop_map(|(kind, flags, stream, payload)| Act::Raw(frame(kind, flags, stream, &payload))),
    ]
}

/// The bytes of these acts. Streams may be written on after their end: those are errors, of the stream mostly.
fn script(acts: &[Act]) -> Vec<u8> {
    let mut next = 1;
    let mut out = Vec::new();
    for act in acts {
        let bytes = match act {
            Act::Get => get(opened(&mut next)),
            Act::Post => post(opened(&mut next)),
            Act::Split => {
                let stream = opened(&mut next);
                let (block, further) = (block(POST), block(&[("x", "y")]));
                let (first, second) = block.split_at(block.len() / 2);
                let frames = [
                    frame(HEADERS, 0, stream, first),
                    frame(CONTINUATION, 0, stream, second),
                    frame(CONTINUATION, END_HEADERS, stream, &further),
                ];
                frames.concat()
            }
            Act::Raw(bytes) => bytes.clone(),
            // Nothing to name yet.
            _ if next == 1 => continue,
            Act::Data(index, length, end) => data(chosen(*index, next), &vec![7; *length], *end),
            Act::Padded(index, pad, length) => {
                frame(DATA, PADDED, chosen(*index, next), &[&[*pad][..], &vec![0; *length]].concat())
            }
            Act::Trailers(index) => headers(chosen(*index, next), &[("x", "y")], true),
            Act::Reset(index) => rst_stream(chosen(*index, next), 8),
            Act::Update(index, increment) => window_update(chosen(*index, next), *increment),
        };
        out.extend(bytes);
    }
    out
}

fn opened(next: &mut u32) -> u32 {
    *next += 2;
    *next - 2
}

fn chosen(index: Index, next: u32) -> u32 {
    2 * index.index(next as usize / 2) as u32 + 1
}

/// All that can be seen of a server that reads these bytes in these pieces.
fn observe(bytes: &[u8], cuts: &[usize]) -> (Vec<Seen>, Option<String>, Vec<u8>) {
    let mut driver = Driver::server();
    let mut error = None;
    let mut start = 0;
    for end in cuts.iter().copied().chain([bytes.len()]) {
        if let Err(lost) = driver.feed(&bytes[start..end]) {
            error = Some(lost.to_string());
            break;
        }
        start = end;
    }
    let joined = std::mem::take(&mut driver.seen);
    (joined, error, driver.connection.output().to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn cuts_change_nothing(
        acts in prop::collection::vec(act(), 1..60),
        cuts in prop::collection::vec(any::<Index>(), 0..40),
    ) {
        let bytes = script(&acts);
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.sort_unstable();
        let whole = observe(&bytes, &[]);
        prop_assert_eq!(&observe(&bytes, &cuts), &whole);
        let byte_by_byte: Vec<_> = (1..bytes.len()).collect();
        prop_assert_eq!(&observe(&bytes, &byte_by_byte), &whole);
    }
}
