//! Leaky bucket as a meter: a call pours `cost` units into a bucket that leaks `limit` units per period and is refused if
//! they would spill over `burst` (ITU-T I.371 annex A, the continuous-state leaky bucket).
//!
//! The water is exactly what a token bucket's missing tokens are, so this is that algorithm under the name many
//! configurations use (nginx `limit_req … nodelay`); the decisions are the same to the nanosecond.

pub(crate) use crate::token_bucket::check;
