//! # trunkline-breaker: Circuit breaker, outlier ejection, retry budget.
