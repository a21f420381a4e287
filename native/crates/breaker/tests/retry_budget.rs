//! Retries stay within their share of the requests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use proptest::prelude::*;
use trunkline_breaker::{RetryBudget, RetryBudgetSettings};

const SECOND: u64 = 1_000_000_000;

fn budget(ratio: f64, minimum_per_second: f64) -> RetryBudget {
    RetryBudget::new(RetryBudgetSettings { ratio, minimum_per_second, ..RetryBudgetSettings::default() })
        .unwrap()
}

fn withdrawn(budget: &RetryBudget, now_ns: u64) -> usize {
    (0..10_000).take_while(|_| budget.withdraw(now_ns)).count()
}

#[test]
fn one_retry_for_five_requests() {
    let budget = budget(0.2, 0.0);
    assert!(!budget.withdraw(0));
    (0..50).for_each(|_| budget.deposit(0));
    assert_eq!(withdrawn(&budget, SECOND), 10);
    assert!((budget.balance(SECOND) - 0.0).abs() < 1e-9);
}

#[test]
fn requests_counted_together_pay_as_much_as_one_by_one() {
    let budget = budget(0.2, 0.0);
    budget.deposit_many(0, 49);
    assert_eq!(withdrawn(&budget, 0), 9);
    budget.deposit_many(SECOND, 0);
    assert!(!budget.withdraw(SECOND));
    budget.deposit_many(SECOND, 1);
    assert_eq!(withdrawn(&budget, SECOND), 1);
}

#[test]
fn a_quiet_client_has_the_minimum() {
    let budget = budget(0.2, 2.0);
    assert_eq!(withdrawn(&budget, 0), 20);
    assert_eq!(withdrawn(&budget, 9 * SECOND), 0);
    assert_eq!(withdrawn(&budget, 10 * SECOND), 20);
}

#[test]
fn what_left_the_window_pays_for_nothing() {
    let budget = budget(0.5, 0.0);
    (0..100).for_each(|_| budget.deposit(0));
    assert_eq!(withdrawn(&budget, 10 * SECOND), 0);
}

#[test]
fn settings_are_checked() {
    for settings in [
        RetryBudgetSettings { ratio: -0.1, ..RetryBudgetSettings::default() },
        RetryBudgetSettings { minimum_per_second: f64::INFINITY, ..RetryBudgetSettings::default() },
        RetryBudgetSettings { window_ns: 0, ..RetryBudgetSettings::default() },
    ] {
        assert!(RetryBudget::new(settings).is_err(), "{settings:?}");
    }
}

proptest! {
    #[test]
    fn retries_never_exceed_the_budget_over_all_time(
        ratio in 0.0..1.0f64, minimum in 0.0..3.0f64,
        steps in proptest::collection::vec((any::<bool>(), 0..2 * SECOND), 1..500),
    ) {
        let budget = budget(ratio, minimum);
        let (mut now_ns, mut requests, mut retries) = (0, 0u32, 0u32);
        for (is_request, advance) in steps {
            now_ns += advance;
            if is_request {
                budget.deposit(now_ns);
                requests += 1;
            } else {
                retries += u32::from(budget.withdraw(now_ns));
            }
            // Every 9 s (the shortest window) gives at most the reserve of 10 s.
            let reserves = minimum * 10.0 * (now_ns as f64 / (9.0 * SECOND as f64) + 1.0);
            prop_assert!(f64::from(retries) <= ratio * 2.0 * f64::from(requests) + reserves);
        }
    }
}
