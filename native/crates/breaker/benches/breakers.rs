//! Time of one call's bookkeeping: `cargo bench -p trunkline-breaker`.
#![allow(clippy::unwrap_used)]

use divan::{Bencher, black_box};
use trunkline_breaker::{
    Breaker, Outcome, OutlierSettings, Outliers, RetryBudget, RetryBudgetSettings, Settings,
};

fn main() {
    divan::main();
}

#[divan::bench]
fn breaker_acquire_closed(bencher: Bencher) {
    let breaker = Breaker::new(Settings::default()).unwrap();
    bencher.bench_local(|| breaker.acquire(black_box(1)));
}

#[divan::bench]
fn breaker_acquire_and_record(bencher: Bencher) {
    let breaker = Breaker::new(Settings::default()).unwrap();
    let mut now_ns = 0;
    bencher.bench_local(|| {
        now_ns += 1_000;
        let permit = breaker.acquire(now_ns).unwrap();
        breaker.record(permit, now_ns, Outcome::Success, black_box(1_000));
    });
}

#[divan::bench]
fn breaker_refuses(bencher: Bencher) {
    let breaker = Breaker::new(Settings { consecutive_failures: Some(1), ..Settings::default() }).unwrap();
    let permit = breaker.acquire(0).unwrap();
    breaker.record(permit, 0, Outcome::Failure, 1);
    bencher.bench_local(|| breaker.acquire(black_box(1)));
}

#[divan::bench]
fn outliers_record(bencher: Bencher) {
    let outliers = Outliers::new(100, OutlierSettings::default()).unwrap();
    let mut now_ns = 0;
    bencher.bench_local(|| {
        now_ns += 1_000;
        outliers.record(black_box(7), true, now_ns)
    });
}

#[divan::bench]
fn outliers_ejected(bencher: Bencher) {
    let outliers = Outliers::new(100, OutlierSettings::default()).unwrap();
    bencher.bench_local(|| outliers.ejected(black_box(7), 1));
}

#[divan::bench]
fn retry_budget_deposit(bencher: Bencher) {
    let budget = RetryBudget::new(RetryBudgetSettings::default()).unwrap();
    let mut now_ns = 0;
    bencher.bench_local(|| {
        now_ns += 1_000;
        budget.deposit(black_box(now_ns));
    });
}
