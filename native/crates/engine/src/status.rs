//! What the engine is doing, as JSON for the admin API and `trunkline status`.

mod counters;
mod traffic;

use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use trunkline_balance::Standing;
use trunkline_breaker::Ejection;
use trunkline_telemetry::{PerWorker, Snapshot as Latencies};

use crate::cells::Classes;
use crate::clock;
use crate::dns::Service;
use crate::engine::Engine;
use crate::snapshot::{Listener, Pool, Route, Server};

impl Engine {
    /// Listeners, routes, pools with their servers, limiters, breakers, recent errors.
    pub fn status(&self) -> Value {
        let snapshot = self.shared.snapshot.load();
        let routes = snapshot
            .listeners
            .iter()
            .flat_map(|listener| listener.routes.iter().map(|route| route_status(listener, route)));
        json!({
            "generation": snapshot.generation,
            "started_unix_ns": self.started_unix_ns,
            "workers": self.workers(),
            "open_connections": self.open_connections(),
            "draining": self.shared.draining.load(Ordering::Relaxed),
            "listeners": snapshot.listeners.iter().map(|listener| listener_status(listener)).collect::<Vec<_>>(),
            "routes": routes.collect::<Vec<_>>(),
            "pools": snapshot.pools.iter().map(|pool| pool_status(pool)).collect::<Vec<_>>(),
            "limiters": self.limiters(),
            "breakers": self.breakers(),
            "dns": snapshot.dns.as_deref().map(dns_status),
            "recent_errors": self.shared.recent.list(),
        })
    }

    fn limiters(&self) -> Vec<Value> {
        let status = |limiter: trunkline_filter::LimiterStatus| {
            json!({
                "name": limiter.name,
                "key": limiter.key,
                "algorithm": limiter.quota.algorithm().name(),
                "limit": limiter.quota.limit(),
                "period_ms": limiter.quota.period_ns() / 1_000_000,
                "keys": limiter.keys,
                "capacity": limiter.capacity,
                "evicted": limiter.evicted,
                "overflowed": limiter.overflowed,
            })
        };
        self.registry.limiters().into_iter().map(status).collect()
    }

    fn breakers(&self) -> Vec<Value> {
        let status = |breaker: trunkline_filter::BreakerStatus| {
            json!({
                "name": breaker.name,
                "state": breaker.phase.name(),
                "calls": breaker.counts.calls,
                "failures": breaker.counts.failures,
            })
        };
        self.registry.breakers(clock::now_ns()).into_iter().map(status).collect()
    }
}

fn dns_status(service: &Service) -> Value {
    json!({
        "addresses": service.addresses,
        "zones": service.zones.len(),
        "records": service.zones.iter().map(|zone| zone.record_count()).sum::<usize>(),
        "memory_bytes": service.zones.iter().map(|zone| zone.memory()).sum::<usize>(),
        "open_connections": service.cells.iter().map(|cells| cells.open.get()).sum::<i64>(),
    })
}

fn listener_status(listener: &Listener) -> Value {
    json!({
        "name": listener.name,
        "addresses": listener.addresses,
        "open_connections": listener.cells.iter().map(|cells| cells.open.get()).sum::<i64>(),
        "open_by_worker": counters::open_by_worker(&listener.cells),
        "connections_limit": listener.limits.connections,
        "accepted": listener.cells.iter().map(|cells| cells.accepted.get()).sum::<u64>(),
        "requests": listener.cells.iter().map(|cells| cells.requests.get()).sum::<u64>(),
        "failures": counters::failures(&listener.cells),
    })
}

fn route_status(listener: &Listener, route: &Route) -> Value {
    let mut latencies = Latencies::default();
    route.cells.iter().for_each(|cells| cells.latency.merge_into(&mut latencies));
    let mut told = json!({
        "name": route.name,
        "listener": listener.name,
        "pool": route.sides.only().map(|pool| &pool.name),
        "requests": latencies.count(),
        "errors_5xx": sum_class(&route.cells, 5, |cells| &cells.classes),
        "p50_ms": milliseconds(latencies.quantile(0.5)),
        "p99_ms": milliseconds(latencies.quantile(0.99)),
        "latency": counters::latency(&latencies),
        "responses": counters::responses(&route.cells, |cells| &cells.classes),
        "body_bytes": counters::body_bytes(&route.cells),
    });
    traffic::tell_of_route(&mut told, route);
    told
}

fn pool_status(pool: &Pool) -> Value {
    let now_ns = clock::now_ns();
    let standings = pool.balancer.explain(now_ns);
    let servers = pool.servers.iter().zip(standings).enumerate().map(|(index, (server, standing))| {
        let report = pool.outliers.as_ref().and_then(|outliers| outliers.report(index, now_ns));
        let ejection = report.and_then(|report| report.ejection);
        server_status(server, standing, ejection, now_ns)
    });
    let mut told = json!({
        "name": pool.name,
        "algorithm": pool.plan.algorithm,
        "waiting": pool.waiting.load(Ordering::Relaxed),
        "servers": servers.collect::<Vec<_>>(),
    });
    traffic::tell_of_pool(&mut told, pool);
    told
}

/// Why a server is left out, and for how much longer.
fn ejection_status(ejection: Ejection, now_ns: u64) -> Value {
    let left_ms = ejection.until_ns.saturating_sub(now_ns) / 1_000_000;
    json!({ "reason": ejection.reason.name(), "left_ms": left_ms })
}

fn server_status(server: &Server, standing: Standing, ejection: Option<Ejection>, now_ns: u64) -> Value {
    let state = &server.state;
    json!({
        "name": state.name(),
        "address": server.address,
        "state": standing.as_str(),
        "healthy": state.healthy(),
        "check": *server.check.detail.lock(),
        "ejection": ejection.map(|ejection| ejection_status(ejection, now_ns)),
        "enabled": server.enabled.load(Ordering::Relaxed),
        "draining": server.draining.load(Ordering::Relaxed),
        "weight": state.weight(),
        "priority": state.priority(),
        "active": state.active(),
        "ewma_ms": milliseconds(Some(state.ewma_ns())),
        "idle_connections": server.cells.iter().map(|cells| cells.idle.get()).sum::<i64>(),
        "requests": (1..=5).map(|class| sum_class(&server.cells, class, |cells| &cells.classes)).sum::<u64>(),
        "failures": server.cells.iter().map(|cells| cells.failures.get()).sum::<u64>(),
        "latency": counters::server_latency(&server.cells),
        "responses": counters::responses(&server.cells, |cells| &cells.classes),
        "tries": counters::tries(&server.cells),
    })
}

pub(crate) fn sum_class<T>(cells: &PerWorker<T>, class: usize, classes: impl Fn(&T) -> &Classes) -> u64 {
    cells.iter().filter_map(|cells| classes(cells).get(class)).map(trunkline_telemetry::Counter::get).sum()
}

fn milliseconds(ns: Option<u64>) -> Option<f64> {
    ns.map(|ns| (ns as f64 / 1_000.0).round() / 1_000.0)
}
