//! What can be wrong with settings; nothing else here fails.

/// A setting is out of range.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BreakerError {
    /// A number that must lie in a range does not.
    #[error("{name} must be {valid}, not {value}")]
    Range { name: &'static str, valid: &'static str, value: f64 },
    /// No rule is set, so the breaker could never open.
    #[error("set at least one of consecutive_failures, failure_ratio, slow_ratio")]
    NoRule,
    /// A slow-call ratio without the duration from which a call is slow.
    #[error("slow_ratio needs slow_call_ns above 0")]
    NoSlowCall,
}

/// Refuses `value` unless `holds`.
pub(crate) fn require(
    holds: bool,
    name: &'static str,
    valid: &'static str,
    value: f64,
) -> Result<(), BreakerError> {
    if holds { Ok(()) } else { Err(BreakerError::Range { name, valid, value }) }
}

/// A ratio above 0 and at most 1, or none.
pub(crate) fn require_ratio(name: &'static str, ratio: Option<f64>) -> Result<(), BreakerError> {
    let ratio = ratio.unwrap_or(1.0);
    require(ratio > 0.0 && ratio <= 1.0, name, "above 0 and at most 1", ratio)
}
