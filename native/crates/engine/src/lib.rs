//! # trunkline-engine: the data plane.
//!
//! Worker threads with one event loop each accept connections, read requests, choose servers and relay answers; a control side
//! compiles plans into snapshots and hands them over. Reading order: [`plan`] (what is asked for), `snapshot` (what it becomes),
//! `worker`, `client` (one connection), `exchange` (one request decided), `forward` (tries), `reply` and `relay` (the answer),
//! `upload` and `tunnel` (the other cases), `answer` (our own), `settle` (what is counted).

mod acceptor;
mod answer;
mod block;
mod body;
mod cells;
mod client;
mod clock;
mod compile;
mod date;
mod edges;
mod engine;
mod exchange;
mod explain;
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
mod metrics;
pub mod plan;
mod proxy;
mod recent;
mod relay;
mod reply;
mod secure;
mod settle;
mod snapshot;
mod splice;
mod status;
mod timer;
mod tokens;
mod transform;
mod transport;
mod tunnel;
mod upload;
mod upstream;
mod wire;
mod worker;

pub use compile::PlanError;
pub use engine::{Applied, ApplyError, Engine};
pub use explain::{ExplainError, Question};
