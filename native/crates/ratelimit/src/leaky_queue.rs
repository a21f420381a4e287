//! Leaky bucket as a queue: calls leave one after another, `limit` units per period, evenly spaced (nginx `limit_req`
//! without `nodelay`). An allowed call is told how long to wait for its turn; it does not wait here.
//!
//! The level is the work admitted and not yet done. A call waits until all of it is done, then occupies the exit for
//! `cost x period / limit`. At most `burst` units may be in the queue, the one leaving included; beyond that a call is
//! refused, and nothing waits longer than `(burst - 1) x period / limit`, if every cost is 1.

use crate::level::Level;
use crate::{Decision, Quota, State};

pub(crate) fn check(quota: &Quota, state: &mut State, now_ns: u64, cost: u64) -> Decision {
    let mut queued = Level::at(quota, state, now_ns);
    let turn_ns = queued.empty_after_ns();
    let allowed = queued.add(cost);
    if allowed {
        queued.store(state);
    }
    Decision {
        allowed,
        limit: quota.limit(),
        remaining: queued.room(),
        retry_after_ns: if allowed { 0 } else { queued.fits_after_ns(cost) },
        reset_after_ns: queued.empty_after_ns(),
        delay_ns: if allowed { turn_ns } else { 0 },
    }
}
