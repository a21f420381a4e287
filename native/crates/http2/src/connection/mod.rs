//! One HTTP/2 connection: bytes come in through [`Connection::receive`], which says what they mean; what is to be sent is called by its
//! name and read from [`Connection::output`]. Both may be interleaved in any way.
//!
//! | file | holds |
//! |---|---|
//! | `receive` | the byte stream cut into frames, in any pieces |
//! | `heads` | HEADERS, CONTINUATION: new streams, heads, trailers |
//! | `data` | DATA: windows, padding, content length |
//! | `control` | SETTINGS, PING, GOAWAY, WINDOW_UPDATE, RST_STREAM, PRIORITY |
//! | `send` | what the application does |

mod control;
mod data;
mod floods;
mod heads;
mod receive;
mod send;

use crate::error::{ConnectionError, ErrorCode, Fault};
use crate::event::Event;
use crate::fields::Fields;
use crate::frame::{self, PREFACE};
use crate::hpack::Decoder;
use crate::limits::{Counters, Limits};
use crate::output::Output;
use crate::settings::{DEFAULT_WINDOW, PeerSettings, Role, Settings};
use crate::stream::{Ending, Streams};
use crate::window::{ReceiveWindow, SendWindow};
use floods::Floods;
use heads::Block;
use receive::Reading;

/// The state machine of one connection.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools)] // independent facts, each set by its own frame
pub struct Connection {
    role: Role,
    settings: Settings,
    peer: PeerSettings,
    limits: Limits,
    reading: Reading,
    /// A frame that came in pieces.
    payload: Vec<u8>,
    block: Block,
    decoder: Decoder,
    fields: Fields,
    streams: Streams,
    receive_window: ReceiveWindow,
    send_window: SendWindow,
    output: Output,
    floods: Floods,
    counters: Counters,
    now_ns: u64,
    /// Servers: the highest stream the peer has named in HEADERS.
    highest: u32,
    /// Clients: the stream that is opened next.
    next: u32,
    /// The last stream of the GOAWAY sent, and of that received.
    last_accepted: Option<u32>,
    peer_last: Option<u32>,
    /// The peer's first SETTINGS have come.
    greeted: bool,
    settings_acknowledged: bool,
    /// The next block has to tell the peer's decoder that our table is empty.
    empty_table_due: bool,
    empty_table_told: bool,
    failed: Option<ConnectionError>,
}

impl Connection {
    /// A connection that a client has made to us; our SETTINGS are in the output.
    pub fn server(settings: Settings, limits: Limits) -> Self {
        Self::new(Role::Server, settings, limits)
    }

    /// A connection that we have made; the preface and our SETTINGS are in the output.
    pub fn client(settings: Settings, limits: Limits) -> Self {
        Self::new(Role::Client, settings, limits)
    }

    fn new(role: Role, settings: Settings, limits: Limits) -> Self {
        let settings = settings.allowed();
        let mut connection = Self {
            role,
            settings,
            peer: PeerSettings::default(),
            limits,
            reading: Reading::first(role),
            payload: Vec::new(),
            block: Block::default(),
            decoder: Decoder::default(),
            fields: Fields::new(&limits),
            streams: Streams::default(),
            receive_window: ReceiveWindow::new(settings.connection_window_bytes),
            send_window: SendWindow::new(DEFAULT_WINDOW),
            output: Output::default(),
            floods: Floods::new(&limits),
            counters: Counters::default(),
            now_ns: 0,
            highest: 0,
            next: 1,
            last_accepted: None,
            peer_last: None,
            greeted: false,
            settings_acknowledged: false,
            empty_table_due: false,
            empty_table_told: false,
            failed: None,
        };
        connection.greet();
        connection
    }

    fn greet(&mut self) {
        let out = self.output.frames();
        if self.role == Role::Client {
            out.extend_from_slice(PREFACE);
        }
        self.settings.write(out, self.role, self.limits.header_list_bytes);
        let extra = self.settings.connection_window_bytes - DEFAULT_WINDOW;
        if extra > 0 {
            frame::window_update(out, 0, extra);
        }
    }

    //--- what is known ---

    /// The fields of the last head or trailers, until the next call of `receive`.
    pub const fn fields(&self) -> &Fields {
        &self.fields
    }

    /// Takes the fields away in exchange for a list that is reused, made with the same limits.
    pub fn swap_fields(&mut self, other: &mut Fields) {
        std::mem::swap(&mut self.fields, other);
    }

    pub const fn peer_settings(&self) -> &PeerSettings {
        &self.peer
    }

    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Streams open or half-closed.
    pub fn open_streams(&self) -> usize {
        self.streams.len()
    }

    /// GOAWAY was sent or received, or the connection has failed: no new streams are to be had, those that are open go on.
    pub const fn is_closing(&self) -> bool {
        self.last_accepted.is_some() || self.peer_last.is_some() || self.failed.is_some()
    }

    /// The peer has acknowledged our settings; a connection on which that takes long may be ended with `SETTINGS_TIMEOUT`.
    pub const fn settings_acknowledged(&self) -> bool {
        self.settings_acknowledged
    }

    //--- errors ---

    /// The peer was told that the stream is too high to be processed (RFC 9113 §6.8).
    fn is_beyond(&self, stream: u32) -> bool {
        self.role == Role::Server && self.last_accepted.is_some_and(|last| stream > last)
    }

    /// Ends the connection: GOAWAY, and nothing is read any more.
    #[cold]
    fn fail(&mut self, error: ConnectionError) -> ConnectionError {
        if error.code == ErrorCode::EnhanceYourCalm {
            self.counters.floods += 1;
        }
        let last = self.last_accepted.unwrap_or(u32::MAX).min(self.highest);
        frame::go_away(self.output.frames(), last, error.code);
        self.last_accepted = Some(last);
        self.failed = Some(error);
        error
    }

    /// Turns a stream error into its `RST_STREAM` and event.
    #[inline]
    fn settle<'b>(
        &mut self,
        handled: Result<Option<Event<'b>>, Fault>,
    ) -> Result<Option<Event<'b>>, ConnectionError> {
        match handled {
            Ok(event) => Ok(event),
            Err(Fault::Connection(error)) => Err(error),
            Err(Fault::Stream { stream, code, reason }) => self.stream_error(stream, code, reason).map(Some),
        }
    }

    /// A stream error (RFC 9113 §5.4.2). The peer provoked it: it counts like a reset of its own (CVE-2025-8671).
    #[cold]
    fn stream_error(
        &mut self,
        stream: u32,
        code: ErrorCode,
        reason: &'static str,
    ) -> Result<Event<'static>, ConnectionError> {
        self.counters.stream_errors += 1;
        self.floods.reset(&self.limits, self.now_ns)?;
        self.write_reset(stream, code);
        Ok(Event::Reset { stream, code, by_peer: false, reason })
    }

    fn write_reset(&mut self, stream: u32, code: ErrorCode) {
        frame::rst_stream(self.output.control(4), stream, code);
        self.end_stream(stream, Ending::ResetByUs);
    }

    /// Forgets a stream; what it held of the connection's window goes back.
    fn end_stream(&mut self, stream: u32, ending: Ending) {
        let held = self.streams.end(stream, ending).map_or(0, |stream| stream.held);
        self.give_back(held);
    }

    /// Returns window of the connection.
    fn give_back(&mut self, bytes: u32) {
        if let Some(increment) = self.receive_window.give_back(bytes) {
            frame::window_update(self.output.control(4), 0, increment);
        }
    }

    /// The stream was never used, so that only HEADERS and PRIORITY may name it (RFC 9113 §5.1).
    fn is_idle(&self, stream: u32) -> bool {
        match self.role {
            // Even ones are the server's, who never opens any.
            Role::Server => stream > self.highest || stream.is_multiple_of(2),
            Role::Client => stream >= self.next || stream.is_multiple_of(2),
        }
    }
}
