//! The byte stream cut into frames. A frame that is whole in the input is read where it is; of one that is not, the pieces are taken as they
//! come, so that the caller never has to keep more than a frame's header.
//!
//! ```text
//!   Preface ──▶ Head ──▶ Payload ──▶ Head       any frame but DATA, when it comes in pieces
//!                │ └───▶ Data ──┬──▶ Head       handed on as it comes
//!                └─────▶ Skip ◀─┘               padding, frames that are ignored
//! ```

use super::Connection;
use crate::error::{ConnectionError, ErrorCode, Fault};
use crate::event::Event;
use crate::frame::{Frame, HEADER_BYTES, Kind, PREFACE, flag};
use crate::settings::Role;

/// What the next byte belongs to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reading {
    /// Servers: so many bytes of the client's preface have come.
    Preface(usize),
    Head,
    Payload(Frame),
    Data(Content),
    Skip(usize),
}

/// The part of a DATA frame that is still to come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Content {
    pub(super) stream: u32,
    /// Never 0.
    pub(super) remaining: usize,
    pub(super) padding: usize,
    pub(super) end: bool,
}

impl Reading {
    pub(super) const fn first(role: Role) -> Self {
        match role {
            Role::Server => Self::Preface(0),
            Role::Client => Self::Head,
        }
    }

    /// Past a frame of which `rest` bytes are of no interest.
    pub(super) const fn after(rest: usize) -> Self {
        if rest == 0 { Self::Head } else { Self::Skip(rest) }
    }
}

/// Bytes used, and what they said.
pub(super) type Step<'b> = Result<(usize, Option<Event<'b>>), ConnectionError>;

impl Connection {
    /// Takes at most one frame, or a piece of one, off `input`: how many bytes it used, and what they said. To be called again until it
    /// uses none; what it leaves then, at most nine bytes, the next input starts with.
    ///
    /// # Errors
    /// The connection is lost: GOAWAY is in the output. Further calls return the same.
    pub fn receive<'b>(&mut self, input: &'b [u8], now_ns: u64) -> Step<'b> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.now_ns = now_ns;
        let step = match self.reading {
            Reading::Head => self.frame(input),
            Reading::Data(content) => Ok(self.content(content, input)),
            Reading::Payload(frame) => self.payload(frame, input),
            Reading::Skip(rest) => Ok((self.skip(rest, input), None)),
            Reading::Preface(matched) => self.preface(matched, input).map(|used| (used, None)),
        };
        step.and_then(|step| self.check_unsent().map(|()| step)).map_err(|error| self.fail(error))
    }

    fn preface(&mut self, matched: usize, input: &[u8]) -> Result<usize, ConnectionError> {
        let due = PREFACE.get(matched..).unwrap_or_default();
        let used = due.len().min(input.len());
        if due.get(..used) != input.get(..used) {
            return Err(ConnectionError::protocol("bad_preface"));
        }
        self.reading = if used == due.len() { Reading::Head } else { Reading::Preface(matched + used) };
        Ok(used)
    }

    fn skip(&mut self, rest: usize, input: &[u8]) -> usize {
        let used = rest.min(input.len());
        self.reading = Reading::after(rest - used);
        used
    }

    #[inline]
    fn frame<'b>(&mut self, input: &'b [u8]) -> Step<'b> {
        let Some(frame) = Frame::parse(input) else { return Ok((0, None)) };
        self.check_order(frame)?;
        if frame.length > self.settings.max_frame_bytes as usize {
            return self.oversized(frame);
        }
        match frame.kind {
            Kind::Data => self.data(frame, input),
            Kind::Unknown => self.ignore(frame),
            _ => self.whole(frame, input),
        }
    }

    /// Which frames may come now at all: SETTINGS first (RFC 9113 §3.4), nothing within a field block (§6.10).
    fn check_order(&self, frame: Frame) -> Result<(), ConnectionError> {
        if !self.greeted && (frame.kind != Kind::Settings || frame.has(flag::ACK)) {
            return Err(ConnectionError::protocol("settings_expected"));
        }
        let continues = frame.kind == Kind::Continuation;
        match self.block.open_on() {
            None if continues => Err(ConnectionError::protocol("unexpected_continuation")),
            Some(stream) if !continues || frame.stream != stream => {
                Err(ConnectionError::protocol("continuation_expected"))
            }
            _ => Ok(()),
        }
    }

    /// DATA concerns its stream only; of all others the connection's state may depend on what is not read (RFC 9113 §4.2).
    fn oversized<'b>(&mut self, frame: Frame) -> Step<'b> {
        const REASON: &str = "frame_too_large";
        if frame.kind != Kind::Data || frame.stream == 0 || self.is_idle(frame.stream) {
            return Err(ConnectionError::frame_size(REASON));
        }
        self.receive_whole(frame.length)?;
        self.give_back(frame.length as u32);
        self.reading = Reading::Skip(frame.length);
        let event = self.stream_error(frame.stream, ErrorCode::FrameSizeError, REASON)?;
        Ok((HEADER_BYTES, Some(event)))
    }

    /// Unknown frames are for extensions (RFC 9113 §5.5).
    fn ignore<'b>(&mut self, frame: Frame) -> Step<'b> {
        self.note_ignored()?;
        self.reading = Reading::after(frame.length);
        Ok((HEADER_BYTES, None))
    }

    pub(super) fn note_ignored(&mut self) -> Result<(), ConnectionError> {
        self.counters.ignored += 1;
        self.floods.ignored(&self.limits, self.now_ns)
    }

    fn whole<'b>(&mut self, frame: Frame, input: &'b [u8]) -> Step<'b> {
        let end = HEADER_BYTES + frame.length;
        if let Some(payload) = input.get(HEADER_BYTES..end) {
            let handled = self.handle(frame, payload);
            return Ok((end, self.settle(handled)?));
        }
        self.payload.clear();
        self.payload.extend_from_slice(input.get(HEADER_BYTES..).unwrap_or_default());
        self.reading = Reading::Payload(frame);
        Ok((input.len(), None))
    }

    /// The next piece of a frame that did not come in one.
    fn payload<'b>(&mut self, frame: Frame, input: &'b [u8]) -> Step<'b> {
        let used = (frame.length - self.payload.len()).min(input.len());
        self.payload.extend_from_slice(input.get(..used).unwrap_or_default());
        if self.payload.len() < frame.length {
            return Ok((used, None));
        }
        self.reading = Reading::Head;
        let payload = std::mem::take(&mut self.payload);
        let handled = self.handle(frame, &payload);
        self.payload = payload;
        self.payload.clear();
        Ok((used, self.settle(handled)?))
    }

    #[inline]
    fn handle(&mut self, frame: Frame, payload: &[u8]) -> Result<Option<Event<'static>>, Fault> {
        match frame.kind {
            Kind::Headers => self.headers(frame, payload),
            Kind::Continuation => self.continuation(frame, payload),
            Kind::WindowUpdate => self.window_update(frame, payload),
            Kind::RstStream => self.rst_stream(frame, payload),
            Kind::Settings => self.settings(frame, payload),
            Kind::Ping => self.ping_frame(frame, payload),
            Kind::GoAway => self.go_away_frame(frame, payload),
            Kind::Priority => self.priority(frame, payload),
            // Clients never push (RFC 9113 §8.4), and servers may not: ENABLE_PUSH is 0.
            Kind::PushPromise => Err(ConnectionError::protocol("unexpected_push_promise").into()),
            Kind::Data | Kind::Unknown => Ok(None),
        }
    }

    /// A peer that makes us answer has to read the answers.
    fn check_unsent(&self) -> Result<(), ConnectionError> {
        if self.output.unsent_control() > self.limits.unsent_control_bytes {
            return Err(ConnectionError::flood("output_not_taken"));
        }
        Ok(())
    }
}
