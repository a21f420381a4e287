//! Latency histograms with fixed buckets from 10 µs to 63 s.
//!
//! The bucket bounds are the preferred numbers of ISO 3, series R20: twenty bounds per decade, each about 12 % above the
//! one before, so that a quantile read from the buckets is off by at most 6 %. Plain powers of two with linear steps between
//! would cost the same, but R20 contains 1, 2.5 and 5 of every decade, so the cumulative counts given to Prometheus are exact
//! at the bounds people write into their objectives ("99 % below 250 ms"), not interpolated.
//! Does not hold minimum or maximum: they cannot be reset by several scrapers.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// R20 of ISO 3, in hundredths.
const SERIES: [u64; 20] =
    [100, 112, 125, 140, 160, 180, 200, 224, 250, 280, 315, 355, 400, 450, 500, 560, 630, 710, 800, 900];
/// Six decades from 10 µs and then up to 63 s, just over the usual 60 s time-outs.
const BOUNDS: usize = 6 * SERIES.len() + 17;
/// The buckets and the one above the last bound.
const BUCKETS: usize = BOUNDS + 1;

/// Inclusive upper bounds of the buckets, nanoseconds.
pub const BOUNDS_NS: [u64; BOUNDS] = bounds();

/// The bounds shown to Prometheus, nanoseconds: 1, 2.5 and 5 of each decade from 50 µs, about the least a proxied request
/// takes on loopback, to 50 s. It holds every default bound of the Prometheus clients (5 ms to 10 s), so that dashboards made
/// for those work, and keeps a histogram at 22 series instead of 140.
pub const LE_NS: [u64; 19] = [
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
    25_000_000_000,
    50_000_000_000,
];

const fn bounds() -> [u64; BOUNDS] {
    let mut all = [0; BOUNDS];
    let mut unit_ns = 100; // a hundredth of 10 µs
    let mut at = 0;
    while at < BOUNDS {
        all[at] = SERIES[at % SERIES.len()] * unit_ns;
        at += 1;
        if at % SERIES.len() == 0 {
            unit_ns *= 10;
        }
    }
    all
}

/// For each power of two and its eight linear steps, the first bucket that can hold such a value: from there the right one
/// is at most two comparisons away, because R20's steps are about as wide as these.
static FIRST: [u8; 64 * 8] = first();

const fn first() -> [u8; 64 * 8] {
    let mut table = [0; 64 * 8];
    let mut at = 0;
    while at < table.len() {
        let (power, step) = (at / 8, at % 8);
        let lowest = (1u64 << power) + if power >= 3 { (step as u64) << (power - 3) } else { 0 };
        let mut bucket = 0;
        while bucket < BOUNDS && BOUNDS_NS[bucket] < lowest {
            bucket += 1;
        }
        table[at] = bucket as u8;
        at += 1;
    }
    table
}

/// The index of the bucket that holds `ns`: the first whose bound is not below it.
#[inline]
fn bucket(ns: u64) -> usize {
    let power = (ns | 8).ilog2();
    let step = (ns >> (power - 3)) & 7;
    let mut bucket = usize::from(FIRST[power as usize * 8 + step as usize]);
    while bucket < BOUNDS && BOUNDS_NS[bucket] < ns {
        bucket += 1;
    }
    bucket
}

/// Counts of durations by bucket. Single writer, many readers; 1 112 bytes.
#[derive(Debug)]
pub struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    sum_ns: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: [const { AtomicU64::new(0) }; BUCKETS], sum_ns: AtomicU64::new(0) }
    }
}

impl Histogram {
    /// Counts one duration. Only the owning worker may call this.
    #[inline]
    pub fn observe_ns(&self, ns: u64) {
        let cell = &self.buckets[bucket(ns)];
        cell.store(cell.load(Relaxed) + 1, Relaxed);
        self.sum_ns.store(self.sum_ns.load(Relaxed).wrapping_add(ns), Relaxed);
    }

    /// A copy of the counts, from any thread. Not one instant: what is observed meanwhile may be in or out.
    pub fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        self.merge_into(&mut snapshot);
        snapshot
    }

    /// Adds these counts to those of other workers.
    pub fn merge_into(&self, snapshot: &mut Snapshot) {
        for (total, cell) in snapshot.buckets.iter_mut().zip(&self.buckets) {
            *total += cell.load(Relaxed);
        }
        snapshot.sum_ns = snapshot.sum_ns.wrapping_add(self.sum_ns.load(Relaxed));
    }
}

/// Merged counts of one or more histograms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    buckets: [u64; BUCKETS],
    sum_ns: u64,
}

impl Default for Snapshot {
    fn default() -> Self {
        Self { buckets: [0; BUCKETS], sum_ns: 0 }
    }
}

impl Snapshot {
    /// How many durations were counted.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Their sum in nanoseconds (wraps after 584 years).
    pub fn sum_ns(&self) -> u64 {
        self.sum_ns
    }

    /// How many were not longer than `bound_ns`; exact when that is one of [`BOUNDS_NS`], else the bound below it counts.
    pub fn at_most(&self, bound_ns: u64) -> u64 {
        let whole = BOUNDS_NS.partition_point(|&bound| bound <= bound_ns);
        self.buckets[..whole].iter().sum()
    }

    /// The duration in nanoseconds that the share `q` (0 to 1) did not exceed, interpolated within its bucket; within 6 % for
    /// 10 µs to 63 s, 63 s for anything longer, `None` without observations.
    pub fn quantile(&self, q: f64) -> Option<u64> {
        let count = self.count();
        let wanted = q.clamp(0.0, 1.0) * count as f64;
        let mut below = 0;
        for (bucket, &within) in self.buckets.iter().enumerate().filter(|(_, within)| **within > 0) {
            if (below + within) as f64 >= wanted {
                let share = (wanted - below as f64).max(0.0) / within as f64;
                return Some(interpolate(bucket, share));
            }
            below += within;
        }
        None
    }
}

/// The value at `share` of the way through a bucket.
fn interpolate(bucket: usize, share: f64) -> u64 {
    let low = if bucket == 0 { 0 } else { BOUNDS_NS[bucket - 1] };
    let high = BOUNDS_NS.get(bucket).copied().unwrap_or(low);
    low + ((high - low) as f64 * share) as u64
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{BOUNDS, BOUNDS_NS, Histogram, LE_NS, Snapshot, bucket};
    use proptest::prelude::*;

    #[test]
    fn bounds_run_from_10_us_to_63_s_in_steps_of_an_eighth() {
        assert_eq!((BOUNDS_NS[0], BOUNDS_NS[BOUNDS - 1]), (10_000, 63_000_000_000));
        for pair in BOUNDS_NS.windows(2) {
            let ratio = pair[1] as f64 / pair[0] as f64;
            assert!((1.10..1.15).contains(&ratio), "{pair:?}");
        }
    }

    #[test]
    fn every_bound_shown_to_prometheus_is_a_bucket_bound() {
        assert!(LE_NS.iter().all(|bound| BOUNDS_NS.contains(bound)));
        assert!(LE_NS.is_sorted());
    }

    #[test]
    fn edges_belong_to_the_bucket_below() {
        assert_eq!(bucket(0), 0);
        assert_eq!(bucket(10_000), 0);
        assert_eq!(bucket(10_001), 1);
        assert_eq!(bucket(63_000_000_000), BOUNDS - 1);
        assert_eq!(bucket(63_000_000_001), BOUNDS);
        assert_eq!(bucket(u64::MAX), BOUNDS);
    }

    #[test]
    fn snapshots_of_workers_merge() {
        let (one, two) = (Histogram::default(), Histogram::default());
        one.observe_ns(1_000_000);
        two.observe_ns(3_000_000);
        let mut merged = one.snapshot();
        two.merge_into(&mut merged);
        assert_eq!((merged.count(), merged.sum_ns()), (2, 4_000_000));
        assert_eq!(
            (merged.at_most(1_000_000), merged.at_most(2_500_000), merged.at_most(5_000_000)),
            (1, 1, 2)
        );
    }

    #[test]
    fn an_empty_snapshot_has_no_quantile_and_the_overflow_bucket_is_capped() {
        assert_eq!(Snapshot::default().quantile(0.5), None);
        let histogram = Histogram::default();
        histogram.observe_ns(u64::MAX);
        assert_eq!(histogram.snapshot().quantile(0.99), Some(63_000_000_000));
    }

    proptest! {
        #[test]
        fn the_table_finds_what_a_search_finds(ns in prop_oneof![any::<u64>(), 0u64..70_000_000_000, 0u64..100_000]) {
            prop_assert_eq!(bucket(ns), BOUNDS_NS.partition_point(|&bound| bound < ns));
        }

        #[test]
        fn quantiles_are_within_one_bucket(mut values in prop::collection::vec(10_000u64..63_000_000_000, 1..200), q in 0.0f64..=1.0) {
            let histogram = Histogram::default();
            for &value in &values {
                histogram.observe_ns(value);
            }
            values.sort_unstable();
            let rank = (q * values.len() as f64).ceil().max(1.0) as usize - 1;
            let (exact, read) = (values[rank] as f64, histogram.snapshot().quantile(q).unwrap() as f64);
            prop_assert!((read / exact - 1.0).abs() < 0.15, "{} {}", exact, read);
        }
    }
}
