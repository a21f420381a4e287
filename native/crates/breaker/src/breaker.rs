//! The circuit breaker.
//!
//! | phase | event | then |
//! |---|---|---|
//! | closed | `acquire` | permit |
//! | closed | `record`, no rule is met | closed |
//! | closed | `record`, a rule is met | **open** for `open_ns` |
//! | open | `acquire` before the time is up | refused, with the time left |
//! | open | `acquire` after it | **half-open**, permit for the first probe |
//! | half-open | `acquire`, a place for a probe is free | permit for a probe |
//! | half-open | `acquire`, no place is free | refused, with the time to the next probe's deadline |
//! | half-open | a probe succeeds, not the last needed | half-open |
//! | half-open | a probe succeeds, the last needed | **closed**, all counts 0 |
//! | half-open | a probe fails, or is slow and the slow rule is on | **open**, `open_growth` times longer than before |
//! | half-open | `cancel` of a probe, or its deadline passes | half-open, the place is free |
//! | any | `record` or `cancel` of a permit from an earlier phase | nothing: late news of the past |
//!
//! Rules, each on its own: `consecutive_failures` in a row; `failure_ratio` of at least `minimum_calls` in the window;
//! `slow_ratio` likewise. Time alone changes nothing: an open breaker becomes half-open by the call that finds its time up.
//!
//! `acquire` on a closed breaker is one atomic load; everything else takes the lock.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::probes::Probes;
use crate::window::Window;
use crate::{BreakerError, Settings};

/// Where a breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Closed,
    Open,
    HalfOpen,
}

impl Phase {
    /// `closed`, `open` or `half_open`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// How a call ended, by the caller's judgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Success,
    Failure,
}

/// Leave to make one call; give it back to [`Breaker::record`] or [`Breaker::cancel`]. If it is dropped instead, nothing
/// leaks: a closed breaker does not count permits, a half-open one frees the probe's place at its deadline.
#[derive(Debug, PartialEq, Eq)]
pub struct Permit {
    /// The phase change after which it was given.
    epoch: u64,
    /// The probe's number, 0 if it is none.
    probe: u64,
}

/// The breaker refuses the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open {
    /// Nanoseconds until a call may pass: the end of the open time, or the next probe's deadline.
    pub retry_after_ns: u64,
}

/// What a breaker has counted, for metrics and `explain`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Calls recorded in the window, of them failed, of them slow.
    pub calls: u64,
    pub failures: u64,
    pub slow: u64,
    /// Failures since the last success.
    pub consecutive_failures: u32,
    /// Times it opened, since it was made.
    pub opened: u64,
    /// Calls it refused, since it was made.
    pub refused: u64,
    /// Probes that were never recorded, since it was made.
    pub lost_probes: u64,
}

/// A circuit breaker. See the table in the file header.
#[derive(Debug)]
pub struct Breaker {
    settings: Settings,
    /// Number of phase changes, times two, plus one unless closed: all that `acquire` needs to know when closed.
    epoch: AtomicU64,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    phase: Phase,
    /// Calls, failures, slow calls.
    window: Window<3>,
    consecutive_failures: u32,
    open_until_ns: u64,
    /// How long it is or was last open; 0 since it closed.
    open_for_ns: u64,
    probes: Probes,
    last_probe: u64,
    probe_successes: u32,
    opened: u64,
    refused: u64,
}

const NOT_CLOSED: u64 = 1;

impl Breaker {
    /// A closed breaker.
    pub fn new(settings: Settings) -> Result<Self, BreakerError> {
        settings.validate()?;
        let inner = Inner {
            phase: Phase::Closed,
            window: Window::new(settings.window_ns),
            consecutive_failures: 0,
            open_until_ns: 0,
            open_for_ns: 0,
            probes: Probes::new(settings.probes, settings.probe_timeout_ns),
            last_probe: 0,
            probe_successes: 0,
            opened: 0,
            refused: 0,
        };
        Ok(Self { settings, epoch: AtomicU64::new(0), inner: Mutex::new(inner) })
    }

    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Leave to make a call, or how long to stay away.
    #[inline]
    pub fn acquire(&self, now_ns: u64) -> Result<Permit, Open> {
        let epoch = self.epoch.load(Ordering::Acquire);
        if epoch & NOT_CLOSED == 0 {
            return Ok(Permit { epoch, probe: 0 });
        }
        self.acquire_unless_open(now_ns)
    }

    #[cold]
    fn acquire_unless_open(&self, now_ns: u64) -> Result<Permit, Open> {
        let inner = &mut *self.inner.lock();
        let answer = match inner.phase {
            // It closed between the load and the lock.
            Phase::Closed => return Ok(Permit { epoch: self.epoch.load(Ordering::Relaxed), probe: 0 }),
            Phase::Open if now_ns < inner.open_until_ns => Err(inner.open_until_ns - now_ns),
            Phase::Open => {
                self.enter(inner, Phase::HalfOpen);
                self.take_probe(inner, now_ns)
            }
            Phase::HalfOpen => self.take_probe(inner, now_ns),
        };
        answer.map_err(|retry_after_ns| {
            inner.refused += 1;
            Open { retry_after_ns }
        })
    }

    fn take_probe(&self, inner: &mut Inner, now_ns: u64) -> Result<Permit, u64> {
        inner.last_probe += 1;
        inner.probes.take(inner.last_probe, now_ns)?;
        Ok(Permit { epoch: self.epoch.load(Ordering::Relaxed), probe: inner.last_probe })
    }

    /// Tells how the call ended and how long it took.
    #[allow(clippy::needless_pass_by_value)] // a permit is good once
    pub fn record(&self, permit: Permit, now_ns: u64, outcome: Outcome, latency_ns: u64) {
        let inner = &mut *self.inner.lock();
        if permit.epoch != self.epoch.load(Ordering::Relaxed) {
            return;
        }
        let failed = outcome == Outcome::Failure;
        let slow = self.settings.slow_ratio.is_some() && latency_ns >= self.settings.slow_call_ns;
        match inner.phase {
            Phase::Closed => self.record_closed(inner, now_ns, failed, slow),
            Phase::HalfOpen if inner.probes.give_back(permit.probe) => {
                self.record_probe(inner, now_ns, failed || slow);
            }
            Phase::HalfOpen | Phase::Open => {}
        }
    }

    fn record_closed(&self, inner: &mut Inner, now_ns: u64, failed: bool, slow: bool) {
        inner.window.add(now_ns, [1, u32::from(failed), u32::from(slow)]);
        inner.consecutive_failures = if failed { inner.consecutive_failures.saturating_add(1) } else { 0 };
        // A call that was neither failed nor slow cannot be the one that meets a rule.
        if (failed || slow) && self.rule_is_met(inner, now_ns) {
            self.open(inner, now_ns);
        }
    }

    fn rule_is_met(&self, inner: &mut Inner, now_ns: u64) -> bool {
        let settings = &self.settings;
        let [calls, failures, slow] = inner.window.sums(now_ns);
        let enough = calls >= u64::from(settings.minimum_calls);
        let reached =
            |ratio: Option<f64>, count: u64| ratio.is_some_and(|ratio| count as f64 >= ratio * calls as f64);
        settings.consecutive_failures.is_some_and(|count| inner.consecutive_failures >= count)
            || enough && (reached(settings.failure_ratio, failures) || reached(settings.slow_ratio, slow))
    }

    fn record_probe(&self, inner: &mut Inner, now_ns: u64, failed: bool) {
        if failed {
            return self.open(inner, now_ns);
        }
        inner.probe_successes += 1;
        if inner.probe_successes >= self.settings.probes {
            inner.open_for_ns = 0;
            self.enter(inner, Phase::Closed);
        }
    }

    /// Gives a permit back without a verdict: the call was not made, or its end says nothing about the dependency.
    #[allow(clippy::needless_pass_by_value)] // a permit is good once
    pub fn cancel(&self, permit: Permit) {
        let inner = &mut *self.inner.lock();
        if permit.epoch == self.epoch.load(Ordering::Relaxed) {
            inner.probes.give_back(permit.probe);
        }
    }

    fn open(&self, inner: &mut Inner, now_ns: u64) {
        let settings = &self.settings;
        let grown_ns = (inner.open_for_ns as f64 * settings.open_growth) as u64;
        inner.open_for_ns = grown_ns.clamp(settings.open_ns, settings.open_max_ns);
        inner.open_until_ns = now_ns.saturating_add(inner.open_for_ns);
        inner.opened += 1;
        self.enter(inner, Phase::Open);
    }

    /// Every phase begins with nothing counted; permits of the phase before are void by the new epoch.
    fn enter(&self, inner: &mut Inner, phase: Phase) {
        inner.phase = phase;
        inner.window.clear();
        inner.consecutive_failures = 0;
        inner.probes.clear();
        inner.probe_successes = 0;
        let changes = (self.epoch.load(Ordering::Relaxed) >> 1) + 1;
        self.epoch.store(changes << 1 | u64::from(phase != Phase::Closed), Ordering::Release);
    }

    /// Where it stands. An open breaker whose time is up is half-open for everyone who asks.
    pub fn state(&self, now_ns: u64) -> Phase {
        let inner = self.inner.lock();
        match inner.phase {
            Phase::Open if now_ns >= inner.open_until_ns => Phase::HalfOpen,
            phase => phase,
        }
    }

    pub fn counts(&self, now_ns: u64) -> Counts {
        let inner = &mut *self.inner.lock();
        let [calls, failures, slow] = inner.window.sums(now_ns);
        Counts {
            calls,
            failures,
            slow,
            consecutive_failures: inner.consecutive_failures,
            opened: inner.opened,
            refused: inner.refused,
            lost_probes: inner.probes.lost,
        }
    }

    /// Closes it by hand, all counts 0.
    pub fn reset(&self) {
        let inner = &mut *self.inner.lock();
        inner.open_for_ns = 0;
        self.enter(inner, Phase::Closed);
    }
}
