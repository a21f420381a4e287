//! Frames that carry no message: SETTINGS, PING, GOAWAY, `WINDOW_UPDATE`, `RST_STREAM`, PRIORITY (RFC 9113 §6.3 to §6.9).

use super::Connection;
use crate::error::{ConnectionError, ErrorCode, Fault};
use crate::event::Event;
use crate::frame::{self, Frame, MAX_31_BITS, flag, word};
use crate::settings::{DEFAULT_TABLE_BYTES, ENTRY_BYTES, Role};
use crate::stream::Ending;

type Handled = Result<Option<Event<'static>>, Fault>;

impl Connection {
    pub(super) fn settings(&mut self, frame: Frame, payload: &[u8]) -> Handled {
        check(frame.stream == 0, ConnectionError::protocol("settings_on_stream"))?;
        if frame.has(flag::ACK) {
            check(payload.is_empty(), ConnectionError::frame_size("settings_ack_with_payload"))?;
            return Ok(self.acknowledged()?);
        }
        check(payload.len().is_multiple_of(ENTRY_BYTES), ConnectionError::frame_size("settings_length"))?;
        self.counters.settings += 1;
        self.floods.setting(&self.limits, self.now_ns)?;
        if !std::mem::replace(&mut self.greeted, true) {
            self.peer.announced();
        }
        self.apply(payload)?;
        frame::settings_ack(self.output.control(0));
        Ok(Some(Event::Settings))
    }

    fn apply(&mut self, payload: &[u8]) -> Result<(), ConnectionError> {
        let before = self.peer.stream_window_bytes;
        for entry in payload.as_chunks::<ENTRY_BYTES>().0 {
            self.peer.set(self.role, *entry)?;
            // A table that we do not use has to be given up aloud once it may be smaller than it starts with (RFC 7541 §4.2).
            if self.peer.header_table_bytes < DEFAULT_TABLE_BYTES && !self.empty_table_told {
                self.empty_table_due = true;
            }
        }
        let difference = i64::from(self.peer.stream_window_bytes) - i64::from(before);
        for stream in self.streams.values_mut() {
            stream.send.widen(difference).ok_or(WINDOW_OVERFLOW)?;
        }
        Ok(())
    }

    /// From now on the peer works with our settings.
    fn acknowledged(&mut self) -> Result<Option<Event<'static>>, ConnectionError> {
        if std::mem::replace(&mut self.settings_acknowledged, true) {
            return self.note_ignored().map(|()| None);
        }
        self.decoder.acknowledged(self.settings.header_table_bytes);
        for stream in self.streams.values_mut() {
            stream.receive.resize(self.settings.stream_window_bytes);
        }
        Ok(None)
    }

    pub(super) fn ping_frame(&mut self, frame: Frame, payload: &[u8]) -> Handled {
        check(frame.stream == 0, ConnectionError::protocol("ping_on_stream"))?;
        let payload = <[u8; 8]>::try_from(payload).map_err(|_| ConnectionError::frame_size("ping_length"))?;
        self.counters.pings += 1;
        self.floods.ping(&self.limits, self.now_ns)?;
        if frame.has(flag::ACK) {
            return Ok(Some(Event::Pong { payload }));
        }
        frame::ping(self.output.control(payload.len()), flag::ACK, payload);
        Ok(None)
    }

    pub(super) fn go_away_frame(&mut self, frame: Frame, payload: &[u8]) -> Handled {
        check(frame.stream == 0, ConnectionError::protocol("goaway_on_stream"))?;
        let code = payload.get(4..).and_then(word);
        let (Some(last), Some(code)) = (word(payload), code) else {
            return Err(ConnectionError::frame_size("goaway_length").into());
        };
        self.note_ignored()?;
        let last_stream = (last & MAX_31_BITS).min(self.peer_last.unwrap_or(MAX_31_BITS));
        self.peer_last = Some(last_stream);
        if self.role == Role::Client {
            for stream in self.streams.above(last_stream) {
                self.end_stream(stream, Ending::ResetByPeer);
            }
        }
        Ok(Some(Event::GoAway { last_stream, code: ErrorCode::from_wire(code) }))
    }

    pub(super) fn window_update(&mut self, frame: Frame, payload: &[u8]) -> Handled {
        check(payload.len() == 4, ConnectionError::frame_size("window_update_length"))?;
        let increment = word(payload).unwrap_or_default() & MAX_31_BITS;
        self.counters.window_updates += 1;
        self.floods.window_update(&self.limits, self.now_ns)?;
        if frame.stream == 0 {
            check(increment > 0, ConnectionError::protocol("window_update_of_0"))?;
            let opened = self.send_window.widen(increment.into()).ok_or(WINDOW_OVERFLOW)?;
            return Ok(opened.then_some(Event::Window { stream: None }));
        }
        let Some(stream) = self.streams.get_mut(frame.stream) else { return self.stray(frame) };
        if increment == 0 {
            return Err(Fault::stream(frame.stream, ErrorCode::ProtocolError, "window_update_of_0"));
        }
        match stream.send.widen(increment.into()) {
            Some(opened) => Ok(opened.then_some(Event::Window { stream: Some(frame.stream) })),
            None => Err(Fault::stream(frame.stream, ErrorCode::FlowControlError, WINDOW_OVERFLOW.reason)),
        }
    }

    pub(super) fn rst_stream(&mut self, frame: Frame, payload: &[u8]) -> Handled {
        check(frame.stream != 0, ConnectionError::protocol("rst_stream_on_stream_0"))?;
        check(payload.len() == 4, ConnectionError::frame_size("rst_stream_length"))?;
        self.counters.resets_received += 1;
        self.floods.reset(&self.limits, self.now_ns)?;
        if self.streams.get(frame.stream).is_none() {
            return self.stray(frame);
        }
        let code = ErrorCode::from_wire(word(payload).unwrap_or_default());
        self.end_stream(frame.stream, Ending::ResetByPeer);
        Ok(Some(Event::Reset { stream: frame.stream, code, by_peer: true, reason: code.as_str() }))
    }

    /// A frame that may well come for a stream that is gone, but not for one that never was (RFC 9113 §5.1).
    fn stray(&mut self, frame: Frame) -> Handled {
        check(!self.is_idle(frame.stream), ConnectionError::protocol("frame_on_idle_stream"))?;
        Ok(None)
    }

    /// Checked as RFC 7540 §5.3.1 and §6.3 have it, then ignored. `RST_STREAM` is not for idle streams (RFC 9113 §6.4): there it is the
    /// connection's error.
    pub(super) fn priority(&mut self, frame: Frame, payload: &[u8]) -> Handled {
        check(frame.stream != 0, ConnectionError::protocol("priority_on_stream_0"))?;
        self.counters.priorities += 1;
        self.floods.priority(&self.limits, self.now_ns)?;
        let depends_on = word(payload).map(|word| word & MAX_31_BITS);
        let error = if payload.len() != 5 {
            ConnectionError::frame_size("priority_length")
        } else if depends_on == Some(frame.stream) {
            ConnectionError::protocol("depends_on_itself")
        } else {
            return Ok(None);
        };
        check(!self.is_idle(frame.stream), error)?;
        Err(Fault::stream(frame.stream, error.code, error.reason))
    }
}

const WINDOW_OVERFLOW: ConnectionError = ConnectionError::new(ErrorCode::FlowControlError, "window_overflow");

fn check(fine: bool, error: ConnectionError) -> Result<(), ConnectionError> {
    if fine { Ok(()) } else { Err(error) }
}
