//! Outlier ejection: servers of a pool that fail, or fail more than the others, are left out for a while.
//!
//! | a server is | event | then |
//! |---|---|---|
//! | in | failures in a row reach `consecutive_failures` | out |
//! | in | its failures reach `failure_ratio` of at least `minimum_calls` in the window | out |
//! | in | its success rate is more than `deviations` standard deviations below the pool's mean | out |
//! | in | any of these, but `max_ejected_share` of the servers are out already | in, counted as withheld |
//! | out | a result arrives | nothing: it was sent before |
//! | out | its time is up | in, all counts 0 |
//!
//! The time out is `base_ejection_ns` times the number of ejections in a row, at most `max_ejection_ns`; each
//! `base_ejection_ns` that a server then stays in takes one off that number. One server may be out whatever the share is, if
//! there are two or more. Servers that behave alike differ by less than chance would make them, and the least of nothing is an
//! outlier too; so the standard deviation counts as at least the binomial one of the server's calls (Envoy's does not). Below `panic_threshold` of servers left, the caller should use all of them, the ejected ones
//! too: [`Outliers::usable`]. (Envoy's outlier detection; the defaults are Envoy's where it has the same setting.)

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard};

use crate::BreakerError;
use crate::error::{require, require_ratio};
use crate::window::{BUCKETS, Window};

const SECOND: u64 = 1_000_000_000;

/// When a server is ejected, and for how long. Each of the three rules is off when `None`.
#[derive(Debug, Clone, PartialEq)]
pub struct OutlierSettings {
    /// Failures one after another, at least 1.
    pub consecutive_failures: Option<u32>,
    /// Share of failed calls in the window, in (0, 1].
    pub failure_ratio: Option<f64>,
    /// Standard deviations below the pool's mean success rate, above 0.
    pub deviations: Option<f64>,
    /// Calls of one server in the window before its ratio or rate is looked at.
    pub minimum_calls: u32,
    /// Servers with that many calls before they are compared with each other.
    pub minimum_servers: usize,
    /// What ratio and rate look back on, at least 10 ns (see `window.rs`).
    pub window_ns: u64,
    pub base_ejection_ns: u64,
    pub max_ejection_ns: u64,
    /// Share of the servers that may be out at the same time, in [0, 1].
    pub max_ejected_share: f64,
    /// Share of usable servers below which ejections are ignored, in [0, 1].
    pub panic_threshold: f64,
}

impl Default for OutlierSettings {
    fn default() -> Self {
        Self {
            consecutive_failures: Some(5),
            failure_ratio: None,
            deviations: None,
            minimum_calls: 100,
            minimum_servers: 5,
            window_ns: 10 * SECOND,
            base_ejection_ns: 30 * SECOND,
            max_ejection_ns: 300 * SECOND,
            // Envoy's 10 % ejects one server of any small pool and never a second; half is what panic leaves anyway.
            max_ejected_share: 0.5,
            panic_threshold: 0.5,
        }
    }
}

impl OutlierSettings {
    fn validate(&self) -> Result<(), BreakerError> {
        let failures = self.consecutive_failures.unwrap_or(1);
        require(failures >= 1, "consecutive_failures", "at least 1", f64::from(failures))?;
        require_ratio("failure_ratio", self.failure_ratio)?;
        let deviations = self.deviations.unwrap_or(1.0);
        require(deviations > 0.0 && deviations.is_finite(), "deviations", "above 0 and finite", deviations)?;
        require(self.minimum_calls >= 1, "minimum_calls", "at least 1", f64::from(self.minimum_calls))?;
        require(self.window_ns >= BUCKETS as u64, "window_ns", "at least 10", self.window_ns as f64)?;
        require(self.base_ejection_ns >= 1, "base_ejection_ns", "at least 1", self.base_ejection_ns as f64)?;
        let longest_ns = self.max_ejection_ns as f64;
        require(
            self.max_ejection_ns >= self.base_ejection_ns,
            "max_ejection_ns",
            "at least base_ejection_ns",
            longest_ns,
        )?;
        let share = |share: f64| (0.0..=1.0).contains(&share);
        let (ejected, panic) = (self.max_ejected_share, self.panic_threshold);
        require(share(ejected), "max_ejected_share", "between 0 and 1", ejected)?;
        require(share(panic), "panic_threshold", "between 0 and 1", panic)
    }
}

/// Which rule ejected a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    ConsecutiveFailures,
    FailureRatio,
    SuccessRate,
}

impl Reason {
    /// `consecutive_failures`, `failure_ratio` or `success_rate`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ConsecutiveFailures => "consecutive_failures",
            Self::FailureRatio => "failure_ratio",
            Self::SuccessRate => "success_rate",
        }
    }
}

/// A server has just been ejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ejection {
    pub until_ns: u64,
    pub reason: Reason,
}

/// What is known about one server, for `explain` and the admin API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerReport {
    /// The present ejection, if it is out.
    pub ejection: Option<Ejection>,
    /// Ejections in a row, as far as good behaviour has not made up for them.
    pub repeats: u32,
    pub calls: u64,
    pub failures: u64,
    pub consecutive_failures: u32,
}

/// Outlier detection over a fixed list of servers, addressed by index.
#[derive(Debug)]
pub struct Outliers {
    settings: OutlierSettings,
    servers: Box<[Server]>,
    /// Held while a server is put out, so that two threads cannot together exceed the share.
    ejecting: Mutex<()>,
    withheld: AtomicU64,
}

#[derive(Debug)]
struct Server {
    /// 0: never ejected. Beside the lock, because every balancing decision reads it.
    ejected_until_ns: AtomicU64,
    record: Mutex<Record>,
}

#[derive(Debug)]
struct Record {
    /// Calls, failures.
    window: Window<2>,
    consecutive_failures: u32,
    repeats: u32,
    reason: Reason,
    /// Servers are compared with each other at most once per window bucket.
    compare_after_ns: u64,
}

impl Outliers {
    /// All servers in.
    pub fn new(servers: usize, settings: OutlierSettings) -> Result<Self, BreakerError> {
        settings.validate()?;
        let server = || Server {
            ejected_until_ns: AtomicU64::new(0),
            record: Mutex::new(Record {
                window: Window::new(settings.window_ns),
                consecutive_failures: 0,
                repeats: 0,
                reason: Reason::ConsecutiveFailures,
                compare_after_ns: 0,
            }),
        };
        let servers = (0..servers).map(|_| server()).collect();
        Ok(Self { settings, servers, ejecting: Mutex::new(()), withheld: AtomicU64::new(0) })
    }

    pub const fn settings(&self) -> &OutlierSettings {
        &self.settings
    }

    /// Number of servers.
    pub const fn len(&self) -> usize {
        self.servers.len()
    }

    pub const fn is_empty(&self) -> bool {
        self.servers.is_empty()
    }

    /// Tells how a call to a server ended; the ejection, if this ended it. An index out of range is ignored.
    pub fn record(&self, index: usize, ok: bool, now_ns: u64) -> Option<Ejection> {
        let server = self.servers.get(index)?;
        if self.ejected(index, now_ns) {
            return None;
        }
        let mut record = server.record.lock();
        record.window.add(now_ns, [1, u32::from(!ok)]);
        if ok {
            record.consecutive_failures = 0;
            return None;
        }
        record.consecutive_failures = record.consecutive_failures.saturating_add(1);
        let reason = self.judge(record, now_ns)?;
        self.eject(server, reason, now_ns)
    }

    /// The rule a server that just failed has met. Gives its lock back before others are looked at.
    fn judge(&self, mut record: MutexGuard<'_, Record>, now_ns: u64) -> Option<Reason> {
        let settings = &self.settings;
        if settings.consecutive_failures.is_some_and(|count| record.consecutive_failures >= count) {
            return Some(Reason::ConsecutiveFailures);
        }
        let [calls, failures] = record.window.sums(now_ns);
        if calls < u64::from(settings.minimum_calls) {
            return None;
        }
        if settings.failure_ratio.is_some_and(|ratio| failures as f64 >= ratio * calls as f64) {
            return Some(Reason::FailureRatio);
        }
        let deviations = settings.deviations.filter(|_| now_ns >= record.compare_after_ns)?;
        record.compare_after_ns = now_ns.saturating_add(settings.window_ns / BUCKETS as u64);
        drop(record);
        let (mean, deviation) = self.success_rates(now_ns)?;
        let chance = (mean * (1.0 - mean) / calls as f64).sqrt();
        let threshold = mean - deviations * deviation.max(chance);
        (success_rate([calls, failures]) < threshold).then_some(Reason::SuccessRate)
    }

    /// Mean and standard deviation of the success rates of those that are in and have enough calls; `None` if these are
    /// too few.
    fn success_rates(&self, now_ns: u64) -> Option<(f64, f64)> {
        let is_in = |server: &&Server| server.ejected_until_ns.load(Ordering::Relaxed) <= now_ns;
        let sums = self.servers.iter().filter(is_in).map(|server| server.record.lock().window.sums(now_ns));
        let enough = |[calls, _]: &[u64; 2]| *calls >= u64::from(self.settings.minimum_calls);
        let rates: Vec<f64> = sums.filter(enough).map(success_rate).collect();
        if rates.len() < self.settings.minimum_servers.max(1) {
            return None;
        }
        let count = rates.len() as f64;
        let mean = rates.iter().sum::<f64>() / count;
        let variance = rates.iter().map(|rate| (rate - mean) * (rate - mean)).sum::<f64>() / count;
        Some((mean, variance.sqrt()))
    }

    /// Puts a server out, unless too many are or another thread just did.
    fn eject(&self, server: &Server, reason: Reason, now_ns: u64) -> Option<Ejection> {
        let _turn = self.ejecting.lock();
        let last_until_ns = server.ejected_until_ns.load(Ordering::Relaxed);
        if last_until_ns > now_ns {
            return None;
        }
        if self.ejected_count(now_ns) >= self.most_ejected() {
            self.withheld.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        let mut record = server.record.lock();
        let base_ns = self.settings.base_ejection_ns;
        let made_up_for = u32::try_from((now_ns - last_until_ns) / base_ns).unwrap_or(u32::MAX);
        record.repeats = record.repeats.saturating_sub(made_up_for).saturating_add(1);
        record.reason = reason;
        record.consecutive_failures = 0;
        record.window.clear();
        let time_ns = base_ns.saturating_mul(u64::from(record.repeats)).min(self.settings.max_ejection_ns);
        let until_ns = now_ns.saturating_add(time_ns);
        server.ejected_until_ns.store(until_ns, Ordering::Relaxed);
        Some(Ejection { until_ns, reason })
    }

    fn most_ejected(&self) -> usize {
        let share = (self.settings.max_ejected_share * self.len() as f64) as usize;
        let one_of_several = usize::from(self.len() > 1 && self.settings.max_ejected_share > 0.0);
        share.max(one_of_several)
    }

    /// Whether a server is out right now. False for an index out of range.
    #[inline]
    pub fn ejected(&self, index: usize, now_ns: u64) -> bool {
        self.servers.get(index).is_some_and(|server| server.ejected_until_ns.load(Ordering::Relaxed) > now_ns)
    }

    /// How many are out right now.
    pub fn ejected_count(&self, now_ns: u64) -> usize {
        (0..self.len()).filter(|index| self.ejected(*index, now_ns)).count()
    }

    /// Whether so few servers are left that ejections should be ignored. `otherwise_down` servers are unusable for other
    /// reasons (health checks, draining) and not among the ejected.
    pub fn panicking(&self, otherwise_down: usize, now_ns: u64) -> bool {
        let left = self.len().saturating_sub(self.ejected_count(now_ns)).saturating_sub(otherwise_down);
        (left as f64) < self.settings.panic_threshold * self.len() as f64
    }

    /// Whether a server may be used as far as outliers go: it is in, or there is panic.
    pub fn usable(&self, index: usize, otherwise_down: usize, now_ns: u64) -> bool {
        !self.ejected(index, now_ns) || self.panicking(otherwise_down, now_ns)
    }

    /// Ejections that were not made because too many servers were out.
    pub fn withheld(&self) -> u64 {
        self.withheld.load(Ordering::Relaxed)
    }

    /// What is known about a server; `None` for an index out of range.
    pub fn report(&self, index: usize, now_ns: u64) -> Option<ServerReport> {
        let server = self.servers.get(index)?;
        let mut record = server.record.lock();
        let [calls, failures] = record.window.sums(now_ns);
        let until_ns = server.ejected_until_ns.load(Ordering::Relaxed);
        Some(ServerReport {
            ejection: (until_ns > now_ns).then_some(Ejection { until_ns, reason: record.reason }),
            repeats: record.repeats,
            calls,
            failures,
            consecutive_failures: record.consecutive_failures,
        })
    }
}

fn success_rate([calls, failures]: [u64; 2]) -> f64 {
    (calls - failures) as f64 / calls as f64
}
