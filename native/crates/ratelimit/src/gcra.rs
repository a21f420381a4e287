//! GCRA, the generic cell rate algorithm (ITU-T I.371 annex A, virtual scheduling): one timestamp per key.
//!
//! The theoretical arrival time (TAT) is when the next call would come if all came evenly spaced. A call may be early by
//! at most the time `burst` units take; an admitted one moves the TAT on by the time its cost takes. The same decisions as
//! a token bucket with the same numbers, from other arithmetic: the tests hold the two against each other.
//!
//! State: the TAT in nanoseconds times `limit` (two words, exact). Zero is long past, so a fresh key conforms.

use crate::arithmetic::{divide_down, divide_up, product};
use crate::{Decision, Quota, State};

pub(crate) fn check(quota: &Quota, state: &mut State, now_ns: u64, cost: u64) -> Decision {
    let now = product(now_ns, quota.limit);
    let tolerance = product(quota.burst(), quota.period);
    // How far the TAT lies ahead of now. A clock that stepped back may put it beyond the tolerance: nothing is left.
    let mut ahead = state.wide().saturating_sub(now);
    let ahead_after = ahead + product(cost, quota.period);
    let allowed = cost == 0 || ahead_after <= tolerance;
    if allowed && cost > 0 {
        ahead = ahead_after;
        state.set_wide(now + ahead);
    }
    Decision {
        allowed,
        limit: quota.limit(),
        remaining: divide_down(tolerance.saturating_sub(ahead), quota.period),
        retry_after_ns: match allowed {
            true => 0,
            false if cost > quota.burst() => Decision::NEVER,
            false => divide_up(ahead_after - tolerance, quota.limit),
        },
        reset_after_ns: divide_up(ahead, quota.limit),
        delay_ns: 0,
    }
}
