//! Seconds (float) at the Python boundary, nanoseconds inside, and the clock used when none is given.
//!
//! The default clock is anchored to `time.monotonic()`, so that `now=time.monotonic()` and no `now` can be mixed.

use std::sync::OnceLock;
use std::time::Instant;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

const NANOSECONDS_PER_SECOND: f64 = 1e9;

/// An instant, and what `time.monotonic_ns()` said then.
static ANCHOR: OnceLock<(Instant, u64)> = OnceLock::new();

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let monotonic_ns = module.py().import("time")?.call_method0("monotonic_ns")?.extract()?;
    ANCHOR.get_or_init(|| (Instant::now(), monotonic_ns));
    Ok(())
}

/// The given instant, or the present one.
#[inline]
pub(crate) fn now_ns(given: Option<f64>) -> PyResult<u64> {
    match given {
        Some(seconds) => nanoseconds(seconds).ok_or_else(|| not_an_instant(seconds)),
        None => Ok(present_ns()),
    }
}

fn present_ns() -> u64 {
    let (instant, monotonic_ns) = ANCHOR.get_or_init(|| (Instant::now(), 0));
    monotonic_ns.saturating_add(instant.elapsed().as_nanos() as u64)
}

/// Whole nanoseconds, the nearest; `None` for what is negative, not a number, or past 2^64 ns (584 years).
#[inline]
pub(crate) fn nanoseconds(seconds: f64) -> Option<u64> {
    let nearest = seconds * NANOSECONDS_PER_SECOND + 0.5;
    (nearest >= 0.0 && nearest < u64::MAX as f64).then_some(nearest as u64)
}

/// Seconds; the largest number of nanoseconds stands for "never" and becomes infinity.
#[inline]
pub(crate) fn seconds(nanoseconds: u64) -> f64 {
    if nanoseconds == u64::MAX { f64::INFINITY } else { nanoseconds as f64 / NANOSECONDS_PER_SECOND }
}

#[cold]
fn not_an_instant(seconds: f64) -> PyErr {
    PyValueError::new_err(format!("now must be seconds between 0 and 2^64 ns, not {seconds}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_nanoseconds() {
        assert_eq!(nanoseconds(1.5), Some(1_500_000_000));
        assert_eq!(nanoseconds(0.1 + 0.2), Some(300_000_000));
        for refused in [-1.0, f64::NAN, f64::INFINITY, 2e10] {
            assert_eq!(nanoseconds(refused), None);
        }
        assert!(seconds(u64::MAX).is_infinite());
    }
}
