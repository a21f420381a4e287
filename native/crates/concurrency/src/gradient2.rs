//! Gradient2: how many requests a service bears, told from how long it takes (Netflix, concurrency-limits, `Gradient2Limit`).
//!
//! For each window of samples:
//!
//! ```text
//! gradient = clamp(tolerance × long average ÷ short average, 0.5, 1)
//! target   = limit × gradient + queue size
//! limit    = limit + smoothing × (target − limit), between minimum and maximum
//! ```
//!
//! | what is seen | what follows |
//! |---|---|
//! | as quick as usual | the limit grows by smoothing × queue size |
//! | slower than tolerance × usual | it shrinks, by a tenth each window at most |
//! | half of the limit was never used | nothing: the load says nothing about the service |
//! | the long average is twice the short one | the service has recovered: the long average falls by a twentieth |
//! | requests were dropped | it shrinks by a tenth of the way, however quick the others were (ours: Gradient2 ignores drops) |

use crate::average::Average;
use crate::{Error, Gradient2Settings};

/// Netflix's: outliers must not halve the limit more than once at a time.
const LEAST_GRADIENT: f64 = 0.5;
const RECOVERED_RATIO: f64 = 2.0;
const RECOVERY: f64 = 0.95;
/// The back-off ratio of their `AIMDLimit`, for windows with drops.
const DROP_GRADIENT: f64 = 0.9;

/// What one window has shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Mean over the answered requests; 0 if none was.
    pub latency_ns: f64,
    /// Most requests under way at once.
    pub in_flight: u32,
    /// Whether any request failed in a way that speaks of overload: no answer in time, a refused connection.
    pub dropped: bool,
}

/// The algorithm alone, for one thread.
#[derive(Debug)]
pub struct Gradient2 {
    settings: Gradient2Settings,
    limit: f64,
    long_ns: Average,
    short_ns: f64,
}

impl Gradient2 {
    /// # Errors
    /// The first setting that is out of range.
    pub fn new(settings: Gradient2Settings) -> Result<Self, Error> {
        settings.check()?;
        let (limit, long_ns) = (f64::from(settings.initial), Average::over(settings.long_windows));
        Ok(Self { settings, limit, long_ns, short_ns: 0.0 })
    }

    /// How many may be under way.
    pub fn limit(&self) -> u32 {
        self.limit as u32
    }

    /// Mean latency of the last window, and the average over all that is remembered.
    pub const fn latencies_ns(&self) -> (f64, f64) {
        (self.short_ns, self.long_ns.value())
    }

    /// Learns from a window; the new limit.
    pub fn learn(&mut self, sample: Sample) -> u32 {
        let slope = self.slope(sample.latency_ns);
        let is_used = f64::from(sample.in_flight) >= self.limit / 2.0;
        if sample.dropped {
            self.approach(self.limit * slope.min(DROP_GRADIENT));
        } else if is_used && sample.latency_ns > 0.0 {
            self.approach(self.limit * slope + self.settings.queue_size.of(self.limit));
        }
        self.limit()
    }

    /// How the service's latency stands to what is usual, as a factor for the limit.
    fn slope(&mut self, latency_ns: f64) -> f64 {
        if latency_ns <= 0.0 {
            return 1.0;
        }
        self.short_ns = latency_ns;
        let long_ns = self.long_ns.add(latency_ns);
        if long_ns / latency_ns > RECOVERED_RATIO {
            self.long_ns.scale(RECOVERY);
        }
        (self.settings.tolerance * long_ns / latency_ns).clamp(LEAST_GRADIENT, 1.0)
    }

    fn approach(&mut self, target: f64) {
        let Gradient2Settings { smoothing, minimum, maximum, .. } = self.settings;
        let next = self.limit + smoothing * (target - self.limit);
        self.limit = next.clamp(f64::from(minimum), f64::from(maximum));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Windows in which the limit was not used, so that only the averages learn.
    fn idle(gradient: &mut Gradient2, windows: u32, latency_ns: f64) {
        for _ in 0..windows {
            gradient.learn(Sample { latency_ns, in_flight: 0, dropped: false });
        }
    }

    fn usual() -> Gradient2 {
        let mut gradient = Gradient2::new(Gradient2Settings::default()).unwrap();
        idle(&mut gradient, 20, 10e6);
        gradient
    }

    #[test]
    fn each_row_of_the_table() {
        let rows = [
            // 20 + 0.2 × 4
            (10e6, 20, false, 20.8),
            (14e6, 20, false, 20.8),
            // 20 × 0.5 (15 ÷ 100 is below) + 4 = 14, a fifth of the way
            (100e6, 20, false, 18.8),
            (100e6, 9, false, 20.0),
            (10e6, 20, true, 19.6),
            (100e6, 1, true, 18.0),
            (0.0, 20, true, 19.6),
            (0.0, 20, false, 20.0),
        ];
        for (latency_ns, in_flight, dropped, expected) in rows {
            let mut gradient = usual();
            gradient.learn(Sample { latency_ns, in_flight, dropped });
            assert!(
                (gradient.limit - expected).abs() < 1e-9,
                "{latency_ns} {in_flight} {dropped}: {}",
                gradient.limit
            );
        }
    }

    #[test]
    fn a_service_that_became_quick_again_is_believed_within_windows() {
        let mut gradient = usual();
        idle(&mut gradient, 2_000, 100e6);
        assert!(gradient.latencies_ns().1 > 95e6);
        idle(&mut gradient, 40, 10e6);
        assert!(gradient.latencies_ns().1 < 25e6, "{:?}", gradient.latencies_ns());
    }

    #[test]
    fn settings_out_of_range_are_named() {
        let default = Gradient2Settings::default();
        let cases = [
            (Gradient2Settings { minimum: 0, ..default }, "minimum"),
            (Gradient2Settings { maximum: 3, ..default }, "maximum"),
            (Gradient2Settings { initial: 2, ..default }, "initial"),
            (Gradient2Settings { tolerance: 0.9, ..default }, "tolerance"),
            (Gradient2Settings { tolerance: f64::NAN, ..default }, "tolerance"),
            (Gradient2Settings { smoothing: 0.0, ..default }, "smoothing"),
            (Gradient2Settings { long_windows: 0, ..default }, "long_windows"),
            (Gradient2Settings { window_ns: 0, ..default }, "window_ns"),
        ];
        for (settings, name) in cases {
            assert_eq!(Gradient2::new(settings).unwrap_err().name, name);
        }
    }
}
