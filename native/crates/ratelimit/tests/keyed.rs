//! The keyed table: separate keys, bounded memory, and what it may and may not forget.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use proptest::prelude::*;
use trunkline_ratelimit::{Algorithm, KeyedLimiter, Quota, QuotaError, State};

const SECOND: u64 = 1_000_000_000;

fn keyed(algorithm: Algorithm, limit: u64, capacity: usize, shards: usize) -> KeyedLimiter {
    KeyedLimiter::new(Quota::new(algorithm, limit, SECOND, None).unwrap(), capacity, shards).unwrap()
}

fn name(number: usize) -> Vec<u8> {
    format!("client-{number}").into_bytes()
}

proptest! {
    #[test]
    fn keys_are_counted_apart(
        algorithm in proptest::sample::select(Algorithm::ALL.to_vec()),
        calls in proptest::collection::vec((0..5usize, 0..SECOND, 0..4u64), 1..100),
    ) {
        let limiter = keyed(algorithm, 5, 1024, 4);
        let (mut states, mut now_ns) = ([State::default(); 5], 0);
        for (key, advance, cost) in calls {
            now_ns += advance;
            let expected = limiter.quota().check(&mut states[key], now_ns, cost);
            prop_assert_eq!(limiter.peek(&name(key), now_ns, cost), expected);
            prop_assert_eq!(limiter.check(&name(key), now_ns, cost), expected);
        }
    }

    #[test]
    fn a_limited_key_is_never_forgotten(
        algorithm in proptest::sample::select(Algorithm::ALL.to_vec()),
        others in proptest::collection::vec((0..10_000usize, 0..SECOND / 1000, 1..4u64), 1..400),
    ) {
        // Two keys are limited in a table of 32; a crowd of others comes by within half a period.
        let limiter = keyed(algorithm, 3, 32, 2);
        let quota = *limiter.quota();
        let mut alone = [State::default(); 2];
        for (state, key) in alone.iter_mut().zip([b"first", b"other"]) {
            for _ in 0..4 {
                prop_assert_eq!(limiter.check(key, 0, 1), quota.check(state, 0, 1));
            }
        }
        let mut now_ns = 0;
        for (other, advance, cost) in others {
            now_ns += advance;
            limiter.check(&name(other), now_ns, cost);
            for (state, key) in alone.iter().zip([b"first", b"other"]) {
                prop_assert_eq!(limiter.peek(key, now_ns, 1), quota.peek(state, now_ns, 1));
            }
        }
        prop_assert!(limiter.len() <= limiter.capacity());
    }
}

#[test]
fn a_key_refused_for_a_high_cost_is_not_forgotten_while_it_recovers() {
    let limiter = keyed(Algorithm::TokenBucket, 100, 8, 1);
    limiter.check(b"bulk", 0, 60);
    assert!(!limiter.check(b"bulk", 0, 60).allowed);
    for number in 0..100 {
        limiter.check(&name(number), 0, 50);
    }
    assert!(!limiter.peek(b"bulk", 0, 60).allowed);
}

#[test]
fn when_all_are_limited_the_rest_share_one_quota() {
    let limiter = keyed(Algorithm::TokenBucket, 2, 8, 1);
    for number in 0..8 {
        while limiter.check(&name(number), 0, 1).allowed {}
    }
    let admitted = (8..1000).filter(|number| limiter.check(&name(*number), 0, 1).allowed).count();
    assert_eq!(admitted, 2);
    assert_eq!((limiter.len(), limiter.evicted(), limiter.overflowed()), (8, 0, 992));
    // When the limited keys have recovered, new keys get places again.
    assert!((2000..2008).all(|number| limiter.check(&name(number), 10 * SECOND, 2).allowed));
}

#[test]
fn idle_keys_make_room_without_being_missed() {
    let limiter = keyed(Algorithm::Gcra, 10, 64, 2);
    for number in 0..10_000 {
        assert!(limiter.check(&name(number), number as u64 * SECOND, 10).allowed);
    }
    assert_eq!((limiter.evicted(), limiter.overflowed()), (0, 0));
    assert!(limiter.len() <= limiter.capacity());
}

#[test]
fn the_key_with_least_to_lose_makes_room_and_is_counted() {
    let limiter = keyed(Algorithm::TokenBucket, 10, 8, 1);
    for number in 0..8usize {
        limiter.check(&name(number), 0, number as u64 + 1);
    }
    limiter.check(b"newcomer", 0, 1);
    assert_eq!((limiter.len(), limiter.evicted()), (8, 1));
    assert_eq!(limiter.peek(&name(0), 0, 0).remaining, 10, "the one with one unit used is forgotten");
    assert_eq!(limiter.peek(&name(7), 0, 0).remaining, 2);
}

#[test]
fn four_fifths_of_the_capacity_fit_before_anyone_is_pushed_out() {
    let limiter = keyed(Algorithm::TokenBucket, 10, 64 * 1024, 8);
    let keys = limiter.capacity() * 4 / 5;
    for number in 0..keys {
        limiter.check(&name(number), 0, 1);
    }
    assert!(limiter.evicted() < keys as u64 / 1000, "{} of {keys} evicted", limiter.evicted());
}

#[test]
fn reset_forgets_one_key() {
    let limiter = keyed(Algorithm::FixedWindow, 1, 100, 3);
    assert!(limiter.is_empty());
    limiter.check(b"a", 0, 1);
    limiter.check(b"b", 0, 1);
    assert!(limiter.reset(b"a") && !limiter.reset(b"a"));
    assert!(limiter.check(b"a", 0, 1).allowed);
    assert!(!limiter.check(b"b", 0, 1).allowed);
    assert_eq!(limiter.len(), 2);
}

#[test]
fn threads_together_admit_exactly_the_burst() {
    let limiter = keyed(Algorithm::TokenBucket, 1000, 64, 4);
    let count = || (0..2000).filter(|_| limiter.check(b"shared", 5, 1).allowed).count();
    let admitted: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(count)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(admitted, 1000);
}

#[test]
fn sizes_are_checked() {
    let quota = Quota::new(Algorithm::Gcra, 1, 1, None).unwrap();
    assert_eq!(KeyedLimiter::new(quota, 0, 1).unwrap_err(), QuotaError::Capacity(0));
    assert_eq!(KeyedLimiter::new(quota, 1, 0).unwrap_err(), QuotaError::Shards(0));
    assert_eq!(KeyedLimiter::new(quota, 1, 64).unwrap().capacity(), 8);
}
