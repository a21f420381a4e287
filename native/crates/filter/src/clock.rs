//! From the monotonic clock that everything here is told to the wall clock that tokens are stamped with.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Seconds since 1970 by an offset to the monotonic clock. Whoever owns the clocks sets it at the start and, so that a
/// corrected system clock is followed, from time to time; nothing here reads a clock.
#[derive(Debug, Default)]
pub struct WallClock {
    offset_ns: AtomicU64,
}

impl WallClock {
    /// A clock that shows `unix_ns` at the monotonic instant `now_ns`.
    pub fn new(unix_ns: u64, now_ns: u64) -> Self {
        let clock = Self::default();
        clock.set(unix_ns, now_ns);
        clock
    }

    /// Sets it again, e.g. once a minute.
    pub fn set(&self, unix_ns: u64, now_ns: u64) {
        self.offset_ns.store(unix_ns.wrapping_sub(now_ns), Relaxed);
    }

    /// Whole seconds since 1970 at the monotonic instant `now_ns`.
    pub fn unix_s(&self, now_ns: u64) -> u64 {
        now_ns.wrapping_add(self.offset_ns.load(Relaxed)) / 1_000_000_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_monotonic_clock_and_can_be_set_back() {
        let clock = WallClock::new(1_700_000_000_000_000_000, 5_000_000_000);
        assert_eq!(clock.unix_s(6_000_000_000), 1_700_000_001);
        clock.set(1_600_000_000_000_000_000, 6_000_000_000);
        assert_eq!(clock.unix_s(6_999_999_999), 1_600_000_000);
    }
}
