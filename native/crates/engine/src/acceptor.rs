//! Listening sockets of one worker. Each worker has its own socket for each address (`SO_REUSEPORT`), so that the kernel spreads
//! connections and no lock is shared.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::gate::Pass;
use crate::greet::Newcomer;
use crate::snapshot::Listener;
use crate::transport::{is_starved, limit_unsent};
use crate::worker::{Released, Worker};

/// Connections that wait for `accept`; the kernel caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 4_096;
/// Pause when a connection cannot be accepted: others that close free descriptors, and the backlog holds the newcomers.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Binds one socket of one worker. `shared`: the address is already ours. Otherwise it must be free: `SO_REUSEPORT` alone would let a
/// second process of the same user take half of the connections without a word.
pub(crate) fn bind(address: SocketAddr, shared: bool) -> io::Result<StdListener> {
    if !shared {
        // It does not listen: who connected to it would be reset.
        socket(address)?.bind(&address.into())?;
    }
    let socket = socket(address)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    set_up(&socket)?;
    Ok(socket.into())
}

/// What a bound socket needs, ours or one that somebody else has bound for us.
pub(crate) fn set_up(socket: &socket2::Socket) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    limit_unsent(socket)?;
    socket.listen(BACKLOG)
}

fn socket(address: SocketAddr) -> io::Result<socket2::Socket> {
    let domain = socket2::Domain::for_address(address);
    let socket =
        socket2::Socket::new(domain, socket2::Type::STREAM.nonblocking(), Some(socket2::Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

/// The open acceptors of a worker.
pub(crate) struct Acceptors {
    worker: Rc<Worker>,
    open: Vec<(String, SocketAddr, oneshot::Sender<Released>)>,
}

impl Acceptors {
    pub(crate) fn new(worker: Rc<Worker>) -> Self {
        Self { worker, open: Vec::new() }
    }

    /// `planned`: the address as configured; its port may be 0.
    pub(crate) fn open(&mut self, listener: String, planned: SocketAddr, socket: StdListener) {
        let Ok(socket) = TcpListener::from_std(socket) else { return };
        let (close, closed) = oneshot::channel();
        tokio::task::spawn_local(accept(Rc::clone(&self.worker), listener.clone(), socket, closed));
        self.open.push((listener, planned, close));
    }

    /// A worker may have several sockets of one address.
    pub(crate) fn close(&mut self, listener: &str, planned: SocketAddr, released: &Released) {
        let matches = |name: &str, address: SocketAddr| name == listener && address == planned;
        for (_, _, close) in self.open.extract_if(.., |(name, address, _)| matches(name, *address)) {
            let _ = close.send(released.clone());
        }
    }

    pub(crate) fn close_all(&mut self, released: &Released) {
        for (_, _, close) in self.open.drain(..) {
            let _ = close.send(released.clone());
        }
    }
}

async fn accept(
    worker: Rc<Worker>,
    name: String,
    socket: TcpListener,
    mut closed: oneshot::Receiver<Released>,
) {
    let Some(mut listener) = worker.listener(&name) else { return };
    let _released = loop {
        let accepted = tokio::select! {
            biased;
            released = &mut closed => break released,
            accepted = socket.accept() => accepted,
        };
        if let Some(current) = worker.listener(&name) {
            listener = current;
        }
        match accepted {
            // At the limit the newcomer waits here, those behind it in the kernel's queue.
            Ok((stream, peer)) => tokio::select! {
                biased;
                pass = enter(&worker, &mut listener) => greet(&worker, &listener, stream, peer, pass),
                released = &mut closed => {
                    tokio::task::spawn_local(let_in(Rc::clone(&worker), Arc::clone(&listener), stream, peer));
                    break released;
                }
            },
            Err(error) => recover(&listener, worker.index, &error).await,
        }
    };
    take_queued(&worker, &listener, socket);
}

/// Waits for room among the listener's connections; a new configuration may make some.
async fn enter(worker: &Worker, listener: &mut Arc<Listener>) -> Pass {
    loop {
        let gate = Arc::clone(&listener.gate);
        let mut freed = pin!(gate.freed());
        freed.as_mut().enable();
        if let Some(pass) = gate.enter(listener.limits.connections as usize) {
            return pass;
        }
        freed.await;
        if let Some(current) = worker.listener(&listener.name) {
            *listener = current;
        }
    }
}

/// The one who waits for room goes on waiting when nobody else is accepted any more.
async fn let_in(worker: Rc<Worker>, mut listener: Arc<Listener>, stream: TcpStream, peer: SocketAddr) {
    let waiting = Open::new(Rc::clone(&worker), Arc::clone(&listener.cells));
    let pass = enter(&worker, &mut listener).await;
    greet(&worker, &listener, stream, peer, pass);
    drop(waiting);
}

/// Connections that the kernel accepted before the socket closes would be reset; they are served instead. Those for whom there is no
/// room stay where they are, because another process may hold the socket too.
fn take_queued(worker: &Rc<Worker>, listener: &Arc<Listener>, socket: TcpListener) {
    let Ok(socket) = socket.into_std() else { return };
    while let Some(pass) = listener.gate.enter(listener.limits.connections as usize) {
        let Ok((stream, peer)) = socket.accept() else { return };
        let _ = stream.set_nonblocking(true);
        let Ok(stream) = TcpStream::from_std(stream) else { continue };
        greet(worker, listener, stream, peer, pass);
    }
}

fn greet(worker: &Rc<Worker>, listener: &Arc<Listener>, stream: TcpStream, peer: SocketAddr, pass: Pass) {
    let newcomer =
        Newcomer { worker: Rc::clone(worker), listener: Arc::clone(listener), stream, address: peer };
    let cells = Arc::clone(&listener.cells);
    let worker = Rc::clone(worker);
    cells.get(worker.index).accepted.inc();
    let open = Open::new(worker, cells);
    tokio::task::spawn_local(async move {
        newcomer.serve().await;
        drop((open, pass));
    });
}

/// Counts a connection while it lives, also when its task panics.
struct Open {
    worker: Rc<Worker>,
    cells: Arc<trunkline_telemetry::PerWorker<crate::cells::ListenerCells>>,
}

impl Open {
    fn new(
        worker: Rc<Worker>,
        cells: Arc<trunkline_telemetry::PerWorker<crate::cells::ListenerCells>>,
    ) -> Self {
        cells.get(worker.index).open.inc();
        worker.shared.open.fetch_add(1, Ordering::Relaxed);
        Self { worker, cells }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.cells.get(self.worker.index).open.dec();
        self.worker.shared.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// `accept` fails for one connection (reset while it was queued), which needs nothing, or for a reason that stays: mostly for want of
/// descriptors.
async fn recover(listener: &Listener, worker: usize, error: &io::Error) {
    if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted) {
        return;
    }
    let reason = if is_starved(error) { "accept_out_of_files" } else { "accept_failed" };
    listener.cells.get(worker).refusals.count(reason);
    tokio::time::sleep(ACCEPT_PAUSE).await;
}
