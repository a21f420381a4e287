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

#[pyclass(frozen, eq, name = "Decision", module = "trunkline_native")]
#[derive(PartialEq)]
struct PyDecision(Decision);

#[pymethods]
impl PyDecision {
    #[getter]
    fn allowed(&self) -> bool {
        self.0.allowed
    }

    #[getter]
    fn limit(&self) -> u64 {
        self.0.limit
    }

    #[getter]
    fn remaining(&self) -> u64 {
        self.0.remaining
    }

    #[getter]
    fn retry_after(&self) -> f64 {
        seconds(self.0.retry_after_ns)
    }

    #[getter]
    fn reset_after(&self) -> f64 {
        seconds(self.0.reset_after_ns)
    }

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

    #[pyo3(signature = (cost=1, now=None))]
    fn check(&self, #[pyo3(from_py_with = units)] cost: u64, now: Option<f64>) -> PyResult<PyDecision> {
        Ok(PyDecision(self.0.check(now_ns(now)?, cost)))
    }

    #[pyo3(signature = (cost=1, now=None))]
    fn allow(&self, #[pyo3(from_py_with = units)] cost: u64, now: Option<f64>) -> PyResult<bool> {
        Ok(self.0.check(now_ns(now)?, cost).allowed)
    }

    #[pyo3(signature = (cost=1, now=None))]
    fn peek(&self, #[pyo3(from_py_with = units)] cost: u64, now: Option<f64>) -> PyResult<PyDecision> {
        Ok(PyDecision(self.0.peek(now_ns(now)?, cost)))
    }

    fn reset(&self) {
        self.0.reset();
    }

    #[getter]
    fn algorithm(&self) -> &'static str {
        self.0.quota().algorithm().name()
    }

    #[getter]
    fn limit(&self) -> u64 {
        self.0.quota().limit()
    }

    #[getter]
    fn period(&self) -> f64 {
        seconds(self.0.quota().period_ns())
    }

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

/// A kind of limiter by its own name: a bucket, which takes a burst.
macro_rules! bucket {
    ($name:ident, $algorithm:expr) => {
        #[pyclass(frozen, extends = PyLimiter, module = "trunkline_native")]
        struct $name;

        #[pymethods]
        impl $name {
            #[new]
            #[pyo3(signature = (limit, period, burst=None))]
            fn new(
                #[pyo3(from_py_with = units)] limit: u64,
                period: f64,
                #[pyo3(from_py_with = optional_units)] burst: Option<u64>,
            ) -> PyResult<PyClassInitializer<Self>> {
                Ok(PyLimiter::of($algorithm, limit, period, burst)?.add_subclass(Self))
            }
        }
    };
}

/// The same for a window, which does not.
macro_rules! window {
    ($name:ident, $algorithm:expr) => {
        #[pyclass(frozen, extends = PyLimiter, module = "trunkline_native")]
        struct $name;

        #[pymethods]
        impl $name {
            #[new]
            fn new(
                #[pyo3(from_py_with = units)] limit: u64,
                period: f64,
            ) -> PyResult<PyClassInitializer<Self>> {
                Ok(PyLimiter::of($algorithm, limit, period, None)?.add_subclass(Self))
            }
        }
    };
}

bucket!(TokenBucket, Algorithm::TokenBucket);
bucket!(LeakyBucket, Algorithm::LeakyMeter);
bucket!(LeakyQueue, Algorithm::LeakyQueue);
bucket!(Gcra, Algorithm::Gcra);
window!(FixedWindow, Algorithm::FixedWindow);
window!(SlidingWindow, Algorithm::SlidingWindow);

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

    #[pyo3(signature = (key, cost=1, now=None))]
    fn check(
        &self,
        key: &Bound<'_, PyAny>,
        #[pyo3(from_py_with = units)] cost: u64,
        now: Option<f64>,
    ) -> PyResult<PyDecision> {
        Ok(PyDecision(self.0.check(key_bytes(key)?, now_ns(now)?, cost)))
    }

    #[pyo3(signature = (key, cost=1, now=None))]
    fn allow(
        &self,
        key: &Bound<'_, PyAny>,
        #[pyo3(from_py_with = units)] cost: u64,
        now: Option<f64>,
    ) -> PyResult<bool> {
        Ok(self.0.check(key_bytes(key)?, now_ns(now)?, cost).allowed)
    }

    #[pyo3(signature = (key, cost=1, now=None))]
    fn peek(
        &self,
        key: &Bound<'_, PyAny>,
        #[pyo3(from_py_with = units)] cost: u64,
        now: Option<f64>,
    ) -> PyResult<PyDecision> {
        Ok(PyDecision(self.0.peek(key_bytes(key)?, now_ns(now)?, cost)))
    }

    fn reset(&self, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(self.0.reset(key_bytes(key)?))
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    #[getter]
    fn capacity(&self) -> usize {
        self.0.capacity()
    }

    #[getter]
    fn evicted(&self) -> u64 {
        self.0.evicted()
    }

    #[getter]
    fn overflowed(&self) -> u64 {
        self.0.overflowed()
    }

    fn __repr__(&self) -> String {
        describe("KeyedLimiter", self.0.quota())
    }
}
