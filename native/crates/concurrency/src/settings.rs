//! What a limit is told.

use crate::Error;
use crate::error::require;

/// A limit and its queue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    pub rule: Rule,
    /// How many may wait for a place; 0 = nobody.
    pub queue: u32,
}

/// Where the number comes from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    /// Always so many, at least 1.
    Fixed(u32),
    /// Found by measuring.
    Gradient2(Gradient2Settings),
}

/// Gradient2's settings. The defaults are those of Netflix's concurrency-limits, but for `minimum` (theirs is 20, more than a
/// small service bears) and `maximum` (200, less than a front door's pool carries).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gradient2Settings {
    /// Until something was measured.
    pub initial: u32,
    pub minimum: u32,
    /// Matters: under a load that is always too high, the long average learns the delay, and the limit creeps up to here.
    pub maximum: u32,
    /// How much slower than usual is still usual, 1 or more; 1.5 = half as much again.
    pub tolerance: f64,
    /// Part of the way to the new limit that one window goes, above 0 and at most 1.
    pub smoothing: f64,
    /// How many may queue in the service itself: what lets the limit grow.
    pub queue_size: QueueSize,
    /// Windows that the long average looks back on, at least 1.
    pub long_windows: u32,
    /// Samples are gathered for so long, and until there are [`Gradient2Settings::least_samples`].
    pub window_ns: u64,
    pub least_samples: u32,
}

/// Room for queueing as a function of the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueSize {
    Fixed(u32),
    /// Of the limit; grows faster where limits are high (Envoy's gradient controller does this).
    SquareRoot,
}

impl QueueSize {
    pub(crate) fn of(self, limit: f64) -> f64 {
        match self {
            Self::Fixed(size) => f64::from(size),
            Self::SquareRoot => limit.sqrt(),
        }
    }
}

impl Default for Gradient2Settings {
    fn default() -> Self {
        Self {
            initial: 20,
            minimum: 4,
            maximum: 1_000,
            tolerance: 1.5,
            smoothing: 0.2,
            queue_size: QueueSize::Fixed(4),
            long_windows: 600,
            window_ns: 1_000_000_000,
            least_samples: 10,
        }
    }
}

impl Settings {
    /// A bulkhead without a queue.
    pub const fn fixed(limit: u32) -> Self {
        Self { rule: Rule::Fixed(limit), queue: 0 }
    }

    /// An adaptive limit without a queue.
    pub const fn gradient2(settings: Gradient2Settings) -> Self {
        Self { rule: Rule::Gradient2(settings), queue: 0 }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        match &self.rule {
            Rule::Fixed(limit) => require(*limit >= 1, "limit", "at least 1", f64::from(*limit)),
            Rule::Gradient2(settings) => settings.check(),
        }
    }
}

impl Gradient2Settings {
    pub(crate) fn check(&self) -> Result<(), Error> {
        let Self { initial, minimum, maximum, tolerance, smoothing, long_windows, window_ns, .. } = *self;
        require(minimum >= 1, "minimum", "at least 1", f64::from(minimum))?;
        require(maximum >= minimum, "maximum", "at least the minimum", f64::from(maximum))?;
        let between = (minimum..=maximum).contains(&initial);
        require(between, "initial", "between minimum and maximum", f64::from(initial))?;
        require(tolerance >= 1.0 && tolerance.is_finite(), "tolerance", "at least 1", tolerance)?;
        require(smoothing > 0.0 && smoothing <= 1.0, "smoothing", "above 0 and at most 1", smoothing)?;
        require(long_windows >= 1, "long_windows", "at least 1", f64::from(long_windows))?;
        require(window_ns >= 1, "window_ns", "at least 1", window_ns as f64)
    }
}
