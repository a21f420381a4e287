//! `Limiter` and its six kinds, `KeyedLimiter`, `Decision`.

use pyo3::exceptions::PyOverflowError;
use pyo3::prelude::*;
use trunkline_ratelimit::{Algorithm, Decision, KeyedLimiter, Limiter, Quota};

use crate::clock::{nanoseconds, now_ns, seconds};
use crate::error::{QuotaError, quota_error};
use crate::hashring::key_bytes;

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyDecision>()?;
    module.add_class::<PyLimiter>()?;
    module.add_class::<TokenBucket>()?;
    module.add_class::<LeakyBucket>()?;
    module.add_class::<LeakyQueue>()?;
    module.add_class::<FixedWindow>()?;
    module.add_class::<SlidingWindow>()?;
    module.add_class::<Gcra>()?;
    module.add_class::<PyKeyedLimiter>()
}

/// A number of units; one out of range is a `QuotaError`, not an `OverflowError`.
fn units(object: &Bound<'_, PyAny>) -> PyResult<u64> {
    object.extract().map_err(|error| out_of_range(object, error))
}

fn optional_units(object: &Bound<'_, PyAny>) -> PyResult<Option<u64>> {
    if object.is_none() { Ok(None) } else { units(object).map(Some) }
}

#[cold]
fn out_of_range(object: &Bound<'_, PyAny>, error: PyErr) -> PyErr {
    if error.is_instance_of::<PyOverflowError>(object.py()) {
        return QuotaError::new_err(format!(
            "a number of units must be between 0 and 2^64 - 1, not {object}"
        ));
    }
    error
}

fn quota(algorithm: Algorithm, limit: u64, period: f64, burst: Option<u64>) -> PyResult<Quota> {
    let period_ns = nanoseconds(period)
        .ok_or_else(|| QuotaError::new_err(format!("period must be seconds above 0, not {period}")))?;
    Quota::new(algorithm, limit, period_ns, burst).map_err(|error| quota_error(&error))
}

/// The answer to one check; true if the call may go on. Made by limiters only.
#[pyclass(frozen, eq, name = "Decision", module = "trunkline_native")]
#[derive(PartialEq)]
struct PyDecision(Decision);

#[pymethods]
impl PyDecision {
    /// Whether the call may go on (with a `LeakyQueue`: after `delay`).
    #[getter]
    fn allowed(&self) -> bool {
        self.0.allowed
    }

    /// Units per period, as the quota says.
    #[getter]
    fn limit(&self) -> u64 {
        self.0.limit
    }

    /// Whole units that could still be taken right now; at most the burst.
    #[getter]
    fn remaining(&self) -> u64 {
        self.0.remaining
    }

    /// Seconds until the same call would be admitted, if nobody else came; `inf` if it never can be.
    #[getter]
    fn retry_after(&self) -> f64 {
        seconds(self.0.retry_after_ns)
    }

    /// Seconds until the key is as good as new, if nobody came.
    #[getter]
    fn reset_after(&self) -> f64 {
        seconds(self.0.reset_after_ns)
    }

    /// Seconds to hold an allowed call back; 0 for everything but a `LeakyQueue`.
    #[getter]
    fn delay(&self) -> f64 {
        seconds(self.0.delay_ns)
    }

    fn __bool__(&self) -> bool {
        self.0.allowed
    }

    fn __repr__(&self) -> String {
        format!(
            "Decision(allowed={}, limit={}, remaining={}, retry_after={:?}, reset_after={:?}, delay={:?})",
            if self.0.allowed { "True" } else { "False" },
            self.0.limit,
            self.0.remaining,
            self.retry_after(),
            self.reset_after(),
            self.delay(),
        )
    }
}

/// A rate limiter: `limit` units per `period` seconds, at most `burst` at once.
///
/// Safe to share between threads. Exact: integer nanoseconds inside, no drift.
///
/// Args:
///     algorithm: `token_bucket`, `leaky_meter`, `leaky_queue`, `fixed_window`, `sliding_window` or `gcra`.
///     limit: Units per period, 1 to 2**60.
///     period: Seconds, up to 2**60 nanoseconds.
///     burst: Units a fresh key may take at once; `limit` if not given. The window algorithms take no other.
///
/// Raises:
///     QuotaError: One of them is out of range.
#[pyclass(frozen, subclass, name = "Limiter", module = "trunkline_native")]
struct PyLimiter(Limiter);

#[pymethods]
impl PyLimiter {
    #[new]
    #[pyo3(signature = (algorithm, limit, period, burst=None))]
    fn new(
        algorithm: &str,
        #[pyo3(from_py_with = units)] limit: u64,
        period: f64,
        #[pyo3(from_py_with = optional_units)] burst: Option<u64>,
    ) -> PyResult<Self> {
        let algorithm = algorithm.parse().map_err(|error| quota_error(&error))?;
        Ok(Self(Limiter::new(quota(algorithm, limit, period, burst)?)))
    }

    /// Takes `cost` units if they are there. `now`: seconds of a monotonic clock, `time.monotonic()` if not given.
    #[pyo3(signature = (cost=1, now=None))]
    fn check(&self, #[pyo3(from_py_with = units)] cost: u64, now: Option<f64>) -> PyResult<PyDecision> {
        Ok(PyDecision(self.0.check(now_ns(now)?, cost)))
    }

    /// `check(...).allowed`, cheaper.
    #[pyo3(signature = (cost=1, now=None))]
    fn allow(&self, #[pyo3(from_py_with = units)] cost: u64, now: Option<f64>) -> PyResult<bool> {
        Ok(self.0.check(now_ns(now)?, cost).allowed)
    }

    /// The decision `check` would take, without taking anything.
    #[pyo3(signature = (cost=1, now=None))]
    fn peek(&self, #[pyo3(from_py_with = units)] cost: u64, now: Option<f64>) -> PyResult<PyDecision> {
        Ok(PyDecision(self.0.peek(now_ns(now)?, cost)))
    }

    /// Forgets everything.
    fn reset(&self) {
        self.0.reset();
    }

    /// The name it was made with.
    #[getter]
    fn algorithm(&self) -> &'static str {
        self.0.quota().algorithm().name()
    }

    /// Units per period.
    #[getter]
    fn limit(&self) -> u64 {
        self.0.quota().limit()
    }

    /// Seconds.
    #[getter]
    fn period(&self) -> f64 {
        seconds(self.0.quota().period_ns())
    }

    /// Units that a fresh key may take at once.
    #[getter]
    fn burst(&self) -> u64 {
        self.0.quota().burst()
    }

    fn __repr__(&self) -> String {
        describe("Limiter", self.0.quota())
    }
}

impl PyLimiter {
    fn of(
        algorithm: Algorithm,
        limit: u64,
        period: f64,
        burst: Option<u64>,
    ) -> PyResult<PyClassInitializer<Self>> {
        Ok(PyClassInitializer::from(Self(Limiter::new(quota(algorithm, limit, period, burst)?))))
    }
}

fn describe(class: &str, quota: &Quota) -> String {
    format!(
        "{class}({:?}, limit={}, period={:?}, burst={})",
        quota.algorithm().name(),
        quota.limit(),
        seconds(quota.period_ns()),
        quota.burst(),
    )
}

/// A kind of limiter by its own name; those that are buckets take a burst.
macro_rules! limiter {
    ($(#[$documentation:meta])* $name:ident, $algorithm:expr $(, $burst:ident)?) => {
        $(#[$documentation])*
        #[pyclass(frozen, extends = PyLimiter, module = "trunkline_native")]
        struct $name;

        #[pymethods]
        impl $name {
            #[new]
            #[pyo3(signature = (limit, period $(, $burst=None)?))]
            fn new(
                #[pyo3(from_py_with = units)] limit: u64,
                period: f64,
                $(#[pyo3(from_py_with = optional_units)] $burst: Option<u64>)?
            ) -> PyResult<PyClassInitializer<Self>> {
                let burst = None$(.or($burst))?;
                Ok(PyLimiter::of($algorithm, limit, period, burst)?.add_subclass(Self))
            }
        }
    };
}

limiter!(
    /// A bucket of `burst` tokens that regains `limit` tokens per period.
    TokenBucket, Algorithm::TokenBucket, burst
);
limiter!(
    /// A leaky bucket as a meter: the same decisions as a token bucket, seen from the other side.
    LeakyBucket, Algorithm::LeakyMeter, burst
);
limiter!(
    /// A leaky bucket as a queue: allowed calls leave evenly spaced, after `Decision.delay`; at most `burst` units in it.
    LeakyQueue, Algorithm::LeakyQueue, burst
);
limiter!(
    /// The generic cell rate algorithm (ITU-T I.371): the decisions of a token bucket from one timestamp.
    Gcra, Algorithm::Gcra, burst
);
limiter!(
    /// At most `limit` units in each window; windows are the multiples of the period on the clock.
    FixedWindow, Algorithm::FixedWindow
);
limiter!(
    /// At most `limit` units in the period that ends now, estimated from two counters.
    SlidingWindow, Algorithm::SlidingWindow
);

/// One quota for each of many keys, in a bounded table that never forgets a limited key.
///
/// 40 bytes per key of capacity, reserved at the start, touched as keys come. In a full table a new key takes the place of
/// one whose quota is whole again, else of the one that would be soonest (`evicted`); where only limited keys stand, it
/// shares one quota with the others in that position (`overflowed`).
///
/// Args:
///     algorithm: As for `Limiter`.
///     limit: As for `Limiter`.
///     period: As for `Limiter`.
///     burst: As for `Limiter`.
///     capacity: Keys there is room for, rounded up to a multiple of 8 x shards.
///     shards: Independently locked parts of the table, 1 to 4096.
///
/// Raises:
///     QuotaError: One of them is out of range.
#[pyclass(frozen, name = "KeyedLimiter", module = "trunkline_native")]
struct PyKeyedLimiter(KeyedLimiter);

#[pymethods]
impl PyKeyedLimiter {
    #[new]
    #[pyo3(signature = (algorithm, limit, period, burst=None, *, capacity=65536, shards=16))]
    fn new(
        algorithm: &str,
        #[pyo3(from_py_with = units)] limit: u64,
        period: f64,
        #[pyo3(from_py_with = optional_units)] burst: Option<u64>,
        capacity: usize,
        shards: usize,
    ) -> PyResult<Self> {
        let algorithm = algorithm.parse().map_err(|error| quota_error(&error))?;
        let quota = quota(algorithm, limit, period, burst)?;
        KeyedLimiter::new(quota, capacity, shards).map(Self).map_err(|error| quota_error(&error))
    }

    /// Takes `cost` units from the key's quota if they are there. Text and its UTF-8 bytes are the same key.
    #[pyo3(signature = (key, cost=1, now=None))]
    fn check(
        &self,
        key: &Bound<'_, PyAny>,
        #[pyo3(from_py_with = units)] cost: u64,
        now: Option<f64>,
    ) -> PyResult<PyDecision> {
        Ok(PyDecision(self.0.check(key_bytes(key)?, now_ns(now)?, cost)))
    }

    /// `check(...).allowed`, cheaper.
    #[pyo3(signature = (key, cost=1, now=None))]
    fn allow(
        &self,
        key: &Bound<'_, PyAny>,
        #[pyo3(from_py_with = units)] cost: u64,
        now: Option<f64>,
    ) -> PyResult<bool> {
        Ok(self.0.check(key_bytes(key)?, now_ns(now)?, cost).allowed)
    }

    /// The decision for a key without taking anything; an unknown key is answered for as a fresh one.
    #[pyo3(signature = (key, cost=1, now=None))]
    fn peek(
        &self,
        key: &Bound<'_, PyAny>,
        #[pyo3(from_py_with = units)] cost: u64,
        now: Option<f64>,
    ) -> PyResult<PyDecision> {
        Ok(PyDecision(self.0.peek(key_bytes(key)?, now_ns(now)?, cost)))
    }

    /// Forgets a key; whether it was known.
    fn reset(&self, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(self.0.reset(key_bytes(key)?))
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    /// Keys there is room for.
    #[getter]
    fn capacity(&self) -> usize {
        self.0.capacity()
    }

    /// Keys forgotten, for a new one's sake, with part of their quota still used. If it grows, raise the capacity.
    #[getter]
    fn evicted(&self) -> u64 {
        self.0.evicted()
    }

    /// Calls judged by a shared quota, because all places their key could take held limited keys.
    #[getter]
    fn overflowed(&self) -> u64 {
        self.0.overflowed()
    }

    fn __repr__(&self) -> String {
        describe("KeyedLimiter", self.0.quota())
    }
}
