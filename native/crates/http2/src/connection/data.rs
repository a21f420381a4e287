//! DATA (RFC 9113 §6.1): the whole frame counts against both windows when it starts, its content is handed on as it comes.
//! Padding, and what is dropped, is given back at once.

use super::Connection;
use super::receive::{Content, Reading, Step};
use crate::error::{ConnectionError, ErrorCode, Fault};
use crate::event::Event;
use crate::frame::{self, Frame, HEADER_BYTES, flag};
use crate::kind::Malformed;
use crate::stream::Ending;

impl Connection {
    pub(super) fn data<'b>(&mut self, frame: Frame, input: &'b [u8]) -> Step<'b> {
        if frame.stream == 0 {
            return Err(ConnectionError::protocol("data_on_stream_0"));
        }
        let (mut used, mut padding) = (HEADER_BYTES, 0);
        if frame.has(flag::PADDED) {
            if frame.length == 0 {
                return Err(ConnectionError::frame_size("padding_missing"));
            }
            let Some(&length) = input.get(HEADER_BYTES) else { return Ok((0, None)) };
            (used, padding) = (HEADER_BYTES + 1, usize::from(length));
        }
        let rest = frame.length - (used - HEADER_BYTES);
        let bytes = rest.checked_sub(padding).ok_or(ConnectionError::protocol("bad_padding"))?;
        self.receive_whole(frame.length)?;
        let content =
            Content { stream: frame.stream, remaining: bytes, padding, end: frame.has(flag::END_STREAM) };
        match self.admit(frame, content) {
            Ok(true) => {
                let (count, event) = self.start(frame, content, input.get(used..).unwrap_or_default())?;
                Ok((used + count, event))
            }
            refused => {
                self.give_back(frame.length as u32);
                self.reading = Reading::after(rest);
                Ok((used, self.settle(refused.map(|_| None))?))
            }
        }
    }

    /// Counts a frame against the connection's window.
    pub(super) fn receive_whole(&mut self, length: usize) -> Result<(), ConnectionError> {
        if self.receive_window.take(length as u32) {
            return Ok(());
        }
        Err(ConnectionError::new(ErrorCode::FlowControlError, "connection_window_exceeded"))
    }

    /// True if the content is for a stream that takes it, false if it is to be dropped.
    fn admit(&mut self, frame: Frame, content: Content) -> Result<bool, Fault> {
        let number = content.stream;
        let Some(stream) = self.streams.get_mut(number) else { return self.stray_data(frame) };
        let bytes = content.remaining as u32;
        if stream.remote_closed {
            return Err(Fault::stream(number, ErrorCode::StreamClosed, "data_after_end"));
        }
        if !stream.head_received {
            return Err(Fault::malformed(number, Malformed::DataBeforeHead));
        }
        if !stream.receive.take(frame.length as u32) {
            return Err(Fault::stream(number, ErrorCode::FlowControlError, "stream_window_exceeded"));
        }
        if !stream.count(bytes, content.end) {
            return Err(Fault::malformed(number, Malformed::LengthMismatch));
        }
        stream.held += bytes;
        Ok(true)
    }

    /// See the table in `stream`.
    fn stray_data(&mut self, frame: Frame) -> Result<bool, Fault> {
        const REASON: &str = "data_on_closed_stream";
        if self.is_idle(frame.stream) {
            return Err(ConnectionError::protocol("data_on_idle_stream").into());
        }
        if self.is_beyond(frame.stream) {
            return Ok(false);
        }
        match self.streams.ending(frame.stream) {
            Ending::ResetByUs => {
                // What has content costs its sender more than us.
                if frame.length == 0 {
                    self.note_ignored()?;
                }
                Ok(false)
            }
            Ending::Finished => Err(ConnectionError::new(ErrorCode::StreamClosed, REASON).into()),
            Ending::ResetByPeer | Ending::Unknown => {
                Err(Fault::stream(frame.stream, ErrorCode::StreamClosed, REASON))
            }
        }
    }

    fn start<'b>(&mut self, frame: Frame, content: Content, input: &'b [u8]) -> Step<'b> {
        self.return_padding(content.stream, frame.length - content.remaining);
        if content.remaining > 0 {
            self.floods.useful_received(&self.limits);
            self.reading = Reading::Data(content);
            return Ok(self.content(content, input));
        }
        self.reading = Reading::after(content.padding);
        if !content.end {
            self.counters.empty_data += 1;
            self.floods.empty_data(&self.limits, self.now_ns)?;
            return Ok((0, None));
        }
        self.close_remote(content.stream);
        Ok((0, Some(Event::Data { stream: content.stream, bytes: &[], end: true })))
    }

    fn return_padding(&mut self, stream: u32, bytes: usize) {
        if bytes == 0 {
            return;
        }
        self.give_back(bytes as u32);
        self.give_back_on(stream, bytes as u32);
    }

    /// The next piece of a frame's content.
    #[inline]
    pub(super) fn content<'b>(
        &mut self,
        mut content: Content,
        input: &'b [u8],
    ) -> (usize, Option<Event<'b>>) {
        let bytes = input.get(..content.remaining).unwrap_or(input);
        if bytes.is_empty() {
            return (0, None);
        }
        content.remaining -= bytes.len();
        let last = content.remaining == 0;
        self.reading = if last { Reading::after(content.padding) } else { Reading::Data(content) };
        let stream = content.stream;
        // Reset in the middle of the frame: what it held went back then.
        if self.streams.get(stream).is_none() {
            return (bytes.len(), None);
        }
        let end = last && content.end;
        if end {
            self.close_remote(stream);
        }
        (bytes.len(), Some(Event::Data { stream, bytes, end }))
    }

    /// `END_STREAM` has come.
    pub(super) fn close_remote(&mut self, number: u32) {
        let Some(stream) = self.streams.get_mut(number) else { return };
        stream.remote_closed = true;
        if stream.is_closed() {
            self.end_stream(number, Ending::Finished);
        }
    }

    /// Returns window of a stream; one that has ended needs none.
    pub(super) fn give_back_on(&mut self, number: u32, bytes: u32) {
        let Some(stream) = self.streams.get_mut(number).filter(|stream| !stream.remote_closed) else {
            return;
        };
        if let Some(increment) = stream.receive.give_back(bytes) {
            frame::window_update(self.output.control(4), number, increment);
        }
    }
}
