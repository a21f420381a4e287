//! What the application does: streams opened, heads, content, resets, windows given back, the end.

use trunkline_http::Answers;

use super::Connection;
use crate::error::{ErrorCode, Gone};
use crate::frame::{self, Kind, MAX_31_BITS, flag};
use crate::hpack::encode::EMPTY_TABLE;
use crate::settings::Role;
use crate::stream::{Ending, Stream};

impl Connection {
    //--- messages ---

    /// Clients: a stream can be opened now, as far as the peer's limit and GOAWAY go.
    pub fn can_open(&self) -> bool {
        self.role == Role::Client
            && !self.is_closing()
            && self.next <= MAX_31_BITS
            && self.streams.len() < self.peer.max_concurrent_streams as usize
    }

    /// Clients: opens a stream with a request's block; `answers` tells what its response will look like. `None` if there is none to be had.
    pub fn open(&mut self, block: &[u8], end: bool, answers: Answers) -> Option<u32> {
        if !self.can_open() {
            return None;
        }
        let number = self.next;
        self.next += 2;
        self.counters.streams += 1;
        let mut stream = self.new_stream(answers);
        stream.local_closed = end;
        self.streams.insert(number, stream);
        self.write_block(number, block, end);
        Some(number)
    }

    /// Sends a head, 1xx or final, or trailers: a block made with [`crate::hpack::encode`].
    ///
    /// # Errors
    /// [`Gone`]: reset, finished, or our side has ended already.
    pub fn send_head(&mut self, stream: u32, block: &[u8], end: bool) -> Result<(), Gone> {
        self.sendable(stream)?;
        self.write_block(stream, block, end);
        if end {
            self.close_local(stream);
        }
        Ok(())
    }

    /// HEADERS and as many CONTINUATIONs as the peer's frame size asks for.
    fn write_block(&mut self, stream: u32, block: &[u8], end: bool) {
        let prefix: &[u8] = if std::mem::take(&mut self.empty_table_due) { &[EMPTY_TABLE] } else { &[] };
        self.empty_table_told |= !prefix.is_empty();
        let size = self.peer.max_frame_bytes as usize;
        let (first, mut rest) = block.split_at(block.len().min(size - prefix.len()));
        let flags = if end { flag::END_STREAM } else { 0 };
        let out = self.output.frames();
        frame::head(out, Kind::Headers, flags | end_headers(rest), stream, prefix.len() + first.len());
        out.extend_from_slice(prefix);
        out.extend_from_slice(first);
        while !rest.is_empty() {
            let (piece, tail) = rest.split_at(rest.len().min(size));
            rest = tail;
            frame::head(out, Kind::Continuation, end_headers(rest), stream, piece.len());
            out.extend_from_slice(piece);
        }
        self.floods.useful_sent(&self.limits);
    }

    /// Bytes that [`Self::send_data`] would take now: the lesser of both windows; 0 for a stream that takes none any more.
    pub fn capacity(&self, stream: u32) -> usize {
        self.sendable(stream).map_or(0, |stream| stream.send.available().min(self.send_window.available()))
    }

    /// Sends as much of `bytes` as the windows allow, and says how much; `end` counts once all of it is taken.
    ///
    /// # Errors
    /// [`Gone`]: reset, finished, or our side has ended already.
    pub fn send_data(&mut self, stream: u32, bytes: &[u8], end: bool) -> Result<usize, Gone> {
        self.sendable(stream)?;
        let count = bytes.len().min(self.capacity(stream));
        let ends = end && count == bytes.len();
        if count == 0 && !ends {
            return Ok(0);
        }
        self.write_data(stream, bytes.get(..count).unwrap_or_default(), ends);
        self.send_window.take(count);
        if let Some(entry) = self.streams.get_mut(stream) {
            entry.send.take(count);
        }
        if ends {
            self.close_local(stream);
        }
        Ok(count)
    }

    fn write_data(&mut self, stream: u32, mut bytes: &[u8], ends: bool) {
        loop {
            let (piece, rest) = bytes.split_at(bytes.len().min(self.peer.max_frame_bytes as usize));
            let flags = if ends && rest.is_empty() { flag::END_STREAM } else { 0 };
            let out = self.output.frames();
            frame::head(out, Kind::Data, flags, stream, piece.len());
            out.extend_from_slice(piece);
            self.floods.useful_sent(&self.limits);
            if rest.is_empty() {
                return;
            }
            bytes = rest;
        }
    }

    /// Ends a stream at once, in both directions; one that is gone needs nothing.
    pub fn reset(&mut self, stream: u32, code: ErrorCode) {
        if self.streams.get(stream).is_some() {
            self.write_reset(stream, code);
        }
    }

    fn sendable(&self, stream: u32) -> Result<&Stream, Gone> {
        self.streams.get(stream).filter(|stream| !stream.local_closed).ok_or(Gone)
    }

    fn close_local(&mut self, number: u32) {
        let Some(stream) = self.streams.get_mut(number) else { return };
        stream.local_closed = true;
        if stream.is_closed() {
            self.end_stream(number, Ending::Finished);
        }
    }

    //--- windows ---

    /// So many received bytes of the stream were passed on: their window goes back, half a window at a time. What a stream holds when it
    /// ends goes back by itself.
    pub fn release(&mut self, stream: u32, bytes: usize) {
        let Some(entry) = self.streams.get_mut(stream) else { return };
        let bytes = entry.held.min(u32::try_from(bytes).unwrap_or(u32::MAX));
        entry.held -= bytes;
        self.give_back_on(stream, bytes);
        self.give_back(bytes);
    }

    //--- the connection ---

    /// First half of a graceful end (RFC 9113 §6.8): the peer is told to open no more streams; those on their way are still taken.
    /// [`Self::go_away`] is to follow, a round trip later.
    pub fn drain(&mut self) {
        if self.last_accepted.is_none() {
            frame::go_away(self.output.frames(), MAX_31_BITS, ErrorCode::NoError);
            self.last_accepted = Some(MAX_31_BITS);
        }
    }

    /// Tells the peer which stream was the last to be taken, and why. Open streams go on.
    pub fn go_away(&mut self, code: ErrorCode) {
        let last = self.last_accepted.unwrap_or(MAX_31_BITS).min(self.highest);
        if self.last_accepted != Some(last) || code != ErrorCode::NoError {
            frame::go_away(self.output.frames(), last, code);
            self.last_accepted = Some(last);
        }
    }

    /// Asks for a sign of life: [`crate::Event::Pong`].
    pub fn ping(&mut self, payload: [u8; 8]) {
        frame::ping(self.output.frames(), 0, payload);
    }

    //--- output ---

    /// What is to be sent, in order.
    pub fn output(&self) -> &[u8] {
        self.output.pending()
    }

    /// So many bytes of the output were sent.
    pub fn consume_output(&mut self, count: usize) {
        self.output.consume(count);
    }

    /// Gives back what an idle connection does not need of its buffers.
    pub fn shrink(&mut self) {
        self.payload.shrink_to_fit();
        self.block.shrink();
        self.fields.shrink();
        self.output.shrink();
    }
}

const fn end_headers(rest: &[u8]) -> u8 {
    if rest.is_empty() { flag::END_HEADERS } else { 0 }
}
