//! Traffic management on the page: only what a route or a pool is configured to do has series.

use trunkline_concurrency::Report;
use trunkline_telemetry::{Error, Exposition, Kind, Value};

use super::MAX_ROUTES;
use crate::snapshot::Snapshot;

/// All families of this file.
pub(super) fn page(page: &mut Exposition, snapshot: &Snapshot) -> Result<(), Error> {
    splits(page, snapshot)?;
    mirrors(page, snapshot)?;
    hedges(page, snapshot)?;
    limits(page, snapshot)
}

fn splits(page: &mut Exposition, snapshot: &Snapshot) -> Result<(), Error> {
    let routes = snapshot.listeners.iter().flat_map(|listener| &listener.routes).take(MAX_ROUTES);
    let divided: Vec<_> =
        routes.filter_map(|route| Some((&route.name, route.sides.division.as_ref()?))).collect();
    if divided.is_empty() {
        return Ok(());
    }
    let mut family =
        page.family("trunkline_split_requests_total", "Requests by the side of a split.", Kind::Counter)?;
    for (route, division) in divided {
        for (share, requests) in division.requests() {
            family.sample(&[("route", route), ("pool", &share.pool)], requests)?;
        }
    }
    Ok(())
}

fn mirrors(page: &mut Exposition, snapshot: &Snapshot) -> Result<(), Error> {
    let routes = snapshot.listeners.iter().flat_map(|listener| &listener.routes).take(MAX_ROUTES);
    let mirrored: Vec<_> = routes.filter_map(|route| Some((&route.name, route.mirror.as_ref()?))).collect();
    if mirrored.is_empty() {
        return Ok(());
    }
    let mut family =
        page.family("trunkline_mirror_copies_total", "Copies for mirrors by outcome.", Kind::Counter)?;
    for (route, target) in mirrored {
        for (outcome, count) in target.counts() {
            let labels = [("route", route.as_str()), ("pool", &target.pool.name), ("outcome", outcome)];
            family.sample(&labels, count)?;
        }
    }
    Ok(())
}

fn hedges(page: &mut Exposition, snapshot: &Snapshot) -> Result<(), Error> {
    let routes = snapshot.listeners.iter().flat_map(|listener| &listener.routes).take(MAX_ROUTES);
    let hedged: Vec<_> = routes.filter_map(|route| Some((&route.name, route.hedging.as_ref()?))).collect();
    if hedged.is_empty() {
        return Ok(());
    }
    let help = "Tries that were begun beside a slow one, by outcome.";
    let mut family = page.family("trunkline_hedges_total", help, Kind::Counter)?;
    for (route, hedging) in hedged {
        for (outcome, count) in hedging.counts() {
            family.sample(&[("route", route), ("outcome", outcome)], count)?;
        }
    }
    Ok(())
}

type Read = fn(&Report) -> Value;

const LIMITS: [(&str, &str, Kind, Read); 4] = [
    ("trunkline_concurrency_limit", "Requests that may be under way at once.", Kind::Gauge, |report| {
        i64::from(report.limit).into()
    }),
    ("trunkline_concurrency_active", "Requests that are under way.", Kind::Gauge, |report| {
        i64::from(report.in_flight).into()
    }),
    ("trunkline_concurrency_waiting", "Requests that wait for a place.", Kind::Gauge, |report| {
        i64::from(report.waiting).into()
    }),
    (
        "trunkline_concurrency_refused_total",
        "Requests that found no place to wait.",
        Kind::Counter,
        |report| report.refused.into(),
    ),
];

fn limits(page: &mut Exposition, snapshot: &Snapshot) -> Result<(), Error> {
    let pools = snapshot.pools.iter().map(|pool| ("pool", &pool.name, pool.bulkhead.as_ref()));
    let routes = snapshot.listeners.iter().flat_map(|listener| &listener.routes).take(MAX_ROUTES);
    let routes = routes.map(|route| ("route", &route.name, route.bulkhead.as_ref()));
    let reports: Vec<_> = pools
        .chain(routes)
        .filter_map(|(scope, name, bulkhead)| Some((scope, name, bulkhead?.report())))
        .collect();
    if reports.is_empty() {
        return Ok(());
    }
    for (metric, help, kind, read) in LIMITS {
        let mut family = page.family(metric, help, kind)?;
        for (scope, name, report) in &reports {
            family.sample(&[(*scope, name.as_str())], read(report))?;
        }
    }
    Ok(())
}
