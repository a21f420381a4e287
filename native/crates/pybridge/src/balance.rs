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

    #[getter]
    fn name(&self) -> &str {
        self.0.name()
    }

    #[getter]
    fn weight(&self) -> u32 {
        self.0.weight()
    }

    #[getter]
    fn priority(&self) -> u8 {
        self.0.priority()
    }

    #[getter]
    fn max_active(&self) -> u32 {
        self.0.max_active()
    }

    #[getter]
    fn healthy(&self) -> bool {
        self.0.healthy()
    }

    #[getter]
    fn draining(&self) -> bool {
        self.0.draining()
    }

    #[getter]
    fn active(&self) -> u32 {
        self.0.active()
    }

    #[getter]
    fn latency(&self) -> f64 {
        seconds(self.0.ewma_ns())
    }

    fn set_weight(&self, #[pyo3(from_py_with = bounded)] weight: u32) {
        self.0.set_weight(weight);
    }

    fn set_max_active(&self, #[pyo3(from_py_with = bounded)] max_active: u32) {
        self.0.set_max_active(max_active);
    }

    #[pyo3(signature = (healthy, *, now=None))]
    fn set_healthy(&self, healthy: bool, now: Option<f64>) -> PyResult<bool> {
        Ok(self.0.set_healthy(healthy, now_ns(now)?))
    }

    fn set_draining(&self, draining: bool) {
        self.0.set_draining(draining);
    }

    #[pyo3(signature = (duration, *, now=None))]
    fn eject(&self, duration: f64, now: Option<f64>) -> PyResult<()> {
        let until_ns = now_ns(now)?.saturating_add(duration_ns("duration", duration)?);
        self.0.eject_until(until_ns);
        Ok(())
    }

    #[pyo3(signature = (*, now=None))]
    fn ejected(&self, now: Option<f64>) -> PyResult<bool> {
        Ok(self.0.ejected(now_ns(now)?))
    }

    #[pyo3(signature = (*, now=None))]
    fn restart_slow_start(&self, now: Option<f64>) -> PyResult<()> {
        self.0.restart_slow_start(now_ns(now)?);
        Ok(())
    }

    fn begin(&self) {
        self.0.begin();
    }

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

    #[getter]
    fn algorithm(&self) -> &str {
        &self.algorithm
    }

    #[getter]
    fn servers<'py>(&self, python: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(python, &self.servers)
    }

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

    fn rebuild(&self) -> PyResult<()> {
        let mut balancer = self.balancer.lock();
        let servers = balancer.servers().to_vec();
        *balancer = Balancer::new(*balancer.settings(), servers, random_seed())
            .map_err(|error| balance_error(&error))?;
        Ok(())
    }

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
