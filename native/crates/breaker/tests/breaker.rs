//! Each line of the transition table, then random calls against a plain model.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use proptest::prelude::*;
use trunkline_breaker::{Breaker, BreakerError, Open, Outcome, Permit, Phase, Settings};

const SECOND: u64 = 1_000_000_000;
const FAST: u64 = 1_000_000;

/// Opens after 2 failures in a row for 5 s, 2 probes with a deadline of 10 s.
fn settings() -> Settings {
    Settings {
        consecutive_failures: Some(2),
        failure_ratio: None,
        open_ns: 5 * SECOND,
        probes: 2,
        probe_timeout_ns: 10 * SECOND,
        ..Settings::default()
    }
}

fn call(breaker: &Breaker, now_ns: u64, outcome: Outcome) {
    let permit = breaker.acquire(now_ns).unwrap();
    breaker.record(permit, now_ns, outcome, FAST);
}

fn opened(settings: Settings) -> Breaker {
    let breaker = Breaker::new(settings).unwrap();
    while breaker.state(0) == Phase::Closed {
        call(&breaker, 0, Outcome::Failure);
    }
    breaker
}

fn succeed(breaker: &Breaker, permit: Permit, now_ns: u64) {
    breaker.record(permit, now_ns, Outcome::Success, FAST);
}

#[test]
fn failures_in_a_row_open_it_and_a_success_between_does_not() {
    let breaker = Breaker::new(settings()).unwrap();
    for outcome in [Outcome::Failure, Outcome::Success, Outcome::Failure] {
        call(&breaker, 0, outcome);
    }
    assert_eq!(breaker.state(0), Phase::Closed);
    call(&breaker, 0, Outcome::Failure);
    assert_eq!(breaker.state(0), Phase::Open);
    assert_eq!(breaker.acquire(SECOND), Err(Open { retry_after_ns: 4 * SECOND }));
    assert_eq!((breaker.counts(0).opened, breaker.counts(0).refused), (1, 1));
}

#[test]
fn a_failure_ratio_needs_the_minimum_of_calls() {
    let ratio = Settings { failure_ratio: Some(0.5), minimum_calls: 10, ..Settings::default() };
    let breaker = Breaker::new(ratio).unwrap();
    for number in 0..9 {
        call(&breaker, number * SECOND / 10, Outcome::Failure);
    }
    assert_eq!(breaker.state(SECOND), Phase::Closed);
    call(&breaker, SECOND, Outcome::Failure);
    assert_eq!(breaker.state(SECOND), Phase::Open);
}

#[test]
fn failures_that_left_the_window_do_not_count() {
    let ratio = Settings { failure_ratio: Some(0.5), minimum_calls: 4, ..Settings::default() };
    let breaker = Breaker::new(ratio).unwrap();
    for _ in 0..3 {
        call(&breaker, 0, Outcome::Failure);
    }
    for number in 0..7 {
        call(&breaker, 11 * SECOND, if number < 3 { Outcome::Failure } else { Outcome::Success });
    }
    assert_eq!(breaker.state(11 * SECOND), Phase::Closed);
    assert_eq!((breaker.counts(11 * SECOND).calls, breaker.counts(11 * SECOND).failures), (7, 3));
}

#[test]
fn slow_calls_open_it() {
    let slow = Settings {
        failure_ratio: None,
        slow_ratio: Some(0.5),
        slow_call_ns: SECOND,
        minimum_calls: 4,
        ..Settings::default()
    };
    let breaker = Breaker::new(slow).unwrap();
    for latency_ns in [FAST, SECOND - 1, SECOND, 2 * SECOND] {
        assert_eq!(breaker.state(0), Phase::Closed);
        let permit = breaker.acquire(0).unwrap();
        breaker.record(permit, 0, Outcome::Success, latency_ns);
    }
    assert_eq!(breaker.state(0), Phase::Open);
}

#[test]
fn half_open_lets_only_the_probes_through() {
    let breaker = opened(settings());
    assert_eq!(breaker.state(5 * SECOND), Phase::HalfOpen);
    let (first, second) = (breaker.acquire(5 * SECOND).unwrap(), breaker.acquire(6 * SECOND).unwrap());
    assert_eq!(breaker.acquire(7 * SECOND), Err(Open { retry_after_ns: 8 * SECOND }));
    succeed(&breaker, first, 7 * SECOND);
    assert_eq!(breaker.state(7 * SECOND), Phase::HalfOpen);
    succeed(&breaker, second, 7 * SECOND);
    assert_eq!(breaker.state(7 * SECOND), Phase::Closed);
    assert_eq!(breaker.counts(7 * SECOND).calls, 0);
}

#[test]
fn a_failed_probe_opens_it_again_for_longer_up_to_the_maximum() {
    let breaker = opened(Settings { open_growth: 2.0, open_max_ns: 15 * SECOND, ..settings() });
    let mut now_ns = 0;
    for expected in [5, 10, 15, 15] {
        let refused = breaker.acquire(now_ns).unwrap_err();
        assert_eq!(refused.retry_after_ns, expected * SECOND);
        now_ns += refused.retry_after_ns;
        call(&breaker, now_ns, Outcome::Failure);
    }
    // Having closed, it starts from the beginning.
    now_ns += 15 * SECOND;
    call(&breaker, now_ns, Outcome::Success);
    call(&breaker, now_ns, Outcome::Success);
    call(&breaker, now_ns, Outcome::Failure);
    call(&breaker, now_ns, Outcome::Failure);
    assert_eq!(breaker.acquire(now_ns).unwrap_err().retry_after_ns, 5 * SECOND);
}

#[test]
fn a_slow_probe_fails_when_slow_calls_matter() {
    let breaker = opened(Settings { slow_ratio: Some(1.0), slow_call_ns: SECOND, ..settings() });
    let probe = breaker.acquire(5 * SECOND).unwrap();
    breaker.record(probe, 7 * SECOND, Outcome::Success, 2 * SECOND);
    assert_eq!(breaker.state(7 * SECOND), Phase::Open);
}

#[test]
fn a_lost_probe_gives_its_place_back_at_its_deadline() {
    let breaker = opened(settings());
    let lost = [breaker.acquire(5 * SECOND).unwrap(), breaker.acquire(5 * SECOND).unwrap()];
    assert!(breaker.acquire(15 * SECOND - 1).is_err());
    let probes = [breaker.acquire(15 * SECOND).unwrap(), breaker.acquire(15 * SECOND).unwrap()];
    assert_eq!(breaker.counts(15 * SECOND).lost_probes, 2);
    // The late news of the lost ones changes nothing, neither good nor bad.
    for late in lost {
        breaker.record(late, 16 * SECOND, Outcome::Failure, FAST);
    }
    assert_eq!(breaker.state(16 * SECOND), Phase::HalfOpen);
    for probe in probes {
        succeed(&breaker, probe, 16 * SECOND);
    }
    assert_eq!(breaker.state(16 * SECOND), Phase::Closed);
}

#[test]
fn a_cancelled_probe_gives_its_place_back_at_once() {
    let breaker = opened(Settings { probes: 1, ..settings() });
    let probe = breaker.acquire(5 * SECOND).unwrap();
    assert!(breaker.acquire(5 * SECOND).is_err());
    breaker.cancel(probe);
    assert!(breaker.acquire(5 * SECOND).is_ok());
}

#[test]
fn a_permit_from_an_earlier_phase_is_late_news() {
    let breaker = Breaker::new(settings()).unwrap();
    let early = [breaker.acquire(0).unwrap(), breaker.acquire(0).unwrap()];
    call(&breaker, 0, Outcome::Failure);
    call(&breaker, 0, Outcome::Failure);
    let probe = breaker.acquire(5 * SECOND).unwrap();
    for permit in early {
        breaker.record(permit, 6 * SECOND, Outcome::Failure, 6 * SECOND);
    }
    assert_eq!(breaker.state(6 * SECOND), Phase::HalfOpen);
    breaker.reset();
    breaker.record(probe, 6 * SECOND, Outcome::Failure, FAST);
    assert_eq!(breaker.counts(6 * SECOND).consecutive_failures, 0);
}

#[test]
fn settings_are_checked() {
    let name = |settings: Settings| match Breaker::new(settings).unwrap_err() {
        BreakerError::Range { name, .. } => name,
        BreakerError::NoRule => "no rule",
        BreakerError::NoSlowCall => "no slow call",
    };
    assert_eq!(name(Settings { failure_ratio: None, ..Settings::default() }), "no rule");
    assert_eq!(name(Settings { slow_ratio: Some(0.5), ..Settings::default() }), "no slow call");
    assert_eq!(name(Settings { failure_ratio: Some(0.0), ..Settings::default() }), "failure_ratio");
    assert_eq!(name(Settings { failure_ratio: Some(f64::NAN), ..Settings::default() }), "failure_ratio");
    assert_eq!(
        name(Settings { slow_ratio: Some(1.1), slow_call_ns: 1, ..Settings::default() }),
        "slow_ratio"
    );
    assert_eq!(name(Settings { consecutive_failures: Some(0), ..settings() }), "consecutive_failures");
    assert_eq!(name(Settings { window_ns: 9, ..settings() }), "window_ns");
    assert_eq!(name(Settings { open_growth: 0.9, ..settings() }), "open_growth");
    assert_eq!(name(Settings { open_max_ns: 1, ..settings() }), "open_max_ns");
    assert_eq!(name(Settings { probes: 0, ..settings() }), "probes");
    assert_eq!(name(Settings { probe_timeout_ns: 0, ..settings() }), "probe_timeout_ns");
}

proptest! {
    /// Whatever happens: no more probes at once than allowed, none while the open time runs, and it never locks up.
    #[test]
    fn probes_are_bounded_and_it_always_recovers(
        steps in proptest::collection::vec((0..4u8, 0..8 * SECOND, any::<proptest::sample::Index>()), 1..200),
    ) {
        let breaker = Breaker::new(settings()).unwrap();
        let (mut now_ns, mut held) = (0, Vec::new());
        for (action, advance, choice) in steps {
            now_ns += advance;
            let phase = breaker.state(now_ns);
            match action {
                0 => match breaker.acquire(now_ns) {
                    Ok(permit) => {
                        prop_assert_ne!(phase, Phase::Open);
                        held.push((permit, phase, now_ns));
                    }
                    Err(open) => {
                        prop_assert_ne!(phase, Phase::Closed);
                        prop_assert!(open.retry_after_ns > 0 && open.retry_after_ns <= 10 * SECOND);
                    }
                },
                _ if held.is_empty() => {}
                1 => breaker.cancel(held.swap_remove(choice.index(held.len())).0),
                _ => {
                    let outcome = if action == 2 { Outcome::Success } else { Outcome::Failure };
                    breaker.record(held.swap_remove(choice.index(held.len())).0, now_ns, outcome, FAST);
                }
            }
            let recent = |(_, phase, at_ns): &&(Permit, Phase, u64)| *phase == Phase::HalfOpen && at_ns + 10 * SECOND > now_ns;
            if breaker.state(now_ns) == Phase::HalfOpen {
                // Probes of earlier half-open phases may still be held: each phase lasted until a failure, 5 s ago or more.
                prop_assert!(held.iter().filter(recent).count() <= 2 * 3);
            }
        }
        // Let everything held be lost: after the deadlines, two good probes close it.
        now_ns += 20 * SECOND;
        while breaker.state(now_ns) != Phase::Closed {
            call(&breaker, now_ns, Outcome::Success);
        }
    }
}

#[test]
fn threads_get_no_more_probes_than_places() {
    let breaker = opened(settings());
    let probes: usize = std::thread::scope(|scope| {
        let try_often = || (0..1000).filter(|_| breaker.acquire(5 * SECOND).is_ok()).count();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(try_often)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(probes, 2);
    assert_eq!(breaker.counts(5 * SECOND).refused, 3998);
}
