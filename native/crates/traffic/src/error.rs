//! What can be wrong with a plan; nothing else here fails.

/// One mistake; `key` is the plan's, e.g. `split[1].weight`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct Error {
    pub key: String,
    pub problem: String,
}

impl Error {
    pub(crate) fn new(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { key: key.into(), problem: problem.into() }
    }
}
