//! A configuration compiled for the workers: immutable, shared through one `Arc`, replaced as a whole. What must outlive a
//! configuration (health, counters, breaker states) hangs on it by `Arc`s that the next snapshot takes over by identity.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use tokio::sync::Notify;
use trunkline_breaker::{Outliers, RetryBudget};
use trunkline_filter::{Chain, Networks, Rewrite, Sticky};
use trunkline_http::Limits;
use trunkline_route::Router;
use trunkline_telemetry::PerWorker;
use trunkline_tls::{ClientTls, ServerTls};

use crate::bulkhead::Bulkhead;
use crate::cells::{ListenerCells, RouteCells, ServerCells};
use crate::dns;
use crate::forwarding::Forwarding;
use crate::gate::Gate;
use crate::hash_key::HashKey;
use crate::hedge::Hedging;
use crate::mirror;
use crate::plan;
use crate::sides::Sides;
use crate::tokens::Tokens;

pub(crate) struct Snapshot {
    pub(crate) generation: u64,
    pub(crate) listeners: Vec<Arc<Listener>>,
    pub(crate) pools: Vec<Arc<Pool>>,
    pub(crate) dns: Option<Arc<dns::Service>>,
}

impl Snapshot {
    pub(crate) fn listener(&self, name: &str) -> Option<&Arc<Listener>> {
        self.listeners.iter().find(|listener| listener.name == name)
    }

    pub(crate) fn pool(&self, name: &str) -> Option<&Arc<Pool>> {
        self.pools.iter().find(|pool| pool.name == name)
    }
}

pub(crate) struct Listener {
    /// Of the snapshot that this belongs to.
    pub(crate) generation: u64,
    pub(crate) name: String,
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) router: Router,
    /// Index = the router's route number.
    pub(crate) routes: Vec<Route>,
    pub(crate) head_limits: Limits,
    pub(crate) limits: plan::ClientLimits,
    pub(crate) timeouts: plan::ClientTimeouts,
    pub(crate) forwarding: Forwarding,
    /// `None` = plain.
    pub(crate) tls: Option<Arc<ServerTls>>,
    pub(crate) http2: plan::Http2,
    pub(crate) tokens: Arc<Tokens>,
    /// `None` = connections begin with what they carry.
    pub(crate) proxy: Option<ProxyPolicy>,
    pub(crate) reason_header: bool,
    pub(crate) access_log: bool,
    pub(crate) cells: Arc<PerWorker<ListenerCells>>,
    pub(crate) gate: Arc<Gate>,
}

/// Whose connections begin with a PROXY protocol header.
pub(crate) struct ProxyPolicy {
    /// Empty = everybody's.
    pub(crate) networks: Networks,
    /// Until the header is complete.
    pub(crate) timeout_ms: u64,
}

pub(crate) struct Route {
    pub(crate) name: String,
    pub(crate) sides: Sides,
    pub(crate) chain: Chain,
    pub(crate) rewrite: Option<Rewrite>,
    pub(crate) compression: Option<trunkline_compress::Policy>,
    /// Calls of browsers are translated.
    pub(crate) grpc_web: bool,
    pub(crate) timeouts: plan::RouteTimeouts,
    pub(crate) retry: plan::Retry,
    /// `None` = as much at once as comes.
    pub(crate) bulkhead: Option<Arc<Bulkhead>>,
    pub(crate) mirror: Option<mirror::Target>,
    pub(crate) hedging: Option<Hedging>,
    /// Bodies up to so many bytes are taken in before a server is chosen; 0 = none.
    pub(crate) buffer_request_bytes: u64,
    pub(crate) allows_connect: bool,
    pub(crate) cells: Arc<PerWorker<RouteCells>>,
}

pub(crate) struct Pool {
    pub(crate) name: String,
    /// Unique among all pools ever compiled; the workers' private halves are found by it.
    pub(crate) id: u64,
    pub(crate) servers: Vec<Arc<Server>>,
    /// Of all its servers; `None` = plain.
    pub(crate) tls: Option<Arc<ClientTls>>,
    /// Compiled once; each worker forks its own cursors from it.
    pub(crate) balancer: trunkline_balance::Balancer,
    /// `None` if the algorithm does not hash.
    pub(crate) hash_key: Option<HashKey>,
    pub(crate) outliers: Option<Outliers>,
    pub(crate) retry_budget: RetryBudget,
    /// Keeps clients at their servers.
    pub(crate) sticky: Option<Sticky>,
    /// `None` = as much at once as its servers take.
    pub(crate) bulkhead: Option<Arc<Bulkhead>>,
    /// Requests that wait for a server with room, over all workers.
    pub(crate) waiting: AtomicUsize,
    pub(crate) released: Notify,
    /// As planned: what is equal is taken over by the next snapshot, the pool with all its state.
    pub(crate) plan: plan::Pool,
}

impl Pool {
    /// Whether some server has a limit, so that releases must be announced.
    pub(crate) fn limits_servers(&self) -> bool {
        self.plan.servers.iter().any(|server| server.max_connections > 0)
    }
}

pub(crate) struct Server {
    /// Unique among all servers ever compiled.
    pub(crate) id: u64,
    pub(crate) address: SocketAddr,
    pub(crate) dial: Dial,
    pub(crate) state: Arc<trunkline_balance::Server>,
    pub(crate) check: CheckReport,
    /// The operator's word; either one keeps new requests away.
    pub(crate) enabled: AtomicBool,
    pub(crate) draining: AtomicBool,
    pub(crate) cells: Arc<PerWorker<ServerCells>>,
}

/// How a server is reached. Connections are kept by the server's id, which changes with this: none is used under another identity.
pub(crate) struct Dial {
    pub(crate) protocol: plan::Protocol,
    /// `None` = plain.
    pub(crate) tls: Option<Arc<ClientTls>>,
    /// The header that goes first.
    pub(crate) proxy: Option<plan::ProxyVersion>,
    /// For SNI and the certificate: the configured host, or the address.
    pub(crate) host: String,
}

impl Server {
    /// Lets the schedulers know what the operator wants.
    pub(crate) fn settle_standing(&self) {
        let out = self.draining.load(Ordering::Relaxed) || !self.enabled.load(Ordering::Relaxed);
        self.state.set_draining(out);
    }
}

/// What the active checks last found.
#[derive(Default)]
pub(crate) struct CheckReport {
    pub(crate) good_in_row: AtomicU32,
    pub(crate) bad_in_row: AtomicU32,
    pub(crate) detail: parking_lot::Mutex<String>,
}
