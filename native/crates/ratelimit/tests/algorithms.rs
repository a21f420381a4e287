//! What every algorithm promises, over random quotas and random calls.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use proptest::prelude::*;
use trunkline_ratelimit::{Algorithm, Decision, Limiter, Quota, State};

const SECOND: u64 = 1_000_000_000;

/// Any algorithm with small and odd numbers, so that nothing divides evenly.
fn quotas() -> impl Strategy<Value = Quota> {
    let algorithm = proptest::sample::select(Algorithm::ALL.to_vec());
    (algorithm, 1..50u64, 1..10_000u64, 1..50u64).prop_map(|(algorithm, limit, period_ns, burst)| {
        let burst = (!algorithm.is_window()).then_some(burst);
        Quota::new(algorithm, limit, period_ns, burst).unwrap()
    })
}

/// Calls as (nanoseconds since the last one, cost).
fn calls() -> impl Strategy<Value = Vec<(u64, u64)>> {
    proptest::collection::vec((prop_oneof![Just(0), 0..100u64, 0..20_000u64], 0..20u64), 1..60)
}

proptest! {
    #[test]
    fn never_more_than_limit_plus_burst_in_any_period(quota in quotas(), calls in calls(), start in any::<u32>()) {
        let (mut state, mut now_ns) = (State::default(), u64::from(start));
        let mut admitted: Vec<(u64, u64)> = Vec::new();
        for (advance, cost) in calls {
            now_ns += advance;
            if quota.check(&mut state, now_ns, cost).allowed {
                admitted.push((now_ns, cost));
            }
            let since_ns = now_ns.saturating_sub(quota.period_ns() - 1);
            let taken: u64 = admitted.iter().filter(|(at_ns, _)| *at_ns >= since_ns).map(|(_, cost)| cost).sum();
            prop_assert!(taken <= quota.limit() + quota.burst());
        }
    }

    #[test]
    fn retry_after_is_the_earliest_instant(quota in quotas(), calls in calls()) {
        let (mut state, mut now_ns) = (State::default(), 0);
        for (advance, cost) in calls {
            now_ns += advance;
            let decision = quota.check(&mut state, now_ns, cost);
            if decision.allowed {
                prop_assert_eq!(decision.retry_after_ns, 0);
            } else if cost > quota.burst() {
                prop_assert_eq!(decision.retry_after_ns, Decision::NEVER);
            } else {
                let retry_ns = now_ns + decision.retry_after_ns;
                prop_assert!(quota.peek(&state, retry_ns, cost).allowed);
                prop_assert!(!quota.peek(&state, retry_ns - 1, cost).allowed);
            }
        }
    }

    #[test]
    fn remaining_and_reset_are_true(quota in quotas(), calls in calls()) {
        let (mut state, mut now_ns) = (State::default(), 0);
        for (advance, cost) in calls {
            now_ns += advance;
            let decision = quota.check(&mut state, now_ns, cost);
            prop_assert!(quota.peek(&state, now_ns, decision.remaining).allowed);
            prop_assert!(!quota.peek(&state, now_ns, decision.remaining + 1).allowed);
            let whole = quota.peek(&state, now_ns + decision.reset_after_ns, 0);
            prop_assert_eq!((whole.remaining, whole.reset_after_ns), (quota.burst(), 0));
        }
    }

    #[test]
    fn a_refused_call_takes_nothing(quota in quotas(), calls in calls()) {
        let (mut state, mut now_ns) = (State::default(), 0);
        for (advance, cost) in calls {
            now_ns += advance;
            let before = state;
            if !quota.check(&mut state, now_ns, cost).allowed {
                prop_assert_eq!(state, before);
            }
        }
    }

    #[test]
    fn token_bucket_leaky_meter_and_gcra_agree(
        (limit, period_ns, burst) in (1..1000u64, 1..100_000u64, 1..1000u64), calls in calls(),
    ) {
        let quota = |algorithm| Quota::new(algorithm, limit, period_ns, Some(burst)).unwrap();
        let (bucket, meter, gcra) =
            (quota(Algorithm::TokenBucket), quota(Algorithm::LeakyMeter), quota(Algorithm::Gcra));
        let mut states = [State::default(); 3];
        let mut now_ns = 0;
        for (advance, cost) in calls {
            now_ns += advance;
            let expected = bucket.check(&mut states[0], now_ns, cost);
            prop_assert_eq!(meter.check(&mut states[1], now_ns, cost), expected);
            prop_assert_eq!(gcra.check(&mut states[2], now_ns, cost), expected);
        }
    }

    #[test]
    fn a_queue_spaces_its_calls_evenly(limit in 1..100u64, period_ns in 1..100_000u64, burst in 1..30u64, advances in
        proptest::collection::vec(0..5_000u64, 1..60)) {
        let quota = Quota::new(Algorithm::LeakyQueue, limit, period_ns, Some(burst)).unwrap();
        let (mut state, mut now_ns) = (State::default(), 0);
        let mut last_leave_ns: Option<u64> = None;
        for advance in advances {
            now_ns += advance;
            let decision = quota.check(&mut state, now_ns, 1);
            if !decision.allowed {
                continue;
            }
            let leave_ns = now_ns + decision.delay_ns;
            if let Some(last_ns) = last_leave_ns {
                // Each turn is rounded up to a nanosecond on its own, so two may be one closer than the exact spacing.
                prop_assert!(leave_ns - last_ns + 1 >= period_ns / limit);
            }
            prop_assert!(u128::from(decision.delay_ns) <= u128::from((burst - 1) * period_ns).div_ceil(u128::from(limit)));
            last_leave_ns = Some(leave_ns);
        }
    }

    #[test]
    fn nothing_overflows(
        algorithm in proptest::sample::select(Algorithm::ALL.to_vec()),
        limit in prop_oneof![1..10u64, Quota::MAX - 3..=Quota::MAX],
        period_ns in prop_oneof![1..10u64, Quota::MAX - 3..=Quota::MAX],
        burst in prop_oneof![1..10u64, Quota::MAX - 3..=Quota::MAX],
        calls in proptest::collection::vec((any::<u64>(), any::<u64>()), 1..30),
    ) {
        let burst = (!algorithm.is_window()).then_some(burst);
        let quota = Quota::new(algorithm, limit, period_ns, burst).unwrap();
        let mut state = State::default();
        for (now_ns, cost) in calls {
            let decision = quota.check(&mut state, now_ns, cost);
            prop_assert!(decision.remaining <= quota.burst());
            quota.check(&mut state, u64::MAX, 1);
            quota.check(&mut state, 0, cost % quota.burst());
        }
    }

    #[test]
    fn a_clock_that_stands_still_admits_the_burst_and_no_more(quota in quotas(), now_ns in any::<u64>()) {
        let limiter = Limiter::new(quota);
        let admitted = (0..200).filter(|_| limiter.check(now_ns, 1).allowed).count() as u64;
        prop_assert_eq!(admitted, quota.burst());
    }

    #[test]
    fn a_clock_that_steps_back_is_not_rewarded(quota in quotas(), now_ns in 1_000_000..u64::MAX / 2, back in 0..1_000_000u64) {
        let limiter = Limiter::new(quota);
        while limiter.check(now_ns, 1).allowed {}
        prop_assert!(!limiter.check(now_ns - back, 1).allowed);
    }
}

#[test]
fn an_uneven_rate_does_not_drift() {
    // 7 per second is one per 142 857 142.857… ns: polled every nanosecond-odd step for a day, exactly 7 x 86 400 pass.
    for algorithm in [Algorithm::TokenBucket, Algorithm::LeakyMeter, Algorithm::LeakyQueue, Algorithm::Gcra] {
        let quota = Quota::new(algorithm, 7, SECOND, Some(1)).unwrap();
        let (mut state, mut now_ns, mut admitted) = (State::default(), 0, 0u64);
        while now_ns < 86_400 * SECOND {
            let decision = quota.check(&mut state, now_ns, 1);
            admitted += u64::from(decision.allowed);
            now_ns += decision.retry_after_ns.max(u64::from(decision.allowed));
        }
        // Each instant of admission is rounded up to the next nanosecond: under a nanosecond lost per call, 0.6 ms a day.
        assert_eq!(admitted, 7 * 86_400, "{}", algorithm.name());
    }
}

#[test]
fn a_fixed_window_passes_twice_its_limit_around_a_boundary_and_a_sliding_one_does_not() {
    let passed = |algorithm| {
        let quota = Quota::new(algorithm, 100, SECOND, None).unwrap();
        let mut state = State::default();
        let around = [SECOND - 1, SECOND]
            .map(|now_ns| (0..200).filter(|_| quota.check(&mut state, now_ns, 1).allowed).count());
        around.iter().sum::<usize>()
    };
    assert_eq!(passed(Algorithm::FixedWindow), 200);
    assert_eq!(passed(Algorithm::SlidingWindow), 100);
}

#[test]
fn bad_numbers_are_named() {
    let message = |quota: Result<Quota, trunkline_ratelimit::QuotaError>| quota.unwrap_err().to_string();
    assert!(message(Quota::new(Algorithm::Gcra, 0, 1, Some(1))).starts_with("limit"));
    assert!(message(Quota::new(Algorithm::Gcra, 1, 0, None)).starts_with("period"));
    assert!(message(Quota::new(Algorithm::Gcra, 1, 1, Some(0))).starts_with("burst"));
    assert!(message(Quota::new(Algorithm::Gcra, Quota::MAX + 1, 1, None)).starts_with("limit"));
    assert!(message(Quota::new(Algorithm::FixedWindow, 5, 1, Some(6))).starts_with("fixed_window"));
    assert!("tokens".parse::<Algorithm>().unwrap_err().to_string().contains("token_bucket"));
    assert_eq!("gcra".parse::<Algorithm>().unwrap(), Algorithm::Gcra);
}
