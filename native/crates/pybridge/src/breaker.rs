//! `CircuitBreaker` and its `Permit`, `OutlierDetector`, `RetryBudget`.

use parking_lot::Mutex;
use pyo3::exceptions::{PyException, PyIndexError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};
use trunkline_breaker::{
    Breaker, Counts, Ejection, Outcome, OutlierSettings, Outliers, Permit, RetryBudget, RetryBudgetSettings,
    ServerReport, Settings,
};

use crate::clock::{nanoseconds, now_ns, seconds};
use crate::error::{BreakerError, breaker_error, breaker_open_error};

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<CircuitBreaker>()?;
    module.add_class::<PyPermit>()?;
    module.add_class::<BreakerCounts>()?;
    module.add_class::<OutlierDetector>()?;
    module.add_class::<PyEjection>()?;
    module.add_class::<PyServerReport>()?;
    module.add_class::<PyRetryBudget>()
}

/// A setting that is a time; the range is checked by the crate.
fn duration_ns(name: &str, seconds: f64) -> PyResult<u64> {
    nanoseconds(seconds)
        .ok_or_else(|| BreakerError::new_err(format!("{name} must be seconds, at least 0, not {seconds}")))
}

// --- circuit breaker ---

/// Stops calling what keeps failing, and tries again carefully. Safe to share between threads and tasks.
///
///     with breaker.acquire():          # BreakerOpenError if open
///         answer = await client.get(url)
///
///     @breaker
///     async def fetch(url): ...
///
/// An exception is a failure, unless it is of an `exclude` type (a success: the callee answered) or not an `Exception`
/// (neither: a cancelled task says nothing about the callee).
///
/// Args:
///     consecutive_failures: Failures in a row that open it.
///     failure_ratio: Share of failures in the window that opens it, in (0, 1].
///     slow_ratio: Share of slow calls in the window that opens it, in (0, 1].
///     slow_call: Seconds from which a call is slow.
///     window: Seconds the ratios look back on.
///     minimum_calls: Calls in the window before the ratios are looked at.
///     open_time: Seconds it stays open the first time.
///     open_growth: Factor by which that grows each time it opens again without having closed.
///     open_max: Seconds it stays open at most.
///     probes: Calls let through at once when half-open, and successes needed to close.
///     probe_timeout: Seconds after which an unrecorded probe gives its place back.
///     exclude: Exception types that count as success.
///
/// Raises:
///     BreakerError: A setting is out of range, or none of the three rules is set.
#[pyclass(frozen, module = "trunkline_native")]
struct CircuitBreaker {
    breaker: Breaker,
    /// Exception types that count as success.
    exclude: Py<PyTuple>,
}

#[pymethods]
impl CircuitBreaker {
    #[new]
    #[pyo3(signature = (*, consecutive_failures=None, failure_ratio=None, slow_ratio=None, slow_call=0.0, window=10.0,
        minimum_calls=20, open_time=5.0, open_growth=1.0, open_max=60.0, probes=3, probe_timeout=30.0, exclude=None))]
    #[allow(clippy::too_many_arguments)] // one keyword per setting is the pleasant way in Python
    fn new(
        python: Python<'_>,
        consecutive_failures: Option<u32>,
        failure_ratio: Option<f64>,
        slow_ratio: Option<f64>,
        slow_call: f64,
        window: f64,
        minimum_calls: u32,
        open_time: f64,
        open_growth: f64,
        open_max: f64,
        probes: u32,
        probe_timeout: f64,
        exclude: Option<Py<PyTuple>>,
    ) -> PyResult<Self> {
        let settings = Settings {
            consecutive_failures,
            failure_ratio,
            slow_ratio,
            slow_call_ns: duration_ns("slow_call", slow_call)?,
            window_ns: duration_ns("window", window)?,
            minimum_calls,
            open_ns: duration_ns("open_time", open_time)?,
            open_growth,
            open_max_ns: duration_ns("open_max", open_max)?,
            probes,
            probe_timeout_ns: duration_ns("probe_timeout", probe_timeout)?,
        };
        let breaker = Breaker::new(settings).map_err(|error| breaker_error(&error))?;
        Ok(Self { breaker, exclude: exclude.unwrap_or_else(|| PyTuple::empty(python).unbind()) })
    }

    /// Leave to make one call.
    ///
    /// Raises:
    ///     BreakerOpenError: Not now; its `retry_after` says for how many seconds.
    #[pyo3(signature = (now=None))]
    fn acquire(slf: Bound<'_, Self>, now: Option<f64>) -> PyResult<PyPermit> {
        let acquired_ns = now_ns(now)?;
        let permit = slf.get().breaker.acquire(acquired_ns);
        let permit = permit.map_err(|open| breaker_open_error(slf.py(), seconds(open.retry_after_ns)))?;
        Ok(PyPermit { breaker: slf.unbind(), acquired_ns, permit: Mutex::new(Some(permit)) })
    }

    /// Tells how the call ended. `latency`: seconds, the time since `acquire` if not given.
    ///
    /// Raises:
    ///     BreakerError: The permit was used before, or is another breaker's.
    #[pyo3(signature = (permit, ok=true, latency=None, now=None))]
    fn record(&self, permit: &PyPermit, ok: bool, latency: Option<f64>, now: Option<f64>) -> PyResult<()> {
        let now_ns = now_ns(now)?;
        let latency_ns = match latency {
            Some(latency) => duration_ns("latency", latency)?,
            None => now_ns.saturating_sub(permit.acquired_ns),
        };
        let outcome = if ok { Outcome::Success } else { Outcome::Failure };
        self.breaker.record(self.take(permit)?, now_ns, outcome, latency_ns);
        Ok(())
    }

    /// Gives a permit back without a verdict. Raises as `record` does.
    fn cancel(&self, permit: &PyPermit) -> PyResult<()> {
        self.breaker.cancel(self.take(permit)?);
        Ok(())
    }

    /// Calls `function` under a permit; its exception is the verdict. Raises as `acquire` does.
    // Without a `Permit` object: half the cost of the `with` block.
    #[pyo3(signature = (function, /, *args, **kwargs))]
    fn call<'py>(
        &self,
        function: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let python = function.py();
        let acquired_ns = now_ns(None)?;
        let permit = self.breaker.acquire(acquired_ns);
        let permit = permit.map_err(|open| breaker_open_error(python, seconds(open.retry_after_ns)))?;
        let answer = function.call(args, kwargs);
        let error_type = answer.as_ref().err().map(|error| error.get_type(python));
        self.conclude(permit, acquired_ns, error_type)?;
        answer
    }

    /// Decorates a function or coroutine function: each call needs a permit, its exception is the verdict.
    // The decorator lives in Python, where an async function can be wrapped by an async function.
    fn __call__<'py>(slf: Bound<'py, Self>, function: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let guard = slf.py().import("trunkline_native._guard")?;
        guard.call_method1("guarded", (slf, function))
    }

    /// `closed`, `open` or `half_open`.
    #[pyo3(signature = (now=None))]
    fn state(&self, now: Option<f64>) -> PyResult<&'static str> {
        Ok(self.breaker.state(now_ns(now)?).name())
    }

    /// What happened in the window, and since the breaker was made.
    #[pyo3(signature = (now=None))]
    fn counts(&self, now: Option<f64>) -> PyResult<BreakerCounts> {
        Ok(BreakerCounts::from(self.breaker.counts(now_ns(now)?)))
    }

    /// Closes it by hand.
    fn reset(&self) {
        self.breaker.reset();
    }

    fn __repr__(&self) -> PyResult<String> {
        Ok(format!("<CircuitBreaker {}>", self.state(None)?))
    }
}

impl CircuitBreaker {
    /// Records how a call ended, by the type of what it raised.
    fn conclude(
        &self,
        permit: Permit,
        acquired_ns: u64,
        error_type: Option<Bound<'_, PyType>>,
    ) -> PyResult<()> {
        let outcome = match error_type {
            None => Some(Outcome::Success),
            Some(kind) => self.verdict(&kind)?,
        };
        let Some(outcome) = outcome else {
            self.breaker.cancel(permit);
            return Ok(());
        };
        let now_ns = now_ns(None)?;
        self.breaker.record(permit, now_ns, outcome, now_ns.saturating_sub(acquired_ns));
        Ok(())
    }

    /// Success, failure, or neither: a cancelled task and Ctrl-C say nothing about what was called.
    fn verdict(&self, kind: &Bound<'_, PyType>) -> PyResult<Option<Outcome>> {
        let exclude = self.exclude.bind(kind.py());
        if !exclude.is_empty() && kind.is_subclass(exclude)? {
            return Ok(Some(Outcome::Success));
        }
        Ok(kind.is_subclass_of::<PyException>()?.then_some(Outcome::Failure))
    }

    /// The crate's permit, once.
    fn take(&self, permit: &PyPermit) -> PyResult<Permit> {
        if !std::ptr::eq(permit.breaker.get(), self) {
            return Err(BreakerError::new_err("the permit is another breaker's"));
        }
        permit.permit.lock().take().ok_or_else(|| BreakerError::new_err("the permit was used before"))
    }
}

/// Leave to make one call; a context manager that records how its body ended. Forgotten, it is cancelled.
#[pyclass(frozen, name = "Permit", module = "trunkline_native")]
struct PyPermit {
    breaker: Py<CircuitBreaker>,
    acquired_ns: u64,
    /// `None` once it was recorded or cancelled.
    permit: Mutex<Option<Permit>>,
}

#[pymethods]
impl PyPermit {
    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    #[pyo3(signature = (error_type, error, traceback))]
    fn __exit__(
        &self,
        error_type: Option<Bound<'_, PyType>>,
        error: Option<Bound<'_, PyAny>>,
        traceback: Option<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let (_, _) = (error, traceback);
        let Some(permit) = self.permit.lock().take() else { return Ok(()) };
        self.breaker.get().conclude(permit, self.acquired_ns, error_type)
    }
}

impl Drop for PyPermit {
    /// A permit that Python forgot gives its place back at once, not only at its deadline.
    fn drop(&mut self) {
        if let Some(permit) = self.permit.get_mut().take() {
            self.breaker.get().breaker.cancel(permit);
        }
    }
}

/// Calls, failures and slow calls in the window; opened, refused and lost probes since the breaker was made.
#[pyclass(frozen, get_all, eq, module = "trunkline_native")]
#[derive(PartialEq)]
struct BreakerCounts {
    /// Calls in the window.
    calls: u64,
    /// Failures in the window.
    failures: u64,
    /// Slow calls in the window.
    slow: u64,
    /// Failures in a row, up to now.
    consecutive_failures: u32,
    /// How often it opened.
    opened: u64,
    /// Calls that it refused.
    refused: u64,
    /// Probes that nobody recorded in time.
    lost_probes: u64,
}

#[pymethods]
impl BreakerCounts {
    fn __repr__(&self) -> String {
        let Self { calls, failures, slow, consecutive_failures, opened, refused, lost_probes } = self;
        format!(
            "BreakerCounts(calls={calls}, failures={failures}, slow={slow}, \
             consecutive_failures={consecutive_failures}, opened={opened}, refused={refused}, lost_probes={lost_probes})"
        )
    }
}

impl From<Counts> for BreakerCounts {
    fn from(counts: Counts) -> Self {
        let Counts { calls, failures, slow, consecutive_failures, opened, refused, lost_probes } = counts;
        Self { calls, failures, slow, consecutive_failures, opened, refused, lost_probes }
    }
}

// --- outlier ejection ---

/// Leaves servers out for a while that fail, or fail more than the others. Safe to share between threads.
///
/// Args:
///     servers: How many; they are addressed by index.
///     consecutive_failures: Failures in a row that eject.
///     failure_ratio: Share of failures in the window that ejects, in (0, 1].
///     deviations: Standard deviations below the pool's mean success rate that eject.
///     minimum_calls: Calls of a server in the window before ratio or rate are looked at.
///     minimum_servers: Servers with so many calls before they are compared.
///     window: Seconds ratio and rate look back on.
///     base_ejection: Seconds out, times the ejections in a row.
///     max_ejection: Seconds out at most.
///     max_ejected_share: Share of servers out at the same time, at most (but one of several may always be).
///     panic_threshold: Share of servers left below which ejections should be ignored.
///
/// Raises:
///     BreakerError: A setting is out of range.
#[pyclass(frozen, module = "trunkline_native")]
struct OutlierDetector(Outliers);

#[pymethods]
impl OutlierDetector {
    #[new]
    #[pyo3(signature = (servers, *, consecutive_failures=5, failure_ratio=None, deviations=None,
        minimum_calls=100, minimum_servers=5, window=10.0, base_ejection=30.0, max_ejection=300.0,
        max_ejected_share=0.5, panic_threshold=0.5))]
    #[allow(clippy::too_many_arguments)] // one keyword per setting is the pleasant way in Python
    fn new(
        servers: usize,
        consecutive_failures: Option<u32>,
        failure_ratio: Option<f64>,
        deviations: Option<f64>,
        minimum_calls: u32,
        minimum_servers: usize,
        window: f64,
        base_ejection: f64,
        max_ejection: f64,
        max_ejected_share: f64,
        panic_threshold: f64,
    ) -> PyResult<Self> {
        let settings = OutlierSettings {
            consecutive_failures,
            failure_ratio,
            deviations,
            minimum_calls,
            minimum_servers,
            window_ns: duration_ns("window", window)?,
            base_ejection_ns: duration_ns("base_ejection", base_ejection)?,
            max_ejection_ns: duration_ns("max_ejection", max_ejection)?,
            max_ejected_share,
            panic_threshold,
        };
        Outliers::new(servers, settings).map(Self).map_err(|error| breaker_error(&error))
    }

    /// Tells how a call ended; the ejection, if this ended in one. Raises IndexError, like all that take an index.
    #[pyo3(signature = (index, ok, now=None))]
    fn record(&self, index: usize, ok: bool, now: Option<f64>) -> PyResult<Option<PyEjection>> {
        let index = self.within(index)?;
        Ok(self.0.record(index, ok, now_ns(now)?).map(PyEjection::from))
    }

    /// Whether a server is out now.
    #[pyo3(signature = (index, now=None))]
    fn ejected(&self, index: usize, now: Option<f64>) -> PyResult<bool> {
        Ok(self.0.ejected(self.within(index)?, now_ns(now)?))
    }

    /// Not ejected, or there is panic.
    #[pyo3(signature = (index, otherwise_down=0, now=None))]
    fn usable(&self, index: usize, otherwise_down: usize, now: Option<f64>) -> PyResult<bool> {
        Ok(self.0.usable(self.within(index)?, otherwise_down, now_ns(now)?))
    }

    /// Whether too few are left; `otherwise_down` are unusable for other reasons and not among the ejected.
    #[pyo3(signature = (otherwise_down=0, now=None))]
    fn panicking(&self, otherwise_down: usize, now: Option<f64>) -> PyResult<bool> {
        Ok(self.0.panicking(otherwise_down, now_ns(now)?))
    }

    /// How many are out now.
    #[pyo3(signature = (now=None))]
    fn ejected_count(&self, now: Option<f64>) -> PyResult<usize> {
        Ok(self.0.ejected_count(now_ns(now)?))
    }

    /// What is known about one server.
    #[pyo3(signature = (index, now=None))]
    fn report(&self, index: usize, now: Option<f64>) -> PyResult<PyServerReport> {
        let report = self.0.report(index, now_ns(now)?);
        report.map(PyServerReport::from).ok_or_else(|| no_such_server(index, self.0.len()))
    }

    /// Ejections not made because too many servers were out.
    #[getter]
    fn withheld(&self) -> u64 {
        self.0.withheld()
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }
}

impl OutlierDetector {
    fn within(&self, index: usize) -> PyResult<usize> {
        let servers = self.0.len();
        if index < servers { Ok(index) } else { Err(no_such_server(index, servers)) }
    }
}

#[cold]
fn no_such_server(index: usize, servers: usize) -> PyErr {
    PyIndexError::new_err(format!("no server {index}, there are {servers}"))
}

/// Until when a server is out, in seconds of the clock, and by which rule.
#[pyclass(frozen, get_all, eq, name = "Ejection", module = "trunkline_native")]
#[derive(Clone, PartialEq)]
struct PyEjection {
    /// Seconds on the clock of `now`.
    until: f64,
    /// `consecutive_failures`, `failure_ratio` or `success_rate`.
    reason: &'static str,
}

#[pymethods]
impl PyEjection {
    fn __repr__(&self) -> String {
        format!("Ejection(until={:?}, reason={:?})", self.until, self.reason)
    }
}

impl From<Ejection> for PyEjection {
    fn from(ejection: Ejection) -> Self {
        Self { until: seconds(ejection.until_ns), reason: ejection.reason.name() }
    }
}

/// What a detector knows about one server.
#[pyclass(frozen, get_all, eq, name = "ServerReport", module = "trunkline_native")]
#[derive(PartialEq)]
struct PyServerReport {
    /// The present one, if it is out.
    ejection: Option<PyEjection>,
    /// Ejections in a row; each is longer than the one before.
    repeats: u32,
    /// Calls in the window.
    calls: u64,
    /// Failures in the window.
    failures: u64,
    /// Failures in a row, up to now.
    consecutive_failures: u32,
}

#[pymethods]
impl PyServerReport {
    fn __repr__(&self) -> String {
        let Self { ejection, repeats, calls, failures, consecutive_failures } = self;
        let ejection = ejection.as_ref().map_or_else(|| "None".to_owned(), PyEjection::__repr__);
        format!(
            "ServerReport(ejection={ejection}, repeats={repeats}, calls={calls}, failures={failures}, \
             consecutive_failures={consecutive_failures})"
        )
    }
}

impl From<ServerReport> for PyServerReport {
    fn from(report: ServerReport) -> Self {
        let ServerReport { ejection, repeats, calls, failures, consecutive_failures } = report;
        Self { ejection: ejection.map(PyEjection::from), repeats, calls, failures, consecutive_failures }
    }
}

// --- retry budget ---

/// Retries as a share of requests: in any window at most `ratio` x requests + `minimum_per_second` x window.
///
/// Raises:
///     BreakerError: A number is negative or not finite, or the window is under 10 ns.
#[pyclass(frozen, name = "RetryBudget", module = "trunkline_native")]
struct PyRetryBudget(RetryBudget);

#[pymethods]
impl PyRetryBudget {
    #[new]
    #[pyo3(signature = (ratio=0.2, minimum_per_second=10.0, window=10.0))]
    fn new(ratio: f64, minimum_per_second: f64, window: f64) -> PyResult<Self> {
        let window_ns = duration_ns("window", window)?;
        let settings = RetryBudgetSettings { ratio, minimum_per_second, window_ns };
        RetryBudget::new(settings).map(Self).map_err(|error| breaker_error(&error))
    }

    /// Counts a request (the first try).
    #[pyo3(signature = (now=None))]
    fn deposit(&self, now: Option<f64>) -> PyResult<()> {
        self.0.deposit(now_ns(now)?);
        Ok(())
    }

    /// Takes one retry, if there is one.
    #[pyo3(signature = (now=None))]
    fn withdraw(&self, now: Option<f64>) -> PyResult<bool> {
        Ok(self.0.withdraw(now_ns(now)?))
    }

    /// Retries left.
    #[pyo3(signature = (now=None))]
    fn balance(&self, now: Option<f64>) -> PyResult<f64> {
        Ok(self.0.balance(now_ns(now)?))
    }
}
