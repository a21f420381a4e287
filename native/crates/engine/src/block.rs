//! Read buffers, borrowed from the worker only while data is in flight: ten thousand idle connections hold none, and the few that
//! are busy keep using the same few blocks, which therefore stay in cache.
//!
//! ```text
//!   0        HEADROOM    start          end                 len
//!   | headroom | consumed | filled bytes | spare room       |
//! ```
//! The headroom lets a new message head be written in front of body bytes that are already there, so that head and body go
//! out in one `send` without copying the body.

use std::cell::RefCell;
use std::ops::Range;

/// Room for a head that grows on its way (forwarding headers, filters).
pub(crate) const HEADROOM: usize = 1_024;
/// The largest head that can be configured; also what one read takes at most for messages of ordinary size.
pub(crate) const ORDINARY_BYTES: usize = 16 * 1024;
/// For bodies that do not fit an ordinary block: four times fewer system calls per byte.
pub(crate) const LARGE_BYTES: usize = 64 * 1024;
/// A rest up to this size is kept in a buffer of its own: a block would be pinned by one byte of a record that never goes on. Larger ones
/// stay, as to copy them would cost busy connections more than it saves idle ones.
const REST_BYTES: usize = 4 * 1024;
/// Free blocks kept per worker and size; the rest goes back to the allocator.
const KEPT: usize = 64;

thread_local! {
    static ORDINARY: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
    static LARGE: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
    static TEXTS: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// A read buffer on loan.
#[derive(Debug)]
pub(crate) struct Block {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Block {
    pub(crate) fn ordinary() -> Self {
        Self::take(&ORDINARY, ORDINARY_BYTES)
    }

    pub(crate) fn large() -> Self {
        Self::take(&LARGE, LARGE_BYTES)
    }

    /// Without room: where a block is asked for and none is needed.
    pub(crate) fn none() -> Self {
        Self { bytes: Box::default(), start: 0, end: 0 }
    }

    fn take(free: &'static std::thread::LocalKey<RefCell<Vec<Box<[u8]>>>>, size: usize) -> Self {
        let bytes =
            free.with_borrow_mut(Vec::pop).unwrap_or_else(|| vec![0; HEADROOM + size].into_boxed_slice());
        Self { bytes, start: HEADROOM, end: HEADROOM }
    }

    /// Bytes that are here and not yet consumed.
    pub(crate) fn filled(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    pub(crate) fn filled_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.end]
    }

    /// Where [`Self::filled`] begins, for positions that stay valid while bytes are consumed.
    pub(crate) fn position(&self) -> usize {
        self.start
    }

    /// Bytes by position, consumed or not.
    pub(crate) fn at(&self, range: Range<usize>) -> &[u8] {
        self.bytes.get(range).unwrap_or_default()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Room for the next read.
    pub(crate) fn spare(&mut self) -> &mut [u8] {
        &mut self.bytes[self.end..]
    }

    /// Notes that `count` bytes were read into [`Self::spare`].
    pub(crate) fn advance(&mut self, count: usize) {
        self.end = (self.end + count).min(self.bytes.len());
    }

    /// Takes `count` bytes off the front.
    pub(crate) fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
    }

    /// Forgets everything after the first `count` filled bytes.
    pub(crate) fn truncate(&mut self, count: usize) {
        self.end = self.end.min(self.start + count);
    }

    pub(crate) fn clear(&mut self) {
        let start = HEADROOM.min(self.bytes.len());
        (self.start, self.end) = (start, start);
    }

    /// Moves what is left to the front, so that a whole head fits behind it.
    pub(crate) fn compact(&mut self) {
        if self.start > HEADROOM {
            self.bytes.copy_within(self.start..self.end, HEADROOM);
            self.end -= self.start - HEADROOM;
            self.start = HEADROOM;
        }
    }

    /// What is kept until more comes; see [`REST_BYTES`].
    pub(crate) fn into_rest(self) -> Option<Self> {
        match self.filled() {
            [] => None,
            rest if rest.len() <= REST_BYTES => {
                Some(Self { bytes: Box::from(rest), start: 0, end: rest.len() })
            }
            _ => Some(self),
        }
    }

    /// A large block that begins with what was kept.
    pub(crate) fn resume(rest: Option<Self>) -> Self {
        match rest {
            Some(mut whole) if whole.bytes.len() == HEADROOM + LARGE_BYTES => {
                whole.compact();
                whole
            }
            rest => {
                let mut block = Self::large();
                let kept = rest.as_ref().map_or(&[][..], Self::filled);
                block.spare()[..kept.len()].copy_from_slice(kept);
                block.advance(kept.len());
                block
            }
        }
    }

    /// Writes `head` directly in front of the filled bytes; false if there is no room.
    pub(crate) fn prepend(&mut self, head: &[u8]) -> bool {
        let Some(start) = self.start.checked_sub(head.len()) else { return false };
        self.bytes[start..self.start].copy_from_slice(head);
        self.start = start;
        true
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        let free = match bytes.len() {
            0 => return,
            length if length == HEADROOM + ORDINARY_BYTES => &ORDINARY,
            length if length == HEADROOM + LARGE_BYTES => &LARGE,
            // A rest in a buffer of its own.
            _ => return,
        };
        // A task dropped while its thread ends finds the pool gone already; then the allocator takes the block.
        let _ = free.try_with(|free| {
            let mut free = free.borrow_mut();
            if free.len() < KEPT {
                free.push(bytes);
            }
        });
    }
}

/// A growing buffer for heads on their way out, on loan like a block.
#[derive(Debug)]
pub(crate) struct Text(Vec<u8>);

impl Text {
    pub(crate) fn take() -> Self {
        Self(TEXTS.with_borrow_mut(Vec::pop).unwrap_or_else(|| Vec::with_capacity(2_048)))
    }
}

impl std::ops::Deref for Text {
    type Target = Vec<u8>;
    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl std::ops::DerefMut for Text {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.0);
        // One giant head must not make a worker's memory grow for good.
        if bytes.capacity() <= HEADROOM + ORDINARY_BYTES {
            bytes.clear();
            let _ = TEXTS.try_with(|free| {
                let mut free = free.borrow_mut();
                if free.len() < KEPT {
                    free.push(bytes);
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block_with(text: &[u8]) -> Block {
        let mut block = Block::ordinary();
        block.spare()[..text.len()].copy_from_slice(text);
        block.advance(text.len());
        block
    }

    #[test]
    fn a_new_head_goes_in_front_of_the_body() {
        let mut block = block_with(b"old head;body");
        block.consume("old head;".len());
        assert!(block.prepend(b"a new and longer head;"));
        assert_eq!(block.filled(), b"a new and longer head;body");
        assert!(!block.prepend(&[0; HEADROOM]));
    }

    #[test]
    fn compacting_keeps_the_rest() {
        let mut block = block_with(b"first second");
        block.consume(6);
        block.compact();
        assert_eq!(block.filled(), b"second");
        assert_eq!(block.spare().len(), ORDINARY_BYTES - 6);
    }

    #[test]
    fn a_small_rest_is_kept_in_its_size() {
        let keep = |count: usize| {
            let mut block = Block::large();
            block.spare()[..count].fill(7);
            block.advance(count);
            block.into_rest()
        };
        assert!(keep(0).is_none());
        for (count, kept) in [(1, 1), (REST_BYTES, REST_BYTES), (REST_BYTES + 1, HEADROOM + LARGE_BYTES)] {
            let rest = keep(count);
            assert_eq!(rest.as_ref().map(|rest| rest.bytes.len()), Some(kept));
            let resumed = Block::resume(rest);
            assert_eq!(resumed.filled(), vec![7; count]);
            assert_eq!(resumed.bytes.len(), HEADROOM + LARGE_BYTES);
        }
    }

    #[test]
    fn blocks_are_used_again() {
        let address = Block::ordinary().bytes.as_ptr();
        assert_eq!(Block::ordinary().bytes.as_ptr(), address);
    }
}
