//! From a count of requests to a point between 0 and 1, as 64 bits of fraction.
//!
//! The multiples of an irrational number, taken modulo 1, fill every interval evenly (Weyl 1916), and those of a badly approximable
//! one do so from the first on: of N points in a row an interval of length p gets N × p, off by a few at most, where random
//! numbers would be off by √N. So 1 % is 1 % after a hundred requests already, without a generator or its lock.

/// (√5 − 1) ÷ 2 × 2^64: of all numbers the one that fractions approximate worst.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
/// (√2 − 1) × 2^64. Independent of the golden ratio, so that what is mirrored is not all of one side of a split.
const SILVER: u64 = 0x6A09_E667_F3BC_C908;

pub(crate) fn split_point(turn: u64) -> u64 {
    turn.wrapping_mul(GOLDEN)
}

pub(crate) fn mirror_point(turn: u64) -> u64 {
    turn.wrapping_mul(SILVER)
}

/// Where the first `part` of `whole` ends.
pub(crate) fn end_of(part: u64, whole: u64) -> u64 {
    let scaled = (u128::from(part) << 64).checked_div(u128::from(whole)).unwrap_or_default();
    u64::try_from(scaled).unwrap_or(u64::MAX)
}
