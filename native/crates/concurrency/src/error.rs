//! What can be wrong with settings; nothing else here fails.

/// A setting is out of range.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{name} must be {valid}, not {value}")]
pub struct Error {
    pub name: &'static str,
    pub valid: &'static str,
    pub value: f64,
}

/// Refuses `value` unless `holds`.
pub(crate) fn require(holds: bool, name: &'static str, valid: &'static str, value: f64) -> Result<(), Error> {
    if holds { Ok(()) } else { Err(Error { name, valid, value }) }
}
