//! The plan: what the control plane asks the engine to serve, as JSON. Python validates what people write and makes this;
//! the engine compiles it into a snapshot. Times are whole milliseconds, sizes bytes, addresses `ip:port` (names are resolved
//! by the control plane). Every field without a default must be present; unknown fields are refused.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
pub use trunkline_compress::plan::Compression;
pub use trunkline_concurrency::plan::Concurrency;
pub use trunkline_filter::plan::{Consumer, Filter, Rewrite, Sticky};
pub use trunkline_tls::plan::{Client as UpstreamTls, Server as ListenerTls};
pub use trunkline_traffic::plan::{Hedge, Mirror, Share};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    pub listeners: Vec<Listener>,
    pub pools: Vec<Pool>,
    #[serde(default)]
    pub consumers: Vec<Consumer>,
    #[serde(default)]
    pub access_log: Option<AccessLog>,
    #[serde(default)]
    pub dns: Option<Dns>,
}

/// The nameserver.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dns {
    /// Each for datagrams and for connections.
    pub addresses: Vec<SocketAddr>,
    #[serde(default)]
    pub zones: Vec<Zone>,
    /// What `id.server` and NSID tell; empty = nothing.
    #[serde(default)]
    pub identity: String,
    /// What `version.server` tells; empty = nothing.
    #[serde(default)]
    pub version: String,
    /// Open TCP connections, over all workers and addresses.
    pub connections: u32,
    /// How long such a connection may be silent.
    pub idle_ms: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Zone {
    pub name: String,
    pub file: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// Unique, e.g. `lb.http.front`: the identity under which counters carry over.
    pub name: String,
    pub addresses: Vec<SocketAddr>,
    pub routes: Vec<Route>,
    #[serde(default)]
    pub timeouts: ClientTimeouts,
    #[serde(default)]
    pub limits: ClientLimits,
    #[serde(default)]
    pub forwarding: Forwarding,
    /// None = plain.
    #[serde(default)]
    pub tls: Option<ListenerTls>,
    #[serde(default)]
    pub http2: Http2,
    /// Connections begin with a PROXY protocol header.
    #[serde(default)]
    pub proxy_protocol: Option<ProxyProtocol>,
    /// Put the reason code of a refusal into `X-Trunkline-Reason`.
    #[serde(default)]
    pub reason_header: bool,
    #[serde(default = "yes")]
    pub access_log: bool,
}

/// 0 switches a timeout off.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClientTimeouts {
    /// From the first byte of a request (or the accept) to the end of its head.
    pub request_head_ms: u64,
    /// Between two reads of a request body, or two writes of a response.
    pub body_idle_ms: u64,
    /// Idle between two requests.
    pub keep_alive_ms: u64,
    /// Without a byte in either direction after an upgrade.
    pub tunnel_idle_ms: u64,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClientLimits {
    /// Open client connections of this listener, over all workers.
    pub connections: u32,
    /// Requests on one connection before it is closed; 0 = no limit.
    pub requests_per_connection: u32,
    pub head_bytes: usize,
    pub headers: usize,
    pub target_bytes: usize,
    /// 0 = no limit.
    pub body_bytes: u64,
}

/// HTTP/2 towards clients. Over TLS the client asks for it (ALPN), in the clear it begins with the preface (RFC 9113 §3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http2 {
    /// In the clear; over TLS the list of `alpn` decides.
    pub cleartext: bool,
    /// Requests at a time on one connection.
    pub max_concurrent_streams: u32,
    /// What a client may send on a stream, and on a connection, before it is passed on.
    pub stream_window_bytes: u32,
    pub connection_window_bytes: u32,
    /// WebSocket over HTTP/2 (RFC 8441).
    pub extended_connect: bool,
}

/// Who says whose connection it is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProxyProtocol {
    /// Networks whose connections begin with a header; empty = all. Others are taken as they come.
    #[serde(default)]
    pub trusted: Vec<String>,
    /// Until the header is complete.
    #[serde(default = "three_seconds")]
    pub timeout_ms: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Forwarding {
    pub style: ForwardingStyle,
    /// Networks (`10.0.0.0/8`) whose forwarding headers are believed.
    pub trusted: Vec<String>,
    /// Pseudonym for `Via`; none = no Via.
    pub via: Option<String>,
    /// Make or pass on `X-Request-Id`.
    pub request_id: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForwardingStyle {
    /// `X-Forwarded-For`, `-Proto`, `-Host`.
    XForwarded,
    /// RFC 7239 `Forwarded`.
    Forwarded,
    Off,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Unique within the plan: the identity of its counters.
    pub name: String,
    #[serde(default)]
    pub hosts: Vec<String>,
    #[serde(default)]
    pub methods: Vec<String>,
    pub path: PathPattern,
    #[serde(default)]
    pub headers: Vec<Predicate>,
    #[serde(default)]
    pub query: Vec<Predicate>,
    #[serde(default)]
    pub cookies: Vec<Predicate>,
    #[serde(default)]
    pub priority: i32,
    /// The pool, unless `split` names several.
    #[serde(default)]
    pub pool: Option<String>,
    #[serde(default)]
    pub split: Vec<Share>,
    /// `ip`, `header:NAME` or `cookie:NAME`: one client always gets the same side. None = by turns.
    #[serde(default)]
    pub split_by: Option<String>,
    #[serde(default)]
    pub mirror: Option<Mirror>,
    #[serde(default)]
    pub hedge: Option<Hedge>,
    #[serde(default)]
    pub compression: Option<Compression>,
    #[serde(default)]
    pub concurrency: Option<Concurrency>,
    /// Take the whole body in, up to so many bytes, before a server is chosen: a slow client then holds no server, and the request may be
    /// tried again. 0 = pass on as it comes.
    #[serde(default)]
    pub buffer_request_bytes: u64,
    /// Translate gRPC-Web of browsers into gRPC.
    #[serde(default)]
    pub grpc_web: bool,
    #[serde(default)]
    pub filters: Vec<Filter>,
    #[serde(default)]
    pub rewrite: Option<Rewrite>,
    #[serde(default)]
    pub timeouts: RouteTimeouts,
    #[serde(default)]
    pub retry: Retry,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "kind", content = "value", rename_all = "snake_case", deny_unknown_fields)]
pub enum PathPattern {
    Exact(String),
    Prefix(String),
    Template(String),
    Regex(String),
}

/// A condition on a header, a query parameter or a cookie.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Predicate {
    pub name: String,
    #[serde(flatten)]
    pub test: Test,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Test {
    /// `false`: absent.
    Present(bool),
    Equals(String),
    Prefix(String),
    Suffix(String),
    Contains(String),
    Regex(String),
}

/// 0 switches a timeout off.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RouteTimeouts {
    /// From the request sent to the response head, per try.
    pub response_head_ms: u64,
    /// Between two reads of the response body.
    pub body_idle_ms: u64,
    /// The whole exchange, retries included.
    pub total_ms: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// Tries in all; 1 = no retry.
    pub attempts: u32,
    /// Which failures: `connect`, `reset` (closed or reset before a response byte), `timeout`, `status` (see `statuses`).
    pub on: Vec<RetryOn>,
    pub statuses: Vec<u16>,
    /// Methods that may be retried after request bytes were sent; a failed connect may always be.
    pub methods: Vec<String>,
    /// First pause; doubles per try, with full jitter.
    pub backoff_ms: u64,
    pub backoff_max_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryOn {
    Connect,
    Reset,
    Timeout,
    Status,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// Unique within the plan: the identity under which health, EWMA and connections carry over.
    pub name: String,
    pub servers: Vec<Server>,
    #[serde(default)]
    pub algorithm: Algorithm,
    /// For `consistent_hash`: `ketama`, `maglev`, `jump`, `rendezvous`, `bounded_load`.
    #[serde(default)]
    pub ring: RingKind,
    /// For the hashing algorithms: `ip`, `path`, `uri`, `header:NAME`, `query:NAME`, `cookie:NAME`.
    #[serde(default = "by_ip")]
    pub hash_key: String,
    #[serde(default = "second")]
    pub connect_timeout_ms: u64,
    #[serde(default)]
    pub keep_alive: KeepAlive,
    #[serde(default)]
    pub queue: Queue,
    #[serde(default)]
    pub slow_start_ms: u64,
    /// Share (0 to 1) of healthy servers below which health is ignored; 0 = never.
    #[serde(default)]
    pub panic_threshold: f64,
    #[serde(default)]
    pub health: Option<Health>,
    #[serde(default)]
    pub outlier: Option<Outlier>,
    #[serde(default)]
    pub retry_budget: RetryBudget,
    #[serde(default)]
    pub protocol: Protocol,
    /// None = plain.
    #[serde(default)]
    pub tls: Option<UpstreamTls>,
    /// The header that tells servers who the client is; such connections serve one request.
    #[serde(default)]
    pub proxy_protocol: Option<ProxyVersion>,
    #[serde(default)]
    pub sticky: Option<Sticky>,
    #[serde(default)]
    pub concurrency: Option<Concurrency>,
}

/// What servers speak.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protocol {
    #[default]
    #[serde(rename = "http/1.1")]
    Http1,
    /// Over TLS by ALPN, else with prior knowledge (RFC 9113 §3.3).
    #[serde(rename = "h2")]
    Http2,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum ProxyVersion {
    #[serde(rename = "v1")]
    V1,
    #[serde(rename = "v2")]
    V2,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// What people call it; defaults to the address on the control side.
    pub name: String,
    pub address: SocketAddr,
    /// The host that was configured, for SNI and the certificate; none = the address.
    #[serde(default)]
    pub host: Option<String>,
    #[serde(default = "one")]
    pub weight: u32,
    /// 0 first; higher numbers are backups.
    #[serde(default)]
    pub priority: u8,
    /// Open requests over all workers; 0 = no limit.
    #[serde(default)]
    pub max_connections: u32,
    #[serde(default)]
    pub draining: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    #[default]
    RoundRobin,
    WeightedRoundRobin,
    LeastConnections,
    WeightedLeastConnections,
    Hash,
    ConsistentHash,
    PowerOfTwo,
    PeakEwma,
}

impl Algorithm {
    /// Whether the request's hash key matters.
    pub fn hashes(self) -> bool {
        matches!(self, Self::Hash | Self::ConsistentHash)
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RingKind {
    #[default]
    Ketama,
    Maglev,
    Jump,
    Rendezvous,
    BoundedLoad,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeepAlive {
    /// Idle connections kept per server and worker; 0 = none.
    pub idle: usize,
    pub idle_timeout_ms: u64,
    /// Requests on one upstream connection; 0 = no limit.
    pub requests: u32,
}

/// Requests that wait because every eligible server is at `max_connections`.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Queue {
    pub length: usize,
    pub timeout_ms: u64,
}

/// Active checks.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Health {
    pub kind: HealthKind,
    #[serde(default = "slash")]
    pub path: String,
    #[serde(default)]
    pub host: Option<String>,
    /// Accepted statuses, as inclusive ranges; empty = 200 to 399.
    #[serde(default)]
    pub statuses: Vec<(u16, u16)>,
    /// The first 64 KB of the body must contain this.
    #[serde(default)]
    pub body_contains: Option<String>,
    /// For `grpc`: the service to ask for; empty = the server as a whole.
    #[serde(default)]
    pub service: String,
    #[serde(default = "two_seconds")]
    pub interval_ms: u64,
    #[serde(default = "second")]
    pub timeout_ms: u64,
    /// Good checks in a row until a server is up.
    #[serde(default = "two")]
    pub rise: u32,
    /// Bad checks in a row until it is down.
    #[serde(default = "three")]
    pub fall: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthKind {
    Tcp,
    Http,
    /// `grpc.health.v1.Health/Check`.
    Grpc,
}

/// Passive checks: a server that keeps failing real requests is left out for a while.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Outlier {
    pub consecutive_failures: u32,
    pub base_ejection_ms: u64,
    pub max_ejection_ms: u64,
    /// Share (0 to 1) of the pool that may be out at once.
    pub max_ejected: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetryBudget {
    /// Retries per request, e.g. 0.2.
    pub ratio: f64,
    pub min_per_second: u32,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessLog {
    /// A file's path, or `-` for standard output.
    pub path: String,
    /// Log one request in so many.
    #[serde(default = "one")]
    pub sample: u32,
    /// Log every refused or failed (5xx) request, whatever `sample` says.
    #[serde(default = "yes")]
    pub always_errors: bool,
}

// --- Defaults: they stand here once; the Python models leave a key out when the user did ----------------------------

impl Default for ClientTimeouts {
    fn default() -> Self {
        Self {
            request_head_ms: 10_000,
            body_idle_ms: 30_000,
            keep_alive_ms: 75_000,
            tunnel_idle_ms: 3_600_000,
        }
    }
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self {
            connections: 100_000,
            requests_per_connection: 0,
            head_bytes: 16_384,
            headers: 100,
            target_bytes: 8_192,
            body_bytes: 0,
        }
    }
}

impl Default for Http2 {
    fn default() -> Self {
        let trunkline_http2::Settings {
            max_concurrent_streams,
            stream_window_bytes,
            connection_window_bytes,
            ..
        } = trunkline_http2::Settings::default();
        Self {
            cleartext: true,
            max_concurrent_streams,
            stream_window_bytes,
            connection_window_bytes,
            extended_connect: true,
        }
    }
}

impl Default for Forwarding {
    fn default() -> Self {
        Self { style: ForwardingStyle::XForwarded, trusted: Vec::new(), via: None, request_id: false }
    }
}

impl Default for RouteTimeouts {
    fn default() -> Self {
        Self { response_head_ms: 60_000, body_idle_ms: 60_000, total_ms: 0 }
    }
}

impl Default for Retry {
    fn default() -> Self {
        let methods = ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"];
        Self {
            attempts: 3,
            on: vec![RetryOn::Connect, RetryOn::Reset],
            statuses: Vec::new(),
            methods: methods.map(String::from).to_vec(),
            backoff_ms: 0,
            backoff_max_ms: 1_000,
        }
    }
}

impl Default for KeepAlive {
    fn default() -> Self {
        Self { idle: 256, idle_timeout_ms: 60_000, requests: 0 }
    }
}

impl Default for Queue {
    fn default() -> Self {
        Self { length: 1_024, timeout_ms: 5_000 }
    }
}

impl Default for Outlier {
    fn default() -> Self {
        Self { consecutive_failures: 5, base_ejection_ms: 10_000, max_ejection_ms: 300_000, max_ejected: 0.5 }
    }
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self { ratio: 0.2, min_per_second: 10 }
    }
}

fn yes() -> bool {
    true
}

fn one() -> u32 {
    1
}

fn two() -> u32 {
    2
}

fn three() -> u32 {
    3
}

fn second() -> u64 {
    1_000
}

fn two_seconds() -> u64 {
    2_000
}

fn three_seconds() -> u64 {
    3_000
}

fn by_ip() -> String {
    "ip".into()
}

fn slash() -> String {
    "/".into()
}
