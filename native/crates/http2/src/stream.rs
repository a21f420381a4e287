//! Streams (RFC 9113 §5.1), as the two halves they are; a stream whose halves are both closed is forgotten but for its name.
//!
//! ```text
//!                  idle ── HEADERS ──▶ open
//!                                       │ END_STREAM received     END_STREAM sent
//!                                       ├──▶ half-closed (remote) ──┐
//!                                       └──▶ half-closed (local) ───┴──▶ closed ◀── RST_STREAM either way
//!
//!   received on        HEADERS                    DATA              RST_STREAM    WINDOW_UPDATE    PRIORITY
//!   idle               opens (server)             C PROTOCOL        C PROTOCOL    C PROTOCOL       -
//!   half-closed (r)    S STREAM_CLOSED            S STREAM_CLOSED   closes        widens           -
//!   closed: finished   C STREAM_CLOSED            C STREAM_CLOSED   -             -                -
//!   closed: peer reset S STREAM_CLOSED            S STREAM_CLOSED   -             -                -
//!   closed: we reset   decoded, dropped           counted, dropped  -             -                -
//!   closed: unknown    C PROTOCOL (§5.1.1)        S STREAM_CLOSED   -             -                -
//!
//!   C = connection error, S = stream error, - = ignored
//! ```

use ahash::AHashMap;
use trunkline_http::Answers;

use crate::window::{ReceiveWindow, SendWindow};

/// One open or half-closed stream.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) remote_closed: bool,
    pub(crate) local_closed: bool,
    /// The peer's final head has come.
    pub(crate) head_received: bool,
    pub(crate) answers: Answers,
    /// What Content-Length says is still to come.
    pub(crate) expected: Option<u64>,
    /// Handed to the application and not released.
    pub(crate) held: u32,
    pub(crate) receive: ReceiveWindow,
    pub(crate) send: SendWindow,
}

impl Stream {
    pub(crate) fn new(receive: ReceiveWindow, send: SendWindow, answers: Answers) -> Self {
        Self {
            remote_closed: false,
            local_closed: false,
            head_received: false,
            answers,
            expected: None,
            held: 0,
            receive,
            send,
        }
    }

    /// Counts content towards Content-Length (RFC 9113 §8.1.1); false if it is too much, or too little at the end.
    #[must_use]
    pub(crate) fn count(&mut self, bytes: u32, end: bool) -> bool {
        let Some(expected) = self.expected else { return true };
        match expected.checked_sub(bytes.into()) {
            Some(rest) => {
                self.expected = Some(rest);
                rest == 0 || !end
            }
            None => false,
        }
    }

    pub(crate) const fn is_closed(&self) -> bool {
        self.remote_closed && self.local_closed
    }
}

/// How a stream that is not open any more came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// `END_STREAM` both ways.
    Finished,
    ResetByPeer,
    ResetByUs,
    /// Never opened, or long ago.
    Unknown,
}

/// Endings remembered: twice the usual streams at a time, so that what was on its way when a stream ended is still understood.
const REMEMBERED: usize = 256;

/// The streams of a connection, and the last that ended.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    open: AHashMap<u32, Stream>,
    ended: Vec<(u32, Ending)>,
    oldest: usize,
}

impl Streams {
    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    #[inline]
    pub(crate) fn get(&self, stream: u32) -> Option<&Stream> {
        self.open.get(&stream)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, stream: u32) -> Option<&mut Stream> {
        self.open.get_mut(&stream)
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut Stream> {
        self.open.values_mut()
    }

    pub(crate) fn insert(&mut self, stream: u32, entry: Stream) {
        self.open.insert(stream, entry);
    }

    /// The streams above `last`, which the peer will not process.
    pub(crate) fn above(&self, last: u32) -> Vec<u32> {
        self.open.keys().copied().filter(|&stream| stream > last).collect()
    }

    /// Ends a stream, open or not; returns what it was.
    pub(crate) fn end(&mut self, stream: u32, ending: Ending) -> Option<Stream> {
        let before = self.open.remove(&stream);
        if before.is_none()
            && let Some(entry) = self.ended.iter_mut().find(|(id, _)| *id == stream)
        {
            entry.1 = ending;
            return None;
        }
        if self.ended.len() < REMEMBERED {
            self.ended.push((stream, ending));
        } else if let Some(slot) = self.ended.get_mut(self.oldest) {
            *slot = (stream, ending);
            self.oldest = (self.oldest + 1) % REMEMBERED;
        }
        before
    }

    pub(crate) fn ending(&self, stream: u32) -> Ending {
        let found = self.ended.iter().find(|(id, _)| *id == stream);
        found.map_or(Ending::Unknown, |(_, ending)| *ending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_are_remembered_for_a_while() {
        let mut streams = Streams::default();
        for stream in (1..2_000).step_by(2) {
            streams.end(stream, if stream % 4 == 1 { Ending::Finished } else { Ending::ResetByUs });
        }
        assert_eq!(streams.ending(1_997), Ending::Finished);
        assert_eq!(streams.ending(1_999 - 2 * 255), Ending::Finished);
        assert_eq!(streams.ending(1_999 - 2 * 256), Ending::Unknown);
        streams.end(1_997, Ending::ResetByUs);
        assert_eq!(streams.ending(1_997), Ending::ResetByUs);
    }
}
