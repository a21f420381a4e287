//! The answer to one check.

/// The answer to one check; also what the `RateLimit` and `Retry-After` headers are made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether the call may go on (for a queue: after `delay_ns`).
    pub allowed: bool,
    /// Units per period, as the quota says.
    pub limit: u64,
    /// Whole units that could still be taken right now; at most the quota's burst.
    pub remaining: u64,
    /// Nanoseconds until the same call would be admitted if nobody else came; 0 when allowed, [`Decision::NEVER`] when
    /// the cost is above what the quota can ever admit at once.
    pub retry_after_ns: u64,
    /// Nanoseconds until the key is as good as new, if nobody came.
    pub reset_after_ns: u64,
    /// Nanoseconds to hold an allowed call before letting it go; 0 for everything but a queue.
    pub delay_ns: u64,
}

impl Decision {
    /// `retry_after_ns` of a call that can never be admitted.
    pub const NEVER: u64 = u64::MAX;
}
