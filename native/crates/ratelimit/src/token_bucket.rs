//! Token bucket: a bucket of `burst` tokens regains `limit` tokens per period; a call takes `cost` of them or is refused.
//!
//! In any stretch of time T at most `burst + limit x T / period` units pass. What is stored is the number of missing
//! tokens, because then a full bucket is all zeros; it leaks away at the refill rate (`level.rs`).

use crate::level::Level;
use crate::{Decision, Quota, State};

pub(crate) fn check(quota: &Quota, state: &mut State, now_ns: u64, cost: u64) -> Decision {
    let mut missing = Level::at(quota, state, now_ns);
    let allowed = missing.add(cost);
    if allowed {
        missing.store(state);
    }
    Decision {
        allowed,
        limit: quota.limit(),
        remaining: missing.room(),
        retry_after_ns: if allowed { 0 } else { missing.fits_after_ns(cost) },
        reset_after_ns: missing.empty_after_ns(),
        delay_ns: 0,
    }
}
