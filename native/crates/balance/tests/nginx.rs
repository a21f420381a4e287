//! Smooth weighted round robin against the recorded orders of a real nginx (`tests/vectors/record_nginx.py`).

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;

use trunkline_balance::{Algorithm, Balancer, Server, Settings};

/// Each recorded line: the servers nginx tried for one request, in order.
fn assert_matches(file: &str, weights: &[u32]) {
    let name = |index: usize| format!("127.77.0.{}:8001", index + 1);
    let servers =
        weights.iter().enumerate().map(|(index, &weight)| Arc::new(Server::new(&name(index), weight, 0)));
    let settings = Settings::new(Algorithm::WeightedRoundRobin);
    let mut balancer = Balancer::new(settings, servers.collect(), 0).unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/vectors/nginx_swrr").join(file);
    let recorded = std::fs::read_to_string(path).unwrap();
    assert_eq!(recorded.lines().count(), 100);
    for (request, line) in recorded.lines().enumerate() {
        let mut tried = vec![];
        for expected in line.split(',') {
            let picked = balancer.pick(b"", 1, &tried).unwrap();
            assert_eq!(balancer.servers()[picked].name(), expected, "request {request} of {file}");
            tried.push(picked);
        }
    }
}

#[test]
fn the_example_of_five_one_one() {
    assert_matches("classic.csv", &[5, 1, 1]);
}

#[test]
fn equal_weights() {
    assert_matches("even.csv", &[1, 1, 1]);
}

#[test]
fn uneven_weights() {
    assert_matches("skewed.csv", &[7, 3, 2, 1, 13]);
}

#[test]
fn retries_on_another_server() {
    assert_matches("retries.csv", &[4, 2, 1]);
}
