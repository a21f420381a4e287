//! # trunkline-ratelimit: Rate limiters: token and leaky bucket, fixed and sliding window, GCRA; single and keyed.
