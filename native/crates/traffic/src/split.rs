//! Weighted splits. Each side has an interval of the line from 0 to 1, in the order of the plan; a request is a point on it.
//!
//! By a key the point is the key's hash: one client stays on one side, on every worker, host and after every restart. If a weight
//! grows, only those clients move that lie in what the interval gained; with two sides none goes back.

use trunkline_hashring::xxh64;

use crate::Error;
use crate::plan::Share;
use crate::share::{end_of, split_point};

/// A route's split, compiled; immutable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Where each side's interval ends; the last one at the end of the line.
    ends: Box<[u64]>,
    seed: u64,
}

impl Split {
    /// `name` is the route's: without it, the same tenth of the clients would be the canaries of every route.
    ///
    /// # Errors
    /// No side has a weight, or a pool stands there twice.
    pub fn compile(shares: &[Share], name: &str) -> Result<Self, Error> {
        for (index, share) in shares.iter().enumerate() {
            if shares.iter().take(index).any(|earlier| earlier.pool == share.pool) {
                return Err(Error::new(
                    format!("split[{index}].pool"),
                    "stands above already; add the weights",
                ));
            }
        }
        let sum: u64 = shares.iter().map(|share| u64::from(share.weight)).sum();
        if sum == 0 {
            return Err(Error::new("split", "needs a weight above 0"));
        }
        let mut reached = 0;
        let ends = shares.iter().map(|share| {
            reached += u64::from(share.weight);
            end_of(reached, sum)
        });
        Ok(Self { ends: ends.collect(), seed: xxh64(name.as_bytes(), 0) })
    }

    /// The index of the side for the worker's request number `turn`.
    #[inline]
    pub fn choose(&self, turn: u64) -> usize {
        self.side_of(split_point(turn))
    }

    /// The index of the side for a key that is not empty.
    #[inline]
    pub fn choose_by(&self, key: &[u8]) -> usize {
        self.side_of(xxh64(key, self.seed))
    }

    /// The first interval that ends behind the point. The last one ends at the greatest number, which belongs to it; a side of
    /// weight 0 ends where it begins, and there is none behind the end, so it gets nothing.
    fn side_of(&self, point: u64) -> usize {
        let point = point.min(u64::MAX - 1);
        self.ends.iter().position(|end| point < *end).unwrap_or_default()
    }
}
