//! `Server`, `Balancer`, and `Request`, the context manager that counts a request in and out.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use parking_lot::Mutex;
use pyo3::exceptions::{PyOverflowError, PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMapping, PyString, PyTuple};
use trunkline_balance::{Algorithm, Balancer, Server, Settings};

use crate::clock::{nanoseconds, now_ns, seconds};
use crate::error::{BalanceError, NoServerError, balance_error, ring_error};
use crate::hashring::key_bytes;

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyServer>()?;
    module.add_class::<PyBalancer>()?;
    module.add_class::<PyRequest>()
}

/// A number that must fit; one out of range is a `BalanceError`, not an `OverflowError`.
fn bounded<'py, T>(object: &Bound<'py, PyAny>) -> PyResult<T>
where
    T: for<'a> FromPyObject<'a, 'py, Error = PyErr>,
{
    object.extract().map_err(|error: PyErr| {
        if error.is_instance_of::<PyOverflowError>(object.py()) {
            return BalanceError::new_err(format!("{object} is out of range"));
        }
        error
    })
}

fn duration_ns(name: &str, given: f64) -> PyResult<u64> {
    nanoseconds(given)
        .ok_or_else(|| BalanceError::new_err(format!("{name} must be seconds from 0 on, not {given}")))
}

/// One server's live state. Give it to any number of balancers: they share its health and its counters.
///
/// `now` is seconds of a monotonic clock, `time.monotonic()` if not given.
///
/// Args:
///     name: What identifies it; also its place on a ring.
///     weight: Share relative to the servers of the same priority; 0 = none.
///     priority: 0 serves first; higher numbers, up to 255, are backups.
///     max_active: Most requests in flight; 0 = no limit.
///
/// Raises:
///     BalanceError: A number is out of range.
#[pyclass(frozen, name = "Server", module = "trunkline_native")]
struct PyServer(Arc<Server>);

#[pymethods]
impl PyServer {
    #[new]
    #[pyo3(signature = (name, weight=1, priority=0, *, max_active=0))]
    fn new(
        name: &str,
        #[pyo3(from_py_with = bounded)] weight: u32,
        #[pyo3(from_py_with = bounded)] priority: u8,
        #[pyo3(from_py_with = bounded)] max_active: u32,
    ) -> Self {
        let server = Server::new(name, weight, priority);
        server.set_max_active(max_active);
        Self(Arc::new(server))
    }

    /// What it was named; unique in a balancer.
    #[getter]
    fn name(&self) -> &str {
        self.0.name()
    }

    /// Its share beside the others; 0 = picked by no algorithm.
    #[getter]
    fn weight(&self) -> u32 {
        self.0.weight()
    }

    /// 0 serves first, higher numbers when all lower ones are down.
    #[getter]
    fn priority(&self) -> u8 {
        self.0.priority()
    }

    /// Requests in flight from which it counts as full; 0 = no limit.
    #[getter]
    fn max_active(&self) -> u32 {
        self.0.max_active()
    }

    /// What `set_healthy` said last; true at first.
    #[getter]
    fn healthy(&self) -> bool {
        self.0.healthy()
    }

    /// Whether it gets no new requests.
    #[getter]
    fn draining(&self) -> bool {
        self.0.draining()
    }

    /// Requests in flight.
    #[getter]
    fn active(&self) -> u32 {
        self.0.active()
    }

    /// Seconds: the moving average of `peak_ewma`, which jumps up to peaks and decays slowly; 0 = not measured.
    #[getter]
    fn latency(&self) -> f64 {
        seconds(self.0.ewma_ns())
    }

    /// Takes effect at once, but in the hashing algorithms only 0 does: others with `Balancer.rebuild`.
    fn set_weight(&self, #[pyo3(from_py_with = bounded)] weight: u32) {
        self.0.set_weight(weight);
    }

    /// Changes how many requests may be in flight; 0 = no limit.
    fn set_max_active(&self, #[pyo3(from_py_with = bounded)] max_active: u32) {
        self.0.set_max_active(max_active);
    }

    /// Takes down a health check's verdict; going up begins slow start. Whether it was news.
    #[pyo3(signature = (healthy, *, now=None))]
    fn set_healthy(&self, healthy: bool, now: Option<f64>) -> PyResult<bool> {
        Ok(self.0.set_healthy(healthy, now_ns(now)?))
    }

    /// Stops or resumes new requests; those in flight go on.
    fn set_draining(&self, draining: bool) {
        self.0.set_draining(draining);
    }

    /// Leaves it out for `duration` seconds (0 = ends an ejection); its return begins slow start.
    #[pyo3(signature = (duration, *, now=None))]
    fn eject(&self, duration: f64, now: Option<f64>) -> PyResult<()> {
        let until_ns = now_ns(now)?.saturating_add(duration_ns("duration", duration)?);
        self.0.eject_until(until_ns);
        Ok(())
    }

    /// Whether it is left out now.
    #[pyo3(signature = (*, now=None))]
    fn ejected(&self, now: Option<f64>) -> PyResult<bool> {
        Ok(self.0.ejected(now_ns(now)?))
    }

    /// Begins slow start, for a server that joins a running pool.
    #[pyo3(signature = (*, now=None))]
    fn restart_slow_start(&self, now: Option<f64>) -> PyResult<()> {
        self.0.restart_slow_start(now_ns(now)?);
        Ok(())
    }

    /// Counts a request in. `Balancer.request` does it for you.
    fn begin(&self) {
        self.0.begin();
    }

    /// Counts a request out and takes its latency, in seconds, into the average.
    #[pyo3(signature = (latency=None, *, now=None))]
    fn finish(&self, latency: Option<f64>, now: Option<f64>) -> PyResult<()> {
        let latency_ns = latency.map(|latency| duration_ns("latency", latency)).transpose()?;
        self.0.finish(now_ns(now)?, latency_ns);
        Ok(())
    }

    fn __repr__(&self) -> String {
        let server = &self.0;
        format!("Server({:?}, weight={}, priority={})", server.name(), server.weight(), server.priority())
    }
}

/// Picks servers. Safe to share between threads.
///
/// Not eligible is a server that is unhealthy, ejected, draining, full, of weight 0, or tried already. The lowest priority
/// number with an eligible server serves. The algorithm chooses among what is left.
///
/// Args:
///     algorithm: `round_robin`, `weighted_round_robin`, `least_connections`, `weighted_least_connections`, `hash`,
///         `consistent_hash`, `power_of_two` or `peak_ewma`.
///     servers: Servers, or names, or weights by name.
///     ring: For `consistent_hash`: `ketama`, `maglev`, `jump`, `rendezvous` or `modulo`.
///     load_factor: For the hashing algorithms: no server holds more than this many times its share of the requests in
///         flight; above 1.
///     slow_start: Seconds in which a server that came back reaches its full share, linearly from 10 %.
///     panic_threshold: Share of healthy servers (0 to 1) below which health is ignored; 0 = never.
///     seed: Where turns and random choices begin; random if not given.
///
/// Raises:
///     BalanceError: A value is out of range, or two servers have one name.
///     RingError: An unknown `ring`.
#[pyclass(frozen, name = "Balancer", module = "trunkline_native")]
struct PyBalancer {
    algorithm: String,
    balancer: Mutex<Balancer>,
    /// In the order of the balancer's servers.
    servers: Vec<Py<PyServer>>,
}

/// The standard library's keys for hash tables are the random numbers at hand.
fn random_seed() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Servers as they are, names as new servers, a mapping as names with weights.
fn parse_servers(servers: &Bound<'_, PyAny>) -> PyResult<Vec<Py<PyServer>>> {
    let python = servers.py();
    let fresh = |name: &str, weight| Py::new(python, PyServer(Arc::new(Server::new(name, weight, 0))));
    if let Ok(mapping) = servers.cast::<PyMapping>() {
        let server = |item: Bound<'_, PyAny>| {
            let (name, weight) = item.extract::<(Bound<PyString>, Bound<PyAny>)>()?;
            fresh(name.to_str()?, bounded(&weight)?)
        };
        return mapping.items()?.into_iter().map(server).collect();
    }
    if servers.is_instance_of::<PyString>() {
        return Err(PyTypeError::new_err("servers must be a mapping or an iterable, not one str"));
    }
    let server = |item: Bound<'_, PyAny>| match item.cast::<PyString>() {
        Ok(name) => fresh(name.to_str()?, 1),
        Err(_) => Ok(item.cast_into::<PyServer>()?.unbind()),
    };
    servers.try_iter()?.map(|item| server(item?)).collect()
}

fn parse_algorithm(algorithm: &str, ring: &str) -> PyResult<Algorithm> {
    let kind = ring.parse().map_err(|error| ring_error(&error))?;
    match algorithm.parse().map_err(|error| balance_error(&error))? {
        Algorithm::ConsistentHash(_) => Ok(Algorithm::ConsistentHash(kind)),
        other => Ok(other),
    }
}

impl PyBalancer {
    fn choose(
        &self,
        key: Option<&Bound<'_, PyAny>>,
        tried: Option<&Bound<'_, PyAny>>,
        now: Option<f64>,
    ) -> PyResult<&Py<PyServer>> {
        let key = key.map_or(Ok(&b""[..]), key_bytes)?;
        let now_ns = now_ns(now)?;
        let tried = tried.map_or_else(|| Ok(vec![]), |tried| self.positions(tried))?;
        match self.balancer.lock().pick(key, now_ns, &tried) {
            Some(index) => Ok(&self.servers[index]),
            None => Err(NoServerError::new_err("no server is eligible")),
        }
    }

    /// The indices of `tried`; a server that is not of this balancer counts for nothing.
    fn positions(&self, tried: &Bound<'_, PyAny>) -> PyResult<Vec<usize>> {
        let mut positions = vec![];
        for item in tried.try_iter()? {
            let item = item?;
            let server = &item.cast::<PyServer>()?.get().0;
            positions.extend(self.servers.iter().position(|own| Arc::ptr_eq(&own.get().0, server)));
        }
        Ok(positions)
    }
}

#[pymethods]
impl PyBalancer {
    #[new]
    #[pyo3(signature = (
        algorithm, servers, *, ring="ketama", load_factor=None, slow_start=0.0, panic_threshold=0.0, seed=None
    ))]
    fn new(
        algorithm: &str,
        servers: &Bound<'_, PyAny>,
        ring: &str,
        load_factor: Option<f64>,
        slow_start: f64,
        panic_threshold: f64,
        seed: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let slow_start_ns = duration_ns("slow_start", slow_start)?;
        let settings = Settings {
            algorithm: parse_algorithm(algorithm, ring)?,
            slow_start_ns,
            panic_threshold,
            load_factor,
        };
        let servers = parse_servers(servers)?;
        let shared = servers.iter().map(|server| Arc::clone(&server.get().0)).collect();
        let seed = seed.map_or_else(|| Ok(random_seed()), bounded)?;
        let balancer = Balancer::new(settings, shared, seed).map_err(|error| balance_error(&error))?;
        Ok(Self { algorithm: algorithm.to_owned(), balancer: Mutex::new(balancer), servers })
    }

    /// The name it was made with.
    #[getter]
    fn algorithm(&self) -> &str {
        &self.algorithm
    }

    /// All servers, in the order given.
    #[getter]
    fn servers<'py>(&self, python: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(python, &self.servers)
    }

    /// The server for a request, not counted in; `key` matters to the hashing algorithms. Raises `NoServerError`.
    #[pyo3(signature = (key=None, *, tried=None, now=None))]
    fn pick(
        &self,
        python: Python<'_>,
        key: Option<&Bound<'_, PyAny>>,
        tried: Option<&Bound<'_, PyAny>>,
        now: Option<f64>,
    ) -> PyResult<Py<PyServer>> {
        Ok(self.choose(key, tried, now)?.clone_ref(python))
    }

    /// `with balancer.request(key) as server:` picks, counts in and out, and measures what did not raise.
    #[pyo3(signature = (key=None, *, tried=None))]
    fn request(
        slf: Bound<'_, Self>,
        key: Option<Bound<'_, PyAny>>,
        tried: Option<Bound<'_, PyAny>>,
    ) -> PyRequest {
        PyRequest {
            balancer: slf.unbind(),
            key: key.map(Bound::unbind),
            tried: tried.map(Bound::unbind),
            running: Mutex::new(None),
        }
    }

    /// Takes the servers' weights of this moment into the table of a hashing algorithm; turns begin anew.
    fn rebuild(&self) -> PyResult<()> {
        let mut balancer = self.balancer.lock();
        let servers = balancer.servers().to_vec();
        *balancer = Balancer::new(*balancer.settings(), servers, random_seed())
            .map_err(|error| balance_error(&error))?;
        Ok(())
    }

    /// Each server's state by its name.
    ///
    /// `eligible`, `warming`, `standby` (a lower priority number serves), `panic` (used though not healthy),
    /// `unhealthy`, `ejected`, `draining`, `weight_zero` or `full`.
    #[pyo3(signature = (*, now=None))]
    fn explain<'py>(&self, python: Python<'py>, now: Option<f64>) -> PyResult<Bound<'py, PyDict>> {
        let standings = self.balancer.lock().explain(now_ns(now)?);
        let dict = PyDict::new(python);
        for (server, standing) in self.servers.iter().zip(standings) {
            dict.set_item(server.get().0.name(), standing.as_str())?;
        }
        Ok(dict)
    }
}

/// A request that is being counted on a server.
struct Running {
    server: Arc<Server>,
    began_ns: u64,
}

/// Made by `Balancer.request`: one request at a time, counted while the `with` block runs.
#[pyclass(frozen, name = "Request", module = "trunkline_native")]
struct PyRequest {
    balancer: Py<PyBalancer>,
    key: Option<Py<PyAny>>,
    tried: Option<Py<PyAny>>,
    running: Mutex<Option<Running>>,
}

#[pymethods]
impl PyRequest {
    fn __enter__(&self, python: Python<'_>) -> PyResult<Py<PyServer>> {
        if self.running.lock().is_some() {
            return Err(PyRuntimeError::new_err("the request is running already"));
        }
        let key = self.key.as_ref().map(|key| key.bind(python));
        let tried = self.tried.as_ref().map(|tried| tried.bind(python));
        let chosen = self.balancer.get().choose(key, tried, None)?;
        let server = Arc::clone(&chosen.get().0);
        server.begin();
        *self.running.lock() = Some(Running { server, began_ns: now_ns(None)? });
        Ok(chosen.clone_ref(python))
    }

    /// A request that raised tells nothing about the server's speed: it is counted out, but not measured.
    #[pyo3(signature = (exception_type, exception, traceback, /))]
    fn __exit__(
        &self,
        exception_type: &Bound<'_, PyAny>,
        exception: &Bound<'_, PyAny>,
        traceback: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let (_, _) = (exception, traceback);
        if let Some(Running { server, began_ns }) = self.running.lock().take() {
            let now_ns = now_ns(None)?;
            server.finish(now_ns, exception_type.is_none().then(|| now_ns.saturating_sub(began_ns)));
        }
        Ok(())
    }
}
