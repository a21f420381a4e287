//! The nameserver: zones behind the snapshot's pointer, and on each worker a task for each of its sockets. Questions are answered where
//! they arrive, from the same thread's caches and without a lock.

mod batch;
pub(crate) mod cells;
mod load;
pub(crate) mod sockets;
mod tcp;
mod udp;

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::oneshot;
use trunkline_dns::{Identity, Zones};
use trunkline_telemetry::PerWorker;

use crate::worker::{Released, Worker};
use cells::Cells;
use load::Loaded;

pub(crate) use load::load;

/// What is served, as one value.
pub(crate) struct Service {
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) zones: Zones,
    pub(crate) identity: Identity,
    /// Connections at the same time, over all workers.
    pub(crate) connections: u32,
    pub(crate) idle_ms: u64,
    pub(crate) cells: Arc<PerWorker<Cells>>,
    loaded: Vec<Loaded>,
}

/// A socket for questions.
pub(crate) enum Socket {
    Datagrams(std::net::UdpSocket),
    Streams(std::net::TcpListener),
}

/// The open sockets of a worker.
pub(crate) struct Desk {
    worker: Rc<Worker>,
    open: Vec<(SocketAddr, oneshot::Sender<Released>)>,
}

impl Desk {
    pub(crate) fn new(worker: Rc<Worker>) -> Self {
        Self { worker, open: Vec::new() }
    }

    /// `planned`: the address as configured; its port may be 0.
    pub(crate) fn open(&mut self, planned: SocketAddr, socket: Socket) {
        let (close, closed) = oneshot::channel();
        let worker = Rc::clone(&self.worker);
        match socket {
            Socket::Datagrams(socket) => {
                let Ok(socket) = tokio::net::UdpSocket::from_std(socket) else { return };
                tokio::task::spawn_local(udp::serve(worker, socket, closed));
            }
            Socket::Streams(socket) => {
                let Ok(socket) = tokio::net::TcpListener::from_std(socket) else { return };
                tokio::task::spawn_local(tcp::serve(worker, socket, closed));
            }
        }
        self.open.push((planned, close));
    }

    pub(crate) fn close(&mut self, planned: SocketAddr, released: &Released) {
        for (_, close) in self.open.extract_if(.., |(address, _)| *address == planned) {
            let _ = close.send(released.clone());
        }
    }

    pub(crate) fn close_all(&mut self, released: &Released) {
        for (_, close) in self.open.drain(..) {
            let _ = close.send(released.clone());
        }
    }
}
