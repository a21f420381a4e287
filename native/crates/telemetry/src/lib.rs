//! # trunkline-telemetry: counters, histograms, Prometheus text, JSON access log.
//!
//! Worker threads share nothing: every metric cell has exactly one writer, its worker, so counting is a plain load, add and
//! store without a lock prefix. A scrape walks all workers' cells off the path ([`PerWorker::iter`]), merges them and
//! writes Prometheus text ([`Exposition`]). Access-log records are formatted into a buffer of the worker ([`access::Writer`])
//! and handed over in batches to one background thread; a worker never waits for it.
//!
//! ```
//! use trunkline_telemetry::{Counter, Exposition, Histogram, Kind, PerWorker, Snapshot};
//!
//! #[derive(Default)]
//! struct Cells {
//!     requests: Counter,
//!     latency: Histogram,
//! }
//! let cells: PerWorker<Cells> = PerWorker::new(2);
//! cells.get(0).requests.inc();                        // on worker 0
//! cells.get(1).latency.observe_ns(1_200_000);         // on worker 1
//!
//! let mut merged = Snapshot::default();               // on the thread that scrapes
//! cells.iter().for_each(|cell| cell.latency.merge_into(&mut merged));
//! let mut text = Exposition::default();
//! text.family("requests_total", "Requests.", Kind::Counter)?
//!     .sample(&[("route", "shop")], cells.iter().map(|cell| cell.requests.get()).sum::<u64>())?;
//! text.family("latency_seconds", "Time.", Kind::Histogram)?.histogram(&[], &merged)?;
//! assert!(text.as_str().contains("requests_total{route=\"shop\"} 1\n"));
//! # Ok::<(), trunkline_telemetry::Error>(())
//! ```
#![forbid(unsafe_code)]

pub mod access;
mod cell;
mod error;
mod exposition;
mod histogram;
mod json;
mod perworker;
mod record;
mod sink;
mod timestamp;

pub use cell::{Counter, Gauge};
pub use error::Error;
pub use exposition::{Exposition, Family, Kind, Value};
pub use histogram::{BOUNDS_NS, Histogram, LE_NS, Snapshot};
pub use perworker::PerWorker;
pub use record::Record;
pub use sink::Sink;
