//! What a chain costs per request: `cargo bench -p trunkline-filter`. Both phases are included, and clearing the exchange, which
//! the engine keeps from request to request. Target (design, gateway chain): API key, token bucket and breaker together under 500 ns.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use divan::{Bencher, black_box};
use trunkline_filter::{Chain, Environment, Exchange, Registry, Request, Rewrite, WallClock, plan};
use trunkline_http::{HeaderBuffer, Limits, RequestHead, parse_request};

const HEAD: &str = "GET /v1/users/42?page=2 HTTP/1.1\r\nHost: api.example.com\r\nUser-Agent: bench/1.0\r\n\
    Accept: application/json\r\nAccept-Encoding: gzip, br\r\nX-API-Key: 9f86d081884c7d659a2feaa0c55ad015\r\n\
    Origin: https://app.example.com\r\nCookie: session=0123456789abcdef\r\n\r\n";

const API_KEY: &str = r#"{"type":"api_key","header":"X-API-Key"}"#;
const BUCKET: &str = r#"{"type":"rate_limit","name":"per-consumer","key":"consumer","algorithm":"token_bucket",
    "limit":1000000,"period_ms":1000}"#;
const BREAKER: &str = r#"{"type":"circuit_breaker","name":"users"}"#;
const REQUEST_ID: &str = r#"{"type":"request_id"}"#;
const IP_ACCESS: &str = r#"{"type":"ip_access","allow":["10.0.0.0/8","192.168.0.0/16"]}"#;
const CORS: &str = r#"{"type":"cors","origins":["https://app.example.com"],"credentials":true}"#;
const HEADERS: &str = r#"{"type":"headers","request":{"set":[["X-Consumer","{consumer}"]]},
    "response":{"remove":["Server"],"set":[["X-Served-By","gateway"]]}}"#;
const SIZE_LIMIT: &str = r#"{"type":"size_limit","body_bytes":1048576}"#;

/// When the recorded tokens are valid.
const START_NS: u64 = 1_700_000_000_000_000_000;

fn main() {
    divan::main();
}

fn compile(filters: &[&str]) -> Chain {
    let registry = Registry::new(Arc::new(WallClock::new(START_NS, 0)), [1, 2]);
    let consumers: Vec<plan::Consumer> =
        serde_json::from_str(r#"[{"name":"shop","keys":["9f86d081884c7d659a2feaa0c55ad015"]}]"#).unwrap();
    let mut environment = Environment::new(&registry, &consumers).unwrap();
    let plan: Vec<plan::Filter> =
        filters.iter().map(|filter| serde_json::from_str(filter).unwrap()).collect();
    Chain::compile("bench", &plan, &mut environment).unwrap()
}

fn with_request(run: impl FnOnce(&Request<'_>)) {
    with_head(HEAD, run);
}

fn with_head(text: &str, run: impl FnOnce(&Request<'_>)) {
    let mut headers = HeaderBuffer::default();
    let limits = Limits { head_bytes: 16_384, headers: 100, target_bytes: 8_192 };
    let head: RequestHead<'_, '_> =
        parse_request(text.as_bytes(), &limits, &mut headers).unwrap().expect("a whole head");
    run(&Request {
        head: &head,
        path: head.path,
        host: "api.example.com",
        params: &[("id", "42")],
        client: IpAddr::V4(Ipv4Addr::new(10, 1, 2, 3)),
        secure: true,
    });
}

fn run(bencher: Bencher<'_, '_>, filters: &[&str]) {
    let chain = compile(filters);
    with_request(|request| {
        let clock = Cell::new(0_u64);
        let mut exchange = Exchange::default();
        bencher.bench_local(|| {
            clock.set(clock.get() + 1_000);
            exchange.clear();
            let verdict = chain.request(black_box(request), &mut exchange, clock.get());
            chain.response(&mut exchange, Some(200), clock.get(), 500_000);
            black_box((verdict, exchange.response_edits().appended().count()))
        });
    });
}

#[divan::bench]
fn no_filters(bencher: Bencher<'_, '_>) {
    run(bencher, &[]);
}

#[divan::bench]
fn api_key(bencher: Bencher<'_, '_>) {
    run(bencher, &[API_KEY]);
}

#[divan::bench]
fn api_key_bucket_breaker(bencher: Bencher<'_, '_>) {
    run(bencher, &[API_KEY, BUCKET, BREAKER]);
}

#[divan::bench]
fn request_id(bencher: Bencher<'_, '_>) {
    run(bencher, &[REQUEST_ID]);
}

#[divan::bench]
fn all_but_jwt(bencher: Bencher<'_, '_>) {
    run(bencher, &[REQUEST_ID, IP_ACCESS, CORS, API_KEY, BUCKET, BREAKER, HEADERS, SIZE_LIMIT]);
}

#[divan::bench]
fn rewrite_target(bencher: Bencher<'_, '_>) {
    let plan = serde_json::from_str(r#"{"path":"/internal/users/{id}","query":{"set":[["tenant","acme"]]}}"#);
    let rewrite = Rewrite::compile("bench", &plan.unwrap()).unwrap();
    with_request(|request| {
        let exchange = Exchange::default();
        let mut out = Vec::with_capacity(256);
        bencher.bench_local(|| {
            out.clear();
            rewrite.target(black_box(request), &exchange, &mut out).unwrap();
            out.len()
        });
    });
}

#[divan::bench]
fn make_request_id(bencher: Bencher<'_, '_>) {
    let ids = trunkline_filter::RequestIds::new([1, 2]);
    bencher.bench_local(|| black_box(&ids).make());
}

/// A request with one of the recorded tokens, and a chain that accepts it.
fn with_token(name: &str, filter: &str, key: &str, run: impl FnOnce(&Request<'_>, &Chain)) {
    let vectors: serde_json::Value =
        serde_json::from_str(include_str!("../tests/vectors/jwt/vectors.json")).unwrap();
    let mut filter: serde_json::Value = serde_json::from_str(filter).unwrap();
    filter[key] = vectors[match key {
        "secret" => "secret",
        _ if name == "rs256" => "rsa_public",
        _ => "ec_public",
    }]
    .clone();
    let chain = compile(&[&filter.to_string()]);
    let token = vectors["tokens"][name].as_str().unwrap();
    let head = format!("GET / HTTP/1.1\r\nHost: api.example.com\r\nAuthorization: Bearer {token}\r\n\r\n");
    with_head(&head, |request| run(request, &chain));
}

const HS256: &str = r#"{"type":"jwt","algorithms":["HS256"]}"#;
const RS256: &str = r#"{"type":"jwt","algorithms":["RS256"]}"#;
const ES256: &str = r#"{"type":"jwt","algorithms":["ES256"]}"#;

#[divan::bench]
fn jwt_cached(bencher: Bencher<'_, '_>) {
    with_token("rs256", RS256, "public_key", |request, chain| {
        let mut exchange = Exchange::default();
        bencher.bench_local(|| {
            exchange.clear();
            chain.request(black_box(request), &mut exchange, 0)
        });
    });
}

/// `explain` verifies anew each time.
#[divan::bench(args = [("hs256", HS256, "secret"), ("rs256", RS256, "public_key"), ("es256", ES256, "public_key")])]
fn jwt_verified(bencher: Bencher<'_, '_>, (name, filter, key): (&str, &str, &str)) {
    with_token(name, filter, key, |request, chain| {
        assert_eq!(chain.explain(request, 0)[0].outlook, trunkline_filter::Outlook::Continue);
        bencher.bench_local(|| chain.explain(black_box(request), 0));
    });
}
