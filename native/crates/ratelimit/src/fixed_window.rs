//! Fixed window: at most `limit` units in each window; windows are the multiples of the period on the caller's clock.
//!
//! The cheapest and the crudest: a caller that spends at the end of one window and the start of the next passes
//! `2 x limit` within an instant.
//!
//! State: units taken, number of the window they were taken in.

use crate::{Decision, Quota, State};

pub(crate) fn check(quota: &Quota, state: &mut State, now_ns: u64, cost: u64) -> Decision {
    let [mut taken, stored_window, _] = state.0;
    // A clock that stepped back stays in the window it had reached.
    let window = (now_ns / quota.period).max(stored_window);
    if window != stored_window {
        taken = 0;
    }
    let allowed = cost <= quota.limit() - taken;
    if allowed && cost > 0 {
        taken += cost;
        state.0 = [taken, window, 0];
    }
    let window_left_ns = window_left_ns(quota, window, now_ns);
    Decision {
        allowed,
        limit: quota.limit(),
        remaining: quota.limit() - taken,
        retry_after_ns: match allowed {
            true => 0,
            false if cost > quota.limit() => Decision::NEVER,
            false => window_left_ns,
        },
        reset_after_ns: if taken == 0 { 0 } else { window_left_ns },
        delay_ns: 0,
    }
}

/// Nanoseconds from `now_ns` to the end of `window`; a window that ends after the last instant of the clock ends there.
pub(crate) fn window_left_ns(quota: &Quota, window: u64, now_ns: u64) -> u64 {
    window.saturating_add(1).saturating_mul(quota.period_ns()).saturating_sub(now_ns)
}
