//! A worker's half of the pools: its schedulers' cursors and its idle connections. Nothing here is shared with other workers.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::Notify;
use trunkline_balance::{Balancer, Standing};
use trunkline_http::Answers;

use crate::cells::ServerCells;
use crate::clock;
use crate::failure::Failure;
use crate::forwarding::Peer;
use crate::h2::{self, Link, Reset, Stream};
use crate::plan::{self, KeepAlive};
use crate::proxy;
use crate::secure::Broken;
use crate::snapshot::{Pool, Server};
use crate::transport::{Transport, is_starved, limit_unsent};
use crate::wire::Wire;
use crate::worker::Worker;

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

    /// Whether a request may go to that server, whatever the scheduler would choose.
    pub(crate) fn admits(&self, index: usize, now_ns: u64, tried: &[usize]) -> bool {
        self.balancer.borrow().admits(index, now_ns, tried)
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
    /// Connections of HTTP/2, which many requests share.
    links: RefCell<Vec<Rc<Link>>>,
    /// A further one is being made; who waits for it is told how it went.
    connecting: RefCell<Option<Rc<Attempt>>>,
}

/// One try to connect, for all requests that would like to share the connection.
#[derive(Default)]
struct Attempt {
    outcome: Cell<Option<Result<(), Failure>>>,
    over: Notify,
}

/// An open connection to a server, or a stream of one.
pub(crate) struct Connection {
    pub(crate) wire: Wire,
    served: u32,
    /// Kept until then.
    idle_until_ms: u64,
}

impl LocalServer {
    pub(crate) fn new(server: &Arc<Server>, worker: usize) -> Self {
        Self {
            server: Arc::clone(server),
            worker,
            idle: RefCell::default(),
            links: RefCell::default(),
            connecting: RefCell::default(),
        }
    }

    pub(crate) fn cells(&self) -> &ServerCells {
        self.server.cells.get(self.worker)
    }

    fn speaks_http2(&self) -> bool {
        self.server.dial.protocol == plan::Protocol::Http2
    }

    /// The idle connection that was used last, if it is still open and quiet: it is the one whose memory and TCP state are warm. Of
    /// HTTP/2, a stream of a connection with room; `answers` tells what its response will look like.
    pub(crate) fn reuse(&self, answers: Answers) -> Option<Connection> {
        if self.speaks_http2() {
            let link = self.links.borrow().iter().find(|link| link.can_open()).map(Rc::clone)?;
            self.cells().reuses.inc();
            return Some(Connection::new(Wire::Http2(Stream::opening(&link, answers))));
        }
        let mut idle = self.idle.borrow_mut();
        while let Some(connection) = idle.pop() {
            self.cells().idle.dec();
            if connection.wire.is_quiet() {
                self.cells().reuses.inc();
                return Some(connection);
            }
        }
        None
    }

    /// For a request whose connection was of no use to it: of HTTP/2 another stream, else there is none to be trusted.
    pub(crate) fn reuse_shared(&self, answers: Answers) -> Option<Connection> {
        if self.speaks_http2() { self.reuse(answers) } else { None }
    }

    /// A new connection, or a stream of one that is made for all who wait; each waits for its own time.
    pub(crate) async fn connect(
        self: &Rc<Self>,
        worker: &Rc<Worker>,
        plan: &plan::Pool,
        timeout_ms: u64,
        peer: &Rc<Peer>,
        answers: Answers,
    ) -> Result<Connection, Failure> {
        if !self.speaks_http2() {
            let transport = self.dial(timeout_ms, peer).await?;
            return Ok(Connection::new(Wire::Http1(transport)));
        }
        let shared = async {
            loop {
                let attempt = self.connecting.borrow().clone();
                attempt.unwrap_or_else(|| self.attempt(worker, plan, peer)).wait().await?;
                if let Some(connection) = self.reuse(answers) {
                    return Ok(connection);
                }
            }
        };
        within(timeout_ms, shared).await
    }

    /// Begins to make a connection that streams share. It belongs to no request: whoever leaves, or has less time than the pool gives,
    /// takes nothing from the others.
    fn attempt(self: &Rc<Self>, worker: &Rc<Worker>, plan: &plan::Pool, peer: &Rc<Peer>) -> Rc<Attempt> {
        let attempt = Rc::new(Attempt::default());
        self.connecting.replace(Some(Rc::clone(&attempt)));
        let announced = Announced { server: Rc::clone(self), attempt: Rc::clone(&attempt) };
        let (worker, peer) = (Rc::clone(worker), Rc::clone(peer));
        let (timeout_ms, requests) = (plan.connect_timeout_ms, plan.keep_alive.requests);
        tokio::task::spawn_local(async move {
            let outcome = announced.server.link(&worker, timeout_ms, &peer, requests).await;
            announced.attempt.outcome.set(Some(outcome));
        });
        attempt
    }

    /// Makes a connection that streams share.
    async fn link(
        &self,
        worker: &Rc<Worker>,
        timeout_ms: u64,
        peer: &Peer,
        requests: u32,
    ) -> Result<(), Failure> {
        let transport = self.dial(timeout_ms, peer).await?;
        let codec = trunkline_http2::Connection::client(h2::upstream_settings(), h2::upstream_limits());
        let link = Link::connect(worker, transport, codec, requests);
        let greeted = within(timeout_ms, async { link.greeted().await.map_err(greeting_failure) }).await;
        let usable = greeted.and_then(|()| link.can_open().then_some(()).ok_or(Failure::UPSTREAM_REFUSED));
        match usable {
            Ok(()) => self.links.borrow_mut().push(link),
            Err(_) => link.close(),
        }
        usable
    }

    /// Connects, says who the client is where that is wanted, and agrees on TLS.
    async fn dial(&self, timeout_ms: u64, peer: &Peer) -> Result<Transport, Failure> {
        let dialled = within(timeout_ms, self.dial_at_leisure(peer)).await;
        let cells = self.cells();
        if dialled.is_ok() {
            cells.connects.inc();
        } else {
            cells.connect_failures.inc();
        }
        dialled
    }

    async fn dial_at_leisure(&self, peer: &Peer) -> Result<Transport, Failure> {
        let stream =
            TcpStream::connect(self.server.address).await.map_err(|error| connect_failure(&error))?;
        let limited = limit_unsent(&stream).and_then(|()| Transport::new(stream));
        let mut transport = limited.map_err(|error| connect_failure(&error))?;
        let dial = &self.server.dial;
        if let Some(version) = dial.proxy {
            let header = proxy::header(version, peer);
            // A fresh socket's buffer takes it whole.
            let sent = transport.write_now(&header).is_ok_and(|count| count == header.len());
            if !sent {
                return Err(Failure::CONNECT_FAILED);
            }
        }
        if let Some(tls) = &dial.tls {
            let session = tls.session(&dial.host).map_err(|error| tls_failure(&error))?;
            transport = transport.with_tls(session);
            self.agree(&transport).await?;
        }
        Ok(transport)
    }

    async fn agree(&self, transport: &Transport) -> Result<(), Failure> {
        let Some(secure) = transport.secure() else { return Ok(()) };
        secure.greet().map_err(|error| tls_failure(&error))?;
        let agreed = poll_fn(|context| transport.poll_handshake(context)).await;
        agreed.map_err(|broken| match broken {
            Broken::Io(_) => Failure::CONNECT_FAILED,
            Broken::Tls(error) => tls_failure(&error),
        })?;
        let spoken = secure.with_session(|session| session.alpn() == Some(b"h2"));
        if self.speaks_http2() && !spoken { Err(Failure::WRONG_PROTOCOL) } else { Ok(()) }
    }

    /// Keeps a connection for the next request, within the limits; the oldest makes room.
    pub(crate) fn keep(&self, mut connection: Connection, limits: &KeepAlive, now_ms: u64) {
        connection.served += 1;
        // One that began with a client's name is that client's alone.
        let bound = self.server.dial.proxy.is_some() || connection.wire.stream().is_some();
        if bound || limits.idle == 0 || (limits.requests > 0 && connection.served >= limits.requests) {
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
    pub(crate) fn sweep(&self, now_ms: u64, idle_timeout_ms: u64) {
        self.links.borrow_mut().retain(|link| {
            let idle = link.idle_ms(now_ms).is_some_and(|idle_ms| idle_ms >= idle_timeout_ms);
            if idle {
                link.close();
            }
            !idle && !link.is_over()
        });
        self.idle.borrow_mut().retain(|connection| {
            let keep = now_ms < connection.idle_until_ms && connection.wire.is_quiet();
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
        self.links.borrow().iter().for_each(|link| link.close());
    }
}

impl Connection {
    fn new(wire: Wire) -> Self {
        Self { wire, served: 0, idle_until_ms: 0 }
    }

    /// Whether a server that ends this exchange has ended no more than that: others go on beside it.
    pub(crate) fn ends_alone(&self) -> bool {
        matches!(self.wire.stream().and_then(Stream::reset), Some(Reset::ByPeer))
    }
}

impl Attempt {
    async fn wait(&self) -> Result<(), Failure> {
        let mut over = pin!(self.over.notified());
        over.as_mut().enable();
        if self.outcome.get().is_none() {
            over.await;
        }
        // Nobody's fault: the attempt was dropped, and the next one begins.
        self.outcome.get().unwrap_or(Ok(()))
    }
}

/// Ends an attempt, whatever becomes of its task.
struct Announced {
    server: Rc<LocalServer>,
    attempt: Rc<Attempt>,
}

impl Drop for Announced {
    fn drop(&mut self) {
        self.server.connecting.take();
        self.attempt.over.notify_waiters();
    }
}

/// 0 = all the time.
async fn within<T>(
    timeout_ms: u64,
    connecting: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let limit = if timeout_ms == 0 { Duration::from_secs(3_600) } else { Duration::from_millis(timeout_ms) };
    tokio::time::timeout(limit, connecting).await.unwrap_or(Err(Failure::CONNECT_TIMEOUT))
}

/// A server that accepted the connection and said nothing of HTTP/2.
fn greeting_failure(reset: Reset) -> Failure {
    match reset {
        Reset::WrongProtocol | Reset::ByPeer => Failure::WRONG_PROTOCOL,
        Reset::Unprocessed | Reset::Closed | Reset::Lost => Failure::CONNECT_FAILED,
    }
}

fn tls_failure(error: &trunkline_tls::Error) -> Failure {
    Failure { status: 502, reason: upstream_reason(error), side: crate::failure::Side::Upstream }
}

/// Under names of their own: what is wrong is at the other edge.
fn upstream_reason(error: &trunkline_tls::Error) -> &'static str {
    match error {
        trunkline_tls::Error::BadServerCertificate(_) | trunkline_tls::Error::BadServerName => {
            "upstream_bad_certificate"
        }
        _ => "upstream_tls_failed",
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
    /// Its index in the pool.
    pub(crate) index: usize,
    pool: Arc<Pool>,
    started_ns: u64,
    latency_ns: Option<u64>,
    /// Given up, it has taken so long at least: another server was quicker.
    races: bool,
}

impl Lease {
    pub(crate) fn begin(pool: &Arc<Pool>, local: &Rc<LocalServer>, index: usize, now_ns: u64) -> Self {
        local.server.state.begin();
        let (local, pool) = (Rc::clone(local), Arc::clone(pool));
        Self { local, index, pool, started_ns: now_ns, latency_ns: None, races: false }
    }

    /// Others run beside it.
    pub(crate) fn race(&mut self) {
        self.races = true;
    }

    /// It has failed.
    pub(crate) fn leave_race(&mut self) {
        self.races = false;
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
        let now_ns = clock::now_ns();
        let state = &self.local.server.state;
        if self.races && self.latency_ns.is_none() {
            state.give_up(now_ns, now_ns.saturating_sub(self.started_ns));
        } else {
            state.finish(now_ns, self.latency_ns);
        }
        if self.pool.limits_servers() {
            self.pool.released.notify_one();
        }
    }
}
