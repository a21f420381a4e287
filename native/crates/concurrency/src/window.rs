//! The samples of the current window, added up by all threads without a lock.
//!
//! The fields are read and reset one after another while others add: a sample may count half in one window and half in the next.
//! Windows hold tens of samples and are smoothed afterwards, so that is not worth a lock on each answer.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

use crate::Sample;

#[derive(Debug, Default)]
pub(crate) struct Window {
    latency_sum_ns: AtomicU64,
    answered: AtomicU32,
    most_in_flight: AtomicU32,
    dropped: AtomicBool,
    begun_ns: AtomicU64,
}

impl Window {
    pub(crate) fn add_answered(&self, latency_ns: u64, in_flight: u32) {
        self.latency_sum_ns.fetch_add(latency_ns, Relaxed);
        self.answered.fetch_add(1, Relaxed);
        self.most_in_flight.fetch_max(in_flight, Relaxed);
    }

    pub(crate) fn add_dropped(&self, in_flight: u32) {
        self.dropped.store(true, Relaxed);
        self.most_in_flight.fetch_max(in_flight, Relaxed);
    }

    /// Whether it is over. One with drops need not be full: who answers nothing would never fill it.
    pub(crate) fn is_over(&self, now_ns: u64, length_ns: u64, least_samples: u32) -> bool {
        let begun_ns = self.begun_ns.load(Relaxed);
        let full = self.answered.load(Relaxed) >= least_samples || self.dropped.load(Relaxed);
        full && now_ns.saturating_sub(begun_ns) >= length_ns
    }

    /// What it has shown; begins the next one.
    pub(crate) fn close(&self, now_ns: u64) -> Sample {
        self.begun_ns.store(now_ns, Relaxed);
        let answered = self.answered.swap(0, Relaxed);
        let sum_ns = self.latency_sum_ns.swap(0, Relaxed) as f64;
        Sample {
            latency_ns: if answered == 0 { 0.0 } else { sum_ns / f64::from(answered) },
            in_flight: self.most_in_flight.swap(0, Relaxed),
            dropped: self.dropped.swap(false, Relaxed),
        }
    }
}
