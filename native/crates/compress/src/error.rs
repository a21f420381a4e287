//! What can be wrong with a plan, and how an encoder fails.

use crate::Coding;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A setting that makes no sense; `key` is the plan's, e.g. `types[2]`.
    #[error("{key}: {problem}")]
    Plan { key: String, problem: String },
    /// The library refused: no memory, or it was used after its end.
    #[error("the {} encoder failed: {problem}", coding.name())]
    Encoder { coding: Coding, problem: String },
}
