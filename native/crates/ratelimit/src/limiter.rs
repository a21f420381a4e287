//! One quota and one state, shared between threads.

use parking_lot::Mutex;

use crate::{Decision, Quota, State};

/// A limiter for one thing: a quota and its state behind a lock (held for the arithmetic, some nanoseconds).
#[derive(Debug)]
pub struct Limiter {
    quota: Quota,
    state: Mutex<State>,
}

impl Limiter {
    pub fn new(quota: Quota) -> Self {
        Self { quota, state: Mutex::default() }
    }

    pub const fn quota(&self) -> &Quota {
        &self.quota
    }

    /// Takes `cost` units if they are there.
    #[inline]
    pub fn check(&self, now_ns: u64, cost: u64) -> Decision {
        self.quota.check(&mut self.state.lock(), now_ns, cost)
    }

    /// The decision [`Limiter::check`] would take, without taking anything.
    #[inline]
    pub fn peek(&self, now_ns: u64, cost: u64) -> Decision {
        self.quota.peek(&self.state.lock(), now_ns, cost)
    }

    /// Forgets everything: the limiter is as new.
    pub fn reset(&self) {
        *self.state.lock() = State::default();
    }
}
