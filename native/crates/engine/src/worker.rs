//! One worker: a thread with its own event loop, listening sockets, idle connections, buffers and counters. Workers share the snapshot,
//! server states and limiters; nothing on the way of a request is locked between them.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use ahash::{AHashMap, AHashSet};
use arc_swap::ArcSwap;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;
use trunkline_telemetry::access;

use crate::acceptor::Acceptors;
use crate::buffering;
use crate::clock;
use crate::dns;
use crate::mirror;
use crate::recent::RecentErrors;
use crate::snapshot::{Listener, Pool, Server, Snapshot};
use crate::timer::Timer;
use crate::upstream::{LocalPool, LocalServer};

/// How often idle connections are looked over and log batches flushed.
const HOUSEKEEPING: Duration = Duration::from_secs(1);

/// What all workers and the control side see.
pub(crate) struct Shared {
    pub(crate) snapshot: ArcSwap<Snapshot>,
    /// Follows the snapshot's generation; workers compare it once per request.
    pub(crate) generation: AtomicU64,
    /// Nothing new is accepted, and each connection's next answer is its last.
    pub(crate) draining: AtomicBool,
    /// While draining: idle connections may still send that last request.
    pub(crate) lingering: AtomicBool,
    /// Client connections that are open.
    pub(crate) open: AtomicUsize,
    pub(crate) recent: RecentErrors,
}

/// Dropped when a socket is closed, so that its address can be bound again.
pub(crate) type Released = std::sync::mpsc::Sender<()>;

/// Orders from the control side.
pub(crate) enum Command {
    /// Serve a listener on a bound socket.
    Listen { listener: String, planned: SocketAddr, socket: std::net::TcpListener },
    /// Take what is already in the accept queue, then close the sockets of that planned address and drop `released`.
    Unlisten { listener: String, address: SocketAddr, released: Released },
    /// Answer questions that come to a bound socket.
    OpenDesk { planned: SocketAddr, socket: dns::Socket },
    /// Answer what has come already, then close the sockets of that planned address and drop `released`.
    CloseDesk { address: SocketAddr, released: Released },
    /// Change the access log; the old writer is flushed.
    Log(Option<access::Writer>),
    /// Take what is in the accept queues, close all listening sockets, drop `Released`; then idle connections end, the others after
    /// their request.
    Drain(Released),
    /// Let what is open end as if its time were up, so that it is answered, logged and counted.
    Cut,
    /// End now, whatever is open; answered when everything of this worker is gone.
    Stop(oneshot::Sender<()>),
}

pub(crate) struct Worker {
    pub(crate) index: usize,
    pub(crate) shared: Arc<Shared>,
    pub(crate) timer: Rc<Timer>,
    pub(crate) log: RefCell<Option<access::Writer>>,
    /// Copies for mirrors that are under way.
    pub(crate) mirrored: mirror::Load,
    /// Bodies that are taken in.
    pub(crate) held: buffering::Held,
    cut: Cell<bool>,
    generation: Cell<u64>,
    pools: RefCell<AHashMap<u64, Rc<LocalPool>>>,
    servers: RefCell<AHashMap<u64, Rc<LocalServer>>>,
}

impl Worker {
    /// Runs until it is told to stop. Called on the worker's own thread; `ready` hears whether its event loop could be made.
    pub(crate) fn run(
        index: usize,
        shared: Arc<Shared>,
        commands: UnboundedReceiver<Command>,
        ready: &std::sync::mpsc::SyncSender<std::io::Result<()>>,
    ) {
        let built = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build_local(tokio::runtime::LocalOptions::default());
        let (runtime, outcome) = match built {
            Ok(runtime) => (Some(runtime), Ok(())),
            Err(error) => (None, Err(error)),
        };
        let _ = ready.send(outcome);
        let Some(runtime) = runtime else { return };
        let stopped = runtime.block_on(Rc::new(Self::new(index, shared)).obey(commands));
        drop(runtime);
        if let Some(stopped) = stopped {
            let _ = stopped.send(());
        }
    }

    fn new(index: usize, shared: Arc<Shared>) -> Self {
        Self {
            index,
            shared,
            timer: Rc::default(),
            log: RefCell::new(None),
            mirrored: mirror::Load::default(),
            held: buffering::Held::default(),
            cut: Cell::new(false),
            generation: Cell::new(0),
            pools: RefCell::default(),
            servers: RefCell::default(),
        }
    }

    async fn obey(self: Rc<Self>, mut commands: UnboundedReceiver<Command>) -> Option<oneshot::Sender<()>> {
        tokio::task::spawn_local(Rc::clone(&self.timer).drive());
        tokio::task::spawn_local(Rc::clone(&self).keep_house());
        let mut acceptors = Acceptors::new(Rc::clone(&self));
        let mut desk = dns::Desk::new(Rc::clone(&self));
        while let Some(command) = commands.recv().await {
            match command {
                Command::Listen { listener, planned, socket } => acceptors.open(listener, planned, socket),
                Command::Unlisten { listener, address, released } => {
                    acceptors.close(&listener, address, &released);
                }
                Command::OpenDesk { planned, socket } => desk.open(planned, socket),
                Command::CloseDesk { address, released } => desk.close(address, &released),
                Command::Log(writer) => self.change_log(writer),
                Command::Drain(released) => {
                    acceptors.close_all(&released);
                    desk.close_all(&released);
                    self.timer.wake_all();
                }
                Command::Cut => {
                    self.cut.set(true);
                    self.timer.expire_all();
                }
                Command::Stop(stopped) => {
                    self.change_log(None);
                    return Some(stopped);
                }
            }
        }
        None
    }

    fn change_log(&self, writer: Option<access::Writer>) {
        if let Some(mut before) = self.log.replace(writer) {
            before.flush();
        }
    }

    async fn keep_house(self: Rc<Self>) {
        loop {
            tokio::time::sleep(HOUSEKEEPING).await;
            self.refresh();
            let now_ns = clock::now_ns();
            if let Some(log) = self.log.borrow_mut().as_mut() {
                log.flush_if_due(now_ns);
            }
            self.sweep(now_ns / 1_000_000);
            if self.is_draining() {
                self.timer.wake_all();
            }
        }
    }

    /// Closes connections to servers that were idle for too long, also of a pool that has changed and was not asked for since.
    fn sweep(&self, now_ms: u64) {
        let servers = self.servers.borrow();
        for pool in &self.shared.snapshot.load().pools {
            let idle_timeout_ms = pool.plan.keep_alive.idle_timeout_ms;
            let known = pool.servers.iter().filter_map(|server| servers.get(&server.id));
            known.for_each(|server| server.sweep(now_ms, idle_timeout_ms));
        }
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.shared.draining.load(Ordering::Relaxed)
    }

    /// Whether connections that wait for a request are closed.
    pub(crate) fn closes_idle(&self) -> bool {
        self.is_draining() && !self.shared.lingering.load(Ordering::Relaxed)
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.cut.get()
    }

    /// Which snapshot the control side wants to be served.
    pub(crate) fn generation(&self) -> u64 {
        self.shared.generation.load(Ordering::Acquire)
    }

    /// If a new snapshot has come since the last call, what only the old one needed is let go.
    pub(crate) fn refresh(&self) {
        let generation = self.generation();
        if self.generation.replace(generation) == generation {
            return;
        }
        let snapshot = self.shared.snapshot.load();
        let pools: AHashSet<u64> = snapshot.pools.iter().map(|pool| pool.id).collect();
        let servers: AHashSet<u64> =
            snapshot.pools.iter().flat_map(|pool| &pool.servers).map(|server| server.id).collect();
        self.pools.borrow_mut().retain(|id, _| pools.contains(id));
        self.servers.borrow_mut().retain(|id, _| servers.contains(id));
    }

    /// The listener of that name in the present snapshot.
    pub(crate) fn listener(&self, name: &str) -> Option<Arc<Listener>> {
        self.shared.snapshot.load().listener(name).cloned()
    }

    /// This worker's half of a pool, made when it is first needed.
    pub(crate) fn pool(&self, pool: &Arc<Pool>) -> Rc<LocalPool> {
        if let Some(local) = self.pools.borrow().get(&pool.id) {
            return Rc::clone(local);
        }
        let servers = pool.servers.iter().map(|server| self.server(server)).collect();
        let balancer = pool.balancer.fork(fastrand::u64(..));
        let local = Rc::new(LocalPool::new(pool, balancer, servers));
        self.pools.borrow_mut().insert(pool.id, Rc::clone(&local));
        local
    }

    /// Idle connections stay with the server through configurations.
    fn server(&self, server: &Arc<Server>) -> Rc<LocalServer> {
        let mut servers = self.servers.borrow_mut();
        Rc::clone(servers.entry(server.id).or_insert_with(|| Rc::new(LocalServer::new(server, self.index))))
    }
}
