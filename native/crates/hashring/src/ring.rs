//! One interface to every algorithm: named nodes in, indices of nodes out, dispatched by an enum.

use std::str::FromStr;

use crate::jump::Jump;
use crate::ketama::Ketama;
use crate::maglev::{DEFAULT_TABLE_SIZE, Maglev};
use crate::modulo::Modulo;
use crate::node::check;
use crate::rendezvous::Rendezvous;
use crate::{Error, Node};

/// Which algorithm a [`Ring`] runs; the crate's front page compares them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RingKind {
    /// 160 points per unit of weight on a circle, compatible with nginx.
    Ketama,
    /// A lookup table of `table_size` slots, a prime.
    Maglev {
        /// Slots of the table.
        table_size: u32,
    },
    /// Positions instead of names, no memory.
    Jump,
    /// Every node bids for every key.
    Rendezvous,
    /// The hash modulo the sum of weights; not consistent.
    Modulo,
}

/// The names used in configuration; Maglev gets its default table.
impl FromStr for RingKind {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        match name {
            "ketama" => Ok(Self::Ketama),
            "maglev" => Ok(Self::Maglev { table_size: DEFAULT_TABLE_SIZE }),
            "jump" => Ok(Self::Jump),
            "rendezvous" => Ok(Self::Rendezvous),
            "modulo" => Ok(Self::Modulo),
            _ => Err(Error::UnknownKind(name.to_owned())),
        }
    }
}

/// Named, weighted nodes and the table that assigns keys to them.
#[derive(Debug, Clone)]
pub struct Ring {
    kind: RingKind,
    nodes: Vec<Node>,
    table: Table,
}

#[derive(Debug, Clone)]
enum Table {
    Ketama(Ketama),
    Maglev(Maglev),
    Jump(Jump),
    Rendezvous(Rendezvous),
    Modulo(Modulo),
}

impl Table {
    fn new(kind: RingKind, nodes: &[Node]) -> Result<Self, Error> {
        check(nodes)?;
        Ok(match kind {
            RingKind::Ketama => Self::Ketama(Ketama::new(nodes)?),
            RingKind::Maglev { table_size } => Self::Maglev(Maglev::new(nodes, table_size)?),
            RingKind::Jump => Self::Jump(Jump::new(nodes)),
            RingKind::Rendezvous => Self::Rendezvous(Rendezvous::new(nodes)),
            RingKind::Modulo => Self::Modulo(Modulo::new(nodes)),
        })
    }
}

impl Ring {
    /// A ring of `nodes`, which may be empty.
    ///
    /// # Errors
    /// Names that are empty or repeated; [`Error::TooHeavy`] (ketama); [`Error::TableSize`] (Maglev).
    pub fn new(kind: RingKind, nodes: Vec<Node>) -> Result<Self, Error> {
        let table = Table::new(kind, &nodes)?;
        Ok(Self { kind, nodes, table })
    }

    /// The algorithm.
    pub fn kind(&self) -> RingKind {
        self.kind
    }

    /// The nodes; every lookup answers with an index into this slice.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The index of the node called `name`.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.nodes.iter().position(|node| node.name == name)
    }

    /// Appends a node. Builds the table anew (up to 3 ms for a hundred nodes): keep it off the data path.
    ///
    /// # Errors
    /// As [`Ring::new`]; the ring is then unchanged.
    pub fn add(&mut self, node: Node) -> Result<(), Error> {
        let mut nodes = self.nodes.clone();
        nodes.push(node);
        self.replace(nodes)
    }

    /// Removes a node; the last one takes its index. Answers the index that became free.
    ///
    /// # Errors
    /// [`Error::UnknownNode`]; the ring is then unchanged.
    pub fn remove(&mut self, name: &str) -> Result<usize, Error> {
        let index = self.position(name).ok_or_else(|| Error::UnknownNode(name.to_owned()))?;
        let mut nodes = self.nodes.clone();
        nodes.swap_remove(index);
        self.replace(nodes)?;
        Ok(index)
    }

    /// Gives a node another weight.
    ///
    /// # Errors
    /// [`Error::UnknownNode`], or as [`Ring::new`]; the ring is then unchanged.
    pub fn set_weight(&mut self, name: &str, weight: u32) -> Result<(), Error> {
        let index = self.position(name).ok_or_else(|| Error::UnknownNode(name.to_owned()))?;
        let mut nodes = self.nodes.clone();
        nodes[index].weight = weight;
        self.replace(nodes)
    }

    fn replace(&mut self, nodes: Vec<Node>) -> Result<(), Error> {
        self.table = Table::new(self.kind, &nodes)?;
        self.nodes = nodes;
        Ok(())
    }

    /// The node of `key`, or `None` if no node has weight.
    pub fn lookup(&self, key: &[u8]) -> Option<usize> {
        self.lookup_where(key, |_| true)
    }

    /// The first node in the key's order of preference that `accept` takes; keys of accepted nodes never move because
    /// others are not accepted. `accept` may be asked about a node more than once, and in any order.
    pub fn lookup_where(&self, key: &[u8], accept: impl FnMut(usize) -> bool) -> Option<usize> {
        match &self.table {
            Table::Ketama(ketama) => ketama.find(key, accept),
            Table::Maglev(maglev) => maglev.find(key, accept),
            Table::Jump(jump) => jump.find(key, accept),
            Table::Rendezvous(rendezvous) => rendezvous.find(key, accept),
            Table::Modulo(modulo) => modulo.find(key, accept),
        }
    }

    /// The first `n` distinct nodes in the key's order of preference (fewer if fewer have weight): where to keep
    /// replicas, or where to go when the first is out. Meant for small `n`: each node costs a lookup.
    pub fn lookup_n(&self, key: &[u8], n: usize) -> Vec<usize> {
        let mut chosen = Vec::with_capacity(n.min(self.nodes.len()));
        while chosen.len() < n.min(self.nodes.len()) {
            match self.lookup_where(key, |node| !chosen.contains(&node)) {
                Some(node) => chosen.push(node),
                None => break,
            }
        }
        chosen
    }
}
