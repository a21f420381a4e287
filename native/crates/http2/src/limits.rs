//! How much of what a peer may do, and how often it did: every known HTTP/2 flood has a limit, a counter and a name.
//!
//! | flood | limit | code |
//! |---|---|---|
//! | rapid reset (CVE-2023-44487), provoked resets (CVE-2025-8671) | `resets` | `ENHANCE_YOUR_CALM` |
//! | CONTINUATION (CVE-2024-27316) | `continuations`, `EMPTY_CONTINUATIONS`, block bytes | `ENHANCE_YOUR_CALM` |
//! | SETTINGS, PING, PRIORITY, empty DATA (CVE-2019-9512, -9515, -9513, -9518) | a rate each | `ENHANCE_YOUR_CALM` |
//! | WINDOW_UPDATE, frames of unknown types | a rate each | `ENHANCE_YOUR_CALM` |
//! | answers that are not taken (CVE-2019-9512) | `unsent_control_bytes` | `ENHANCE_YOUR_CALM` |
//! | HPACK bomb, long lists | `header_list_bytes`, times `HARD_MULTIPLE` | 431, then `ENHANCE_YOUR_CALM` |
//! | streams at a time, in all | `Settings::max_concurrent_streams`, `streams_total` | `REFUSED_STREAM`, GOAWAY |

/// A field list or block larger than the limit by this factor ends the connection; below, the request is answered with 431.
pub(crate) const HARD_MULTIPLE: usize = 4;
/// And not before so many bytes, however low the limit: to say 431 is kinder.
pub(crate) const HARD_BYTES: usize = 128 << 10;
/// An empty CONTINUATION carries nothing and is legal; no client sends even one.
pub(crate) const EMPTY_CONTINUATIONS: u32 = 4;

/// So many at once, and so many a second in the long run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    pub burst: u32,
    pub per_second: u32,
}

impl Rate {
    /// For what something else bounds.
    pub const UNLIMITED: Self = Self { burst: u32::MAX, per_second: u32::MAX };
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a field list as RFC 9113 §6.5.2 counts them (32 a field on top); announced to the peer.
    pub header_list_bytes: u32,
    /// Fields of a list, pseudo-header fields not counted; at most [`trunkline_http::MAX_HEADERS`].
    pub headers: usize,
    pub target_bytes: usize,
    /// CONTINUATION frames of one block.
    pub continuations: u32,
    /// Streams that a connection may open in its life; after them it is closed gracefully.
    pub streams_total: u32,
    /// Acknowledgements, resets and window updates that may wait in the output.
    pub unsent_control_bytes: usize,
    /// `RST_STREAM` received, and stream errors that the peer made us send.
    pub resets: Rate,
    pub settings: Rate,
    /// Beyond one PING per frame that carries something.
    pub pings: Rate,
    /// Beyond one PRIORITY per frame that carries something.
    pub priorities: Rate,
    /// Beyond four updates per DATA or HEADERS frame sent.
    pub window_updates: Rate,
    /// DATA without data and without `END_STREAM`.
    pub empty_data: Rate,
    /// Frames of unknown types, and frames on streams that are closed already.
    pub ignored: Rate,
}

impl Default for Limits {
    /// Resets: nghttp2's burst of 1 000 and six times its 33 a second, as a proxy in front of us bundles many clients' cancellations.
    /// The other rates cost us less than 1 % of a core at 100 ns a frame. 64 KiB of unsent answers are 3 800 PINGs (Go: 10 000).
    fn default() -> Self {
        Self {
            header_list_bytes: 64 << 10,
            headers: trunkline_http::MAX_HEADERS,
            target_bytes: 8 << 10,
            continuations: 32,
            streams_total: u32::MAX,
            unsent_control_bytes: 64 << 10,
            resets: Rate { burst: 1_000, per_second: 200 },
            settings: Rate { burst: 200, per_second: 20 },
            pings: Rate { burst: 2_000, per_second: 1_000 },
            priorities: Rate { burst: 2_000, per_second: 1_000 },
            window_updates: Rate { burst: 10_000, per_second: 10_000 },
            empty_data: Rate { burst: 1_000, per_second: 200 },
            ignored: Rate { burst: 2_000, per_second: 1_000 },
        }
    }
}

/// What happened on a connection since it began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    pub streams: u64,
    pub resets_received: u64,
    /// Stream errors that the peer made and `RST_STREAM` was sent for, refused streams included.
    pub stream_errors: u64,
    pub streams_refused: u64,
    pub heads_too_large: u64,
    pub continuations: u64,
    pub settings: u64,
    pub pings: u64,
    pub priorities: u64,
    pub window_updates: u64,
    pub empty_data: u64,
    pub ignored: u64,
    /// Connections ended for a flood: 0 or 1.
    pub floods: u64,
}

/// A token bucket that is looked at only when it runs dry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    tokens: u32,
    filled_ns: u64,
}

impl Bucket {
    pub(crate) const fn new(rate: Rate) -> Self {
        Self { tokens: rate.burst, filled_ns: 0 }
    }

    /// True if one more is within the rate.
    pub(crate) fn take(&mut self, rate: Rate, now_ns: u64) -> bool {
        if self.filled_ns == 0 {
            self.filled_ns = now_ns;
        }
        if self.tokens == 0 {
            self.fill(rate, now_ns);
        }
        let within = self.tokens > 0;
        self.tokens = self.tokens.saturating_sub(1);
        within
    }

    /// What the peer does besides earns it more of this.
    pub(crate) fn earn(&mut self, rate: Rate, tokens: u32) {
        self.tokens = self.tokens.saturating_add(tokens).min(rate.burst);
    }

    /// Waits until a whole token is due.
    fn fill(&mut self, rate: Rate, now_ns: u64) {
        let elapsed_ns = now_ns.saturating_sub(self.filled_ns);
        let due = u128::from(elapsed_ns) * u128::from(rate.per_second) / 1_000_000_000;
        if due > 0 {
            self.tokens = u32::try_from(due).unwrap_or(u32::MAX).min(rate.burst);
            self.filled_ns = now_ns;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_burst_then_the_rate() {
        let rate = Rate { burst: 3, per_second: 2 };
        let mut bucket = Bucket::new(rate);
        let mut taken = |now_ns| bucket.take(rate, now_ns);
        assert_eq!([0; 4].map(|_| taken(5 * SECOND)), [true, true, true, false]);
        assert!(!taken(5 * SECOND + SECOND / 3));
        assert!(taken(5 * SECOND + SECOND / 2));
        assert!(!taken(5 * SECOND + SECOND / 2));
        assert_eq!([0; 4].map(|_| taken(60 * SECOND)), [true, true, true, false]);
    }

    #[test]
    fn earned_tokens_never_exceed_the_burst() {
        let rate = Rate { burst: 2, per_second: 0 };
        let mut bucket = Bucket::new(rate);
        bucket.earn(rate, 100);
        assert_eq!([0; 3].map(|_| bucket.take(rate, SECOND)), [true, true, false]);
    }
}
