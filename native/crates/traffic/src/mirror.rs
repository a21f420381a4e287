//! Which requests are copied.

use crate::Error;
use crate::plan;
use crate::share::mirror_point;

/// A route's mirror, compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    end: u64,
}

impl Mirror {
    /// # Errors
    /// A percentage outside of 0 to 100.
    pub fn compile(plan: &plan::Mirror) -> Result<Self, Error> {
        if !(0.0..=100.0).contains(&plan.percent) {
            return Err(Error::new("mirror.percent", format!("must be 0 to 100, not {}", plan.percent)));
        }
        // 2^64 as a float; the conversion saturates, so that 100 % is all but the one point that is never asked for.
        Ok(Self { end: (plan.percent / 100.0 * 18_446_744_073_709_551_616.0) as u64 })
    }

    /// Whether the worker's request number `turn` is copied.
    #[inline]
    pub fn takes(&self, turn: u64) -> bool {
        self.end == u64::MAX || mirror_point(turn) < self.end
    }
}
