//! Exact arithmetic in units of `1 / (limit x period)`.
//!
//! A unit of quota takes `period / limit` nanoseconds to come back, which is rarely a whole number. Amounts are
//! therefore kept multiplied by `period_ns` ("scaled"), and times by `limit`: both whole. Limit, burst and period are at
//! most 2^60 ([`crate::Quota::new`]), so every product below is under 2^124 and no sum of a few can overflow 128 bits.

use std::num::NonZeroU64;

/// The product of two words, which always fits.
pub(crate) fn product(left: u64, right: NonZeroU64) -> u128 {
    u128::from(left) * u128::from(right.get())
}

/// Quotient rounded down, clamped to 64 bits. Most numbers are small, and 64-bit division is several times cheaper.
pub(crate) fn divide_down(number: u128, divisor: NonZeroU64) -> u64 {
    match u64::try_from(number) {
        Ok(small) => small / divisor,
        Err(_) => (number / u128::from(divisor.get())).try_into().unwrap_or(u64::MAX),
    }
}

/// Quotient rounded up, clamped to 64 bits.
pub(crate) fn divide_up(number: u128, divisor: NonZeroU64) -> u64 {
    divide_down(number + u128::from(divisor.get() - 1), divisor)
}
