//! Ejection rules, the share that may be out, return, and panic.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use proptest::prelude::*;
use trunkline_breaker::{BreakerError, Ejection, OutlierSettings, Outliers, Reason};

const SECOND: u64 = 1_000_000_000;

fn settings() -> OutlierSettings {
    OutlierSettings { consecutive_failures: Some(3), ..OutlierSettings::default() }
}

fn outliers(servers: usize, settings: OutlierSettings) -> Outliers {
    Outliers::new(servers, settings).unwrap()
}

fn fail(outliers: &Outliers, index: usize, times: usize, now_ns: u64) -> Option<Ejection> {
    (0..times).find_map(|_| outliers.record(index, false, now_ns))
}

#[test]
fn failures_in_a_row_eject_and_time_brings_back() {
    let outliers = outliers(4, settings());
    assert_eq!(fail(&outliers, 1, 2, 0), None);
    outliers.record(1, true, 0);
    assert_eq!(fail(&outliers, 1, 2, 0), None);
    let ejection = fail(&outliers, 1, 1, 0);
    assert_eq!(ejection, Some(Ejection { until_ns: 30 * SECOND, reason: Reason::ConsecutiveFailures }));
    assert_eq!(outliers.report(1, 0).unwrap().ejection, ejection);
    assert!(outliers.ejected(1, 30 * SECOND - 1) && !outliers.ejected(1, 30 * SECOND));
    assert_eq!((outliers.ejected_count(0), outliers.ejected_count(30 * SECOND)), (1, 0));
}

#[test]
fn results_of_an_ejected_server_are_not_counted() {
    let outliers = outliers(4, settings());
    fail(&outliers, 0, 3, 0);
    assert_eq!(fail(&outliers, 0, 10, SECOND), None);
    let report = outliers.report(0, 30 * SECOND).unwrap();
    assert_eq!((report.calls, report.consecutive_failures, report.ejection), (0, 0, None));
}

#[test]
fn repeated_ejections_grow_and_good_behaviour_makes_up() {
    let outliers = outliers(4, OutlierSettings { max_ejection_ns: 75 * SECOND, ..settings() });
    let mut now_ns = 0;
    for seconds in [30, 60, 75, 75] {
        let until_ns = fail(&outliers, 0, 3, now_ns).unwrap().until_ns;
        assert_eq!(until_ns - now_ns, seconds * SECOND);
        now_ns = until_ns;
    }
    // In for three times the base time: three ejections are forgotten, the next is the second again.
    now_ns += 90 * SECOND;
    assert_eq!(fail(&outliers, 0, 3, now_ns).unwrap().until_ns - now_ns, 60 * SECOND);
}

#[test]
fn a_failure_ratio_ejects() {
    let ratio = OutlierSettings {
        consecutive_failures: None,
        failure_ratio: Some(0.5),
        minimum_calls: 10,
        ..OutlierSettings::default()
    };
    let outliers = outliers(3, ratio);
    for number in 0..9 {
        assert_eq!(outliers.record(2, number % 2 == 0, 0), None);
    }
    assert_eq!(outliers.record(2, false, 0).unwrap().reason, Reason::FailureRatio);
}

#[test]
fn the_one_far_below_the_others_is_ejected() {
    let rate = OutlierSettings {
        consecutive_failures: None,
        deviations: Some(1.9),
        minimum_calls: 100,
        minimum_servers: 5,
        ..OutlierSettings::default()
    };
    let outliers = outliers(6, rate);
    // All fail 1 %, server 5 fails 10 %: no fixed ratio would be right for both a good and a bad day.
    for number in 0..1000 {
        for index in 0..6 {
            let one_in = if index == 5 { 10 } else { 100 };
            outliers.record(index, number % one_in != one_in - 1, number * SECOND / 200);
        }
    }
    let out: Vec<usize> = (0..6).filter(|index| outliers.ejected(*index, 5 * SECOND)).collect();
    assert_eq!(out, [5]);
    assert_eq!(outliers.report(5, 5 * SECOND).unwrap().ejection.unwrap().reason, Reason::SuccessRate);
}

#[test]
fn no_more_than_the_share_is_out_but_one_may_always_be() {
    for (servers, share, expected) in
        [(10, 0.3, 3), (10, 0.0, 0), (10, 0.05, 1), (2, 0.1, 1), (1, 0.9, 0), (4, 1.0, 4)]
    {
        let outliers = outliers(servers, OutlierSettings { max_ejected_share: share, ..settings() });
        for index in 0..servers {
            fail(&outliers, index, 3, 0);
        }
        assert_eq!(outliers.ejected_count(0), expected, "{servers} servers, share {share}");
        assert_eq!(outliers.withheld(), (servers - expected) as u64);
    }
}

#[test]
fn below_the_panic_threshold_everyone_is_usable() {
    let outliers =
        outliers(10, OutlierSettings { max_ejected_share: 1.0, panic_threshold: 0.5, ..settings() });
    for index in 0..5 {
        fail(&outliers, index, 3, 0);
    }
    assert!(!outliers.panicking(0, 0) && !outliers.usable(0, 0, 0) && outliers.usable(9, 0, 0));
    assert!(outliers.panicking(1, 0) && outliers.usable(0, 1, 0));
    fail(&outliers, 5, 3, 0);
    assert!(outliers.panicking(0, 0) && outliers.usable(0, 0, 0));
}

#[test]
fn an_index_out_of_range_is_ignored() {
    let outliers = outliers(1, settings());
    assert_eq!(fail(&outliers, 7, 10, 0), None);
    assert!(!outliers.ejected(7, 0) && outliers.report(7, 0).is_none());
}

#[test]
fn settings_are_checked() {
    let name = |settings: OutlierSettings| match Outliers::new(1, settings).unwrap_err() {
        BreakerError::Range { name, .. } => name,
        other => panic!("{other}"),
    };
    assert_eq!(name(OutlierSettings { consecutive_failures: Some(0), ..settings() }), "consecutive_failures");
    assert_eq!(name(OutlierSettings { failure_ratio: Some(1.5), ..settings() }), "failure_ratio");
    assert_eq!(name(OutlierSettings { deviations: Some(0.0), ..settings() }), "deviations");
    assert_eq!(name(OutlierSettings { max_ejection_ns: 1, ..settings() }), "max_ejection_ns");
    assert_eq!(name(OutlierSettings { max_ejected_share: f64::NAN, ..settings() }), "max_ejected_share");
    assert_eq!(name(OutlierSettings { panic_threshold: 2.0, ..settings() }), "panic_threshold");
}

proptest! {
    #[test]
    fn the_share_holds_for_any_traffic(
        share in 0.0..=1.0f64,
        calls in proptest::collection::vec((0..8usize, any::<bool>(), 0..5 * SECOND), 1..500),
    ) {
        let outliers = outliers(8, OutlierSettings { max_ejected_share: share, consecutive_failures: Some(1), ..settings() });
        let mut now_ns = 0;
        for (index, ok, advance) in calls {
            now_ns += advance;
            let was_in = !outliers.ejected(index, now_ns);
            if let Some(ejection) = outliers.record(index, ok, now_ns) {
                prop_assert!(was_in && !ok && ejection.until_ns > now_ns);
            }
            prop_assert!(outliers.ejected_count(now_ns) <= ((share * 8.0) as usize).max(1));
        }
    }
}
