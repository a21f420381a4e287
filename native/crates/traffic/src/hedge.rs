//! When a further try begins beside those that wait (Dean and Barroso, "The Tail at Scale", 2013).

use crate::Error;
use crate::plan;

const MILLISECOND_NS: u64 = 1_000_000;
/// Each try is load on a service that may be slow because of load; the paper hedges once.
const MOST_ATTEMPTS: u32 = 5;

/// A route's hedging, compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hedge {
    after_ns: u64,
    attempts: u32,
}

impl Hedge {
    /// # Errors
    /// The first key that makes no sense.
    pub fn compile(plan: &plan::Hedge) -> Result<Self, Error> {
        if plan.after_ms == 0 {
            return Err(Error::new(
                "hedge.after",
                "must be longer than nothing: every request would be sent twice",
            ));
        }
        if !(2..=MOST_ATTEMPTS).contains(&plan.attempts) {
            return Err(Error::new(
                "hedge.attempts",
                format!("must be 2 to {MOST_ATTEMPTS}, not {}", plan.attempts),
            ));
        }
        Ok(Self { after_ns: plan.after_ms.saturating_mul(MILLISECOND_NS), attempts: plan.attempts })
    }

    /// How long after the first try the next one begins, if none of the `begun` so far has been answered; `None`: no more.
    pub fn next_after_ns(&self, begun: u32) -> Option<u64> {
        (begun < self.attempts).then(|| self.after_ns.saturating_mul(u64::from(begun)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn tries_begin_one_after_the_other_and_end() {
        let hedge = Hedge::compile(&plan::Hedge { after_ms: 50, attempts: 3 }).unwrap();
        let times = [1, 2, 3, 4].map(|begun| hedge.next_after_ns(begun));
        assert_eq!(times, [Some(50 * MILLISECOND_NS), Some(100 * MILLISECOND_NS), None, None]);
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (after_ms, attempts, key) in
            [(0, 2, "hedge.after"), (1, 1, "hedge.attempts"), (1, 6, "hedge.attempts")]
        {
            assert_eq!(Hedge::compile(&plan::Hedge { after_ms, attempts }).unwrap_err().key, key);
        }
    }
}
