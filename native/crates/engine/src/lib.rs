//! # trunkline-engine: the data plane.
//!
//! Worker threads with one event loop each accept connections, read requests, choose servers and relay answers; a control side
//! compiles plans into snapshots and hands them over. Reading order: [`plan`] (what is asked for), `snapshot` (what it becomes),
//! `worker`, `greet` (how a connection begins), `client` (HTTP/1.1) and `h2` (HTTP/2), `wire` (what a message goes over), `transport` and
//! `secure` (bytes, plain or in TLS), `body` (how bodies end), `exchange` (one request decided; `facts`
//! is what stays known of it, `outgoing` the head that its server gets), `forward` (tries; `queue`, `arrival`,
//! `retry` and `patience` are their parts), `reply` and `relay` (the answer), `upload` and `tunnel` (the other cases), `answer` (our
//! own), `settle` (what is counted). Traffic management, compiled by `traffic`: `sides`, `sticky`, `buffering`, `bulkhead`, `mirror`,
//! `hedge`.

mod acceptor;
mod answer;
mod arrival;
mod block;
mod body;
mod buffering;
mod bulkhead;
mod cells;
mod client;
mod clock;
mod compile;
mod date;
mod dns;
mod edges;
mod engine;
mod exchange;
mod explain;
mod facts;
mod failure;
mod filter_state;
mod forward;
mod forwarding;
mod gate;
mod greet;
mod grpc;
mod h2;
mod hash_key;
mod health;
mod hedge;
mod hops;
mod listening;
mod metrics;
mod mirror;
mod outgoing;
mod patience;
pub mod plan;
mod proxy;
mod queue;
mod recent;
mod relay;
mod reply;
mod retry;
mod secure;
mod settle;
mod sides;
mod snapshot;
mod splice;
mod status;
mod sticky;
mod timer;
mod tokens;
mod traffic;
mod transform;
mod transport;
mod tunnel;
mod upload;
mod upstream;
mod websocket;
mod wire;
mod worker;

pub use compile::PlanError;
pub use engine::{Applied, ApplyError, Engine};
pub use explain::{ExplainError, Question};
