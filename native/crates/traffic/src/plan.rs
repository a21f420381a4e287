//! What the control plane asks for, as JSON. Unknown fields are refused.

use serde::Deserialize;

/// One side of a route's split.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Share {
    pub pool: String,
    /// Its part of the sum of all weights; 0 = none.
    pub weight: u32,
}

/// Copies of requests for another pool, whose answers nobody sees.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mirror {
    pub pool: String,
    /// 0 to 100, with any number of decimals.
    #[serde(default = "all")]
    pub percent: f64,
}

/// Further tries beside one that is slow; the first answer wins. For repeatable requests only, and charged to the retry budget.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hedge {
    /// Without a response head for so long, another try begins; the next one as long after that.
    pub after_ms: u64,
    /// Tries in all, the first one included.
    #[serde(default = "two")]
    pub attempts: u32,
}

fn all() -> f64 {
    100.0
}

fn two() -> u32 {
    2
}
