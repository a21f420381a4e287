//! Everything this crate can refuse.

use std::io;
use std::path::PathBuf;

/// What went wrong; each message names the offender.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The family, or a label of it, is not `[a-zA-Z_:][a-zA-Z0-9_:]*` (labels: without `:`, not starting with `__`).
    #[error("`{0}` is not a valid metric or label name")]
    Name(String),
    /// A counter whose name does not end in `_total`, or another kind whose name does.
    #[error("`{0}`: counters, and only they, end in `_total`")]
    Total(String),
    /// A family was opened twice; its samples would not be one uninterrupted group.
    #[error("metric family `{0}` is written twice")]
    Repeated(String),
    /// `sample` on a histogram family or `histogram` on another kind.
    #[error("metric family `{0}` does not take samples of this kind")]
    Kind(String),
    /// The access-log file cannot be opened for appending.
    #[error("access log {path}: {source}")]
    Open {
        /// The configured path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The background thread of the access log cannot be started.
    #[error("access log thread: {0}")]
    Thread(io::Error),
}
