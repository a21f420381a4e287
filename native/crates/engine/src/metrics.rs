//! The Prometheus page. Walks the workers' cells from the control thread; a scrape costs the workers nothing. Labels come from the
//! configuration alone, never from requests; routes beyond the first [`MAX_ROUTES`] share one series.

mod dns;
mod traffic;

use std::collections::BTreeMap;

use trunkline_telemetry::{Error, Exposition, Kind, PerWorker, Snapshot as Latencies};

use crate::cells::{RouteCells, ServerCells};
use crate::engine::Engine;
use crate::snapshot::{Pool, Route, Server, Snapshot};
use crate::status::sum_class;

/// 30 series each: more would make a page of over 30 000 lines.
const MAX_ROUTES: usize = 1_000;
const OTHER: &str = "_other";
const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

impl Engine {
    /// All metrics in text format 0.0.4.
    pub fn metrics(&self) -> Result<String, Error> {
        let snapshot = self.shared.snapshot.load();
        let mut page = Exposition::default();
        page.family("trunkline_config_generation", "Generation of the configuration in force.", Kind::Gauge)?
            .sample(&[], snapshot.generation)?;
        listeners(&mut page, &snapshot)?;
        routes(&mut page, &snapshot)?;
        servers(&mut page, &snapshot)?;
        traffic::page(&mut page, &snapshot)?;
        if let Some(service) = &snapshot.dns {
            dns::page(&mut page, service)?;
        }
        self.logs(&mut page)?;
        Ok(page.into_string())
    }

    fn logs(&self, page: &mut Exposition) -> Result<(), Error> {
        let counts = self.log_counts().unwrap_or_default();
        page.family("trunkline_access_log_records_total", "Access-log records by outcome.", Kind::Counter)?
            .sample(&[("outcome", "written")], counts.written)?
            .sample(&[("outcome", "dropped")], counts.dropped)?;
        Ok(())
    }
}

fn listeners(page: &mut Exposition, snapshot: &Snapshot) -> Result<(), Error> {
    let mut family =
        page.family("trunkline_connections_open", "Client connections that are open.", Kind::Gauge)?;
    for listener in &snapshot.listeners {
        let open: i64 = listener.cells.iter().map(|cells| cells.open.get()).sum();
        family.sample(&[("listener", &listener.name)], open)?;
    }
    let mut family =
        page.family("trunkline_connections_total", "Client connections accepted.", Kind::Counter)?;
    for listener in &snapshot.listeners {
        let accepted: u64 = listener.cells.iter().map(|cells| cells.accepted.get()).sum();
        family.sample(&[("listener", &listener.name)], accepted)?;
    }
    let mut family =
        page.family("trunkline_requests_total", "Requests read, whatever became of them.", Kind::Counter)?;
    for listener in &snapshot.listeners {
        let requests: u64 = listener.cells.iter().map(|cells| cells.requests.get()).sum();
        family.sample(&[("listener", &listener.name)], requests)?;
    }
    let mut family =
        page.family("trunkline_failures_total", "Refused and failed exchanges by reason.", Kind::Counter)?;
    for listener in &snapshot.listeners {
        let mut reasons = BTreeMap::new();
        listener.cells.iter().for_each(|cells| cells.refusals.merge_into(&mut reasons));
        for (reason, count) in reasons {
            family.sample(&[("listener", &listener.name), ("reason", reason)], count)?;
        }
    }
    Ok(())
}

fn routes(page: &mut Exposition, snapshot: &Snapshot) -> Result<(), Error> {
    let all: Vec<&Route> = snapshot.listeners.iter().flat_map(|listener| &listener.routes).collect();
    let (own, shared) = all.split_at(all.len().min(MAX_ROUTES));
    let mut groups: Vec<(&str, &[&Route])> =
        own.iter().map(|route| (route.name.as_str(), std::slice::from_ref(route))).collect();
    if !shared.is_empty() {
        groups.push((OTHER, shared));
    }
    let mut family =
        page.family("trunkline_responses_total", "Responses by route and status class.", Kind::Counter)?;
    for (name, routes) in &groups {
        for (class, label) in CLASSES.iter().enumerate() {
            let count: u64 =
                routes.iter().map(|route| sum_class(&route.cells, class, |cells| &cells.classes)).sum();
            if count > 0 {
                family.sample(&[("route", name), ("class", label)], count)?;
            }
        }
    }
    for (metric, help, pick) in BYTES {
        let mut family = page.family(metric, help, Kind::Counter)?;
        for (name, routes) in &groups {
            let bytes: u64 = routes.iter().flat_map(|route| route.cells.iter()).map(pick).sum();
            family.sample(&[("route", name)], bytes)?;
        }
    }
    let mut family = page.family(
        "trunkline_request_duration_seconds",
        "First byte of the request to last of the response.",
        Kind::Histogram,
    )?;
    for (name, routes) in &groups {
        let mut latencies = Latencies::default();
        routes
            .iter()
            .flat_map(|route| route.cells.iter())
            .for_each(|cells| cells.latency.merge_into(&mut latencies));
        family.histogram(&[("route", name)], &latencies)?;
    }
    Ok(())
}

type Pick<T> = fn(&T) -> u64;

const BYTES: [(&str, &str, Pick<RouteCells>); 2] = [
    ("trunkline_request_body_bytes_total", "Body bytes received.", |cells| cells.request_bytes.get()),
    ("trunkline_response_body_bytes_total", "Body bytes sent.", |cells| cells.response_bytes.get()),
];

const SERVER_COUNTERS: [(&str, &str, Pick<ServerCells>); 6] = [
    ("trunkline_server_connects_total", "Connections opened.", |cells| cells.connects.get()),
    ("trunkline_server_connect_failures_total", "Connections that could not be opened.", |cells| {
        cells.connect_failures.get()
    }),
    ("trunkline_server_reuses_total", "Requests on a connection that was there already.", |cells| {
        cells.reuses.get()
    }),
    ("trunkline_server_failures_total", "Tries that failed.", |cells| cells.failures.get()),
    ("trunkline_server_ejections_total", "Times it was left out for failed requests.", |cells| {
        cells.ejections.get()
    }),
    ("trunkline_server_retries_total", "Tries that were followed by another.", |cells| cells.retries.get()),
];

fn servers(page: &mut Exposition, snapshot: &Snapshot) -> Result<(), Error> {
    let all: Vec<(&Pool, &Server)> = snapshot
        .pools
        .iter()
        .flat_map(|pool| pool.servers.iter().map(move |server| (&**pool, &**server)))
        .collect();
    let mut family = page.family("trunkline_server_up", "1 if health checks pass.", Kind::Gauge)?;
    for (pool, server) in &all {
        family.sample(&labels(pool, server), i64::from(server.state.healthy()))?;
    }
    let mut family = page.family("trunkline_server_active", "Requests in flight.", Kind::Gauge)?;
    for (pool, server) in &all {
        family.sample(&labels(pool, server), i64::from(server.state.active()))?;
    }
    for (metric, help, pick) in SERVER_COUNTERS {
        let mut family = page.family(metric, help, Kind::Counter)?;
        for (pool, server) in &all {
            family.sample(&labels(pool, server), server.cells.iter().map(pick).sum::<u64>())?;
        }
    }
    let mut family =
        page.family("trunkline_server_responses_total", "Responses by status class.", Kind::Counter)?;
    for (pool, server) in &all {
        for (class, label) in CLASSES.iter().enumerate().skip(1) {
            let [pool, name] = labels(pool, server);
            let count = sum_class(&server.cells, class, |cells| &cells.classes);
            if count > 0 {
                family.sample(&[pool, name, ("class", label)], count)?;
            }
        }
    }
    let mut family =
        page.family("trunkline_server_latency_seconds", "Request sent to response head.", Kind::Histogram)?;
    for (pool, server) in &all {
        family.histogram(&labels(pool, server), &merged(&server.cells))?;
    }
    Ok(())
}

fn merged(cells: &PerWorker<ServerCells>) -> Latencies {
    let mut latencies = Latencies::default();
    cells.iter().for_each(|cells| cells.latency.merge_into(&mut latencies));
    latencies
}

fn labels<'l>(pool: &'l Pool, server: &'l Server) -> [(&'static str, &'l str); 2] {
    [("pool", &pool.name), ("server", server.state.name())]
}
