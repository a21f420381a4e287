//! Ketama against the recorded choices of a real nginx (`tests/vectors/record_nginx.py`).

#![allow(clippy::unwrap_used)]

use std::path::Path;

use trunkline_hashring::{Node, Ring, RingKind};

/// Each recorded line: the key, then the servers nginx tried, in order.
fn assert_matches(file: &str, servers: &[(&str, u32)]) {
    let nodes = servers.iter().map(|&(name, weight)| Node::new(name, weight)).collect();
    let ring = Ring::new(RingKind::Ketama, nodes).unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/vectors/nginx_ketama").join(file);
    let recorded = std::fs::read_to_string(path).unwrap();
    assert_eq!(recorded.lines().count(), 1_000);
    for line in recorded.lines() {
        let (key, expected) = line.split_once(',').unwrap();
        let expected: Vec<&str> = expected.split(',').collect();
        let chosen = ring.lookup_n(key.as_bytes(), expected.len());
        let names: Vec<&str> = chosen.iter().map(|&node| ring.nodes()[node].name.as_str()).collect();
        assert_eq!(names, expected, "{key}");
    }
}

#[test]
fn even_weights_and_the_order_of_retries() {
    let hosts = [1, 2, 3, 4].map(|host| format!("127.77.0.{host}"));
    let names: Vec<String> =
        [8001, 8002].iter().flat_map(|port| hosts.iter().map(move |host| format!("{host}:{port}"))).collect();
    let servers: Vec<(&str, u32)> = names.iter().map(|name| (name.as_str(), 1)).collect();
    assert_matches("even.csv", &servers);
}

#[test]
fn uneven_weights() {
    let servers =
        [("127.77.0.1:8001", 1), ("127.77.0.2:8001", 2), ("127.77.0.3:8001", 5), ("127.77.0.4:8001", 10)];
    assert_matches("weighted.csv", &servers);
}

#[test]
fn names_without_a_port_unix_sockets_and_ipv6() {
    let servers = [("127.77.0.9", 2), ("unix:/run/app.sock", 1), ("[::1]:8001", 1), ("127.77.0.10:80", 3)];
    assert_matches("names.csv", &servers);
}
