//! Slow start: the share of its normal load that a server which came back is given.
//!
//! The share is applied where each algorithm can use it: as a weight (smooth weighted round robin), as a divisor of the
//! load (least connections, power of two, peak EWMA), or as the chance of keeping its turn (round robin, by a random
//! number) or its keys (hashing, by a number drawn from the key, so that each key comes home once and stays).

use crate::random::unit;

/// Envoy's `min_weight_percent` default of 10 %: less would starve the caches that are to be warmed.
const LEAST_SHARE: f64 = 0.1;

/// In [0.1, 1], linear in the time since `since_ns` (0: up for ever).
pub(crate) fn share(since_ns: u64, now_ns: u64, slow_start_ns: u64) -> f64 {
    let elapsed_ns = now_ns.saturating_sub(since_ns);
    if since_ns == 0 || elapsed_ns >= slow_start_ns {
        return 1.0;
    }
    (elapsed_ns as f64 / slow_start_ns as f64).max(LEAST_SHARE)
}

/// Whether a server with this share keeps what `bits` drew for it.
pub(crate) fn keeps(share: f64, bits: impl FnOnce() -> u64) -> bool {
    share >= 1.0 || unit(bits()) < share
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_grows_linearly_from_a_tenth() {
        let shares = [100, 105, 150, 199, 200, 900].map(|now_ns| (share(100, now_ns, 100) * 100.0).round());
        assert_eq!(shares.map(|share| share as u32), [10, 10, 50, 99, 100, 100]);
    }

    #[test]
    fn without_a_start_or_a_duration_the_share_is_full() {
        assert!(share(0, 1, 100) >= 1.0);
        assert!(share(100, 100, 0) >= 1.0);
    }
}
