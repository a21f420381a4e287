//! A limit shared by all threads: places, the queue's length, and what came back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;

use crate::window::Window;
use crate::{Error, Gradient2, Rule, Settings};

/// See the crate's page.
#[derive(Debug)]
pub struct Limit {
    settings: Settings,
    most: AtomicU32,
    in_flight: AtomicU32,
    waiting: AtomicU32,
    refused: AtomicU64,
    adaptive: Option<Box<Adaptive>>,
}

#[derive(Debug)]
struct Adaptive {
    window: Window,
    window_ns: u64,
    least_samples: u32,
    gradient: Mutex<Gradient2>,
}

/// What becomes of a request that arrives.
#[derive(Debug)]
pub enum Entry {
    Admitted(Permit),
    /// It may wait.
    Queued(Place),
    /// Everything is taken, the queue too.
    Refused,
}

/// A place among those under way. Dropped, it is given back and says nothing about the service.
#[derive(Debug)]
#[must_use = "dropping it gives the place back"]
pub struct Permit {
    limit: Arc<Limit>,
    /// With this one, when it began.
    in_flight: u32,
}

/// A place in the queue; dropped, it is given back.
#[derive(Debug)]
#[must_use = "dropping it leaves the queue"]
pub struct Place {
    limit: Arc<Limit>,
}

/// For metrics and the admin API.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Report {
    pub limit: u32,
    pub in_flight: u32,
    pub waiting: u32,
    /// Since the start.
    pub refused: u64,
    /// Mean of the last window and the long average; 0 for a fixed limit, or before the first window ended.
    pub latencies_ns: (f64, f64),
}

impl Limit {
    /// # Errors
    /// The first setting that is out of range.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        settings.check()?;
        let (most, adaptive) = match settings.rule {
            Rule::Fixed(limit) => (limit, None),
            Rule::Gradient2(rule) => (rule.initial, Some(Box::new(Adaptive::new(rule)?))),
        };
        let (in_flight, waiting, refused) = (AtomicU32::new(0), AtomicU32::new(0), AtomicU64::new(0));
        Ok(Self { settings, most: AtomicU32::new(most), in_flight, waiting, refused, adaptive })
    }

    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// In, into the queue, or refused. Who comes while others wait waits behind them.
    pub fn enter(self: &Arc<Self>) -> Entry {
        if self.waiting.load(Relaxed) == 0
            && let Some(permit) = self.try_acquire()
        {
            return Entry::Admitted(permit);
        }
        if below(&self.waiting, self.settings.queue).is_some() {
            return Entry::Queued(Place { limit: Arc::clone(self) });
        }
        self.refused.fetch_add(1, Relaxed);
        Entry::Refused
    }

    /// A place, if one is free, past all who wait.
    pub fn try_acquire(self: &Arc<Self>) -> Option<Permit> {
        let before = below(&self.in_flight, self.most.load(Relaxed))?;
        Some(Permit { limit: Arc::clone(self), in_flight: before + 1 })
    }

    /// Whether one more would be admitted if nobody waited: who has got a place tells the next one then.
    pub fn has_room(&self) -> bool {
        self.in_flight.load(Relaxed) < self.most.load(Relaxed)
    }

    pub fn report(&self) -> Report {
        Report {
            limit: self.most.load(Relaxed),
            in_flight: self.in_flight.load(Relaxed),
            waiting: self.waiting.load(Relaxed),
            refused: self.refused.load(Relaxed),
            latencies_ns: self
                .adaptive
                .as_ref()
                .map_or((0.0, 0.0), |known| known.gradient.lock().latencies_ns()),
        }
    }

    /// If the window is over, one thread closes it, and the others go on.
    fn learn(&self, adaptive: &Adaptive, now_ns: u64) {
        if !adaptive.window.is_over(now_ns, adaptive.window_ns, adaptive.least_samples) {
            return;
        }
        let Some(mut gradient) = adaptive.gradient.try_lock() else { return };
        // Another thread may have closed it between the look and the lock.
        if adaptive.window.is_over(now_ns, adaptive.window_ns, adaptive.least_samples) {
            self.most.store(gradient.learn(adaptive.window.close(now_ns)), Relaxed);
        }
    }
}

impl Adaptive {
    fn new(rule: crate::Gradient2Settings) -> Result<Self, Error> {
        let gradient = Mutex::new(Gradient2::new(rule)?);
        let (window_ns, least_samples) = (rule.window_ns, rule.least_samples);
        Ok(Self { window: Window::default(), window_ns, least_samples, gradient })
    }
}

impl Permit {
    /// The request was answered, `latency_ns` after it was sent.
    pub fn answered(self, now_ns: u64, latency_ns: u64) {
        self.learn(now_ns, |window, in_flight| window.add_answered(latency_ns, in_flight));
    }

    /// It failed in a way that speaks of overload: no answer in time, no connection. Its duration is not counted: a
    /// connection refused at once is no quick answer.
    pub fn dropped(self, now_ns: u64) {
        self.learn(now_ns, Window::add_dropped);
    }

    fn learn(&self, now_ns: u64, add: impl FnOnce(&Window, u32)) {
        if let Some(adaptive) = &self.limit.adaptive {
            add(&adaptive.window, self.in_flight);
            self.limit.learn(adaptive, now_ns);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.limit.in_flight.fetch_sub(1, Relaxed);
    }
}

impl Place {
    /// In, if there is room now; the place in the queue is free when this one is dropped.
    pub fn try_enter(&self) -> Option<Permit> {
        self.limit.try_acquire()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.limit.waiting.fetch_sub(1, Relaxed);
    }
}

/// Counts one more if that stays within `most`; what was counted before.
fn below(counter: &AtomicU32, most: u32) -> Option<u32> {
    counter.fetch_update(Relaxed, Relaxed, |count| (count < most).then(|| count + 1)).ok()
}
