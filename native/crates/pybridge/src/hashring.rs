//! `HashRing` and its four kinds, and `BoundedLoadRing`.
//!
//! Lookups answer with the very `str` object that a node was added with, so that they allocate nothing.

use parking_lot::{Mutex, RwLock};
use pyo3::exceptions::{PyOverflowError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyMapping, PyString};
use trunkline_hashring::{BoundedLoadRing, Node, Ring, RingKind};

use crate::error::{RingEmptyError, RingError, ring_error};

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyRing>()?;
    module.add_class::<KetamaRing>()?;
    module.add_class::<MaglevRing>()?;
    module.add_class::<JumpRing>()?;
    module.add_class::<RendezvousRing>()?;
    module.add_class::<PyBoundedLoadRing>()
}

/// A key; text is its UTF-8 bytes.
#[inline]
pub(crate) fn key_bytes<'a>(key: &'a Bound<'_, PyAny>) -> PyResult<&'a [u8]> {
    if let Ok(bytes) = key.cast::<PyBytes>() {
        return Ok(bytes.as_bytes());
    }
    let text = key.cast::<PyString>().map_err(|_| PyTypeError::new_err("a key must be str or bytes"))?;
    text.to_str().map(str::as_bytes)
}

/// A node's share; one out of range is a `RingError`, not an `OverflowError`.
fn weight(object: &Bound<'_, PyAny>) -> PyResult<u32> {
    object.extract().map_err(|error: PyErr| {
        if error.is_instance_of::<PyOverflowError>(object.py()) {
            return RingError::new_err(format!("a weight must be between 0 and 2^32 - 1, not {object}"));
        }
        error
    })
}

/// Names with weights out of a mapping, or names of weight 1 out of any other iterable.
fn parse_nodes<'py>(nodes: Option<&Bound<'py, PyAny>>) -> PyResult<Vec<(Bound<'py, PyString>, u32)>> {
    let Some(nodes) = nodes else { return Ok(vec![]) };
    if let Ok(mapping) = nodes.cast::<PyMapping>() {
        let pair = |item: Bound<'py, PyAny>| {
            let (name, share) = item.extract::<(Bound<PyString>, Bound<PyAny>)>()?;
            Ok((name, weight(&share)?))
        };
        return mapping.items()?.into_iter().map(pair).collect();
    }
    if nodes.is_instance_of::<PyString>() {
        return Err(PyTypeError::new_err("nodes must be a mapping or an iterable of names, not one str"));
    }
    nodes.try_iter()?.map(|name| Ok((name?.cast_into::<PyString>()?, 1))).collect()
}

/// Names as Rust and as Python see them, in the same order.
fn split(parsed: Vec<(Bound<'_, PyString>, u32)>) -> PyResult<(Vec<Node>, Vec<Py<PyString>>)> {
    let node =
        |(name, weight): (Bound<PyString>, u32)| Ok((Node::new(name.to_str()?, weight), name.unbind()));
    parsed.into_iter().map(node).collect()
}

/// Name → number.
fn to_dict<'py, V: IntoPyObject<'py>>(
    python: Python<'py>,
    items: Vec<(Py<PyString>, V)>,
) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(python);
    for (name, value) in items {
        dict.set_item(name, value)?;
    }
    Ok(dict)
}

#[cold]
fn empty() -> PyErr {
    RingEmptyError::new_err("the ring has no node with weight")
}

/// A ring and its names. While it is locked no Python object is made: that may collect garbage, which may run Python code,
/// which may hand the interpreter to a thread that waits for this lock.
struct Named<R> {
    ring: R,
    /// In the order of the ring's nodes.
    names: Vec<Py<PyString>>,
}

impl<R> Named<R> {
    fn name(&self, python: Python<'_>, node: Option<usize>) -> PyResult<Py<PyString>> {
        node.map(|node| self.names[node].clone_ref(python)).ok_or_else(empty)
    }

    /// Each name with what belongs to its node.
    fn zip<V>(&self, python: Python<'_>, values: impl Iterator<Item = V>) -> Vec<(Py<PyString>, V)> {
        self.names.iter().map(|name| name.clone_ref(python)).zip(values).collect()
    }
}

#[pyclass(frozen, subclass, name = "HashRing", module = "trunkline_native")]
struct PyRing(RwLock<Named<Ring>>);

impl PyRing {
    fn build(kind: RingKind, nodes: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let (nodes, names) = split(parse_nodes(nodes)?)?;
        let ring = Ring::new(kind, nodes).map_err(|error| ring_error(&error))?;
        Ok(Self(RwLock::new(Named { ring, names })))
    }
}

#[pymethods]
impl PyRing {
    #[new]
    #[pyo3(signature = (kind, nodes=None))]
    fn new(kind: &str, nodes: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        Self::build(kind.parse().map_err(|error| ring_error(&error))?, nodes)
    }

    fn lookup(&self, python: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<Py<PyString>> {
        let key = key_bytes(key)?;
        let named = self.0.read();
        named.name(python, named.ring.lookup(key))
    }

    fn lookup_many<'py>(
        &self,
        python: Python<'py>,
        keys: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyList>> {
        let keys: Vec<Bound<PyAny>> = keys.try_iter()?.collect::<PyResult<_>>()?;
        let names: Vec<Py<PyString>> = {
            let named = self.0.read();
            let lookup = |key| named.name(python, named.ring.lookup(key_bytes(key)?));
            keys.iter().map(lookup).collect::<PyResult<_>>()?
        };
        PyList::new(python, names)
    }

    fn lookup_n<'py>(
        &self,
        python: Python<'py>,
        key: &Bound<'py, PyAny>,
        n: usize,
    ) -> PyResult<Bound<'py, PyList>> {
        let key = key_bytes(key)?;
        let names: Vec<Py<PyString>> = {
            let named = self.0.read();
            let nodes = named.ring.lookup_n(key, n);
            nodes.into_iter().map(|node| named.names[node].clone_ref(python)).collect()
        };
        PyList::new(python, names)
    }

    #[pyo3(signature = (name, weight=1))]
    fn add(&self, name: Bound<'_, PyString>, #[pyo3(from_py_with = weight)] weight: u32) -> PyResult<()> {
        let node = Node::new(name.to_str()?, weight);
        let mut named = self.0.write();
        named.ring.add(node).map_err(|error| ring_error(&error))?;
        named.names.push(name.unbind());
        Ok(())
    }

    fn remove(&self, name: &str) -> PyResult<()> {
        let mut named = self.0.write();
        let index = named.ring.remove(name).map_err(|error| ring_error(&error))?;
        let removed = named.names.swap_remove(index);
        drop(named);
        drop(removed);
        Ok(())
    }

    fn set_weight(&self, name: &str, #[pyo3(from_py_with = weight)] weight: u32) -> PyResult<()> {
        self.0.write().ring.set_weight(name, weight).map_err(|error| ring_error(&error))
    }

    #[getter]
    fn nodes<'py>(&self, python: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let named = self.0.read();
        let weights = named.zip(python, named.ring.nodes().iter().map(|node| node.weight));
        drop(named);
        to_dict(python, weights)
    }

    fn __len__(&self) -> usize {
        self.0.read().names.len()
    }

    fn __contains__(&self, name: &str) -> bool {
        self.0.read().ring.position(name).is_some()
    }
}

#[pyclass(frozen, extends = PyRing, module = "trunkline_native")]
struct KetamaRing;

#[pymethods]
impl KetamaRing {
    #[new]
    #[pyo3(signature = (nodes=None))]
    fn new(nodes: Option<&Bound<'_, PyAny>>) -> PyResult<PyClassInitializer<Self>> {
        Ok(PyClassInitializer::from(PyRing::build(RingKind::Ketama, nodes)?).add_subclass(Self))
    }
}

#[pyclass(frozen, extends = PyRing, module = "trunkline_native")]
struct MaglevRing;

#[pymethods]
impl MaglevRing {
    #[new]
    #[pyo3(signature = (nodes=None, *, table_size=65537))]
    fn new(nodes: Option<&Bound<'_, PyAny>>, table_size: u32) -> PyResult<PyClassInitializer<Self>> {
        Ok(PyClassInitializer::from(PyRing::build(RingKind::Maglev { table_size }, nodes)?)
            .add_subclass(Self))
    }
}

#[pyclass(frozen, extends = PyRing, module = "trunkline_native")]
struct JumpRing;

#[pymethods]
impl JumpRing {
    #[new]
    #[pyo3(signature = (nodes=None))]
    fn new(nodes: Option<&Bound<'_, PyAny>>) -> PyResult<PyClassInitializer<Self>> {
        Ok(PyClassInitializer::from(PyRing::build(RingKind::Jump, nodes)?).add_subclass(Self))
    }
}

#[pyclass(frozen, extends = PyRing, module = "trunkline_native")]
struct RendezvousRing;

#[pymethods]
impl RendezvousRing {
    #[new]
    #[pyo3(signature = (nodes=None))]
    fn new(nodes: Option<&Bound<'_, PyAny>>) -> PyResult<PyClassInitializer<Self>> {
        Ok(PyClassInitializer::from(PyRing::build(RingKind::Rendezvous, nodes)?).add_subclass(Self))
    }
}

#[pyclass(frozen, name = "BoundedLoadRing", module = "trunkline_native")]
struct PyBoundedLoadRing(Mutex<Named<BoundedLoadRing>>);

#[pymethods]
impl PyBoundedLoadRing {
    #[new]
    #[pyo3(signature = (nodes=None, *, factor=1.25, ring="ketama"))]
    fn new(nodes: Option<&Bound<'_, PyAny>>, factor: f64, ring: &str) -> PyResult<Self> {
        let kind = ring.parse().map_err(|error| ring_error(&error))?;
        let (nodes, names) = split(parse_nodes(nodes)?)?;
        let ring = BoundedLoadRing::new(kind, nodes, factor).map_err(|error| ring_error(&error))?;
        Ok(Self(Mutex::new(Named { ring, names })))
    }

    fn lookup(&self, python: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<Py<PyString>> {
        let key = key_bytes(key)?;
        let named = self.0.lock();
        named.name(python, named.ring.lookup(key))
    }

    fn acquire(&self, python: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<Py<PyString>> {
        let key = key_bytes(key)?;
        let mut named = self.0.lock();
        let node = named.ring.acquire(key);
        named.name(python, node)
    }

    fn release(&self, name: &str) -> PyResult<()> {
        self.0.lock().ring.release(name).map_err(|error| ring_error(&error))
    }

    #[pyo3(signature = (name, weight=1))]
    fn add(&self, name: Bound<'_, PyString>, #[pyo3(from_py_with = weight)] weight: u32) -> PyResult<()> {
        let node = Node::new(name.to_str()?, weight);
        let mut named = self.0.lock();
        named.ring.add(node).map_err(|error| ring_error(&error))?;
        named.names.push(name.unbind());
        Ok(())
    }

    fn remove(&self, name: &str) -> PyResult<()> {
        let mut named = self.0.lock();
        let index = named.ring.remove(name).map_err(|error| ring_error(&error))?;
        let removed = named.names.swap_remove(index);
        drop(named);
        drop(removed);
        Ok(())
    }

    fn set_weight(&self, name: &str, #[pyo3(from_py_with = weight)] weight: u32) -> PyResult<()> {
        self.0.lock().ring.set_weight(name, weight).map_err(|error| ring_error(&error))
    }

    #[getter]
    fn nodes<'py>(&self, python: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let named = self.0.lock();
        let weights = named.zip(python, named.ring.ring().nodes().iter().map(|node| node.weight));
        drop(named);
        to_dict(python, weights)
    }

    #[getter]
    fn loads<'py>(&self, python: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let named = self.0.lock();
        let loads = named.zip(python, named.ring.loads().iter().copied());
        drop(named);
        to_dict(python, loads)
    }

    fn __len__(&self) -> usize {
        self.0.lock().names.len()
    }

    fn __contains__(&self, name: &str) -> bool {
        self.0.lock().ring.ring().position(name).is_some()
    }
}
