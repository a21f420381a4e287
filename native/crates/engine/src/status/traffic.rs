//! What traffic management does, where it is configured.

use serde_json::{Value, json};

use super::milliseconds;
use crate::bulkhead::Bulkhead;
use crate::mirror::Target;
use crate::plan::Share;
use crate::sides::Division;
use crate::snapshot::{Pool, Route};

pub(super) fn tell_of_route(told: &mut Value, route: &Route) {
    if let Some(division) = &route.sides.division {
        told["split"] = split(division);
    }
    if let Some(target) = &route.mirror {
        told["mirror"] = mirror(target);
    }
    if let Some(hedging) = &route.hedging {
        let [(won, wins), (lost, losses)] = hedging.counts();
        told["hedges"] = json!({ won: wins, lost: losses });
    }
    if let Some(bulkhead) = &route.bulkhead {
        told["concurrency"] = limit(bulkhead);
    }
}

pub(super) fn tell_of_pool(told: &mut Value, pool: &Pool) {
    if let Some(bulkhead) = &pool.bulkhead {
        told["concurrency"] = limit(bulkhead);
    }
}

/// A split's sides, and what each has got.
fn split(division: &Division) -> Value {
    let side = |(share, requests): (&Share, u64)| json!({ "pool": share.pool, "weight": share.weight, "requests": requests });
    division.requests().map(side).collect()
}

/// A mirror's pool, and what became of the copies.
fn mirror(target: &Target) -> Value {
    let mut told = json!({ "pool": target.pool.name, "percent": target.plan.percent });
    for (outcome, count) in target.counts() {
        told[outcome] = json!(count);
    }
    told
}

/// A limit of what is under way at once, and how near it is.
fn limit(bulkhead: &Bulkhead) -> Value {
    let report = bulkhead.report();
    let (latency_ns, usual_ns) = report.latencies_ns;
    json!({
        "limit": report.limit,
        "active": report.in_flight,
        "waiting": report.waiting,
        "refused": report.refused,
        // What an adaptive one has found.
        "latency_ms": milliseconds(Some(latency_ns as u64)),
        "usual_ms": milliseconds(Some(usual_ns as u64)),
    })
}
