//! Flow control (RFC 9113 §5.2, §6.9): what a peer may still send us, and what we may still send it.
//!
//! ```text
//!   receive    size = available + held + owed
//!              peer sends ▶ held ▶ the application passes it on ▶ owed ▶ WINDOW_UPDATE ▶ available
//! ```
//!
//! `held` is counted by the stream alone.

use crate::frame::MAX_31_BITS;

/// A window that we have granted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReceiveWindow {
    size: i64,
    /// Below zero after the size was reduced (RFC 9113 §6.9.2).
    available: i64,
    owed: u32,
}

impl ReceiveWindow {
    pub(crate) fn new(size: u32) -> Self {
        Self { size: size.into(), available: size.into(), owed: 0 }
    }

    /// Takes what a frame carries; false if the peer had no right to send so much.
    #[must_use]
    pub(crate) fn take(&mut self, bytes: u32) -> bool {
        let within = i64::from(bytes) <= self.available;
        if within {
            self.available -= i64::from(bytes);
        }
        within
    }

    /// Bytes that were passed on. Half a window of them is worth an update, whose increment is returned.
    #[must_use]
    pub(crate) fn give_back(&mut self, bytes: u32) -> Option<u32> {
        self.owed += bytes;
        if self.owed == 0 || i64::from(self.owed) * 2 < self.size {
            return None;
        }
        let increment = std::mem::take(&mut self.owed);
        self.available += i64::from(increment);
        Some(increment)
    }

    /// The peer has learnt of another size.
    pub(crate) fn resize(&mut self, size: u32) {
        self.available += i64::from(size) - self.size;
        self.size = size.into();
    }
}

/// A window that the peer has granted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SendWindow(i64);

impl SendWindow {
    pub(crate) fn new(size: u32) -> Self {
        Self(size.into())
    }

    pub(crate) fn available(self) -> usize {
        usize::try_from(self.0).unwrap_or(0)
    }

    /// Takes what is sent, which is no more than is available.
    pub(crate) fn take(&mut self, bytes: usize) {
        self.0 -= i64::try_from(bytes).unwrap_or(i64::MAX);
    }

    /// Adds an increment or the difference of two sizes; `None` if the window would exceed 2^31-1 (RFC 9113 §6.9.1).
    /// Otherwise whether it was shut and is open now.
    #[must_use]
    pub(crate) fn widen(&mut self, bytes: i64) -> Option<bool> {
        let shut = self.0 <= 0;
        self.0 += bytes;
        (self.0 <= i64::from(MAX_31_BITS)).then_some(shut && self.0 > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_back_by_halves() {
        let mut window = ReceiveWindow::new(100);
        assert!(window.take(100) && !window.take(1));
        assert_eq!(
            [window.give_back(49), window.give_back(1), window.give_back(50)],
            [None, Some(50), Some(50)]
        );
        assert!(window.take(100) && !window.take(1));
    }

    #[test]
    fn a_reduced_window_may_be_negative() {
        let mut window = ReceiveWindow::new(100);
        assert!(window.take(80));
        window.resize(50);
        assert!(!window.take(1));
        assert_eq!(window.give_back(80), Some(80));
        assert!(window.take(50) && !window.take(1));
    }

    #[test]
    fn opens_and_overflows() {
        let mut window = SendWindow::new(10);
        window.take(10);
        assert_eq!((window.available(), window.widen(-5)), (0, Some(false)));
        assert_eq!(
            [window.widen(5), window.widen(1), window.widen(1)],
            [Some(false), Some(true), Some(false)]
        );
        assert_eq!(window.widen(i64::from(MAX_31_BITS)), None);
    }
}
