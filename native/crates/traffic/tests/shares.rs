//! Splits and mirrors: every share gets its part, evenly, and clients stay where they are.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use trunkline_traffic::{Error, Mirror, Split, plan};

fn shares(weights: &[u32]) -> Vec<plan::Share> {
    let share = |(number, weight): (usize, &u32)| plan::Share { pool: number.to_string(), weight: *weight };
    weights.iter().enumerate().map(share).collect()
}

fn split(weights: &[u32]) -> Split {
    Split::compile(&shares(weights), "route").unwrap()
}

fn mirror(percent: f64) -> Mirror {
    Mirror::compile(&plan::Mirror { pool: "shadow".into(), percent }).unwrap()
}

proptest! {
    /// Wherever the count stands, also where it wraps round.
    #[test]
    fn of_any_requests_in_a_row_each_side_gets_its_part(
        weights in prop::collection::vec(0_u32..1_000, 1..6),
        start in prop_oneof![any::<u64>(), Just(u64::MAX - 500), Just(0)],
    ) {
        prop_assume!(weights.iter().any(|weight| *weight > 0));
        let (split, sum) = (split(&weights), weights.iter().sum::<u32>());
        let mut counts = vec![0_u32; weights.len()];
        (0..1_000).for_each(|step| counts[split.choose(start.wrapping_add(step))] += 1);
        for (count, weight) in counts.iter().zip(&weights) {
            let part = f64::from(*weight) / f64::from(sum) * 1_000.0;
            prop_assert!((f64::from(*count) - part).abs() < 8.0, "{counts:?} for {weights:?}");
            prop_assert!(*weight > 0 || *count == 0);
        }
    }

    #[test]
    fn a_mirror_takes_its_percentage(percent in 0.0..=100.0_f64, start in any::<u64>()) {
        let mirror = mirror(percent);
        let taken = (0..1_000_u64).filter(|step| mirror.takes(start.wrapping_add(*step))).count();
        prop_assert!((taken as f64 - percent * 10.0).abs() < 8.0, "{taken} for {percent}");
    }

    #[test]
    fn a_key_stays_on_its_side_and_only_leaves_it_for_one_that_grew(key in ".{1,40}", weight in 0_u32..100) {
        let (before, after) = (split(&[100 - weight, weight]), split(&[99 - weight, weight + 1]));
        let side = before.choose_by(key.as_bytes());
        prop_assert_eq!(side, before.choose_by(key.as_bytes()));
        prop_assert!(after.choose_by(key.as_bytes()) >= side, "only the second side grew");
    }
}

#[test]
fn keys_spread_by_weight_and_differently_for_each_route() {
    let one = split(&[80, 20]);
    let other = Split::compile(&shares(&[80, 20]), "another route").unwrap();
    let keys: Vec<String> = (0..10_000).map(|number| format!("client-{number}")).collect();
    let side = |split: &Split, key: &String| split.choose_by(key.as_bytes());
    let canaries = keys.iter().filter(|key| side(&one, key) == 1).count();
    assert!((1_880..=2_120).contains(&canaries), "{canaries}: three standard deviations");
    let both = keys.iter().filter(|key| side(&one, key) == 1 && side(&other, key) == 1).count();
    assert!((280..=520).contains(&both), "{both}: a fifth of a fifth, if they are independent");
}

#[test]
fn a_mirror_copies_from_both_sides_of_a_split() {
    let (split, mirror) = (split(&[50, 50]), mirror(10.0));
    let copied = |side| (0..10_000).filter(|turn| mirror.takes(*turn) && split.choose(*turn) == side).count();
    assert!(
        (400..=600).contains(&copied(0)) && (400..=600).contains(&copied(1)),
        "{} {}",
        copied(0),
        copied(1)
    );
}

#[test]
fn the_ends_are_exact() {
    assert!((0..10_000).all(|turn| mirror(100.0).takes(turn) && !mirror(0.0).takes(turn)));
    assert!((0..10_000).all(|turn| split(&[0, 7, 0]).choose(turn) == 1));
    assert_eq!(split(&[u32::MAX, u32::MAX]).choose(u64::MAX), split(&[1, 1]).choose(u64::MAX));
}

#[test]
fn what_makes_no_sense_is_named() {
    let key = |error: Error| error.key;
    assert_eq!(key(Split::compile(&shares(&[0, 0]), "r").unwrap_err()), "split");
    assert_eq!(key(Split::compile(&[], "r").unwrap_err()), "split");
    let twice = [shares(&[1]), shares(&[2])].concat();
    assert_eq!(key(Split::compile(&twice, "r").unwrap_err()), "split[1].pool");
    for percent in [-0.1, 100.1, f64::NAN] {
        let plan = plan::Mirror { pool: "shadow".into(), percent };
        assert_eq!(key(Mirror::compile(&plan).unwrap_err()), "mirror.percent");
    }
}

#[test]
fn plans_are_read_strictly() {
    let mirror: plan::Mirror = serde_json::from_str(r#"{"pool": "shadow"}"#).unwrap();
    assert!((mirror.percent - 100.0).abs() < f64::EPSILON);
    let hedge: plan::Hedge = serde_json::from_str(r#"{"after_ms": 50}"#).unwrap();
    assert_eq!(hedge.attempts, 2);
    assert!(serde_json::from_str::<plan::Share>(r#"{"pool": "a", "weight": 1, "by": "ip"}"#).is_err());
}
