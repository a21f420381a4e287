//! One server's live state: what the control plane says about it and what the workers count.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

use crate::{Standing, peak_ewma, slow_start};

/// Shared through an `Arc` by all workers and by successive configurations, so that health, counters and the slow-start
/// clock survive a reload. Atomics with relaxed ordering: each value stands for itself, nothing is published through them.
///
/// Times are nanoseconds of one monotonic clock of the caller's choice.
#[derive(Debug)]
pub struct Server {
    name: Box<str>,
    priority: u8,
    status: Status,
    counters: Counters,
}

/// Read by every pick, written a few times an hour; on cache lines of its own, away from the counters.
#[derive(Debug)]
#[repr(align(64))]
struct Status {
    weight: AtomicU32,
    /// 0 = no limit.
    max_active: AtomicU32,
    healthy: AtomicBool,
    draining: AtomicBool,
    ejected_until_ns: AtomicU64,
    /// When it last became healthy; 0 = it has been so from the beginning.
    healthy_since_ns: AtomicU64,
}

/// Written by every request.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Counters {
    active: AtomicU32,
    ewma_ns: AtomicU64,
    ewma_at_ns: AtomicU64,
}

impl Server {
    /// A healthy server with its full share; see [`Server::restart_slow_start`] for one that joins a running pool.
    /// Priority 0 serves first, higher numbers are backups.
    pub fn new(name: &str, weight: u32, priority: u8) -> Self {
        let status = Status {
            weight: AtomicU32::new(weight),
            max_active: AtomicU32::new(0),
            healthy: AtomicBool::new(true),
            draining: AtomicBool::new(false),
            ejected_until_ns: AtomicU64::new(0),
            healthy_since_ns: AtomicU64::new(0),
        };
        Self { name: name.into(), priority, status, counters: Counters::default() }
    }

    /// What identifies it; also its place on a ring.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Lower numbers are used first.
    pub fn priority(&self) -> u8 {
        self.priority
    }

    /// Share relative to the servers of the same priority; 0 = none.
    pub fn weight(&self) -> u32 {
        self.status.weight.load(Relaxed)
    }

    /// Takes effect with the next pick, but for the hashing algorithms: their tables are built once, so only 0 counts at
    /// once and other weights when the [`Balancer`](crate::Balancer) is built anew.
    pub fn set_weight(&self, weight: u32) {
        self.status.weight.store(weight, Relaxed);
    }

    /// Most requests in flight, over all workers; 0 = no limit.
    pub fn max_active(&self) -> u32 {
        self.status.max_active.load(Relaxed)
    }

    /// Sets the most requests in flight. Workers look before they count, so each may overshoot by one.
    pub fn set_max_active(&self, max_active: u32) {
        self.status.max_active.store(max_active, Relaxed);
    }

    /// The verdict of the health checks.
    pub fn healthy(&self) -> bool {
        self.status.healthy.load(Relaxed)
    }

    /// Takes down the verdict of the health checks; going up restarts the slow-start clock. Answers whether this is news.
    pub fn set_healthy(&self, healthy: bool, now_ns: u64) -> bool {
        let changed = self.status.healthy.swap(healthy, Relaxed) != healthy;
        if changed && healthy {
            self.restart_slow_start(now_ns);
        }
        changed
    }

    /// Begins slow start, for a server that joins a running pool.
    pub fn restart_slow_start(&self, now_ns: u64) {
        self.status.healthy_since_ns.store(now_ns.max(1), Relaxed);
    }

    /// Whether it gets no new requests because an operator said so.
    pub fn draining(&self) -> bool {
        self.status.draining.load(Relaxed)
    }

    /// Stops or resumes new requests; those in flight go on.
    pub fn set_draining(&self, draining: bool) {
        self.status.draining.store(draining, Relaxed);
    }

    /// Leaves it out until `until_ns` (0 = take it back now); its return begins slow start.
    pub fn eject_until(&self, until_ns: u64) {
        self.status.ejected_until_ns.store(until_ns, Relaxed);
    }

    /// Whether an ejection is running.
    pub fn ejected(&self, now_ns: u64) -> bool {
        now_ns < self.ejected_until_ns()
    }

    /// End of the last ejection; 0 = there was none.
    pub fn ejected_until_ns(&self) -> u64 {
        self.status.ejected_until_ns.load(Relaxed)
    }

    /// Requests in flight.
    pub fn active(&self) -> u32 {
        self.counters.active.load(Relaxed)
    }

    /// Counts a request in.
    pub fn begin(&self) {
        self.counters.active.fetch_add(1, Relaxed);
    }

    /// Counts a request out and takes its latency into the average (`None`: it says nothing about the server's speed).
    /// One `finish` too many is ignored.
    pub fn finish(&self, now_ns: u64, latency_ns: Option<u64>) {
        let _ = self.counters.active.fetch_update(Relaxed, Relaxed, |active| active.checked_sub(1));
        if let Some(latency_ns) = latency_ns {
            self.observe(now_ns, latency_ns);
        }
    }

    /// Counts a request out that was given up after so long: as its latency would have been longer still, it can only raise the average.
    pub fn give_up(&self, now_ns: u64, at_least_ns: u64) {
        self.finish(now_ns, Some(at_least_ns).filter(|&at_least_ns| at_least_ns > self.ewma_ns()));
    }

    /// Two workers that finish at once may lose one of the samples; the average stays one.
    fn observe(&self, now_ns: u64, latency_ns: u64) {
        let since_last_ns = now_ns.saturating_sub(self.counters.ewma_at_ns.swap(now_ns, Relaxed));
        let average_ns = peak_ewma::update(self.ewma_ns(), latency_ns, since_last_ns);
        self.counters.ewma_ns.store(average_ns, Relaxed);
    }

    /// The peak-sensitive moving average of the latency as of the last answer; 0 = nothing measured.
    pub fn ewma_ns(&self) -> u64 {
        self.counters.ewma_ns.load(Relaxed)
    }

    /// The share of its normal load, in [0.1, 1], that slow start grants.
    pub fn slow_start_share(&self, now_ns: u64, slow_start_ns: u64) -> f64 {
        if slow_start_ns == 0 {
            return 1.0;
        }
        let returned_ns = Some(self.ejected_until_ns()).filter(|&until_ns| until_ns <= now_ns).unwrap_or(0);
        let since_ns = self.status.healthy_since_ns.load(Relaxed).max(returned_ns);
        slow_start::share(since_ns, now_ns, slow_start_ns)
    }

    /// The expected wait for one more request, in nanoseconds, by peak EWMA.
    pub(crate) fn expected_wait_ns(&self, now_ns: u64) -> f64 {
        let since_last_ns = now_ns.saturating_sub(self.counters.ewma_at_ns.load(Relaxed));
        peak_ewma::load(self.ewma_ns(), since_last_ns, self.active())
    }

    /// Neither unhealthy nor ejected.
    pub(crate) fn sound(&self, now_ns: u64) -> bool {
        self.healthy() && !self.ejected(now_ns)
    }

    /// Meant to take requests: neither draining nor of weight 0.
    pub(crate) fn in_rotation(&self) -> bool {
        self.weight() > 0 && !self.draining()
    }

    /// At its limit of requests in flight.
    pub(crate) fn full(&self) -> bool {
        let max_active = self.max_active();
        max_active > 0 && self.active() >= max_active
    }

    /// Why it would not be picked, whatever its priority; `None` if it would.
    pub(crate) fn objection(&self, now_ns: u64) -> Option<Standing> {
        if self.draining() {
            Some(Standing::Draining)
        } else if self.weight() == 0 {
            Some(Standing::WeightZero)
        } else if !self.healthy() {
            Some(Standing::Unhealthy)
        } else if self.ejected(now_ns) {
            Some(Standing::Ejected { until_ns: self.ejected_until_ns() })
        } else if self.full() {
            Some(Standing::Full)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn going_up_restarts_slow_start_and_staying_up_does_not() {
        let server = Server::new("a", 1, 0);
        assert!(!server.set_healthy(true, 50));
        assert!(server.slow_start_share(60, 100) >= 1.0);
        assert!(server.set_healthy(false, 70));
        assert!(server.set_healthy(true, 100));
        assert!((server.slow_start_share(150, 100) - 0.5).abs() < 1e-9);
        assert!(!server.set_healthy(true, 150));
        assert!((server.slow_start_share(160, 100) - 0.6).abs() < 1e-9);
    }

    #[test]
    fn the_end_of_an_ejection_begins_slow_start() {
        let server = Server::new("a", 1, 0);
        server.eject_until(100);
        assert!(server.ejected(99) && !server.ejected(100));
        assert!((server.slow_start_share(130, 100) - 0.3).abs() < 1e-9);
    }

    #[test]
    fn active_never_goes_below_zero() {
        let server = Server::new("a", 1, 0);
        server.begin();
        server.finish(1, None);
        server.finish(2, Some(500));
        assert_eq!((server.active(), server.ewma_ns()), (0, 500));
    }

    #[test]
    fn who_is_given_up_makes_no_server_quicker() {
        let server = Server::new("a", 1, 0);
        server.begin();
        server.give_up(1, 500);
        server.begin();
        server.give_up(1_000_000_000_000, 400);
        assert_eq!((server.active(), server.ewma_ns()), (0, 500));
        server.give_up(1_000_000_000_001, 600);
        assert_eq!(server.ewma_ns(), 600);
    }

    #[test]
    fn status_and_counters_do_not_share_a_cache_line() {
        assert_eq!(align_of::<Status>(), 64);
        assert_eq!(align_of::<Counters>(), 64);
    }
}
