//! Why a header is refused. Every variant has one closed-set reason: it is the access log's `reason` and a metric label.

/// A refused header; the connection has to be closed, without an answer: nobody knows what the peer speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Error {
    #[error("the connection does not begin with a PROXY header")]
    Missing,
    /// Signature of version 2, but another version.
    #[error("a version of the PROXY protocol that does not exist")]
    Version,
    /// Against the specification's syntax, or a value that it does not assign.
    #[error("the PROXY header is malformed")]
    Malformed,
    #[error("the PROXY header is longer than allowed")]
    TooLong,
    #[error("the PROXY header's checksum is wrong")]
    Checksum,
}

impl Error {
    /// Every reason there is.
    pub const ALL: [Self; 5] = [Self::Missing, Self::Version, Self::Malformed, Self::TooLong, Self::Checksum];

    /// The `snake_case` name used in logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "proxy_header_missing",
            Self::Version => "proxy_header_version",
            Self::Malformed => "proxy_header_malformed",
            Self::TooLong => "proxy_header_too_long",
            Self::Checksum => "proxy_header_checksum",
        }
    }
}
