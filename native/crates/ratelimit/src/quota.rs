//! What is allowed: an algorithm and its numbers, checked once so that no later arithmetic can fail.

use std::num::NonZeroU64;
use std::str::FromStr;

use crate::{Decision, State, fixed_window, gcra, leaky_meter, leaky_queue, sliding_window, token_bucket};

/// How calls are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    TokenBucket,
    LeakyMeter,
    LeakyQueue,
    FixedWindow,
    SlidingWindow,
    Gcra,
}

impl Algorithm {
    /// Every algorithm, in the order of the documentation.
    pub const ALL: [Self; 6] = [
        Self::TokenBucket,
        Self::LeakyMeter,
        Self::LeakyQueue,
        Self::FixedWindow,
        Self::SlidingWindow,
        Self::Gcra,
    ];

    /// The name used in configuration: `token_bucket`, `leaky_meter`, `leaky_queue`, `fixed_window`, `sliding_window`, `gcra`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TokenBucket => "token_bucket",
            Self::LeakyMeter => "leaky_meter",
            Self::LeakyQueue => "leaky_queue",
            Self::FixedWindow => "fixed_window",
            Self::SlidingWindow => "sliding_window",
            Self::Gcra => "gcra",
        }
    }

    /// Whether calls are counted in windows; those have no burst of their own.
    pub const fn is_window(self) -> bool {
        matches!(self, Self::FixedWindow | Self::SlidingWindow)
    }
}

impl FromStr for Algorithm {
    type Err = QuotaError;

    fn from_str(name: &str) -> Result<Self, QuotaError> {
        let known = Self::ALL.into_iter().find(|algorithm| algorithm.name() == name);
        known.ok_or_else(|| QuotaError::Algorithm(name.to_owned()))
    }
}

/// Why a quota or a limiter cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuotaError {
    /// The limit is 0 or above [`Quota::MAX`].
    #[error("limit must be between 1 and 2^60, not {0}")]
    Limit(u64),
    /// The period is 0 or above [`Quota::MAX`] nanoseconds.
    #[error("period must be between 1 ns and 2^60 ns (36 years), not {0} ns")]
    Period(u64),
    /// The burst is 0 or above [`Quota::MAX`].
    #[error("burst must be between 1 and 2^60, not {0}")]
    Burst(u64),
    /// A burst other than the limit was given to an algorithm that counts in windows.
    #[error("{algorithm} admits up to its limit at once and takes no burst (got {burst})", algorithm = .algorithm.name())]
    WindowBurst { algorithm: Algorithm, burst: u64 },
    /// No algorithm has this name.
    #[error(
        "no algorithm is named {0:?}; there are token_bucket, leaky_meter, leaky_queue, fixed_window, sliding_window, gcra"
    )]
    Algorithm(String),
    /// A keyed limiter without room for a key, or with more than fits in memory.
    #[error("capacity must be between 1 and 2^32 keys, not {0}")]
    Capacity(usize),
    /// A keyed limiter without a shard, or with more than 4096.
    #[error("shards must be between 1 and 4096, not {0}")]
    Shards(usize),
}

/// `limit` units per `period`, counted by `algorithm`, at most `burst` at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    algorithm: Algorithm,
    pub(crate) limit: NonZeroU64,
    pub(crate) period: NonZeroU64,
    pub(crate) burst: NonZeroU64,
}

impl Quota {
    /// The largest limit, burst and period: 2^60. With it, every product of two fits 124 bits (see `arithmetic.rs`).
    pub const MAX: u64 = 1 << 60;

    /// A checked quota. `burst` is what a fresh key may take at once; `None` means `limit`, and window algorithms accept
    /// nothing else. (nginx's `limit_req burst=n` is `Some(n + 1)`: it does not count the call that goes at once.)
    pub fn new(
        algorithm: Algorithm,
        limit: u64,
        period_ns: u64,
        burst: Option<u64>,
    ) -> Result<Self, QuotaError> {
        let within = |number: u64| NonZeroU64::new(number).filter(|number| number.get() <= Self::MAX);
        let burst = burst.unwrap_or(limit);
        if algorithm.is_window() && burst != limit {
            return Err(QuotaError::WindowBurst { algorithm, burst });
        }
        Ok(Self {
            algorithm,
            limit: within(limit).ok_or(QuotaError::Limit(limit))?,
            period: within(period_ns).ok_or(QuotaError::Period(period_ns))?,
            burst: within(burst).ok_or(QuotaError::Burst(burst))?,
        })
    }

    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub const fn limit(&self) -> u64 {
        self.limit.get()
    }

    pub const fn period_ns(&self) -> u64 {
        self.period.get()
    }

    pub const fn burst(&self) -> u64 {
        self.burst.get()
    }

    /// Takes `cost` units from `state` if they are there. A cost of 0 is always allowed.
    #[inline]
    pub fn check(&self, state: &mut State, now_ns: u64, cost: u64) -> Decision {
        match self.algorithm {
            Algorithm::TokenBucket => token_bucket::check(self, state, now_ns, cost),
            Algorithm::LeakyMeter => leaky_meter::check(self, state, now_ns, cost),
            Algorithm::LeakyQueue => leaky_queue::check(self, state, now_ns, cost),
            Algorithm::FixedWindow => fixed_window::check(self, state, now_ns, cost),
            Algorithm::SlidingWindow => sliding_window::check(self, state, now_ns, cost),
            Algorithm::Gcra => gcra::check(self, state, now_ns, cost),
        }
    }

    /// The decision [`Quota::check`] would take, without taking anything.
    #[inline]
    pub fn peek(&self, state: &State, now_ns: u64, cost: u64) -> Decision {
        let mut scratch = *state;
        self.check(&mut scratch, now_ns, cost)
    }
}
