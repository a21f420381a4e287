//! Places and queue: by hand, and with threads that fight over them.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread;

use trunkline_concurrency::{Entry, Gradient2Settings, Limit, Permit, Place, Settings};

const SECOND_NS: u64 = 1_000_000_000;
const MILLISECOND_NS: u64 = 1_000_000;

fn bulkhead(limit: u32, queue: u32) -> Arc<Limit> {
    Arc::new(Limit::new(Settings { queue, ..Settings::fixed(limit) }).unwrap())
}

fn admitted(limit: &Arc<Limit>) -> Permit {
    match limit.enter() {
        Entry::Admitted(permit) => permit,
        other => panic!("{other:?}"),
    }
}

fn queued(limit: &Arc<Limit>) -> Place {
    match limit.enter() {
        Entry::Queued(place) => place,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_bulkhead_admits_queues_and_refuses() {
    let limit = bulkhead(2, 1);
    let (first, second) = (admitted(&limit), admitted(&limit));
    let place = queued(&limit);
    assert!(matches!(limit.enter(), Entry::Refused));
    let report = limit.report();
    assert_eq!((report.limit, report.in_flight, report.waiting, report.refused), (2, 2, 1, 1));
    drop(first);
    assert!(matches!(limit.enter(), Entry::Refused), "nobody overtakes who waits");
    assert!(limit.has_room());
    let third = place.try_enter().unwrap();
    assert!(place.try_enter().is_none() && !limit.has_room());
    drop((place, second, third));
    assert_eq!((limit.report().in_flight, limit.report().waiting), (0, 0));
    admitted(&limit).answered(SECOND_NS, MILLISECOND_NS);
    assert_eq!((limit.report().in_flight, limit.report().limit), (0, 2));
}

#[test]
fn without_a_queue_what_does_not_fit_is_refused() {
    let limit = bulkhead(1, 0);
    let permit = admitted(&limit);
    assert!(matches!(limit.enter(), Entry::Refused));
    permit.dropped(0);
    drop(admitted(&limit));
}

#[test]
fn an_adaptive_limit_learns_once_per_window_and_only_from_enough() {
    let rule = Gradient2Settings { initial: 10, minimum: 1, maximum: 50, ..Gradient2Settings::default() };
    let limit = Arc::new(Limit::new(Settings::gradient2(rule)).unwrap());
    let burst = |now_ns: u64, count: usize| {
        let permits: Vec<Permit> = (0..count).map(|_| admitted(&limit)).collect();
        for permit in permits {
            permit.answered(now_ns, 10 * MILLISECOND_NS);
        }
    };
    burst(SECOND_NS / 2, 10);
    assert_eq!(limit.report().limit, 10, "the window is not over");
    burst(SECOND_NS, 1);
    // 10 + 0.2 × 4, and again.
    assert_eq!((limit.report().limit, limit.report().latencies_ns), (10, (10e6, 10e6)));
    burst(5 * SECOND_NS, 9);
    assert_eq!(limit.report().limit, 10, "nine samples are too few");
    burst(5 * SECOND_NS, 10);
    assert_eq!(limit.report().limit, 11);
}

#[test]
fn drops_shrink_it_though_nobody_answers() {
    let limit = Arc::new(Limit::new(Settings::gradient2(Gradient2Settings::default())).unwrap());
    for second in 1..=200 {
        admitted(&limit).dropped(second * SECOND_NS);
    }
    assert_eq!(limit.report().limit, 4, "the minimum");
}

#[test]
fn threads_never_have_more_than_the_limit() {
    let (limit, inside, most) = (bulkhead(3, 2), Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let work = || {
        for now_ns in 0..20_000 {
            let permit = match limit.enter() {
                Entry::Admitted(permit) => Some(permit),
                Entry::Queued(place) => place.try_enter(),
                Entry::Refused => None,
            };
            if let Some(permit) = permit {
                most.fetch_max(inside.fetch_add(1, SeqCst) + 1, SeqCst);
                inside.fetch_sub(1, SeqCst);
                permit.answered(now_ns, 1);
            }
        }
    };
    thread::scope(|scope| (0..6).for_each(|_| drop(scope.spawn(work))));
    assert!((1..=3).contains(&most.load(SeqCst)), "{most:?}");
    let report = limit.report();
    assert_eq!((report.in_flight, report.waiting), (0, 0));
}

#[test]
fn windows_closed_by_many_threads_keep_the_limit_within_its_bounds() {
    let rule = Gradient2Settings {
        window_ns: 1,
        least_samples: 1,
        minimum: 5,
        maximum: 40,
        ..Gradient2Settings::default()
    };
    let limit = Arc::new(Limit::new(Settings::gradient2(rule)).unwrap());
    let work = || {
        let mut random = fastrand::Rng::with_seed(7);
        for now_ns in 0..20_000 {
            match limit.enter() {
                Entry::Admitted(permit) if random.u8(..) == 0 => permit.dropped(now_ns),
                Entry::Admitted(permit) => permit.answered(now_ns, random.u64(1..1_000_000)),
                _ => {}
            }
            assert!((5..=40).contains(&limit.report().limit));
        }
    };
    thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(work))));
    assert_eq!(limit.report().in_flight, 0);
}
