//! Retry budget: retries may be at most a share of the requests, so that they cannot multiply an outage.
//!
//! In any window, `retries <= ratio x requests + minimum_per_second x window`. The minimum lets a quiet client retry at
//! all. (Finagle's `RetryBudget`; its defaults, 20 % and 10 per second over 10 s, are ours.)

use parking_lot::Mutex;

use crate::BreakerError;
use crate::error::require;
use crate::window::{BUCKETS, Window};

const NANOSECONDS_PER_SECOND: f64 = 1e9;

/// How many retries are allowed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryBudgetSettings {
    /// Retries per request, at least 0; 0.2 allows one for every five requests.
    pub ratio: f64,
    /// Retries per second that are allowed without any request, at least 0.
    pub minimum_per_second: f64,
    /// How far back requests and retries are counted, at least 10 ns (see `window.rs`).
    pub window_ns: u64,
}

impl Default for RetryBudgetSettings {
    fn default() -> Self {
        Self { ratio: 0.2, minimum_per_second: 10.0, window_ns: 10_000_000_000 }
    }
}

/// A retry budget, shared between threads: [`RetryBudget::deposit`] for each request, [`RetryBudget::withdraw`] before each retry.
#[derive(Debug)]
pub struct RetryBudget {
    settings: RetryBudgetSettings,
    /// What is allowed without any request.
    reserve: f64,
    /// Requests, retries.
    window: Mutex<Window<2>>,
}

impl RetryBudget {
    pub fn new(settings: RetryBudgetSettings) -> Result<Self, BreakerError> {
        let RetryBudgetSettings { ratio, minimum_per_second, window_ns } = settings;
        let countable = |number: f64| number >= 0.0 && number.is_finite();
        require(countable(ratio), "ratio", "at least 0 and finite", ratio)?;
        let valid = "at least 0 and finite";
        require(countable(minimum_per_second), "minimum_per_second", valid, minimum_per_second)?;
        require(window_ns >= BUCKETS as u64, "window_ns", "at least 10", window_ns as f64)?;
        let reserve = minimum_per_second * (window_ns as f64 / NANOSECONDS_PER_SECOND);
        Ok(Self { settings, reserve, window: Mutex::new(Window::new(window_ns)) })
    }

    pub const fn settings(&self) -> &RetryBudgetSettings {
        &self.settings
    }

    /// Counts a request (the first try, not a retry).
    pub fn deposit(&self, now_ns: u64) {
        self.deposit_many(now_ns, 1);
    }

    /// Counts several requests at once, for callers that gather them to take the lock less often.
    pub fn deposit_many(&self, now_ns: u64, requests: u32) {
        self.window.lock().add(now_ns, [requests, 0]);
    }

    /// Takes one retry from the budget if there is one.
    pub fn withdraw(&self, now_ns: u64) -> bool {
        let mut window = self.window.lock();
        let enough = self.left(window.sums(now_ns)) >= 1.0;
        if enough {
            window.add(now_ns, [0, 1]);
        }
        enough
    }

    /// Retries left right now. Below 0 when the requests that paid for past retries have left the window first.
    pub fn balance(&self, now_ns: u64) -> f64 {
        self.left(self.window.lock().sums(now_ns))
    }

    fn left(&self, [requests, retries]: [u64; 2]) -> f64 {
        self.settings.ratio * requests as f64 + self.reserve - retries as f64
    }
}
