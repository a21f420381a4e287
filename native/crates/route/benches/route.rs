//! What a request pays for its route, and what a table costs: `cargo bench -p trunkline-route`.
//! Allocations are counted: a lookup must not make any.
#![allow(clippy::unwrap_used)]

use divan::{AllocProfiler, Bencher, black_box};
use trunkline_route::{PathPattern, Predicate, Request, Route, Router, Test};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

fn request<'r>(host: &'r str, path: &'r str) -> Request<'r> {
    Request { host, method: "GET", path, query: Some("page=2") }
}

fn no_header<'r>(_: &str) -> Option<&'r [u8]> {
    None
}

/// `count` routes over 100 hosts: half prefixes, a quarter exact, a quarter templates; each three segments deep.
fn table(count: usize) -> Vec<Route> {
    let path = |n: usize| match n % 4 {
        0 | 1 => PathPattern::Prefix(format!("/v1/service-{n}/items")),
        2 => PathPattern::Exact(format!("/v1/service-{n}/health")),
        _ => PathPattern::Template(format!("/v1/service-{n}/users/{{user}}/orders/{{order}}")),
    };
    let route = |n| Route {
        name: format!("route-{n}"),
        hosts: vec![format!("shop-{}.example.com", n / 4 % 100)],
        methods: vec!["GET".into(), "POST".into()],
        path: path(n),
        ..Route::default()
    };
    (0..count).map(route).collect()
}

/// Paths that hit the table at many places, so that the caches see what a mixed load sees.
fn requests(count: usize) -> Vec<(String, String)> {
    let path = |n: usize| match n % 4 {
        0 | 1 => format!("/v1/service-{n}/items/8231"),
        2 => format!("/v1/service-{n}/health"),
        _ => format!("/v1/service-{n}/users/8231/orders/77"),
    };
    let spread = (0..count).map(|n| n * 7919 % count);
    spread.map(|n| (format!("shop-{}.example.com", n / 4 % 100), path(n))).collect()
}

#[divan::bench(sample_size = 1_000)]
fn find_in_one_catch_all(bencher: Bencher<'_, '_>) {
    let router = Router::compile(vec![Route::default()]).unwrap();
    let request = request("shop.example.com", "/v1/users/8231/orders/77");
    bencher.bench_local(|| black_box(&router).find(black_box(&request), no_header).map(|found| found.route));
}

/// Samples of 10 000, so that the whole table is in use and caches are as warm as its size lets them be.
#[divan::bench(args = [10, 1_000, 10_000], sample_size = 10_000)]
fn find_in_many(bencher: Bencher<'_, '_>, count: usize) {
    let router = Router::compile(table(count)).unwrap();
    let requests = requests(count);
    let mut next = requests.iter().cycle();
    bencher.bench_local(|| {
        let (host, path) = next.next()?;
        black_box(&router).find(&request(host, path), no_header).map(|found| found.route)
    });
}

#[divan::bench(sample_size = 1_000)]
fn find_with_params_in_10_000(bencher: Bencher<'_, '_>) {
    let router = Router::compile(table(10_000)).unwrap();
    let request = request("shop-24.example.com", "/v1/service-9699/users/8231/orders/77");
    bencher
        .bench_local(|| black_box(&router).find(black_box(&request), no_header).map(|found| found.params()));
}

#[divan::bench(sample_size = 1_000)]
fn miss_in_10_000(bencher: Bencher<'_, '_>) {
    let router = Router::compile(table(10_000)).unwrap();
    let request = request("shop-25.example.com", "/v1/service-x/users/8231");
    bencher.bench_local(|| black_box(&router).find(black_box(&request), no_header).map(|found| found.route));
}

#[divan::bench(sample_size = 1_000)]
fn find_by_wildcard_header_and_query(bencher: Bencher<'_, '_>) {
    let predicate =
        |name: &str, value: &str| Predicate { name: name.into(), test: Test::Equals(value.into()) };
    let route = Route {
        hosts: vec!["*.example.com".into()],
        headers: vec![predicate("x-version", "2")],
        query: vec![predicate("page", "2")],
        ..Route::default()
    };
    let router = Router::compile(vec![Route::default(), route]).unwrap();
    let request = request("a.shop.example.com", "/v1/users");
    let header = |name: &str| (name == "x-version").then_some(&b"2"[..]);
    bencher.bench_local(|| black_box(&router).find(black_box(&request), header).map(|found| found.route));
}

/// The allocation columns are the table's memory.
#[divan::bench(args = [1_000, 10_000], sample_count = 10)]
fn compile(bencher: Bencher<'_, '_>, count: usize) {
    bencher.with_inputs(|| table(count)).bench_values(|routes| Router::compile(routes).unwrap());
}

#[divan::bench(sample_count = 10)]
fn explain_a_miss_in_10_000(bencher: Bencher<'_, '_>) {
    let router = Router::compile(table(10_000)).unwrap();
    let request = request("shop-25.example.com", "/v1/service-x/users/8231");
    bencher.bench_local(|| black_box(&router).explain(black_box(&request), no_header).near_misses.len());
}
