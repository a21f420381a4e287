//! The plan's filters: what the control plane asks a route's chain to do, as JSON. Unknown fields are refused.
//! Times are whole milliseconds. Filters run in the order of their array; the response phase runs in reverse.

use serde::Deserialize;

use crate::secret::Secret;

/// One step of a chain, tagged by `type`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Filter {
    /// Takes `X-Request-Id` from the client (if `trust`) or makes one; sends it up and down.
    RequestId {
        #[serde(default)]
        trust: bool,
    },
    /// First match decides between the two lists; `deny` wins; an `allow` list that is not empty refuses the rest (403).
    IpAccess {
        #[serde(default)]
        allow: Vec<String>,
        #[serde(default)]
        deny: Vec<String>,
    },
    Cors(Cors),
    /// 401 without a known key; the consumer's name is then known to later filters.
    ApiKey(ApiKey),
    Jwt(Jwt),
    RateLimit(RateLimit),
    CircuitBreaker(CircuitBreaker),
    /// Header edits on the way up and down; values are templates (see `Rewrite`).
    Headers {
        #[serde(default)]
        request: HeaderEdits,
        #[serde(default)]
        response: HeaderEdits,
    },
    Redirect(Redirect),
    /// A fixed answer; nothing behind it is reached.
    Respond(StaticResponse),
    Maintenance(Maintenance),
    /// 413 / 431 beyond these; 0 = no limit.
    SizeLimit {
        #[serde(default)]
        body_bytes: u64,
        #[serde(default)]
        head_bytes: u64,
    },
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
pub struct Cors {
    /// Exact origins, `*`, or `https://*.example.com`.
    pub origins: Vec<String>,
    pub methods: Vec<String>,
    pub headers: Vec<String>,
    pub expose: Vec<String>,
    pub credentials: bool,
    pub max_age_s: u32,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKey {
    /// Header that carries the key, e.g. `X-API-Key`.
    #[serde(default)]
    pub header: Option<String>,
    /// Query parameter that carries it.
    #[serde(default)]
    pub query: Option<String>,
    /// Consumers that may pass; empty = every consumer of the plan.
    #[serde(default)]
    pub consumers: Vec<String>,
    /// Send the key on to the upstream.
    #[serde(default)]
    pub forward: bool,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jwt {
    /// Allowed algorithms out of HS256, RS256, ES256: never what the token says alone.
    pub algorithms: Vec<String>,
    /// HS256 secret.
    #[serde(default)]
    pub secret: Option<Secret>,
    /// PEM public key for RS256 or ES256.
    #[serde(default)]
    pub public_key: Option<String>,
    /// JWKS document (the text, read by the control plane from the file that the user names).
    #[serde(default)]
    pub jwks: Option<Secret>,
    #[serde(default)]
    pub issuer: Option<String>,
    #[serde(default)]
    pub audience: Option<String>,
    #[serde(default)]
    pub leeway_s: u64,
    /// Claim that names the consumer; default `sub`.
    #[serde(default)]
    pub consumer_claim: Option<String>,
    /// Send the token on to the upstream.
    #[serde(default = "yes")]
    pub forward: bool,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Limiters of one name share their counts; carry over config swaps if the quota is the same.
    pub name: String,
    /// `ip`, `consumer`, `api` (one count for the route), `header:NAME`.
    pub key: String,
    /// `token_bucket`, `leaky_bucket` (or `leaky_meter`), `leaky_queue`, `fixed_window`, `sliding_window`, `gcra`.
    pub algorithm: String,
    pub limit: u64,
    pub period_ms: u64,
    /// Default: `limit`.
    #[serde(default)]
    pub burst: Option<u64>,
    #[serde(default = "one")]
    pub cost: u64,
    /// Keys remembered at once.
    #[serde(default = "many")]
    pub capacity: usize,
    /// Send `RateLimit` and `RateLimit-Policy` on every response, not only `Retry-After` on 429.
    #[serde(default = "yes")]
    pub headers: bool,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CircuitBreaker {
    /// Breakers of one name share their state; carries over config swaps if the settings are the same.
    pub name: String,
    #[serde(default)]
    pub consecutive_failures: Option<u32>,
    #[serde(default)]
    pub failure_ratio: Option<f64>,
    #[serde(default)]
    pub slow_ratio: Option<f64>,
    #[serde(default)]
    pub slow_ms: Option<u64>,
    #[serde(default = "ten_seconds")]
    pub window_ms: u64,
    #[serde(default = "twenty")]
    pub min_calls: u32,
    #[serde(default = "five_seconds")]
    pub open_ms: u64,
    #[serde(default = "three")]
    pub probes: u32,
    /// Statuses that count as failures, inclusive ranges; empty = 500 to 599. No answer at all always does.
    #[serde(default)]
    pub failures: Vec<(u16, u16)>,
    /// Answered instead of 503 while open.
    #[serde(default)]
    pub fallback: Option<StaticResponse>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StaticResponse {
    pub status: u16,
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    #[serde(default)]
    pub body: String,
}

/// Sends the client to another URL: the request's own, but for what is given. A request that is there already passes.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redirect {
    /// 301, 302, 303, 307 or 308.
    #[serde(default = "found")]
    pub status: u16,
    /// `http` or `https`.
    #[serde(default)]
    pub scheme: Option<String>,
    /// A template.
    #[serde(default)]
    pub host: Option<String>,
    /// None = the request's if host and scheme stay, else the scheme's own.
    #[serde(default)]
    pub port: Option<u16>,
    /// This and the next three: as in [`Rewrite`].
    #[serde(default)]
    pub path: Option<String>,
    #[serde(default)]
    pub strip_prefix: Option<String>,
    #[serde(default)]
    pub add_prefix: Option<String>,
    #[serde(default)]
    pub regex: Option<RegexRewrite>,
    #[serde(default = "yes")]
    pub keep_query: bool,
}

/// 503 for everyone outside of `allow`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Maintenance {
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Networks that pass.
    #[serde(default)]
    pub allow: Vec<String>,
    /// 0 = say nothing.
    #[serde(default)]
    pub retry_after_s: u64,
    /// None = a few words of JSON, as for every refusal.
    #[serde(default)]
    pub page: Option<String>,
    #[serde(default = "html")]
    pub content_type: String,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HeaderEdits {
    pub remove: Vec<String>,
    /// Replaces.
    pub set: Vec<(String, String)>,
    /// Appends another line.
    pub add: Vec<(String, String)>,
}

/// What changes between the front end's request and the back end's. Values are templates: text with `{id}` (path
/// parameter), `{query.NAME}`, `{header.NAME}`, `{client_ip}`, `{host}`, `{method}`, `{path}`, `{scheme}`, `{consumer}`,
/// `{request_id}`; `{{` and `}}` are braces. Edits of responses know `{upstream_status}` too: `000` if no server answered.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rewrite {
    pub method: Option<String>,
    /// The whole new path; parameters are inserted percent-encoded.
    pub path: Option<String>,
    /// Taken off the front of the path (segments), before `add_prefix`; not with `path`.
    pub strip_prefix: Option<String>,
    pub add_prefix: Option<String>,
    /// Not with the three above.
    pub regex: Option<RegexRewrite>,
    /// Value of Host for the upstream; none = the client's.
    pub host: Option<String>,
    pub headers: HeaderEdits,
    pub query: QueryEdits,
}

/// Replaces the first match in the path.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegexRewrite {
    /// Of crate `regex`; matches anywhere unless it says `^` and `$`.
    pub pattern: String,
    /// A template that knows the groups besides: `{name}`, `{1}`; `{0}` is the whole match.
    pub replace: String,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QueryEdits {
    /// Drop the client's query string before `set`.
    pub clear: bool,
    pub remove: Vec<String>,
    pub set: Vec<(String, String)>,
}

/// A cookie that keeps a client at its server.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sticky {
    #[serde(default = "trunkline")]
    pub name: String,
    /// 32 bytes at least each; the first one signs, all are believed.
    pub keys: Vec<Secret>,
    /// 0 = until the browser closes.
    #[serde(default)]
    pub max_age_s: u64,
    #[serde(default = "slash")]
    pub path: String,
    #[serde(default)]
    pub domain: Option<String>,
    #[serde(default = "yes")]
    pub http_only: bool,
    /// None = if the request came by TLS.
    #[serde(default)]
    pub secure: Option<bool>,
    #[serde(default)]
    pub same_site: SameSite,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SameSite {
    Strict,
    #[default]
    Lax,
    None,
}

/// Who may call, by credential. Keys are hashed at compile time; they are never logged.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consumer {
    pub name: String,
    #[serde(default)]
    pub keys: Vec<Secret>,
}

fn yes() -> bool {
    true
}

fn one() -> u64 {
    1
}

fn found() -> u16 {
    302
}

fn html() -> String {
    "text/html; charset=utf-8".to_owned()
}

fn trunkline() -> String {
    "trunkline".to_owned()
}

fn slash() -> String {
    "/".to_owned()
}

fn many() -> usize {
    100_000
}

fn three() -> u32 {
    3
}

fn twenty() -> u32 {
    20
}

fn five_seconds() -> u64 {
    5_000
}

fn ten_seconds() -> u64 {
    10_000
}
