//! Time of a lookup and of building, per ring: `cargo bench -p trunkline-hashring`.

#![allow(clippy::unwrap_used)]

use divan::{Bencher, black_box};
use trunkline_hashring::{Node, Ring, RingKind};

const KINDS: [&str; 5] = ["ketama", "maglev", "jump", "rendezvous", "modulo"];

fn nodes(count: usize) -> Vec<Node> {
    (0..count).map(|index| Node::new(format!("10.0.0.{index}:80"), 1)).collect()
}

fn main() {
    divan::main();
}

#[divan::bench(args = KINDS, consts = [10, 100])]
fn lookup<const NODES: usize>(bencher: Bencher, kind: &str) {
    let ring = Ring::new(kind.parse::<RingKind>().unwrap(), nodes(NODES)).unwrap();
    let mut number = 0_u32;
    bencher.bench_local(|| {
        number = number.wrapping_add(1);
        let mut key = *b"user-0123456789";
        key[5..9].copy_from_slice(&number.to_le_bytes());
        ring.lookup(black_box(&key))
    });
}

#[divan::bench(args = KINDS, consts = [10, 100])]
fn build<const NODES: usize>(bencher: Bencher, kind: &str) {
    let kind: RingKind = kind.parse().unwrap();
    bencher.with_inputs(|| nodes(NODES)).bench_values(|nodes| Ring::new(kind, nodes).unwrap());
}
