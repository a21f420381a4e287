//! What every ring promises: proportional shares, few moved keys, an order of preference without repeats.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use trunkline_hashring::{Error, Node, Ring, RingKind};

const KINDS: [RingKind; 5] = [
    RingKind::Ketama,
    RingKind::Maglev { table_size: 65_537 },
    RingKind::Jump,
    RingKind::Rendezvous,
    RingKind::Modulo,
];

/// A table small enough to be built a thousand times.
const SMALL_MAGLEV: RingKind = RingKind::Maglev { table_size: 1_031 };

const KEYS: u32 = 20_000;

fn nodes(weights: &[u32]) -> Vec<Node> {
    weights
        .iter()
        .enumerate()
        .map(|(index, &weight)| Node::new(format!("10.0.0.{index}:80"), weight))
        .collect()
}

fn ring(kind: RingKind, weights: &[u32]) -> Ring {
    Ring::new(kind, nodes(weights)).unwrap()
}

/// The name chosen for each of `KEYS` keys.
fn assignment(ring: &Ring) -> Vec<&str> {
    let name = |key: u32| ring.nodes()[ring.lookup(&key.to_le_bytes()).unwrap()].name.as_str();
    (0..KEYS).map(name).collect()
}

/// The share of keys that move between two states of a ring.
fn moved(before: &Ring, after: &Ring) -> f64 {
    let pairs =
        assignment(before).into_iter().zip(assignment(after)).filter(|(left, right)| left != right).count();
    pairs as f64 / f64::from(KEYS)
}

#[test]
fn shares_follow_weights() {
    for kind in KINDS {
        let ring = ring(kind, &[1, 2, 0, 5]);
        let mut counts = [0_u32; 4];
        for key in 0..KEYS {
            counts[ring.lookup(&key.to_le_bytes()).unwrap()] += 1;
        }
        // 160 points per weight scatter by 1/sqrt(160) = 8 %; two of those for the lightest.
        for (count, weight) in counts.into_iter().zip([1, 2, 0, 5]) {
            let expected = f64::from(KEYS * weight) / 8.0;
            assert!((f64::from(count) - expected).abs() <= expected * 0.16, "{kind:?}: {counts:?}");
        }
    }
}

/// The measured disruption stands in docs/concepts/hashring.md.
#[test]
fn removing_a_node_moves_few_keys() {
    let bounds = [(KINDS[0], 0.13), (KINDS[1], 0.15), (KINDS[2], 0.22), (KINDS[3], 0.12)];
    for (kind, bound) in bounds {
        let before = ring(kind, &[1; 10]);
        let mut after = before.clone();
        after.remove("10.0.0.3:80").unwrap();
        let moved = moved(&before, &after);
        assert!((0.07..bound).contains(&moved), "{kind:?} moved {moved}");
    }
}

#[test]
fn a_new_node_only_takes_keys() {
    for kind in [RingKind::Ketama, RingKind::Jump, RingKind::Rendezvous] {
        let before = ring(kind, &[1; 10]);
        let mut after = before.clone();
        after.add(Node::new("new", 1)).unwrap();
        for (left, right) in assignment(&before).into_iter().zip(assignment(&after)) {
            assert!(left == right || right == "new", "{kind:?}");
        }
    }
}

#[test]
fn the_order_of_nodes_does_not_matter_where_names_decide() {
    for kind in [RingKind::Ketama, KINDS[1], RingKind::Rendezvous] {
        let forward = ring(kind, &[1, 2, 3, 4]);
        let backward = Ring::new(kind, nodes(&[1, 2, 3, 4]).into_iter().rev().collect()).unwrap();
        assert_eq!(assignment(&forward), assignment(&backward), "{kind:?}");
    }
}

#[test]
fn an_empty_ring_answers_nothing() {
    for kind in KINDS {
        for weights in [&[][..], &[0, 0]] {
            let ring = ring(kind, weights);
            assert_eq!(ring.lookup(b"key"), None, "{kind:?}");
            assert!(ring.lookup_n(b"key", 3).is_empty(), "{kind:?}");
        }
    }
}

#[test]
fn a_refused_change_leaves_the_ring_as_it_was() {
    let mut ring = ring(RingKind::Ketama, &[1, 1]);
    let before: Vec<String> = assignment(&ring).into_iter().map(str::to_owned).collect();
    assert_eq!(ring.add(Node::new("10.0.0.1:80", 1)), Err(Error::DuplicateNode("10.0.0.1:80".into())));
    assert_eq!(ring.remove("other"), Err(Error::UnknownNode("other".into())));
    assert!(matches!(ring.set_weight("10.0.0.1:80", 200_000), Err(Error::TooHeavy { .. })));
    assert_eq!(assignment(&ring), before);
}

#[test]
fn kinds_have_names() {
    assert_eq!("maglev".parse(), Ok(KINDS[1]));
    assert_eq!("chord".parse::<RingKind>(), Err(Error::UnknownKind("chord".into())));
}

fn any_kind() -> impl Strategy<Value = RingKind> {
    prop_oneof![
        Just(RingKind::Ketama),
        Just(SMALL_MAGLEV),
        Just(RingKind::Jump),
        Just(RingKind::Rendezvous),
        Just(RingKind::Modulo)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn the_preferences_of_a_key_are_all_nodes_with_weight(
        kind in any_kind(), weights in prop::collection::vec(0..4_u32, 1..9), key: Vec<u8>,
    ) {
        let ring = ring(kind, &weights);
        let mut preferences = ring.lookup_n(&key, weights.len());
        prop_assert_eq!(preferences.first().copied(), ring.lookup(&key));
        preferences.sort_unstable();
        let weighted: Vec<usize> = (0..weights.len()).filter(|&node| weights[node] > 0).collect();
        prop_assert_eq!(preferences, weighted);
    }

    #[test]
    fn a_node_that_is_out_does_not_move_the_keys_of_others(
        kind in any_kind(), count in 2..9_usize, out in 0..9_usize, key: Vec<u8>,
    ) {
        let ring = ring(kind, &vec![1; count]);
        let home = ring.lookup(&key).unwrap();
        let found = ring.lookup_where(&key, |node| node != out).unwrap();
        prop_assert_ne!(found, out);
        prop_assert!(home == out || found == home);
    }

    #[test]
    fn every_slot_of_a_weighted_maglev_table_is_within_one_of_its_share(
        weights in prop::collection::vec(1..200_u32, 1..30),
    ) {
        let ring = ring(SMALL_MAGLEV, &weights);
        let total: u32 = weights.iter().sum();
        let mut slots = vec![0_u32; weights.len()];
        // One key for each slot of the table, found by trying.
        let mut seen = std::collections::HashMap::new();
        let mut number = 0_u64;
        while seen.len() < 1_031 {
            let key = number.to_le_bytes();
            let slot = trunkline_hashring::xxh64(&key, 0) % 1_031;
            seen.entry(slot).or_insert_with(|| ring.lookup(&key).unwrap());
            number += 1;
        }
        for node in seen.values() {
            slots[*node] += 1;
        }
        for (slots, weight) in slots.into_iter().zip(weights) {
            let share = f64::from(weight) * 1_031.0 / f64::from(total);
            prop_assert!((f64::from(slots) - share).abs() < 1.0, "{} against {}", slots, share);
        }
    }
}
