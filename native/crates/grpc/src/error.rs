//! What can be wrong with what a peer sends. Every variant has one closed-set reason, for logs and metrics.

/// A body that is not what its `content-type` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Error {
    /// Not base64 in whole groups of four (RFC 4648 §4).
    #[error("the body is not base64")]
    Base64,
    /// A message's first byte is neither 0 nor 1: trailers in a request, or a server's that pretend to be ours.
    #[error("a message has unknown flags")]
    Flags,
    /// The body ends within a message.
    #[error("the body ends within a message")]
    Truncated,
    /// The trailers are longer than [`crate::web::MAX_TRAILER_BYTES`].
    #[error("the trailers are too long")]
    TrailersTooLong,
    /// Not one `grpc.health.v1.HealthCheckResponse`.
    #[error("the answer to a health check is malformed")]
    Health,
}

impl Error {
    /// Every reason there is.
    pub const ALL: [Self; 5] =
        [Self::Base64, Self::Flags, Self::Truncated, Self::TrailersTooLong, Self::Health];

    /// The `snake_case` name used in logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Base64 => "grpc_web_base64",
            Self::Flags => "grpc_message_flags",
            Self::Truncated => "grpc_message_truncated",
            Self::TrailersTooLong => "grpc_trailers_too_long",
            Self::Health => "grpc_health_malformed",
        }
    }
}
