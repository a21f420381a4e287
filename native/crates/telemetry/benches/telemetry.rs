//! What one request pays for being counted and logged: `cargo bench -p trunkline-telemetry`.
#![allow(clippy::unwrap_used)]

use divan::{Bencher, black_box};
use trunkline_telemetry::access::{AccessLog, Config};
use trunkline_telemetry::{Counter, Exposition, Histogram, Kind, Record, Sink, Snapshot};

fn main() {
    divan::main();
}

#[divan::bench]
fn counter_add(bencher: Bencher<'_, '_>) {
    let counter = Counter::default();
    bencher.bench_local(|| black_box(&counter).add(black_box(1)));
}

#[divan::bench(args = [5_000, 180_000, 2_300_000, 90_000_000_000])]
fn histogram_observe(bencher: Bencher<'_, '_>, ns: u64) {
    let histogram = Histogram::default();
    bencher.bench_local(|| black_box(&histogram).observe_ns(black_box(ns)));
}

#[divan::bench]
fn snapshot_p99(bencher: Bencher<'_, '_>) {
    let histogram = Histogram::default();
    (0..10_000_u64).for_each(|n| histogram.observe_ns(n * 7_919));
    bencher.bench_local(|| black_box(&histogram).snapshot().quantile(0.99));
}

/// A gateway request as it is logged in production, into a file that costs nothing. Includes handing batches over.
#[divan::bench(args = [1, 100])]
fn record(bencher: Bencher<'_, '_>, sample_one_in: u32) {
    let log =
        AccessLog::start(Config { sample_one_in, ..Config::new(Sink::File("/dev/null".into())) }).unwrap();
    let mut writer = log.writer();
    let mut record = Record {
        time_unix_ns: 1_795_479_968_123_456_789,
        client: "203.0.113.77".parse().unwrap(),
        listener: "front",
        method: b"GET",
        host: b"shop.example.com",
        path: b"/v1/customers/8231/orders?page=2&size=50",
        status: 200,
        response_bytes: 4_096,
        duration_ns: 1_234_567,
        upstream_ns: Some(1_100_000),
        route: "orders",
        pool: "orders",
        server: "10.1.2.3:8080",
        request_id: b"4bf92f3577b34da6a3ce929d0e0e4736",
        user_agent: b"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
        ..Record::default()
    };
    bencher.bench_local(|| {
        record.time_unix_ns += 10_000; // 100 000 requests per second
        writer.log(black_box(&record));
    });
}

#[divan::bench]
fn expose_1000_histograms(bencher: Bencher<'_, '_>) {
    let names: Vec<String> = (0..1000).map(|n| format!("route-{n}")).collect();
    let snapshot = Snapshot::default();
    bencher.bench_local(|| {
        let mut text = Exposition::default();
        let mut family = text.family("latency_seconds", "Time.", Kind::Histogram).unwrap();
        for name in &names {
            family.histogram(&[("route", name)], &snapshot).unwrap();
        }
        text.into_string().len()
    });
}
