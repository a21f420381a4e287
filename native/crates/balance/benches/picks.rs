//! Time of a pick, per algorithm: `cargo bench -p trunkline-balance`.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use divan::{Bencher, black_box};
use trunkline_balance::{Algorithm, Balancer, Server, Settings};

const ALGORITHMS: [&str; 8] = [
    "round_robin",
    "weighted_round_robin",
    "least_connections",
    "weighted_least_connections",
    "hash",
    "consistent_hash",
    "power_of_two",
    "peak_ewma",
];

fn main() {
    divan::main();
}

fn balancer(settings: Settings, servers: usize) -> Balancer {
    let server = |index| Arc::new(Server::new(&format!("10.0.0.{index}:80"), 1, 0));
    Balancer::new(settings, (0..servers).map(server).collect(), 0).unwrap()
}

fn run(bencher: Bencher, mut balancer: Balancer) {
    let mut now_ns = 0_u64;
    bencher.bench_local(|| {
        now_ns += 1_000;
        balancer.pick(black_box(&now_ns.to_le_bytes()), now_ns, &[])
    });
}

#[divan::bench(args = ALGORITHMS, consts = [3, 10, 100])]
fn pick<const SERVERS: usize>(bencher: Bencher, algorithm: &str) {
    run(bencher, balancer(Settings::new(algorithm.parse::<Algorithm>().unwrap()), SERVERS));
}

#[divan::bench(consts = [10, 100])]
fn with_slow_start_and_panic<const SERVERS: usize>(bencher: Bencher) {
    let plain = Settings::new(Algorithm::RoundRobin);
    run(bencher, balancer(Settings { slow_start_ns: 1, panic_threshold: 0.5, ..plain }, SERVERS));
}

#[divan::bench]
fn begin_and_finish(bencher: Bencher) {
    let server = Server::new("10.0.0.1:80", 1, 0);
    let mut now_ns = 0;
    bencher.bench_local(|| {
        now_ns += 1_000;
        server.begin();
        server.finish(now_ns, Some(black_box(1_000)));
    });
}
