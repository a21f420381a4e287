//! What a connection's task leaves for one of its streams.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::task::{Context, Waker};

use trunkline_http2::Fields;

/// Heads that may wait: interim responses and a final one. Nobody sends more before the first is taken.
const MOST_HEADS: usize = 8;
/// An empty buffer larger than this is given back to the allocator, and a taken front is cut off when it is this long and more than half
/// of all: a reader that is never quicker than the sender must not make the buffer hold the whole transfer.
const KEPT_BYTES: usize = 64 * 1024;

/// How a stream ended before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reset {
    /// By `RST_STREAM`, or because the peer broke a rule.
    ByPeer,
    /// The peer did nothing about the request, so that it may be sent again (RFC 9113 §8.7).
    Unprocessed,
    /// The peer closed the connection.
    Closed,
    /// The connection broke.
    Lost,
    /// The peer does not speak HTTP/2.
    WrongProtocol,
}

#[derive(Default)]
pub(crate) struct Slot {
    pub(crate) received: RefCell<Received>,
    /// The peer has sent everything.
    pub(crate) ended: Cell<bool>,
    pub(crate) reset: Cell<Option<Reset>>,
    /// Of a request to a server: its head was queued then.
    pub(crate) sent_ns: Cell<u64>,
    /// All waits of a stream are in one task.
    waker: RefCell<Option<Waker>>,
}

#[derive(Default)]
pub(crate) struct Received {
    data: Vec<u8>,
    taken: usize,
    pub(crate) heads: VecDeque<Box<Fields>>,
    pub(crate) trailers: Option<Vec<u8>>,
}

impl Received {
    pub(crate) fn data(&self) -> &[u8] {
        self.data.get(self.taken..).unwrap_or_default()
    }

    /// Moves data into `buffer`; how many bytes.
    pub(crate) fn take(&mut self, buffer: &mut [u8]) -> usize {
        let data = self.data.get(self.taken..).unwrap_or_default();
        let count = data.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), data.get(..count)) {
            to.copy_from_slice(from);
        }
        self.taken += count;
        if self.taken == self.data.len() {
            self.forget();
        } else if self.taken >= KEPT_BYTES && self.taken > self.data.len() / 2 {
            self.data.drain(..self.taken);
            self.taken = 0;
        }
        count
    }

    /// All data is taken.
    pub(crate) fn forget(&mut self) {
        self.taken = 0;
        self.data.clear();
        self.data.shrink_to(KEPT_BYTES);
    }
}

impl Slot {
    /// More of the peer's message is due.
    pub(crate) fn is_open(&self) -> bool {
        !self.ended.get() && self.reset.get().is_none()
    }

    pub(crate) fn wake(&self) {
        if let Some(waker) = self.waker.borrow().as_ref() {
            waker.wake_by_ref();
        }
    }

    /// The task that polls is woken by what comes next.
    pub(crate) fn register(&self, context: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            *waker = Some(context.waker().clone());
        }
    }

    pub(crate) fn push_data(&self, bytes: &[u8], end: bool) {
        self.received.borrow_mut().data.extend_from_slice(bytes);
        self.ended.set(self.ended.get() || end);
        self.wake();
    }

    /// False if too many wait.
    pub(crate) fn push_head(&self, fields: Box<Fields>, end: bool) -> bool {
        let mut received = self.received.borrow_mut();
        received.heads.push_back(fields);
        self.ended.set(self.ended.get() || end);
        self.wake();
        received.heads.len() <= MOST_HEADS
    }

    pub(crate) fn push_trailers(&self, lines: Vec<u8>) {
        self.received.borrow_mut().trailers = Some(lines);
        self.ended.set(true);
        self.wake();
    }

    /// The first reason counts.
    pub(crate) fn push_reset(&self, reset: Reset) {
        if self.reset.get().is_none() {
            self.reset.set(Some(reset));
        }
        self.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 10 MB in pieces, of which a window's worth always waits.
    #[test]
    fn a_reader_that_lags_keeps_what_waits_for_it() {
        let slot = Slot::default();
        let mut sent = (0..10_000_000u32).map(|number| (number % 251) as u8);
        let mut due = sent.clone();
        let mut buffer = [0; 16_000];
        slot.push_data(&sent.by_ref().take(60_000).collect::<Vec<_>>(), false);
        loop {
            let piece: Vec<u8> = sent.by_ref().take(16_000).collect();
            slot.push_data(&piece, piece.is_empty());
            let mut received = slot.received.borrow_mut();
            let count = received.take(&mut buffer);
            assert!(buffer[..count].iter().copied().eq(due.by_ref().take(count)));
            assert!(received.data.len() <= 4 * KEPT_BYTES, "{}", received.data.len());
            if piece.is_empty() && received.data().is_empty() {
                break;
            }
        }
        assert_eq!(due.next(), None);
    }
}
