//! Plan to snapshot. Runs on the control thread; finds every error before anything changes. State is taken over by identity: a pool
//! whose plan and TLS files are unchanged is the same object, a server with the same pool, name and address keeps health and averages,
//! and its connections if it is reached in the same way; counters follow the names of listeners and routes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use serde::Serialize;
use tokio::sync::Notify;
use trunkline_balance::{Algorithm, Balancer, RingKind};
use trunkline_breaker::{OutlierSettings, Outliers, RetryBudget, RetryBudgetSettings};
use trunkline_filter::{Chain, Environment, Rewrite};
use trunkline_http::{Limits, MAX_HEADERS};
use trunkline_route::Router;
use trunkline_telemetry::PerWorker;
use trunkline_tls::{Challenges, ClientTls};

use crate::block::ORDINARY_BYTES;
use crate::dns;
use crate::edges::is_same_identity;
use crate::forwarding::Forwarding;
use crate::hash_key::HashKey;
use crate::plan::{self, Plan};
use crate::snapshot::{CheckReport, Dial, Listener, Pool, Route, Server, Snapshot};
use crate::tokens::Tokens;
use crate::traffic::Pools;

const MS: u64 = 1_000_000;
/// Slots of a Maglev table: Katran's default; a share's error is below 1 % for up to 650 servers.
const MAGLEV_SLOTS: u32 = 65_537;

/// One thing that is wrong with a plan. `path` says where, e.g. `pools[0].servers[1]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{path}: {message}")]
pub struct PlanError {
    pub path: String,
    pub message: String,
}

/// Identities of pools and servers are never given twice.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

fn next_id() -> u64 {
    NEXT_ID.fetch_add(1, Ordering::Relaxed)
}

pub(crate) struct Compiler<'c, 'r> {
    pub(crate) previous: &'c Snapshot,
    pub(crate) workers: usize,
    pub(crate) environment: &'c mut Environment<'r>,
    pub(crate) now_ns: u64,
    /// In seconds, for certificates.
    pub(crate) now_unix: u64,
    /// The engine's, for listeners that answer TLS-ALPN-01.
    pub(crate) challenges: &'c Arc<Challenges>,
    pub(crate) tokens: &'c Arc<Tokens>,
    pub(crate) errors: Vec<PlanError>,
    /// What the plan is served without.
    pub(crate) warnings: Vec<PlanError>,
    /// Pools with errors of their own: nobody is told that they do not exist.
    pub(crate) unsound_pools: Vec<String>,
    /// Schedulers are built from their servers' settings, so these are changed while compiling.
    pub(crate) changed: Changed,
}

/// What a sound plan becomes.
pub(crate) struct Compiled {
    pub(crate) snapshot: Snapshot,
    pub(crate) changed: Changed,
    pub(crate) warnings: Vec<PlanError>,
}

/// Settings that running servers had; they get them back if the plan is not taken.
#[derive(Default)]
pub(crate) struct Changed(Vec<Former>);

struct Former {
    server: Arc<Server>,
    weight: u32,
    max_active: u32,
    draining: bool,
    /// Checks that found it down are checks no more.
    unchecked: bool,
}

impl Changed {
    fn note(&mut self, server: &Arc<Server>, unchecked: bool) {
        self.0.push(Former {
            server: Arc::clone(server),
            weight: server.state.weight(),
            max_active: server.state.max_active(),
            draining: server.draining.load(Ordering::Relaxed),
            unchecked,
        });
    }

    /// The plan was taken.
    pub(crate) fn commit(mut self, now_ns: u64) {
        for former in self.0.drain(..).filter(|former| former.unchecked) {
            former.server.state.set_healthy(true, now_ns);
        }
    }
}

impl Drop for Changed {
    fn drop(&mut self) {
        for Former { server, weight, max_active, draining, .. } in &self.0 {
            server.state.set_weight(*weight);
            server.state.set_max_active(*max_active);
            server.draining.store(*draining, Ordering::Relaxed);
            server.settle_standing();
        }
    }
}

impl Compiler<'_, '_> {
    pub(crate) fn compile(mut self, plan: Plan, generation: u64) -> Result<Compiled, Vec<PlanError>> {
        self.check_names("pools", plan.pools.iter().map(|pool| &pool.name));
        self.check_names("listeners", plan.listeners.iter().map(|listener| &listener.name));
        self.check_route_names(&plan.listeners);
        let known: HashMap<&str, &Arc<Pool>> =
            self.previous.pools.iter().map(|pool| (pool.name.as_str(), pool)).collect();
        let mut pools = Vec::with_capacity(plan.pools.len());
        for (index, planned) in plan.pools.into_iter().enumerate() {
            let before = known.get(planned.name.as_str()).copied();
            let name = planned.name.clone();
            match self.pool(index, planned, before) {
                Some(pool) => pools.push(pool),
                None => self.unsound_pools.push(name),
            }
        }
        let by_name: Pools<'_> = pools.iter().map(|pool| (pool.name.as_str(), pool)).collect();
        let mut listeners = Vec::with_capacity(plan.listeners.len());
        for (index, planned) in plan.listeners.into_iter().enumerate() {
            listeners.extend(self.listener(index, planned, &by_name, generation).map(Arc::new));
        }
        let previous = self.previous.dns.as_ref();
        let dns = plan.dns.and_then(|planned| dns::load(planned, previous, self.workers, &mut self.errors));
        if self.errors.is_empty() {
            let snapshot = Snapshot { generation, listeners, pools, dns: dns.map(Arc::new) };
            Ok(Compiled { snapshot, changed: self.changed, warnings: self.warnings })
        } else {
            Err(self.errors)
        }
    }

    pub(crate) fn error(&mut self, path: impl Into<String>, message: impl std::fmt::Display) {
        self.errors.push(PlanError { path: path.into(), message: message.to_string() });
    }

    fn take<T, E: std::fmt::Display>(&mut self, path: impl Into<String>, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.error(path, error)).ok()
    }

    fn check_names<'n>(&mut self, list: &str, names: impl Iterator<Item = &'n String>) {
        let mut seen = HashSet::new();
        for (index, name) in names.enumerate() {
            if !seen.insert(name) {
                self.error(format!("{list}[{index}].name"), format!("`{name}` is used twice"));
            }
        }
    }

    /// A route's name is its label in metrics and logs, whichever listener it belongs to.
    fn check_route_names(&mut self, listeners: &[plan::Listener]) {
        let mut seen = HashSet::new();
        for (index, listener) in listeners.iter().enumerate() {
            for (number, route) in listener.routes.iter().enumerate() {
                if !seen.insert(&route.name) {
                    let path = format!("listeners[{index}].routes[{number}].name");
                    self.error(path, format!("`{}` is used twice", route.name));
                }
            }
        }
    }

    // --- Pools --------------------------------------------------------------------------------------------------

    fn pool(&mut self, index: usize, planned: plan::Pool, before: Option<&Arc<Pool>>) -> Option<Arc<Pool>> {
        let path = format!("pools[{index}]");
        let tls = self.pool_tls(&path, &planned, before.map(|before| &**before));
        let is_same = |before: &&Arc<Pool>| {
            before.plan == planned && is_same_identity(tls.as_ref(), before.tls.as_ref())
        };
        if let Some(same) = before.filter(is_same) {
            return Some(Arc::clone(same));
        }
        self.check_health(&path, &planned);
        self.check_names(&format!("{path}.servers"), planned.servers.iter().map(|server| &server.name));
        let servers: Vec<Arc<Server>> = planned
            .servers
            .iter()
            .map(|server| self.server(server, before, &planned, tls.as_ref()))
            .collect();
        let hash_key = if planned.algorithm.hashes() { Some(self.hash_key(&path, &planned)?) } else { None };
        let settings = trunkline_balance::Settings {
            slow_start_ns: planned.slow_start_ms * MS,
            panic_threshold: planned.panic_threshold,
            load_factor: (planned.ring == plan::RingKind::BoundedLoad)
                .then_some(trunkline_balance::DEFAULT_LOAD_FACTOR),
            ..trunkline_balance::Settings::new(algorithm(&planned))
        };
        let states = servers.iter().map(|server| Arc::clone(&server.state)).collect();
        let balancer = self.take(format!("{path}.algorithm"), Balancer::new(settings, states, next_id()))?;
        let outliers = match &planned.outlier {
            Some(outlier) => Some(self.outliers(&path, outlier, servers.len())?),
            None => None,
        };
        let budget = RetryBudgetSettings {
            ratio: planned.retry_budget.ratio,
            minimum_per_second: f64::from(planned.retry_budget.min_per_second),
            ..RetryBudgetSettings::default()
        };
        let retry_budget = self.take(format!("{path}.retry_budget"), RetryBudget::new(budget))?;
        let sticky = self.sticky(&path, &planned);
        let former = before.and_then(|before| before.bulkhead.as_ref());
        let bulkhead = self.bulkhead(&path, planned.concurrency.as_ref(), former);
        Some(Arc::new(Pool {
            name: planned.name.clone(),
            id: next_id(),
            servers,
            tls,
            balancer,
            hash_key,
            outliers,
            retry_budget,
            sticky,
            bulkhead,
            waiting: AtomicUsize::new(0),
            released: Notify::new(),
            plan: planned,
        }))
    }

    fn hash_key(&mut self, path: &str, planned: &plan::Pool) -> Option<HashKey> {
        let valid = "valid are ip, path, uri, header:NAME, query:NAME and cookie:NAME";
        let key = HashKey::parse(&planned.hash_key).ok_or_else(|| format!("`{}`: {valid}", planned.hash_key));
        self.take(format!("{path}.hash_key"), key)
    }

    fn server(
        &mut self,
        planned: &plan::Server,
        before: Option<&Arc<Pool>>,
        pool: &plan::Pool,
        tls: Option<&Arc<ClientTls>>,
    ) -> Arc<Server> {
        let dial = Dial::new(pool, tls, planned);
        let same = |known: &&Arc<Server>| {
            known.state.name() == planned.name
                && known.address == planned.address
                && known.state.priority() == planned.priority
        };
        let known = before.and_then(|before| before.servers.iter().find(same)).cloned();
        let server = match known {
            Some(server) => {
                self.changed.note(&server, pool.health.is_none());
                if server.dial.is_same(&dial) { server } else { redialed(&server, dial) }
            }
            None => self.new_server(planned, before.is_some(), pool, dial),
        };
        // What the operator set at run time holds until the configuration of this server says something new.
        let former =
            before.and_then(|pool| pool.plan.servers.iter().find(|server| server.name == planned.name));
        if former.is_none_or(|former| former.weight != planned.weight) {
            server.state.set_weight(planned.weight);
        }
        if former.is_none_or(|former| former.draining != planned.draining) {
            server.draining.store(planned.draining, Ordering::Relaxed);
        }
        server.state.set_max_active(planned.max_connections);
        server.settle_standing();
        server
    }

    /// A server that joins a running pool warms up like one that came back.
    fn new_server(&self, planned: &plan::Server, joins: bool, pool: &plan::Pool, dial: Dial) -> Arc<Server> {
        let state = trunkline_balance::Server::new(&planned.name, planned.weight, planned.priority);
        if joins && pool.slow_start_ms > 0 {
            state.restart_slow_start(self.now_ns);
        }
        Arc::new(Server {
            id: next_id(),
            address: planned.address,
            dial,
            state: Arc::new(state),
            check: CheckReport::default(),
            enabled: AtomicBool::new(true),
            draining: AtomicBool::new(planned.draining),
            cells: Arc::new(PerWorker::new(self.workers)),
        })
    }

    fn outliers(&mut self, path: &str, planned: &plan::Outlier, servers: usize) -> Option<Outliers> {
        if planned.max_ejection_ms < planned.base_ejection_ms {
            self.error(format!("{path}.outlier.max_ejection"), "must be at least base_ejection");
            return None;
        }
        let settings = OutlierSettings {
            consecutive_failures: Some(planned.consecutive_failures),
            base_ejection_ns: planned.base_ejection_ms * MS,
            max_ejection_ns: planned.max_ejection_ms * MS,
            max_ejected_share: planned.max_ejected,
            ..OutlierSettings::default()
        };
        self.take(format!("{path}.outlier"), Outliers::new(servers, settings))
    }

    // --- Listeners ----------------------------------------------------------------------------------------------

    fn listener(
        &mut self,
        index: usize,
        planned: plan::Listener,
        pools: &Pools<'_>,
        generation: u64,
    ) -> Option<Listener> {
        let path = format!("listeners[{index}]");
        let before = self.previous.listener(&planned.name).cloned();
        let limits = planned.limits;
        self.check_limits(&path, &limits);
        let forwarding = self.take(format!("{path}.forwarding"), Forwarding::compile(&planned.forwarding));
        let tls = self.listener_tls(&path, planned.tls.as_ref(), before.as_deref());
        let proxy = self.proxy_policy(&path, planned.proxy_protocol.as_ref());
        let known: HashMap<&str, &Route> = before
            .iter()
            .flat_map(|listener| &listener.routes)
            .map(|route| (route.name.as_str(), route))
            .collect();
        let (mut entries, mut routes) = (Vec::new(), Vec::new());
        for (number, mut wanted) in planned.routes.into_iter().enumerate() {
            if planned.forwarding.request_id && !wanted.filters.iter().any(is_request_id) {
                // Behind the others, so that their positions in error messages stay right.
                wanted.filters.push(plan::Filter::RequestId { trust: true });
            }
            let at = format!("{path}.routes[{number}]");
            let (entry, route) = self.route(&at, wanted, pools, &known);
            entries.push(entry);
            routes.extend(route);
        }
        let table = match Router::compile(entries) {
            Ok(table) => table,
            Err(errors) => {
                for error in errors {
                    self.error(format!("{path}.routes[{}].{}", error.route, error.key), error.fault);
                }
                return None;
            }
        };
        Some(Listener {
            generation,
            name: planned.name,
            addresses: planned.addresses,
            router: table,
            routes,
            head_limits: Limits {
                head_bytes: limits.head_bytes,
                headers: limits.headers,
                target_bytes: limits.target_bytes,
            },
            limits,
            timeouts: planned.timeouts,
            forwarding: forwarding?,
            tls,
            proxy,
            http2: planned.http2,
            tokens: Arc::clone(self.tokens),
            reason_header: planned.reason_header,
            access_log: planned.access_log,
            cells: before
                .as_ref()
                .map_or_else(|| Arc::new(PerWorker::new(self.workers)), |before| Arc::clone(&before.cells)),
            gate: before.as_ref().map(|before| Arc::clone(&before.gate)).unwrap_or_default(),
        })
    }

    fn check_limits(&mut self, path: &str, limits: &plan::ClientLimits) {
        if !(512..=ORDINARY_BYTES).contains(&limits.head_bytes) {
            self.error(format!("{path}.limits.head_bytes"), format!("must be 512 to {ORDINARY_BYTES}"));
        }
        if !(1..=MAX_HEADERS).contains(&limits.headers) {
            self.error(format!("{path}.limits.headers"), format!("must be 1 to {MAX_HEADERS}"));
        }
        if limits.connections == 0 {
            self.error(format!("{path}.limits.connections"), "must be at least 1");
        }
    }

    /// The entry for the router is there even if the rest is wrong, so that all errors are found at once.
    fn route(
        &mut self,
        path: &str,
        mut planned: plan::Route,
        pools: &Pools<'_>,
        known: &HashMap<&str, &Route>,
    ) -> (trunkline_route::Route, Option<Route>) {
        let chain = Chain::compile(&planned.name, &planned.filters, self.environment);
        let chain = self.take_all(path, chain);
        let rewrite = match &planned.rewrite {
            Some(rewrite) => {
                let compiled = Rewrite::compile(&planned.name, rewrite);
                self.take_all(path, compiled).map(Some)
            }
            None => Some(None),
        };
        let known = known.get(planned.name.as_str()).copied();
        let sides = self.sides(path, &planned, pools, known);
        let (Some(chain), Some(rewrite), Some(sides)) = (chain, rewrite, sides) else {
            return (table_entry(planned), None);
        };
        if chain.answers_preflights()
            && !planned.methods.is_empty()
            && !planned.methods.iter().any(|method| method == "OPTIONS")
        {
            planned.methods.push("OPTIONS".to_owned());
        }
        if planned.grpc_web && sides.all().any(|pool| pool.plan.protocol != plan::Protocol::Http2) {
            self.error(format!("{path}.grpc_web"), "needs a pool with protocol `h2`");
        }
        let compression =
            planned.compression.as_ref().and_then(|compression| self.compression(path, compression));
        let mirror = self.mirror(path, &planned, &sides, pools, known);
        let hedging = self.hedging(path, planned.hedge.as_ref(), known);
        let former = known.and_then(|known| known.bulkhead.as_ref());
        let bulkhead = self.bulkhead(path, planned.concurrency.as_ref(), former);
        let route = Route {
            name: planned.name.clone(),
            sides,
            chain,
            rewrite,
            compression,
            grpc_web: planned.grpc_web,
            timeouts: planned.timeouts,
            retry: plan::Retry { attempts: planned.retry.attempts.max(1), ..planned.retry.clone() },
            mirror,
            hedging,
            buffer_request_bytes: planned.buffer_request_bytes,
            allows_connect: planned.methods.iter().any(|method| method == "CONNECT"),
            bulkhead,
            cells: known
                .map_or_else(|| Arc::new(PerWorker::new(self.workers)), |known| Arc::clone(&known.cells)),
        };
        (table_entry(planned), Some(route))
    }

    fn compression(&mut self, path: &str, planned: &plan::Compression) -> Option<trunkline_compress::Policy> {
        let errors = match trunkline_compress::Policy::compile(planned) {
            Ok(policy) => return Some(policy),
            Err(errors) => errors,
        };
        for error in errors {
            match error {
                trunkline_compress::Error::Plan { key, problem } => {
                    self.error(format!("{path}.compression.{key}"), problem);
                }
                other @ trunkline_compress::Error::Encoder { .. } => {
                    self.error(format!("{path}.compression"), other);
                }
            }
        }
        None
    }

    fn take_all<T>(&mut self, path: &str, result: Result<T, Vec<trunkline_filter::Error>>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(errors) => {
                for error in &errors {
                    self.error(place(path, error), detail(error));
                }
                None
            }
        }
    }
}

/// The same server with another id, because its connections cannot be used any more.
fn redialed(server: &Server, dial: Dial) -> Arc<Server> {
    Arc::new(Server {
        id: next_id(),
        address: server.address,
        dial,
        state: Arc::clone(&server.state),
        check: CheckReport::default(),
        enabled: AtomicBool::new(server.enabled.load(Ordering::Relaxed)),
        draining: AtomicBool::new(server.draining.load(Ordering::Relaxed)),
        cells: Arc::clone(&server.cells),
    })
}

fn is_request_id(filter: &plan::Filter) -> bool {
    matches!(filter, plan::Filter::RequestId { .. })
}

/// The plan path of a filter's error.
fn place(path: &str, error: &trunkline_filter::Error) -> String {
    match error {
        trunkline_filter::Error::Filter { position, key, .. } => format!("{path}.filters[{position}].{key}"),
        trunkline_filter::Error::Rewrite { key, .. } => format!("{path}.rewrite.{key}"),
        trunkline_filter::Error::Consumer { name, .. } => format!("consumers.{name}"),
    }
}

fn detail(error: &trunkline_filter::Error) -> &str {
    match error {
        trunkline_filter::Error::Filter { problem, .. }
        | trunkline_filter::Error::Rewrite { problem, .. }
        | trunkline_filter::Error::Consumer { problem, .. } => problem,
    }
}

fn table_entry(planned: plan::Route) -> trunkline_route::Route {
    use trunkline_route::PathPattern;
    trunkline_route::Route {
        name: planned.name,
        hosts: planned.hosts,
        methods: planned.methods,
        path: match planned.path {
            plan::PathPattern::Exact(path) => PathPattern::Exact(path),
            plan::PathPattern::Prefix(path) => PathPattern::Prefix(path),
            plan::PathPattern::Template(path) => PathPattern::Template(path),
            plan::PathPattern::Regex(path) => PathPattern::Regex(path),
        },
        headers: planned.headers.into_iter().map(predicate).collect(),
        query: planned.query.into_iter().map(predicate).collect(),
        cookies: planned.cookies.into_iter().map(predicate).collect(),
        priority: planned.priority,
    }
}

fn predicate(planned: plan::Predicate) -> trunkline_route::Predicate {
    use trunkline_route::Test;
    let test = match planned.test {
        plan::Test::Present(true) => Test::Present,
        plan::Test::Present(false) => Test::Absent,
        plan::Test::Equals(value) => Test::Equals(value),
        plan::Test::Prefix(value) => Test::Prefix(value),
        plan::Test::Suffix(value) => Test::Suffix(value),
        plan::Test::Contains(value) => Test::Contains(value),
        plan::Test::Regex(value) => Test::Regex(value),
    };
    trunkline_route::Predicate { name: planned.name, test }
}

fn algorithm(planned: &plan::Pool) -> Algorithm {
    match planned.algorithm {
        plan::Algorithm::RoundRobin => Algorithm::RoundRobin,
        plan::Algorithm::WeightedRoundRobin => Algorithm::WeightedRoundRobin,
        plan::Algorithm::LeastConnections => Algorithm::LeastConnections,
        plan::Algorithm::WeightedLeastConnections => Algorithm::WeightedLeastConnections,
        plan::Algorithm::Hash => Algorithm::Hash,
        plan::Algorithm::PowerOfTwo => Algorithm::PowerOfTwo,
        plan::Algorithm::PeakEwma => Algorithm::PeakEwma,
        plan::Algorithm::ConsistentHash => Algorithm::ConsistentHash(match planned.ring {
            // Bounded load is ketama with a cap on each server's share.
            plan::RingKind::Ketama | plan::RingKind::BoundedLoad => RingKind::Ketama,
            plan::RingKind::Maglev => RingKind::Maglev { table_size: MAGLEV_SLOTS },
            plan::RingKind::Jump => RingKind::Jump,
            plan::RingKind::Rendezvous => RingKind::Rendezvous,
        }),
    }
}
