//! Listening sockets of one worker. Each worker has its own socket for each address (`SO_REUSEPORT`), so that the kernel spreads
//! connections and no lock is shared.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::client::Client;
use crate::forwarding::Peer;
use crate::snapshot::Listener;
use crate::transport::{Transport, limit_unsent};
use crate::worker::Worker;

/// Connections that wait for `accept`; the kernel caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 4_096;
/// Pause when file descriptors have run out: closing connections free some, and the backlog holds the newcomers.
const OUT_OF_FILES_PAUSE: Duration = Duration::from_millis(50);

/// Binds one socket of one worker. `shared`: the address is already ours. Otherwise it must be free: `SO_REUSEPORT` alone would let a
/// second process of the same user take half of the connections without a word.
pub(crate) fn bind(address: SocketAddr, shared: bool) -> io::Result<StdListener> {
    if !shared {
        let probe = StdListener::bind(address)?;
        drop(probe);
    }
    let domain = socket2::Domain::for_address(address);
    let socket =
        socket2::Socket::new(domain, socket2::Type::STREAM.nonblocking(), Some(socket2::Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    limit_unsent(&socket)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// The open acceptors of a worker.
pub(crate) struct Acceptors {
    worker: Rc<Worker>,
    open: Vec<(String, SocketAddr, oneshot::Sender<()>)>,
}

impl Acceptors {
    pub(crate) fn new(worker: Rc<Worker>) -> Self {
        Self { worker, open: Vec::new() }
    }

    pub(crate) fn open(&mut self, listener: String, socket: StdListener) {
        let (Ok(address), Ok(socket)) = (socket.local_addr(), TcpListener::from_std(socket)) else { return };
        let (close, closed) = oneshot::channel();
        tokio::task::spawn_local(accept(Rc::clone(&self.worker), listener.clone(), socket, closed));
        self.open.push((listener, address, close));
    }

    /// Dropping the sender ends the acceptor.
    pub(crate) fn close(&mut self, listener: &str, address: SocketAddr) {
        self.open.retain(|(name, bound, _)| name != listener || *bound != address);
    }

    pub(crate) fn close_all(&mut self) {
        self.open.clear();
    }
}

async fn accept(worker: Rc<Worker>, name: String, socket: TcpListener, mut closed: oneshot::Receiver<()>) {
    let Some(mut listener) = worker.listener(&name) else { return };
    loop {
        let accepted = tokio::select! {
            biased;
            _ = &mut closed => break,
            accepted = socket.accept() => accepted,
        };
        if let Some(current) = worker.listener(&name) {
            listener = current;
        }
        match accepted {
            // At the limit the newcomer waits here, those behind it in the kernel's queue.
            Ok((stream, peer)) => match Arc::clone(&listener.permits).acquire_owned().await {
                Ok(permit) => greet(&worker, &listener, stream, peer, permit),
                Err(_) => break,
            },
            Err(error) => recover(&listener, worker.index, &error).await,
        }
    }
    take_queued(&worker, &listener, &socket);
}

/// Connections that the kernel accepted before the socket closes would be reset; they are served instead.
fn take_queued(worker: &Rc<Worker>, listener: &Arc<Listener>, socket: &TcpListener) {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    while let std::task::Poll::Ready(Ok((stream, peer))) = socket.poll_accept(&mut context) {
        let Ok(permit) = Arc::clone(&listener.permits).try_acquire_owned() else { return };
        greet(worker, listener, stream, peer, permit);
    }
}

fn greet(
    worker: &Rc<Worker>,
    listener: &Arc<Listener>,
    stream: TcpStream,
    peer: SocketAddr,
    permit: OwnedSemaphorePermit,
) {
    let Ok(transport) = Transport::new(stream) else { return };
    let client = Client::new(Rc::clone(worker), Arc::clone(listener), transport, Peer::new(peer.ip()));
    let cells = Arc::clone(&listener.cells);
    let worker = Rc::clone(worker);
    cells.get(worker.index).accepted.inc();
    let open = Open::new(worker, cells);
    tokio::task::spawn_local(async move {
        client.serve().await;
        drop((open, permit));
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

/// `accept` fails for one connection (reset while queued) or for want of descriptors; only the latter needs a pause.
async fn recover(listener: &Listener, worker: usize, error: &io::Error) {
    if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM)) {
        listener.cells.get(worker).refusals.count("accept_out_of_files");
        tokio::time::sleep(OUT_OF_FILES_PAUSE).await;
    }
}
