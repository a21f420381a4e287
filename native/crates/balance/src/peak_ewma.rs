//! Peak EWMA: a moving average of the latency that jumps up to every peak and decays slowly.
//!
//! Source: Finagle's `PeakEwma` load metric (also Linkerd's). A slow answer counts at once, a fast one only by and by, so
//! that a struggling server is avoided after a single request. The average also decays while nothing is sent, so that a
//! server once slow is tried again.

/// Finagle's and Linkerd's default: the time in which an old value fades to 1/e.
const DECAY_NS: f64 = 10e9;

/// What a request in flight costs on a server that has not answered anything yet: enough to send one request and wait
/// for its answer before the next (Finagle's "penalty"), as long as the others answer within a second.
const UNMEASURED_NS: f64 = 1e9;

/// The average after a new sample.
pub(crate) fn update(average_ns: u64, sample_ns: u64, since_last_ns: u64) -> u64 {
    if sample_ns >= average_ns {
        return sample_ns;
    }
    let kept = fading(since_last_ns);
    (average_ns as f64 * kept + sample_ns as f64 * (1.0 - kept)) as u64
}

/// The expected wait behind `active` requests.
pub(crate) fn load(average_ns: u64, since_last_ns: u64, active: u32) -> f64 {
    if average_ns == 0 {
        return UNMEASURED_NS * f64::from(active);
    }
    average_ns as f64 * fading(since_last_ns) * (f64::from(active) + 1.0)
}

fn fading(since_last_ns: u64) -> f64 {
    (-(since_last_ns as f64) / DECAY_NS).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peak_counts_at_once_and_fades_slowly() {
        assert_eq!(update(1_000, 50_000, 1), 50_000);
        let soon = update(50_000, 1_000, 1_000_000);
        assert!((49_900..50_000).contains(&soon), "{soon}");
        let later = update(50_000, 1_000, 30_000_000_000);
        assert!((1_000..4_000).contains(&later), "{later}");
    }

    #[test]
    fn load_grows_with_requests_in_flight_and_falls_with_idle_time() {
        assert!(load(1_000, 0, 1) > load(1_000, 0, 0));
        assert!(load(1_000, 20_000_000_000, 0) < load(1_000, 0, 0) / 5.0);
    }

    #[test]
    fn an_unmeasured_server_gets_one_request_and_then_waits() {
        assert!(load(0, 0, 0) < load(1_000, 0, 0));
        assert!(load(0, 0, 1) > load(20_000_000, 0, 10));
    }
}
