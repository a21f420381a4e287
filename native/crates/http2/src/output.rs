//! Bytes on their way to the peer, in order. Control frames are counted: a peer that makes us answer and does not read is a flood.

use crate::frame::HEADER_BYTES;

/// A busy connection keeps no more than this once its output has left: what streams may queue (128 KiB), doubled as vectors grow.
const EMPTIED_BYTES: usize = 256 << 10;
/// The sent front is cut off when it is this long and more than half of all.
const CUT_BYTES: usize = 64 << 10;

#[derive(Debug, Default)]
pub(crate) struct Output {
    bytes: Vec<u8>,
    sent: usize,
    control: usize,
}

impl Output {
    pub(crate) fn pending(&self) -> &[u8] {
        self.bytes.get(self.sent..).unwrap_or_default()
    }

    /// For frames that carry messages, whose amount the connection's owner bounds.
    pub(crate) fn frames(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// For frames that answer the peer.
    pub(crate) fn control(&mut self, payload: usize) -> &mut Vec<u8> {
        self.control += HEADER_BYTES + payload;
        &mut self.bytes
    }

    pub(crate) const fn unsent_control(&self) -> usize {
        self.control
    }

    pub(crate) fn consume(&mut self, count: usize) {
        self.sent = (self.sent + count).min(self.bytes.len());
        let left = self.bytes.len() - self.sent;
        // What is sent first need not be control, but there is never more of it unsent than there are bytes.
        self.control = self.control.min(left);
        if left == 0 {
            self.bytes.clear();
            self.bytes.shrink_to(EMPTIED_BYTES);
            self.sent = 0;
        } else if self.sent >= CUT_BYTES && self.sent > left {
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
    }

    pub(crate) fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consumed_from_the_front() {
        let mut output = Output::default();
        let bytes: Vec<u8> = (0..200_000u32).map(|number| (number % 251) as u8).collect();
        output.frames().extend_from_slice(&bytes);
        let mut taken = 0;
        for step in [1, 70_000, 50_000, 70_000, 9_999] {
            assert_eq!(output.pending(), &bytes[taken..]);
            output.consume(step);
            taken += step;
        }
        assert_eq!(output.pending(), &bytes[taken..]);
        output.frames().extend_from_slice(b"more");
        output.consume(usize::MAX);
        assert!(output.pending().is_empty() && output.bytes.is_empty());
    }

    #[test]
    fn memory_goes_back() {
        let mut output = Output::default();
        output.frames().resize(1 << 20, 0);
        output.consume(usize::MAX);
        assert!(output.bytes.capacity() <= EMPTIED_BYTES);
        output.frames().resize(100_000, 0);
        output.consume(usize::MAX);
        output.shrink();
        assert_eq!(output.bytes.capacity(), 0);
    }
}
