//! A worker's half of the pools: its schedulers' cursors and its idle connections. Nothing here is shared with other workers.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use trunkline_balance::{Balancer, Standing};

use crate::cells::ServerCells;
use crate::clock;
use crate::failure::Failure;
use crate::plan::KeepAlive;
use crate::snapshot::{Pool, Server};
use crate::transport::{Transport, is_starved, limit_unsent};

pub(crate) struct LocalPool {
    pub(crate) pool: Arc<Pool>,
    balancer: RefCell<Balancer>,
    pub(crate) servers: Vec<Rc<LocalServer>>,
    /// Requests not yet credited to the retry budget, which is shared and locked.
    undeposited: Cell<u32>,
}

/// The retry budget hears of requests in batches: a lock per request costs 20 ns.
const DEPOSIT_BATCH: u32 = 32;

impl LocalPool {
    pub(crate) fn new(pool: &Arc<Pool>, balancer: Balancer, servers: Vec<Rc<LocalServer>>) -> Self {
        Self { pool: Arc::clone(pool), balancer: RefCell::new(balancer), servers, undeposited: Cell::new(0) }
    }

    /// The server for a request; `tried` ones are left out.
    pub(crate) fn pick(&self, key: &[u8], now_ns: u64, tried: &[usize]) -> Option<usize> {
        self.balancer.borrow_mut().pick(key, now_ns, tried)
    }

    /// Whether some server is only out because it has as many requests as it may have.
    pub(crate) fn any_full(&self, now_ns: u64) -> bool {
        self.balancer.borrow().explain(now_ns).contains(&Standing::Full)
    }

    /// Whether a server that was not tried yet would take a request.
    pub(crate) fn has_other(&self, now_ns: u64, tried: &[usize]) -> bool {
        let standings = self.balancer.borrow().explain(now_ns);
        let serves = |standing: &Standing| {
            matches!(
                standing,
                Standing::Eligible | Standing::Warming { .. } | Standing::Standby | Standing::Panic
            )
        };
        standings.iter().enumerate().any(|(index, standing)| serves(standing) && !tried.contains(&index))
    }

    pub(crate) fn count_request(&self, now_ns: u64) {
        let pending = self.undeposited.get() + 1;
        if pending == DEPOSIT_BATCH {
            self.deposit(now_ns);
        } else {
            self.undeposited.set(pending);
        }
    }

    /// Whether another try may be made.
    pub(crate) fn may_retry(&self, now_ns: u64) -> bool {
        self.deposit(now_ns);
        self.pool.retry_budget.withdraw(now_ns)
    }

    fn deposit(&self, now_ns: u64) {
        self.pool.retry_budget.deposit_many(now_ns, self.undeposited.replace(0));
    }
}

pub(crate) struct LocalServer {
    pub(crate) server: Arc<Server>,
    worker: usize,
    idle: RefCell<Vec<Connection>>,
}

/// An open connection to a server.
pub(crate) struct Connection {
    pub(crate) transport: Transport,
    served: u32,
    /// Kept until then.
    idle_until_ms: u64,
}

impl LocalServer {
    pub(crate) fn new(server: &Arc<Server>, worker: usize) -> Self {
        Self { server: Arc::clone(server), worker, idle: RefCell::new(Vec::new()) }
    }

    pub(crate) fn cells(&self) -> &ServerCells {
        self.server.cells.get(self.worker)
    }

    /// The idle connection that was used last, if it is still open and quiet: it is the one whose memory and TCP state are warm.
    pub(crate) fn reuse(&self) -> Option<Connection> {
        let mut idle = self.idle.borrow_mut();
        while let Some(connection) = idle.pop() {
            self.cells().idle.dec();
            if connection.transport.is_quiet() {
                self.cells().reuses.inc();
                return Some(connection);
            }
        }
        None
    }

    pub(crate) async fn connect(&self, timeout_ms: u64) -> Result<Connection, Failure> {
        let connecting = TcpStream::connect(self.server.address);
        let limit =
            if timeout_ms == 0 { Duration::from_secs(3_600) } else { Duration::from_millis(timeout_ms) };
        let stream = match tokio::time::timeout(limit, connecting).await {
            Ok(Ok(stream)) => limit_unsent(&stream).and_then(|()| Transport::new(stream)),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        };
        match stream {
            Ok(transport) => {
                self.cells().connects.inc();
                Ok(Connection { transport, served: 0, idle_until_ms: 0 })
            }
            Err(error) => {
                self.cells().connect_failures.inc();
                Err(connect_failure(&error))
            }
        }
    }

    /// Keeps a connection for the next request, within the limits; the oldest makes room.
    pub(crate) fn keep(&self, mut connection: Connection, limits: &KeepAlive, now_ms: u64) {
        connection.served += 1;
        if limits.idle == 0 || (limits.requests > 0 && connection.served >= limits.requests) {
            return;
        }
        connection.idle_until_ms = now_ms.saturating_add(limits.idle_timeout_ms);
        let mut idle = self.idle.borrow_mut();
        if idle.len() >= limits.idle {
            idle.remove(0);
            self.cells().idle.dec();
        }
        idle.push(connection);
        self.cells().idle.inc();
    }

    /// Closes what has been idle for too long or was closed by the server.
    pub(crate) fn sweep(&self, now_ms: u64) {
        self.idle.borrow_mut().retain(|connection| {
            let keep = now_ms < connection.idle_until_ms && connection.transport.is_quiet();
            if !keep {
                self.cells().idle.dec();
            }
            keep
        });
    }
}

impl Drop for LocalServer {
    fn drop(&mut self) {
        self.idle.borrow().iter().for_each(|_| self.cells().idle.dec());
    }
}

fn connect_failure(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::TimedOut => Failure::CONNECT_TIMEOUT,
        _ if is_starved(error) => Failure::OUT_OF_FILES,
        _ => Failure::CONNECT_FAILED,
    }
}

/// A request in flight on a server: counted while this lives.
pub(crate) struct Lease {
    pub(crate) local: Rc<LocalServer>,
    pool: Arc<Pool>,
    started_ns: u64,
    latency_ns: Option<u64>,
}

impl Lease {
    pub(crate) fn begin(pool: &Arc<Pool>, local: &Rc<LocalServer>, now_ns: u64) -> Self {
        local.server.state.begin();
        Self { local: Rc::clone(local), pool: Arc::clone(pool), started_ns: now_ns, latency_ns: None }
    }

    /// Whether any byte of a response has come.
    pub(crate) fn has_answered(&self) -> bool {
        self.latency_ns.is_some()
    }

    /// The response head is here.
    pub(crate) fn answered(&mut self, now_ns: u64) -> u64 {
        let latency_ns = now_ns.saturating_sub(self.started_ns);
        self.latency_ns = Some(latency_ns);
        latency_ns
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.local.server.state.finish(clock::now_ns(), self.latency_ns);
        if self.pool.limits_servers() {
            self.pool.released.notify_one();
        }
    }
}
