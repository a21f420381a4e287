//! What TLS costs: `cargo bench -p trunkline-tls`. Both sides run in one thread; `server` figures take the time of the server's side only, which is
//! what nginx and `HAProxy` are compared by (design, targets: full handshakes with P-256).
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../tests/kit/mod.rs"]
mod kit;

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use kit::{Authority, Pair, Side, client, connect, server};
use serde_json::json;
use trunkline_tls::{ClientTls, RECORD_PLAIN_BYTES, ServerTls};

fn main() {
    divan::main();
}

fn site(lifetime_s: u32) -> (Authority, ClientTls, ServerTls) {
    let authority = Authority::new();
    let entry = authority.p256("site", &["site.example"]).entry();
    let server = server(json!({"certificates": [entry], "tickets": {"lifetime_s": lifetime_s}}));
    let client = client(&authority);
    (authority, client, server)
}

/// The client verifies the chain; no tickets, so that each handshake is a full one.
#[divan::bench]
fn full_both_sides(bencher: Bencher) {
    let (_authority, client, server) = site(0);
    bencher.counter(ItemsCount::new(1_u32)).bench(|| connect(&client, &server, "site.example").unwrap());
}

#[divan::bench]
fn resumed_both_sides(bencher: Bencher) {
    let (_authority, client, server) = site(7_200);
    connect(&client, &server, "site.example").unwrap();
    bencher.counter(ItemsCount::new(1_u32)).bench(|| {
        let pair = connect(&client, &server, "site.example").unwrap();
        assert!(pair.server.session.is_resumed());
        pair
    });
}

/// From the `ClientHello` to the server's flight: key exchange and signature, nearly all that a full handshake costs a server.
#[divan::bench]
fn full_server_flight(bencher: Bencher) {
    let (_authority, client, server) = site(0);
    bencher
        .counter(ItemsCount::new(1_u32))
        .with_inputs(|| {
            let (mut hello, mut client) = (Vec::new(), Side::new(client.session("site.example").unwrap()));
            client.process(&mut hello).unwrap();
            hello
        })
        .bench_values(|hello| {
            let mut side = Side::new(server.session().unwrap());
            side.incoming = hello;
            let mut out = Vec::new();
            side.process(&mut out).unwrap();
            out
        });
}

fn open_pair() -> (Authority, Pair) {
    let (authority, client, server) = site(7_200);
    let pair = connect(&client, &server, "site.example").unwrap();
    (authority, pair)
}

/// Bytes as the engine sends them: full records into a buffer that is used again.
#[divan::bench(args = [1_024, RECORD_PLAIN_BYTES])]
fn encrypt(bencher: Bencher, bytes: usize) {
    let (_authority, mut pair) = open_pair();
    let (data, mut out) = (vec![7; bytes], Vec::new());
    bencher.counter(BytesCount::new(bytes)).bench_local(|| {
        out.clear();
        pair.server.session.encrypt(black_box(&data), &mut out).unwrap();
        out.len()
    });
}

/// Encrypts on one side and decrypts on the other.
#[divan::bench(args = [1_024, RECORD_PLAIN_BYTES])]
fn encrypt_and_decrypt(bencher: Bencher, bytes: usize) {
    let (_authority, mut pair) = open_pair();
    let (data, mut out, mut answer) = (vec![7; bytes], Vec::new(), Vec::new());
    bencher.counter(BytesCount::new(bytes)).bench_local(|| {
        out.clear();
        pair.client.session.encrypt(black_box(&data), &mut out).unwrap();
        let mut read = 0;
        pair.server.session.process(&mut out, &mut answer, &mut |plain| read += plain.len()).unwrap();
        assert_eq!(read, bytes);
    });
}
