//! Counters as the admin API tells them: since the process began, over all workers.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use trunkline_telemetry::{PerWorker, Snapshot as Latencies};

use super::{milliseconds, sum_class};
use crate::cells::{Classes, ListenerCells, RouteCells, ServerCells};

const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// How many by status class; what has not happened is left out.
pub(super) fn responses<T>(cells: &PerWorker<T>, classes: impl Fn(&T) -> &Classes + Copy) -> Value {
    let counted = CLASSES.iter().enumerate().map(|(class, name)| (*name, sum_class(cells, class, classes)));
    counted
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| (name.to_owned(), count.into()))
        .collect::<Map<_, _>>()
        .into()
}

/// `total_ms` and `count` of two moments tell the mean between them.
pub(super) fn latency(latencies: &Latencies) -> Value {
    json!({
        "count": latencies.count(),
        "total_ms": milliseconds(Some(latencies.sum_ns())),
        "p50_ms": milliseconds(latencies.quantile(0.5)),
        "p90_ms": milliseconds(latencies.quantile(0.9)),
        "p99_ms": milliseconds(latencies.quantile(0.99)),
    })
}

/// Refused and failed exchanges by reason.
pub(super) fn failures(cells: &PerWorker<ListenerCells>) -> BTreeMap<&'static str, u64> {
    let mut reasons = BTreeMap::new();
    cells.iter().for_each(|cells| cells.refusals.merge_into(&mut reasons));
    reasons
}

pub(super) fn open_by_worker(cells: &PerWorker<ListenerCells>) -> Vec<i64> {
    cells.iter().map(|cells| cells.open.get()).collect()
}

pub(super) fn body_bytes(cells: &PerWorker<RouteCells>) -> Value {
    json!({
        "request": cells.iter().map(|cells| cells.request_bytes.get()).sum::<u64>(),
        "response": cells.iter().map(|cells| cells.response_bytes.get()).sum::<u64>(),
    })
}

/// What became of the connections to a server, and of the tries.
pub(super) fn tries(cells: &PerWorker<ServerCells>) -> Value {
    let sum = |pick: fn(&ServerCells) -> u64| cells.iter().map(pick).sum::<u64>();
    json!({
        "connects": sum(|cells| cells.connects.get()),
        "connect_failures": sum(|cells| cells.connect_failures.get()),
        "reuses": sum(|cells| cells.reuses.get()),
        "failures": sum(|cells| cells.failures.get()),
        "retries": sum(|cells| cells.retries.get()),
        "ejections": sum(|cells| cells.ejections.get()),
    })
}

pub(super) fn server_latency(cells: &PerWorker<ServerCells>) -> Value {
    let mut latencies = Latencies::default();
    cells.iter().for_each(|cells| cells.latency.merge_into(&mut latencies));
    latency(&latencies)
}
