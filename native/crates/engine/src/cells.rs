//! The engine's metric cells: what each worker counts for each listener, route and server.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use trunkline_telemetry::{Counter, Gauge, Histogram};

/// Responses by status class, index = status / 100; 0 for exchanges that ended without one.
pub(crate) type Classes = [Counter; 6];

pub(crate) fn class_of(status: u16) -> usize {
    usize::from(status / 100).min(5)
}

#[derive(Debug, Default)]
pub(crate) struct ListenerCells {
    pub(crate) accepted: Counter,
    pub(crate) open: Gauge,
    pub(crate) requests: Counter,
    pub(crate) refusals: Refusals,
}

#[derive(Debug, Default)]
pub(crate) struct RouteCells {
    /// Requests so far, for what goes by turns.
    turns: Counter,
    pub(crate) classes: Classes,
    pub(crate) request_bytes: Counter,
    pub(crate) response_bytes: Counter,
    pub(crate) latency: Histogram,
}

impl RouteCells {
    /// The number of the next request. Only where something goes by it.
    pub(crate) fn next_turn(&self) -> u64 {
        let turn = self.turns.get();
        self.turns.inc();
        turn
    }

    /// Which number that will be.
    pub(crate) fn turn(&self) -> u64 {
        self.turns.get()
    }
}

#[derive(Debug, Default)]
pub(crate) struct ServerCells {
    pub(crate) classes: Classes,
    pub(crate) connects: Counter,
    pub(crate) connect_failures: Counter,
    pub(crate) reuses: Counter,
    pub(crate) failures: Counter,
    pub(crate) retries: Counter,
    pub(crate) ejections: Counter,
    pub(crate) idle: Gauge,
    pub(crate) latency: Histogram,
}

/// Refusals and failures by reason code. Behind a lock that only its worker and a scrape take, and only when something went wrong.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<BTreeMap<&'static str, u64>>);

impl Refusals {
    pub(crate) fn count(&self, reason: &'static str) {
        *self.0.lock().entry(reason).or_default() += 1;
    }

    pub(crate) fn merge_into(&self, total: &mut BTreeMap<&'static str, u64>) {
        for (reason, count) in self.0.lock().iter() {
            *total.entry(reason).or_default() += count;
        }
    }
}
