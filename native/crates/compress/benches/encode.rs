//! What a body costs: new and used encoders on a small one, and throughput on pages of text.
#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use trunkline_compress::{Coding, Encoders, Levels};

/// JSON as APIs send it: names repeat, values do not.
fn records(bytes: usize) -> Vec<u8> {
    let mut text = String::from("[");
    let mut seed = 7_u64;
    while text.len() < bytes {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (id, price) = (seed >> 40, seed >> 20 & 0xFFFF);
        let _ = write!(text, "{{\"id\":{id},\"name\":\"article {id:x}\",\"price\":{price},\"stock\":true}},");
    }
    text.truncate(bytes);
    text.into_bytes()
}

#[divan::bench(args = Coding::ALL, consts = [2_048, 65_536])]
fn used_encoder<const BYTES: usize>(bencher: Bencher<'_, '_>, coding: Coding) {
    let (body, levels) = (records(BYTES), Levels::default());
    let (mut encoders, mut out) = (Encoders::default(), Vec::with_capacity(1 << 20));
    bencher.counter(BytesCount::new(BYTES)).bench_local(|| {
        out.clear();
        let mut encoder = encoders.take(coding, &levels).unwrap();
        encoder.push(black_box(&body), &mut out).unwrap();
        encoder.finish(&mut out).unwrap();
        encoders.give_back(encoder);
        out.len()
    });
}

#[divan::bench(args = Coding::ALL)]
fn new_encoder(bencher: Bencher<'_, '_>, coding: Coding) {
    let (body, levels) = (records(2_048), Levels::default());
    let mut out = Vec::with_capacity(1 << 20);
    bencher.counter(BytesCount::new(body.len())).bench_local(|| {
        out.clear();
        let mut encoder = Encoders::default().take(coding, &levels).unwrap();
        encoder.push(black_box(&body), &mut out).unwrap();
        encoder.finish(&mut out).unwrap();
        out.len()
    });
}

fn main() {
    divan::main();
}
