//! When a breaker opens, for how long, and how it tries again.

use crate::BreakerError;
use crate::error::{require, require_ratio};
use crate::window::BUCKETS;

const SECOND: u64 = 1_000_000_000;

/// When a breaker opens, for how long, and how it tries again. Each of the three rules is off when `None`; any one opens it.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Failures one after another that open it, at least 1.
    pub consecutive_failures: Option<u32>,
    /// Share of failed calls in the window that opens it, in (0, 1].
    pub failure_ratio: Option<f64>,
    /// Share of slow calls in the window that opens it, in (0, 1]. Failed calls can be slow too.
    pub slow_ratio: Option<f64>,
    /// A call that takes this long or longer is slow.
    pub slow_call_ns: u64,
    /// What the ratios look back on, at least 10 ns (see `window.rs`).
    pub window_ns: u64,
    /// The ratios are not looked at before this many calls in the window.
    pub minimum_calls: u32,
    /// How long it stays open the first time.
    pub open_ns: u64,
    /// Each time it opens again without having closed, it stays open this many times longer; at least 1.
    pub open_growth: f64,
    /// But never longer than this.
    pub open_max_ns: u64,
    /// Calls let through at the same time when half-open, and successes of them needed to close; 1 to 1000.
    pub probes: u32,
    /// A probe that was not recorded after this long gives its place back.
    pub probe_timeout_ns: u64,
}

impl Default for Settings {
    /// The ratio rule of Resilience4j (50 % of at least 20 calls) over 10 s; open for 5 s, at most 60 s; 3 probes.
    fn default() -> Self {
        Self {
            consecutive_failures: None,
            failure_ratio: Some(0.5),
            slow_ratio: None,
            slow_call_ns: 0,
            window_ns: 10 * SECOND,
            minimum_calls: 20,
            open_ns: 5 * SECOND,
            open_growth: 1.0,
            open_max_ns: 60 * SECOND,
            probes: 3,
            probe_timeout_ns: 30 * SECOND,
        }
    }
}

impl Settings {
    pub(crate) fn validate(&self) -> Result<(), BreakerError> {
        if self.consecutive_failures.is_none() && self.failure_ratio.is_none() && self.slow_ratio.is_none() {
            return Err(BreakerError::NoRule);
        }
        if self.slow_ratio.is_some() && self.slow_call_ns == 0 {
            return Err(BreakerError::NoSlowCall);
        }
        let failures = self.consecutive_failures.unwrap_or(1);
        require(failures >= 1, "consecutive_failures", "at least 1", f64::from(failures))?;
        require_ratio("failure_ratio", self.failure_ratio)?;
        require_ratio("slow_ratio", self.slow_ratio)?;
        let nanoseconds = |number: u64| number as f64;
        require(self.window_ns >= BUCKETS as u64, "window_ns", "at least 10", nanoseconds(self.window_ns))?;
        require(self.minimum_calls >= 1, "minimum_calls", "at least 1", f64::from(self.minimum_calls))?;
        require(self.open_ns >= 1, "open_ns", "at least 1", nanoseconds(self.open_ns))?;
        let growth = self.open_growth;
        require(growth >= 1.0 && growth.is_finite(), "open_growth", "at least 1 and finite", growth)?;
        let max_ns = nanoseconds(self.open_max_ns);
        require(self.open_max_ns >= self.open_ns, "open_max_ns", "at least open_ns", max_ns)?;
        require((1..=1000).contains(&self.probes), "probes", "between 1 and 1000", f64::from(self.probes))?;
        let timeout_ns = nanoseconds(self.probe_timeout_ns);
        require(self.probe_timeout_ns >= 1, "probe_timeout_ns", "at least 1", timeout_ns)
    }
}
