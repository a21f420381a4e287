//! # trunkline-balance: which server gets the next request.
//!
//! A [`Server`] is live state in atomics, shared by all workers and by successive configurations. A [`Balancer`] is one
//! worker's view of a set of servers: it owns only cursors and random numbers, so picking takes no lock.
//!
//! Rules, in this order:
//! 1. A server that is unhealthy, ejected, draining, full, of weight 0 or already tried is not eligible.
//! 2. The lowest priority number with an eligible server wins; higher numbers are backups.
//! 3. If the share of healthy servers of that priority is below the panic threshold, health and ejection are ignored in it:
//!    too few servers for all the traffic would only fall one after the other. A priority without any healthy server is
//!    used in this way only when no other priority has one.
//! 4. The algorithm chooses among what is left. A server that came back recently gets a share that grows linearly from
//!    10 % to its full one over the slow-start time.
//!
//! Does not do: health checks, retries, queues (the engine), outlier detection (the `breaker` crate).
//!
//! ```
//! use std::sync::Arc;
//! use trunkline_balance::{Algorithm, Balancer, Server, Settings};
//! let servers = ["a:80", "b:80"].map(|name| Arc::new(Server::new(name, 1, 0)));
//! let mut balancer = Balancer::new(Settings::new(Algorithm::RoundRobin), servers.to_vec(), 0)?;
//! let picks = [0, 1, 2].map(|now_ns| balancer.pick(b"", now_ns, &[]));
//! assert_eq!(picks, [Some(0), Some(1), Some(0)]);
//! servers[1].set_draining(true);
//! assert_eq!(balancer.pick(b"", 3, &[0]), None);
//! # Ok::<(), trunkline_balance::Error>(())
//! ```

#![forbid(unsafe_code)]

mod balancer;
mod cost;
mod error;
mod hashed;
mod least_connections;
mod peak_ewma;
mod power_of_two;
mod random;
mod round_robin;
mod screen;
mod server;
mod settings;
mod slow_start;
mod smooth_weighted;
mod standing;
mod tier;

pub use balancer::Balancer;
pub use error::Error;
pub use server::Server;
pub use settings::{Algorithm, DEFAULT_LOAD_FACTOR, Settings};
pub use standing::Standing;
pub use trunkline_hashring::RingKind;
