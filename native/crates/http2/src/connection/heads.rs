//! HEADERS and CONTINUATION (RFC 9113 §6.2, §6.10, §8.1). A block is decoded whatever becomes of it: the HPACK table must stay in step.

use trunkline_http::Answers;

use super::Connection;
use crate::error::{ConnectionError, ErrorCode, Fault};
use crate::event::Event;
use crate::frame::{Frame, MAX_31_BITS, flag, word};
use crate::kind::Malformed;
use crate::limits::{EMPTY_CONTINUATIONS, HARD_BYTES, HARD_MULTIPLE};
use crate::message::is_bodiless;
use crate::settings::{DEFAULT_WINDOW, Role};
use crate::stream::{Ending, Stream};
use crate::window::{ReceiveWindow, SendWindow};

const PRIORITY_BYTES: usize = 5;

/// What the first frame of a block says about it.
#[derive(Debug, Clone, Copy)]
struct Head {
    stream: u32,
    end: bool,
    depends_on_itself: bool,
}

/// A block whose end is still to come.
#[derive(Debug, Default)]
pub(super) struct Block {
    head: Option<Head>,
    bytes: Vec<u8>,
    frames: u32,
    empty: u32,
}

impl Block {
    /// The stream whose CONTINUATION is due.
    pub(super) fn open_on(&self) -> Option<u32> {
        self.head.map(|head| head.stream)
    }

    fn open(&mut self, head: Head, fragment: &[u8]) {
        self.head = Some(head);
        self.bytes.clear();
        self.bytes.extend_from_slice(fragment);
        (self.frames, self.empty) = (0, 0);
    }

    pub(super) fn shrink(&mut self) {
        if self.head.is_none() {
            self.bytes = Vec::new();
        }
    }
}

type Handled = Result<Option<Event<'static>>, Fault>;

impl Connection {
    pub(super) fn headers(&mut self, frame: Frame, payload: &[u8]) -> Handled {
        // Streams are named by clients, with odd numbers (RFC 9113 §5.1.1).
        if frame.stream.is_multiple_of(2) {
            return Err(ConnectionError::protocol("head_on_even_stream").into());
        }
        let (depends_on, fragment) = fragment_of(frame, payload)?;
        let head = Head {
            stream: frame.stream,
            end: frame.has(flag::END_STREAM),
            depends_on_itself: depends_on == Some(frame.stream),
        };
        if frame.has(flag::END_HEADERS) {
            return self.head(head, fragment);
        }
        self.block.open(head, fragment);
        Ok(None)
    }

    pub(super) fn continuation(&mut self, frame: Frame, payload: &[u8]) -> Handled {
        self.counters.continuations += 1;
        self.block.frames += 1;
        self.block.empty += u32::from(payload.is_empty());
        if self.block.frames > self.limits.continuations || self.block.empty > EMPTY_CONTINUATIONS {
            return Err(ConnectionError::flood("continuation_flood").into());
        }
        self.block.bytes.extend_from_slice(payload);
        if self.block.bytes.len() > self.hard_limit() {
            return Err(ConnectionError::flood("header_block_too_large").into());
        }
        if !frame.has(flag::END_HEADERS) {
            return Ok(None);
        }
        let Some(head) = self.block.head.take() else { return Ok(None) };
        let bytes = std::mem::take(&mut self.block.bytes);
        let handled = self.head(head, &bytes);
        self.block.bytes = bytes;
        handled
    }

    fn hard_limit(&self) -> usize {
        (self.limits.header_list_bytes as usize * HARD_MULTIPLE).max(HARD_BYTES)
    }

    /// A whole block.
    fn head(&mut self, head: Head, block: &[u8]) -> Handled {
        self.decoder
            .decode(block, &mut self.fields)
            .map_err(|error| ConnectionError::new(ErrorCode::CompressionError, error.0))?;
        if self.fields.list_bytes() > self.hard_limit() {
            return Err(ConnectionError::flood("header_list_too_large").into());
        }
        self.fields.set_ends_stream(head.end);
        self.floods.useful_received(&self.limits);
        match self.role {
            Role::Server if head.stream > self.highest => self.request(head),
            Role::Client if head.stream >= self.next => {
                Err(ConnectionError::protocol("head_on_idle_stream").into())
            }
            _ => self.further_head(head),
        }
    }

    //--- servers: a new stream ---

    fn request(&mut self, head: Head) -> Handled {
        let number = head.stream;
        self.highest = number;
        if self.is_beyond(number) {
            return Ok(None);
        }
        self.counters.streams += 1;
        if head.depends_on_itself {
            return Err(Fault::stream(number, ErrorCode::ProtocolError, "depends_on_itself"));
        }
        if self.streams.len() >= self.settings.max_concurrent_streams as usize {
            self.counters.streams_refused += 1;
            return Err(Fault::stream(number, ErrorCode::RefusedStream, "too_many_streams"));
        }
        let mut stream = self.new_stream(Answers::Other);
        (stream.head_received, stream.remote_closed) = (true, head.end);
        let event = if self.fields.is_too_large() {
            self.counters.heads_too_large += 1;
            Event::HeadTooLarge { stream: number, end: head.end }
        } else {
            self.check_request(&mut stream).map_err(|malformed| Fault::malformed(number, malformed))?;
            Event::Head { stream: number, end: head.end }
        };
        self.streams.insert(number, stream);
        if self.counters.streams >= u64::from(self.limits.streams_total) {
            self.go_away(ErrorCode::NoError);
        }
        Ok(Some(event))
    }

    fn check_request(&mut self, stream: &mut Stream) -> Result<(), Malformed> {
        self.fields.check_request(self.settings.connect_protocol)?;
        // What follows a CONNECT is no content (RFC 9113 §8.5).
        let connect = self.fields.method() == Some("CONNECT");
        stream.expected = self.fields.content_length().filter(|_| !connect);
        if stream.remote_closed && !stream.count(0, true) {
            return Err(Malformed::LengthMismatch);
        }
        self.fields.join_cookies();
        Ok(())
    }

    pub(super) fn new_stream(&self, answers: Answers) -> Stream {
        // Until our settings are acknowledged, the peer may work with the protocol's own (RFC 9113 §6.5.3).
        let least = if self.settings_acknowledged { 0 } else { DEFAULT_WINDOW };
        let receive = ReceiveWindow::new(self.settings.stream_window_bytes.max(least));
        Stream::new(receive, SendWindow::new(self.peer.stream_window_bytes), answers)
    }

    //--- a head on a stream that there is, or was ---

    fn further_head(&mut self, head: Head) -> Handled {
        let number = head.stream;
        let Some(stream) = self.streams.get(number) else { return self.stray_head(number) };
        if head.depends_on_itself {
            return Err(Fault::stream(number, ErrorCode::ProtocolError, "depends_on_itself"));
        }
        if stream.remote_closed {
            return Err(Fault::stream(number, ErrorCode::StreamClosed, "head_after_end"));
        }
        if self.fields.is_too_large() {
            self.counters.heads_too_large += 1;
            return Err(Fault::stream(number, ErrorCode::EnhanceYourCalm, "head_too_large"));
        }
        let checked = if stream.head_received { self.trailers(head) } else { self.response(head) };
        checked.map(Some).map_err(|malformed| Fault::malformed(number, malformed))
    }

    fn trailers(&mut self, head: Head) -> Result<Event<'static>, Malformed> {
        if !head.end {
            return Err(Malformed::TrailersWithoutEnd);
        }
        self.fields.check_trailers()?;
        let counted = self.streams.get_mut(head.stream).is_some_and(|stream| stream.count(0, true));
        if !counted {
            return Err(Malformed::LengthMismatch);
        }
        self.close_remote(head.stream);
        Ok(Event::Trailers { stream: head.stream })
    }

    fn response(&mut self, head: Head) -> Result<Event<'static>, Malformed> {
        let status = self.fields.check_response()?;
        let number = head.stream;
        if status < 200 {
            return Ok(Event::Informational { stream: number });
        }
        self.fields.join_cookies();
        let declared = self.fields.content_length();
        let Some(stream) = self.streams.get_mut(number) else { return Err(Malformed::DataBeforeHead) };
        stream.head_received = true;
        stream.expected = match stream.answers {
            answers if is_bodiless(status, answers) => Some(0),
            Answers::Connect if status < 300 => None,
            _ => declared,
        };
        if head.end && !stream.count(0, true) {
            return Err(Malformed::LengthMismatch);
        }
        if head.end {
            self.close_remote(number);
        }
        Ok(Event::Head { stream: number, end: head.end })
    }

    /// See the table in `stream`.
    fn stray_head(&mut self, number: u32) -> Handled {
        const REASON: &str = "head_on_closed_stream";
        if self.is_beyond(number) {
            return Ok(None);
        }
        match self.streams.ending(number) {
            Ending::ResetByUs => self.note_ignored().map(|()| None).map_err(Fault::Connection),
            Ending::Finished => Err(ConnectionError::new(ErrorCode::StreamClosed, REASON).into()),
            Ending::ResetByPeer => Err(Fault::stream(number, ErrorCode::StreamClosed, REASON)),
            Ending::Unknown => Err(ConnectionError::protocol("stream_number_not_increasing").into()),
        }
    }
}

/// What the frame says of priority, and the fragment of the block in it.
fn fragment_of(frame: Frame, payload: &[u8]) -> Result<(Option<u32>, &[u8]), ConnectionError> {
    let mut rest = payload;
    let mut padding = 0;
    if frame.has(flag::PADDED) {
        let (length, tail) = rest.split_first().ok_or(ConnectionError::frame_size("padding_missing"))?;
        (padding, rest) = (usize::from(*length), tail);
    }
    let mut depends_on = None;
    if frame.has(flag::PRIORITY) {
        let (priority, tail) =
            rest.split_at_checked(PRIORITY_BYTES).ok_or(ConnectionError::frame_size("priority_missing"))?;
        (depends_on, rest) = (word(priority).map(|word| word & MAX_31_BITS), tail);
    }
    let length = rest.len().checked_sub(padding).ok_or(ConnectionError::protocol("bad_padding"))?;
    Ok((depends_on, rest.get(..length).unwrap_or_default()))
}
