//! `HashRing` and its four kinds, and `BoundedLoadRing`.
//!
//! Lookups answer with the very `str` object that a node was added with, so that they allocate nothing.

use parking_lot::{Mutex, RwLock};
use pyo3::exceptions::{PyOverflowError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyMapping, PyString};
use trunkline_hashring::{BoundedLoadRing, Error, Node, Ring, RingKind};

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

    fn note_added(&mut self, added: Result<(), Error>, name: Py<PyString>) -> PyResult<()> {
        added.map_err(|error| ring_error(&error))?;
        self.names.push(name);
        Ok(())
    }

    /// The name that is gone, to be dropped when nothing is locked any more.
    fn note_removed(&mut self, removed: Result<usize, Error>) -> PyResult<Py<PyString>> {
        let index = removed.map_err(|error| ring_error(&error))?;
        Ok(self.names.swap_remove(index))
    }

    fn weights(&self, python: Python<'_>, nodes: &[Node]) -> Vec<(Py<PyString>, u32)> {
        self.zip(python, nodes.iter().map(|node| node.weight))
    }

    /// Each name with what belongs to its node.
    fn zip<V>(&self, python: Python<'_>, values: impl Iterator<Item = V>) -> Vec<(Py<PyString>, V)> {
        self.names.iter().map(|name| name.clone_ref(python)).zip(values).collect()
    }
}

/// Named, weighted nodes and a table that says which of them a key belongs to.
///
/// Lookups answer with the very `str` a node was added with, and are safe from any number of threads. Changes build the
/// table anew (up to 3 ms for a hundred nodes). Keys are bytes; text stands for its UTF-8 bytes.
///
/// Args:
///     kind: `ketama`, `maglev`, `jump`, `rendezvous` or `modulo`.
///     nodes: Weights by name (0 = gets nothing), or names of weight 1.
///
/// Raises:
///     RingError: An unknown kind, an empty or repeated name, a weight below 0 or above 2**32 - 1.
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

    /// The node of `key`. Raises `RingEmptyError` if no node has weight.
    fn lookup(&self, python: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<Py<PyString>> {
        let key = key_bytes(key)?;
        let named = self.0.read();
        named.name(python, named.ring.lookup(key))
    }

    /// The node of each key, in order; a third of the time of as many `lookup`s.
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

    /// The first `n` distinct nodes in the key's order of preference; fewer if fewer have weight.
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

    /// Adds a node. Raises `RingError`; the ring is then unchanged.
    #[pyo3(signature = (name, weight=1))]
    fn add(&self, name: Bound<'_, PyString>, #[pyo3(from_py_with = weight)] weight: u32) -> PyResult<()> {
        let node = Node::new(name.to_str()?, weight);
        let mut named = self.0.write();
        let added = named.ring.add(node);
        named.note_added(added, name.unbind())
    }

    /// Removes a node. Raises `RingError` if it is not there.
    fn remove(&self, name: &str) -> PyResult<()> {
        let mut named = self.0.write();
        let index = named.ring.remove(name);
        let removed = named.note_removed(index);
        drop(named);
        removed.map(drop)
    }

    /// Gives a node another weight. Raises `RingError`; the ring is then unchanged.
    fn set_weight(&self, name: &str, #[pyo3(from_py_with = weight)] weight: u32) -> PyResult<()> {
        self.0.write().ring.set_weight(name, weight).map_err(|error| ring_error(&error))
    }

    /// Weights by name: a copy.
    #[getter]
    fn nodes<'py>(&self, python: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let named = self.0.read();
        let weights = named.weights(python, named.ring.nodes());
        drop(named);
        to_dict(python, weights)
    }

    fn __len__(&self) -> usize {
        self.0.read().names.len()
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        Ok(format!("<{} of {} nodes>", slf.get_type().name()?, slf.get().__len__()))
    }

    fn __contains__(&self, name: &str) -> bool {
        self.0.read().ring.position(name).is_some()
    }
}

/// 160 points per unit of weight on a circle; the choices of nginx's `hash KEY consistent`.
///
/// Raises:
///     RingError: As `HashRing`, or the weights add up to more than 100 000.
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

/// A table of `table_size` slots (a prime) filled in turns (NSDI 2016); shares exact to one slot.
///
/// Raises:
///     RingError: As `HashRing`, or `table_size` is not a prime between the number of nodes and 2**24.
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

/// Jump consistent hash (Lamping and Veach 2014): no memory; positions decide, so add and remove at the end.
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

/// Highest random weight: every node bids for every key; O(nodes), and never moves a key without need.
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

/// A ring in which no node holds more than `factor` times its share; a full one passes keys on.
///
/// Args:
///     nodes: As for `HashRing`.
///     factor: The bound, above 1.
///     ring: The kind of ring that decides before the bound does.
///
/// Raises:
///     RingError: As `HashRing`, or `factor` is not a finite number above 1.
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

    /// Where `key` would be placed now. Raises `RingEmptyError` if no node has weight.
    fn lookup(&self, python: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<Py<PyString>> {
        let key = key_bytes(key)?;
        let named = self.0.lock();
        named.name(python, named.ring.lookup(key))
    }

    /// Places one item of `key`, counts it, and answers where. Raises `RingEmptyError`.
    fn acquire(&self, python: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<Py<PyString>> {
        let key = key_bytes(key)?;
        let mut named = self.0.lock();
        let node = named.ring.acquire(key);
        named.name(python, node)
    }

    /// Takes one item back from a node. Raises `RingError` if the node is unknown.
    fn release(&self, name: &str) -> PyResult<()> {
        self.0.lock().ring.release(name).map_err(|error| ring_error(&error))
    }

    /// Adds a node that holds nothing. Raises `RingError`; the ring is then unchanged.
    #[pyo3(signature = (name, weight=1))]
    fn add(&self, name: Bound<'_, PyString>, #[pyo3(from_py_with = weight)] weight: u32) -> PyResult<()> {
        let node = Node::new(name.to_str()?, weight);
        let mut named = self.0.lock();
        let added = named.ring.add(node);
        named.note_added(added, name.unbind())
    }

    /// Removes a node and forgets its load. Raises `RingError` if it is not there.
    fn remove(&self, name: &str) -> PyResult<()> {
        let mut named = self.0.lock();
        let index = named.ring.remove(name);
        let removed = named.note_removed(index);
        drop(named);
        removed.map(drop)
    }

    /// Gives a node another weight; its load stays. Raises `RingError`; the ring is then unchanged.
    fn set_weight(&self, name: &str, #[pyo3(from_py_with = weight)] weight: u32) -> PyResult<()> {
        self.0.lock().ring.set_weight(name, weight).map_err(|error| ring_error(&error))
    }

    /// Weights by name: a copy.
    #[getter]
    fn nodes<'py>(&self, python: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let named = self.0.lock();
        let weights = named.weights(python, named.ring.ring().nodes());
        drop(named);
        to_dict(python, weights)
    }

    /// Items by name: a copy.
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

    fn __repr__(&self) -> String {
        format!("<BoundedLoadRing of {} nodes>", self.__len__())
    }

    fn __contains__(&self, name: &str) -> bool {
        self.0.lock().ring.ring().position(name).is_some()
    }
}
