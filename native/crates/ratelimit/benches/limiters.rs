//! Time of one check, per algorithm, single and keyed: `cargo bench -p trunkline-ratelimit`.
#![allow(clippy::unwrap_used)]

use divan::{Bencher, black_box};
use trunkline_ratelimit::{Algorithm, KeyedLimiter, Limiter, Quota};

const ALGORITHMS: [&str; 6] =
    ["token_bucket", "leaky_meter", "leaky_queue", "fixed_window", "sliding_window", "gcra"];
const SECOND: u64 = 1_000_000_000;

fn main() {
    divan::main();
}

/// Half of the calls, which come every 100 ns, are admitted.
fn quota(algorithm: &str) -> Quota {
    Quota::new(algorithm.parse::<Algorithm>().unwrap(), 5_000_000, SECOND, None).unwrap()
}

#[divan::bench(args = ALGORITHMS)]
fn single(bencher: Bencher, algorithm: &str) {
    let limiter = Limiter::new(quota(algorithm));
    let mut now_ns = 0;
    bencher.bench_local(|| {
        now_ns += 100;
        limiter.check(black_box(now_ns), 1)
    });
}

/// Keys in turn, from a table that fits the cache and from one that does not.
#[divan::bench(args = ALGORITHMS, consts = [1_000, 1_000_000])]
fn keyed<const KEYS: u32>(bencher: Bencher, algorithm: &str) {
    let limiter = KeyedLimiter::new(quota(algorithm), KEYS as usize * 5 / 4, 16).unwrap();
    let mut number = 0_u32;
    let mut check = || {
        // A stride that is prime to both sizes: no two neighbours, every key in turn.
        number = (number + 7_919) % KEYS;
        let mut key = *b"client-0123";
        key[7..].copy_from_slice(&number.to_le_bytes());
        limiter.check(black_box(&key), u64::from(number), 1)
    };
    for _ in 0..KEYS {
        check();
    }
    bencher.bench_local(check);
}

/// New keys only, in a full table of keys that may be forgotten: the price of making room.
#[divan::bench]
fn keyed_evicting(bencher: Bencher) {
    let limiter = KeyedLimiter::new(quota("token_bucket"), 1_000, 16).unwrap();
    let mut number = 0_u64;
    bencher.bench_local(|| {
        number += 1;
        limiter.check(black_box(&number.to_le_bytes()), number, 1)
    });
}
