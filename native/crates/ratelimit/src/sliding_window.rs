//! Sliding window counter: at most `limit` units in the period that ends now, estimated from two counters.
//!
//! The part of the previous window that still lies within the period is taken as evenly spread:
//! `estimate = previous x (share of the previous window still in sight) + current`. Two counters instead of a log of every
//! call; Cloudflare measured 0.003 % wrong decisions on real traffic ("How we built rate limiting capable of scaling to
//! millions of domains", 2017). The worst case, everything at the end of the previous window, passes under `2 x limit`.
//!
//! State: units taken in the current window, its number, units taken in the one before.

use crate::arithmetic::{divide_down, product};
use crate::fixed_window::window_left_ns;
use crate::{Decision, Quota, State};
use std::num::NonZeroU64;

pub(crate) fn check(quota: &Quota, state: &mut State, now_ns: u64, cost: u64) -> Decision {
    let mut counts = Counts::at(quota, state, now_ns);
    let allowed = cost == 0 || counts.scaled(cost) <= product(quota.limit(), quota.period);
    if allowed && cost > 0 {
        counts.current += cost;
        state.0 = [counts.current, counts.window, counts.previous];
    }
    let taken = counts.scaled(0);
    Decision {
        allowed,
        limit: quota.limit(),
        remaining: divide_down(product(quota.limit(), quota.period).saturating_sub(taken), quota.period),
        retry_after_ns: if allowed { 0 } else { counts.fits_after_ns(cost) },
        reset_after_ns: counts.empty_after_ns(),
        delay_ns: 0,
    }
}

struct Counts<'a> {
    quota: &'a Quota,
    window: u64,
    current: u64,
    previous: u64,
    /// What is left of the current window, which is also what is still in sight of the previous one. At most a period.
    left_ns: u64,
}

impl<'a> Counts<'a> {
    fn at(quota: &'a Quota, state: &State, now_ns: u64) -> Self {
        let [taken, stored_window, taken_before] = state.0;
        // A clock that stepped back stands at the start of the window it had reached.
        let window = (now_ns / quota.period).max(stored_window);
        let (current, previous) = match window - stored_window {
            0 => (taken, taken_before),
            1 => (0, taken),
            _ => (0, 0),
        };
        let left_ns = window_left_ns(quota, window, now_ns).min(quota.period_ns());
        Self { quota, window, current, previous, left_ns }
    }

    /// The estimate with `cost` added, times the period.
    fn scaled(&self, cost: u64) -> u128 {
        u128::from(self.previous) * u128::from(self.left_ns)
            + (u128::from(self.current) + u128::from(cost)) * u128::from(self.quota.period_ns())
    }

    /// Nanoseconds until `cost` fits: the previous window must have slid out far enough, and if the current one alone is
    /// too full, it must become the previous one first.
    fn fits_after_ns(&self, cost: u64) -> u64 {
        let limit = self.quota.limit();
        let Some(room_beside_cost) = limit.checked_sub(cost) else { return Decision::NEVER };
        match room_beside_cost.checked_sub(self.current) {
            Some(room) => self.left_ns - self.sight_for(room, self.previous).min(self.left_ns),
            None => self.left_ns + self.quota.period_ns() - self.sight_for(room_beside_cost, self.current),
        }
    }

    /// How much of a window with `taken` units may be in sight so that they count for at most `room`.
    fn sight_for(&self, room: u64, taken: u64) -> u64 {
        let period_ns = self.quota.period_ns();
        NonZeroU64::new(taken)
            .map_or(period_ns, |taken| divide_down(product(room, self.quota.period), taken).min(period_ns))
    }

    fn empty_after_ns(&self) -> u64 {
        match (self.current, self.previous) {
            (0, 0) => 0,
            (0, _) => self.left_ns,
            _ => self.left_ns + self.quota.period_ns(),
        }
    }
}
