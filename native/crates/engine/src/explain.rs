//! "What would happen to this request?": the route and the near misses, each filter's verdict, the server and why. Nothing is counted or
//! changed by asking.

use std::net::{IpAddr, Ipv4Addr};

use serde::Deserialize;
use serde_json::{Value, json};
use trunkline_concurrency::Report;
use trunkline_filter::Outlook;
use trunkline_http::{HeaderBuffer, RequestHead, host_of, normalise, parse_request};

use crate::bulkhead::Bulkhead;
use crate::clock;
use crate::engine::Engine;
use crate::exchange::Desk;
use crate::plan;
use crate::sides::Division;
use crate::snapshot::{Listener, Pool, Route, Server};
use crate::sticky;

/// The request to explain.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Default: the only or first listener.
    #[serde(default)]
    pub listener: Option<String>,
    #[serde(default = "get")]
    pub method: String,
    /// `http://host/path?query` or `/path?query`.
    pub url: String,
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// Address of the connection's other end.
    #[serde(default)]
    pub client: Option<IpAddr>,
}

fn get() -> String {
    "GET".to_owned()
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    #[error("no listener is named {0:?}")]
    Listener(String),
    #[error("there is no listener")]
    NoListener,
}

impl Engine {
    /// Explains what would happen.
    pub fn explain(&self, question: &Question) -> Result<Value, ExplainError> {
        let snapshot = self.shared.snapshot.load();
        let listener = match &question.listener {
            Some(name) => snapshot.listener(name).ok_or_else(|| ExplainError::Listener(name.clone()))?,
            None => snapshot.listeners.first().ok_or(ExplainError::NoListener)?,
        };
        let bytes = request_bytes(question);
        let mut storage = HeaderBuffer::new();
        let head = match parse_request(&bytes, &listener.head_limits, &mut storage) {
            Ok(Some(head)) => head,
            Ok(None) => return Ok(refusal(listener, 400, "bad_request_line")),
            Err(reject) => return Ok(refusal(listener, reject.status, reject.reason.as_str())),
        };
        let client = question.client.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        Ok(routed(listener, &head, client))
    }
}

/// The request as it would come over the wire, so that the real parser judges it.
fn request_bytes(question: &Question) -> Vec<u8> {
    let (authority, target) = match question.url.split_once("://") {
        Some((_, rest)) => rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len())),
        None => ("", question.url.as_str()),
    };
    let slash = if target.starts_with('/') { "" } else { "/" };
    let mut text = format!("{} {slash}{target} HTTP/1.1\r\n", question.method);
    if !question.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        let host = if authority.is_empty() { "localhost" } else { authority };
        text.extend(["Host: ", host, "\r\n"]);
    }
    for (name, value) in &question.headers {
        text.extend([name, ": ", value, "\r\n"]);
    }
    text.push_str("\r\n");
    text.into_bytes()
}

fn refusal(listener: &Listener, status: u16, reason: &str) -> Value {
    json!({ "listener": listener.name, "refused": { "status": status, "reason": reason } })
}

fn routed(listener: &Listener, head: &RequestHead<'_, '_>, peer: IpAddr) -> Value {
    let Ok(path) = normalise(head.path) else { return refusal(listener, 400, "bad_target") };
    let host = host_of(head.authority).to_ascii_lowercase();
    let wanted =
        trunkline_route::Request { host: &host, method: head.method, path: &path, query: head.query };
    let explained = listener.router.explain(&wanted, |name| trunkline_http::find(head.headers, name));
    let name = |route: usize| listener.routes.get(route).map_or("", |route| route.name.as_str());
    let near_misses: Vec<Value> = explained
        .near_misses
        .iter()
        .map(|miss| {
            let failed: Vec<String> = miss.failed.iter().map(ToString::to_string).collect();
            json!({ "route": name(miss.route), "failed": failed })
        })
        .collect();
    let mut answer = json!({
        "listener": listener.name,
        "route": explained.matched.map(|found| name(found.route)),
        "outranked": explained.outranked.iter().map(|route| name(*route)).collect::<Vec<_>>(),
        "near_misses": near_misses,
    });
    let found = explained.matched.and_then(|found| Some((found, listener.routes.get(found.route)?)));
    let Some((found, route)) = found else {
        let refused = listener.router.refusal(&wanted, |name| trunkline_http::find(head.headers, name));
        answer["refused"] = match refused {
            trunkline_route::Refusal::NotFound => json!({ "status": 404, "reason": "route_not_found" }),
            trunkline_route::Refusal::MethodNotAllowed(methods) => {
                json!({ "status": 405, "reason": "method_not_allowed", "allow": methods })
            }
        };
        return answer;
    };
    let params = found.params();
    let peer = crate::forwarding::Peer::new(peer);
    let client = listener.forwarding.client(head, &peer);
    let request = trunkline_filter::Request {
        head,
        path: &path,
        host: &host,
        params: params.as_slice(),
        client,
        secure: false,
    };
    answer["client"] = json!(client);
    let now_ns = clock::now_ns();
    let verdicts = route.chain.explain(&request, now_ns);
    answer["filters"] = verdicts.iter().map(filter).collect();
    // By turns it is that of the first worker's next request.
    let pool = route.sides.pool(route.sides.side(head, client, route.cells.get(0).turn()));
    answer["pool"] = json!(pool.name);
    if let Some(division) = &route.sides.division {
        answer["split"] = split(division);
    }
    let limits = limits(route, pool);
    if !limits.is_empty() {
        answer["limits"] = json!(limits);
    }
    if let Some(target) = &route.mirror {
        answer["mirror"] = json!({ "pool": target.pool.name, "percent": target.plan.percent });
    }
    if let Some(hedging) = &route.hedging {
        let plan::Hedge { after_ms, attempts } = hedging.plan;
        answer["hedge"] = json!({ "after_ms": after_ms, "attempts": attempts });
    }
    answer["servers"] = servers(pool);
    let desk = Desk { listener, peer: &peer, worker: 0, started_ns: now_ns, now_ns };
    match refused(&desk, &request, route, pool, &verdicts) {
        Some((status, reason)) => answer["refused"] = json!({ "status": status, "reason": reason }),
        None => answer["server"] = server(pool, head, client),
    }
    answer
}

/// What a request has to have a place in, and how full that is.
fn limits(route: &Route, pool: &Pool) -> Vec<Value> {
    let limit = |of: &str, name: &str, bulkhead: &Bulkhead| {
        let Report { limit, in_flight, waiting, .. } = bulkhead.report();
        json!({ "of": of, "name": name, "limit": limit, "active": in_flight, "waiting": waiting })
    };
    let of_route = route.bulkhead.as_deref().map(|bulkhead| limit("route", &route.name, bulkhead));
    let of_pool = pool.bulkhead.as_deref().map(|bulkhead| limit("pool", &pool.name, bulkhead));
    of_route.into_iter().chain(of_pool).collect()
}

fn split(division: &Division) -> Value {
    let sides: Vec<Value> =
        division.plan.iter().map(|share| json!({ "pool": share.pool, "weight": share.weight })).collect();
    json!({ "by": division.by.as_deref().unwrap_or("turns"), "sides": sides })
}

/// What would be answered instead of going to a server.
fn refused(
    desk: &Desk<'_>,
    request: &trunkline_filter::Request<'_>,
    route: &Route,
    pool: &Pool,
    verdicts: &[trunkline_filter::Explained],
) -> Option<(u16, &'static str)> {
    if let Some(failure) = desk.over_limits(request.head, route) {
        return Some((failure.status, failure.reason));
    }
    let responds = verdicts.iter().find_map(|explained| match explained.outlook {
        Outlook::Respond { status, reason } => Some((status, reason.as_str())),
        _ => None,
    });
    let unsafe_rewrite = || {
        let mut filters = trunkline_filter::Exchange::default();
        let written = desk.write_head(&mut Vec::new(), request, route, pool, &mut filters, false);
        written.err().map(|reason| (reason.status(), reason.as_str()))
    };
    responds.or_else(unsafe_rewrite)
}

fn filter(explained: &trunkline_filter::Explained) -> Value {
    let verdict = match explained.outlook {
        Outlook::Continue => json!("continue"),
        Outlook::Respond { status, reason } => json!({ "status": status, "reason": reason.as_str() }),
        Outlook::NotReached => json!("not_reached"),
    };
    json!({ "filter": explained.filter, "verdict": verdict, "detail": explained.detail })
}

/// The server that a fresh scheduler would choose, and what decided it.
fn server(pool: &Pool, head: &RequestHead<'_, '_>, client: IpAddr) -> Value {
    let now_ns = clock::now_ns();
    if let Some((server, cookie)) = remembered(pool, head, now_ns) {
        let why = format!("the cookie {cookie} remembers it");
        return json!({ "name": server.state.name(), "address": server.address, "why": why });
    }
    let key = pool.hash_key.as_ref().map(|key| key.of(head, client));
    let picked = pool.balancer.fork(0).pick(key.as_deref().unwrap_or_default(), now_ns, &[]);
    let Some(server) = picked.and_then(|index| pool.servers.get(index)) else {
        return json!({ "name": null, "why": "no server of the pool is eligible" });
    };
    let why = if pool.hash_key.is_some() {
        format!("{} of {}: the same key always gets it while it is eligible", pool.plan.hash_key, head.target)
    } else {
        let algorithm = json!(pool.plan.algorithm);
        let name = algorithm.as_str().unwrap_or_default();
        format!("{name} over the eligible servers; the next request may get another")
    };
    json!({ "name": server.state.name(), "address": server.address, "why": why })
}

/// The server that a cookie leads to, and the cookie's name.
fn remembered<'p>(pool: &'p Pool, head: &RequestHead<'_, '_>, now_ns: u64) -> Option<(&'p Server, &'p str)> {
    let known = sticky::remembered(pool.sticky.as_ref()?, head)?;
    let server =
        pool.servers.get(known.server).filter(|_| pool.balancer.admits(known.server, now_ns, &[]))?;
    Some((server, &pool.plan.sticky.as_ref()?.name))
}

fn servers(pool: &Pool) -> Value {
    let standings = pool.balancer.explain(clock::now_ns());
    let all = pool.servers.iter().zip(standings);
    all.map(|(server, standing)| json!({ "name": server.state.name(), "state": standing.as_str() })).collect()
}
