//! What can go wrong on a connection, in the words of RFC 9113 §5.4 and §7.

use crate::kind::Malformed;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $wire:literal $name:literal,)*) => {
        /// Error codes of `RST_STREAM` and GOAWAY (RFC 9113 §7).
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u32)]
        pub enum ErrorCode { $($(#[$doc])* $variant = $wire,)* }

        impl ErrorCode {
            /// A code that is not known has no special meaning and is taken as `InternalError` (RFC 9113 §7).
            pub const fn from_wire(code: u32) -> Self {
                match code { $($wire => Self::$variant,)* _ => Self::InternalError }
            }

            /// The RFC's name in lower case, for logs and metric labels.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

codes! {
    NoError = 0 "no_error",
    ProtocolError = 1 "protocol_error",
    InternalError = 2 "internal_error",
    FlowControlError = 3 "flow_control_error",
    SettingsTimeout = 4 "settings_timeout",
    StreamClosed = 5 "stream_closed",
    FrameSizeError = 6 "frame_size_error",
    /// Nothing was processed: the request may be sent again (RFC 9113 §8.7).
    RefusedStream = 7 "refused_stream",
    Cancel = 8 "cancel",
    CompressionError = 9 "compression_error",
    ConnectError = 10 "connect_error",
    EnhanceYourCalm = 11 "enhance_your_calm",
    InadequateSecurity = 12 "inadequate_security",
    Http11Required = 13 "http_1_1_required",
}

impl ErrorCode {
    pub const fn wire(self) -> u32 {
        self as u32
    }
}

/// The connection is lost (RFC 9113 §5.4.1): GOAWAY is in the output, which is to be flushed before the connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}: {reason}", code.as_str())]
pub struct ConnectionError {
    pub code: ErrorCode,
    /// One of a closed set of `snake_case` names, for logs and metric labels.
    pub reason: &'static str,
}

/// The stream does not exist (any more), or what was to be sent no longer fits its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stream is gone")]
pub struct Gone;

impl ConnectionError {
    pub(crate) const fn new(code: ErrorCode, reason: &'static str) -> Self {
        Self { code, reason }
    }

    pub(crate) const fn protocol(reason: &'static str) -> Self {
        Self::new(ErrorCode::ProtocolError, reason)
    }

    pub(crate) const fn frame_size(reason: &'static str) -> Self {
        Self::new(ErrorCode::FrameSizeError, reason)
    }

    /// A peer that does too much of something.
    pub(crate) const fn flood(reason: &'static str) -> Self {
        Self::new(ErrorCode::EnhanceYourCalm, reason)
    }
}

/// Why a frame is refused, and how far that reaches (RFC 9113 §5.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Connection(ConnectionError),
    Stream { stream: u32, code: ErrorCode, reason: &'static str },
}

impl Fault {
    pub(crate) const fn stream(stream: u32, code: ErrorCode, reason: &'static str) -> Self {
        Self::Stream { stream, code, reason }
    }

    /// RFC 9113 §8.1.1.
    pub(crate) const fn malformed(stream: u32, malformed: Malformed) -> Self {
        Self::stream(stream, ErrorCode::ProtocolError, malformed.as_str())
    }
}

impl From<ConnectionError> for Fault {
    fn from(error: ConnectionError) -> Self {
        Self::Connection(error)
    }
}
