//! The data plane as one Python object. JSON in, JSON out: these are control calls, a few per second at most. Whatever may take
//! longer than a moment runs with the interpreter detached.

use std::time::Duration;

use pyo3::exceptions::{PyLookupError, PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use serde::{Serialize, de::DeserializeOwned};
use trunkline_engine::{Applied, ApplyError, PlanError as Mistake, Question};

use crate::error::PlanError;

/// The data plane: worker threads that accept, route, balance and relay without the interpreter.
///
/// Raises:
///     OSError: The threads cannot be started.
#[pyclass(frozen, module = "trunkline_native")]
pub(crate) struct Engine(trunkline_engine::Engine);

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Engine>()
}

#[pymethods]
impl Engine {
    #[new]
    fn new(threads: usize) -> PyResult<Self> {
        Ok(Self(trunkline_engine::Engine::start(threads)?))
    }

    /// Compiles a plan (JSON) and serves it: all or nothing. With `bind=False` no socket or file is opened.
    ///
    /// Returns:
    ///     JSON: `generation`, `build_us`, `swap_us`, and `warnings`: what is served without, each with `path` and `message`.
    ///
    /// Raises:
    ///     PlanError: With every mistake; what was served goes on.
    ///     OSError: An address (then the error's `filename`) or the access log cannot be opened; what was served goes on.
    ///     RuntimeError: The engine drains: it opens no listener again.
    #[pyo3(signature = (plan, *, bind = true))]
    fn apply<'py>(&self, py: Python<'py>, plan: &[u8], bind: bool) -> PyResult<Bound<'py, PyBytes>> {
        match py.detach(|| self.parse_and_apply(plan, bind)) {
            Ok(applied) => json(py, &applied),
            Err(ApplyError::Plan(mistakes)) => Err(plan_error(py, &mistakes)),
            Err(ApplyError::Listen { address, error }) => {
                // `errno`, `strerror`, `filename`: what cannot be opened is the address.
                let code = error.raw_os_error().unwrap_or_default();
                Err(PyOSError::new_err((code, error.to_string(), address.to_string())))
            }
            Err(other @ ApplyError::AccessLog(_)) => Err(PyOSError::new_err(other.to_string())),
            Err(other @ ApplyError::Draining) => Err(PyRuntimeError::new_err(other.to_string())),
        }
    }

    /// JSON: listeners, routes, pools with servers, limiters, breakers, recent errors.
    fn status<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let status = py.detach(|| self.0.status());
        json(py, &status)
    }

    /// Prometheus text format 0.0.4.
    fn metrics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let page = py.detach(|| self.0.metrics());
        let page = page.map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(PyBytes::new(py, page.as_bytes()))
    }

    /// JSON in (`listener`, `method`, `url`, `headers`, `client`), JSON out: route, near misses, filters, server.
    ///
    /// Raises:
    ///     ValueError: The question is malformed.
    ///     LookupError: There is no such listener.
    fn explain<'py>(&self, py: Python<'py>, request: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let question: Question =
            serde_json::from_slice(request).map_err(|error| PyValueError::new_err(error.to_string()))?;
        let answer = py.detach(|| self.0.explain(&question));
        json(py, &answer.map_err(|error| PyLookupError::new_err(error.to_string()))?)
    }

    /// Changes one server at run time. Raises LookupError if there is none of that name.
    #[pyo3(signature = (pool, server, *, weight = None, enabled = None, draining = None))]
    fn set_server(
        &self,
        pool: &str,
        server: &str,
        weight: Option<u32>,
        enabled: Option<bool>,
        draining: Option<bool>,
    ) -> PyResult<()> {
        if self.0.set_server(pool, server, weight, enabled, draining) {
            return Ok(());
        }
        Err(PyLookupError::new_err(format!("no server {server:?} in a pool {pool:?}")))
    }

    /// Answers HTTP-01 challenges, before any route: JSON of key authorizations by token. What was answered before is forgotten.
    ///
    /// Raises:
    ///     ValueError: That is no such JSON.
    fn set_challenges(&self, challenges: &[u8]) -> PyResult<()> {
        self.0.set_challenges(from_json(challenges)?);
        Ok(())
    }

    /// Answers TLS-ALPN-01 challenges: JSON of `{"certificate": PEM, "key": PEM}` by host name. What was answered before is forgotten.
    ///
    /// Raises:
    ///     ValueError: That is no such JSON, or something is no certificate or key; all stays as it was then.
    fn set_challenge_certificates(&self, certificates: &[u8]) -> PyResult<()> {
        let problems = self.0.set_challenge_certificates(&from_json(certificates)?);
        problems.map_err(|problems| {
            let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
            PyValueError::new_err(texts.join("; "))
        })
    }

    /// Takes a server for down until its checks say otherwise; false if there is none of that name, or it is not checked.
    fn set_unhealthy(&self, pool: &str, server: &str, detail: &str) -> bool {
        self.0.set_unhealthy(pool, server, detail)
    }

    /// Whether every listener of the plan accepts connections.
    fn listeners_ready(&self) -> bool {
        self.0.listeners_ready()
    }

    /// Opens the access log anew, after it was moved away.
    fn reopen_logs(&self) {
        self.0.reopen_logs();
    }

    /// Takes over listening sockets that somebody else has opened; plans to come use them in place of new ones.
    ///
    /// Args:
    ///     descriptors: Their numbers; the caller keeps and closes its own.
    ///     joins: Whether another process hands over: the next plan's nameserver shares its addresses with it.
    ///
    /// Raises:
    ///     OSError: One is no listening TCP socket; then none is taken.
    #[allow(clippy::needless_pass_by_value)]
    #[pyo3(signature = (descriptors, *, joins = false))]
    fn adopt(&self, descriptors: Vec<i32>, joins: bool) -> PyResult<()> {
        Ok(self.0.adopt(&descriptors, joins)?)
    }

    /// Closes adopted sockets that no plan has asked for, and returns their addresses.
    fn release_unclaimed(&self) -> Vec<String> {
        self.0.release_unclaimed().iter().map(ToString::to_string).collect()
    }

    /// Numbers of the listening sockets, to hand to another process. They are open until the next plan, drain or stop.
    fn descriptors(&self) -> Vec<i32> {
        self.0.descriptors()
    }

    /// Stops accepting; idle connections close, the others after their present request.
    fn drain(&self) {
        self.0.drain();
    }

    /// Stops accepting, because another process does on the same sockets; idle connections stay for one more request.
    fn retire(&self) {
        self.0.retire();
    }

    /// Drains, waits up to `grace_seconds`, ends the workers. True if no connection had to be cut.
    ///
    /// What has retired does so for `linger_seconds` before it drains.
    #[pyo3(signature = (grace_seconds, linger_seconds = 0.0))]
    fn stop(&self, py: Python<'_>, grace_seconds: f64, linger_seconds: f64) -> PyResult<bool> {
        let (grace, linger) = (seconds(grace_seconds)?, seconds(linger_seconds)?);
        Ok(py.detach(|| self.0.stop(grace, linger)))
    }
}

fn seconds(value: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(value).map_err(|error| PyValueError::new_err(error.to_string()))
}

impl Engine {
    fn parse_and_apply(&self, plan: &[u8], bind: bool) -> Result<Applied, ApplyError> {
        let plan = serde_json::from_slice(plan).map_err(|error| {
            ApplyError::Plan(vec![Mistake { path: String::new(), message: error.to_string() }])
        })?;
        self.0.apply(plan, bind)
    }
}

fn from_json<T: DeserializeOwned>(text: &[u8]) -> PyResult<T> {
    serde_json::from_slice(text).map_err(|error| PyValueError::new_err(error.to_string()))
}

fn json<'py>(py: Python<'py>, value: &impl Serialize) -> PyResult<Bound<'py, PyBytes>> {
    let text = serde_json::to_vec(value).map_err(|error| PyValueError::new_err(error.to_string()))?;
    Ok(PyBytes::new(py, &text))
}

/// The exception with its `errors`: a list of `{"path": …, "message": …}`.
fn plan_error(py: Python<'_>, mistakes: &[Mistake]) -> PyErr {
    let exception = PlanError::new_err(format!("{} errors in the plan", mistakes.len()));
    let errors: PyResult<Vec<Bound<'_, PyDict>>> = mistakes
        .iter()
        .map(|mistake| {
            let entry = PyDict::new(py);
            entry.set_item("path", &mistake.path)?;
            entry.set_item("message", &mistake.message)?;
            Ok(entry)
        })
        .collect();
    match errors.and_then(|errors| exception.value(py).setattr("errors", errors)) {
        Ok(()) => exception,
        Err(error) => error,
    }
}
