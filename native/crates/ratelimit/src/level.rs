//! A level that leaks: the arithmetic under token bucket, leaky meter and leaky queue.
//!
//! The level counts taken units and leaks `limit` of them per period. State: the level times `period_ns` (two words,
//! exact, see `arithmetic.rs`) and the instant it was right (third word).

use crate::arithmetic::{divide_down, divide_up, product};
use crate::{Decision, Quota, State};

/// The level of one key at one instant, scaled by the period.
pub(crate) struct Level<'a> {
    quota: &'a Quota,
    scaled: u128,
    at_ns: u64,
}

impl<'a> Level<'a> {
    /// What is left of the stored level at `now_ns`. An instant before the stored one counts as the stored one.
    pub(crate) fn at(quota: &'a Quota, state: &State, now_ns: u64) -> Self {
        let stored_ns = state.0[2];
        let leaked = product(now_ns.saturating_sub(stored_ns), quota.limit);
        Self { quota, scaled: state.wide().saturating_sub(leaked), at_ns: now_ns.max(stored_ns) }
    }

    /// Adds `cost` if the level stays within the burst.
    pub(crate) fn add(&mut self, cost: u64) -> bool {
        let fits = self.excess(cost) == 0;
        if fits {
            self.scaled += product(cost, self.quota.period);
        }
        fits
    }

    /// Writes the level back. Only an addition is worth writing: a leak is computed again from the older level, exactly.
    pub(crate) fn store(&self, state: &mut State) {
        state.set_wide(self.scaled);
        state.0[2] = self.at_ns;
    }

    /// How far, scaled, `cost` would overflow the burst.
    fn excess(&self, cost: u64) -> u128 {
        let wanted = self.scaled + product(cost, self.quota.period);
        wanted.saturating_sub(self.capacity())
    }

    fn capacity(&self) -> u128 {
        product(self.quota.burst(), self.quota.period)
    }

    /// Whole units that still fit.
    pub(crate) fn room(&self) -> u64 {
        divide_down(self.capacity() - self.scaled, self.quota.period)
    }

    /// Nanoseconds until the level is 0.
    pub(crate) fn empty_after_ns(&self) -> u64 {
        divide_up(self.scaled, self.quota.limit)
    }

    /// Nanoseconds until `cost` fits.
    pub(crate) fn fits_after_ns(&self, cost: u64) -> u64 {
        if cost > self.quota.burst() {
            return Decision::NEVER;
        }
        divide_up(self.excess(cost), self.quota.limit)
    }
}
