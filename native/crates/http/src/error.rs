//! Why a message is refused. Every refusal has one closed-set reason: it is the access log's `reason`,
//! a metric label, and (if enabled) the `X-Trunkline-Reason` response header.

/// A refused message: what to answer with and why. The connection is always closed afterwards, because after
/// a syntax error nobody knows where the next message starts (RFC 9112 §2.2, §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{status}: {}", reason.as_str())]
pub struct Reject {
    /// HTTP status for the client; for a refused response of an upstream it is 502.
    pub status: u16,
    pub reason: Reason,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $name:literal => $status:literal,)*) => {
        /// The closed set of syntax refusals, with the status a request is answered with.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Reason { $($(#[$doc])* $variant,)* }

        impl Reason {
            pub const ALL: &'static [Reason] = &[$(Reason::$variant,)*];

            /// The `snake_case` name used in logs, metrics and headers.
            pub const fn as_str(self) -> &'static str {
                match self { $(Reason::$variant => $name,)* }
            }

            /// The status that a request refused for this reason is answered with.
            pub const fn request_status(self) -> u16 {
                match self { $(Reason::$variant => $status,)* }
            }
        }
    };
}

reasons! {
    /// Not `method SP target SP version CRLF` (RFC 9112 §3).
    BadRequestLine = "bad_request_line" => 400,
    /// Not a token, or longer than 32 bytes (RFC 9110 §9.1).
    BadMethod = "bad_method" => 400,
    /// Control byte, space, non-ASCII, fragment or wrong form in the target (RFC 9112 §3.2).
    BadTarget = "bad_target" => 400,
    TargetTooLong = "target_too_long" => 414,
    /// Not `HTTP/1.0` or `HTTP/1.1` by syntax.
    BadVersion = "bad_version" => 400,
    /// A well-formed version that this codec does not speak (RFC 9110 §15.6.6).
    UnsupportedVersion = "unsupported_version" => 505,
    BadStatusLine = "bad_status_line" => 400,
    /// Empty name or a byte that is no token (RFC 9110 §5.1).
    BadHeaderName = "bad_header_name" => 400,
    /// White space between name and colon: the classic smuggling vector (RFC 9112 §5.1).
    SpaceBeforeColon = "space_before_colon" => 400,
    /// NUL or another control byte in a value (RFC 9110 §5.5).
    BadHeaderValue = "bad_header_value" => 400,
    /// A line continued by leading white space (RFC 9112 §5.2).
    ObsFold = "obs_fold" => 400,
    /// A bare CR or a bare LF where CRLF is due (RFC 9112 §2.2).
    BadLineEnding = "bad_line_ending" => 400,
    HeadTooLarge = "head_too_large" => 431,
    TooManyHeaders = "too_many_headers" => 431,
    /// HTTP/1.1 without Host (RFC 9112 §3.2).
    MissingHost = "missing_host" => 400,
    DuplicateHost = "duplicate_host" => 400,
    /// Not `host [":" port]` (RFC 9110 §7.2).
    BadHost = "bad_host" => 400,
    /// Absolute-form target that names another authority than Host (RFC 9112 §3.2.2).
    HostMismatch = "host_mismatch" => 400,
    /// Not 1*DIGIT, or over 2^63-1 (RFC 9110 §8.6).
    BadContentLength = "bad_content_length" => 400,
    /// Content-Length more than once, or a list.
    RepeatedContentLength = "repeated_content_length" => 400,
    /// Both Content-Length and Transfer-Encoding (RFC 9112 §6.1).
    LengthAndTransferEncoding = "length_and_transfer_encoding" => 400,
    /// Malformed, repeated or not-final `chunked` (RFC 9112 §6.1).
    BadTransferEncoding = "bad_transfer_encoding" => 400,
    /// A coding other than `chunked` (RFC 9112 §6.1 asks for 501).
    UnknownTransferEncoding = "unknown_transfer_encoding" => 501,
    /// Transfer-Encoding in an HTTP/1.0 message (RFC 9112 §6.1).
    TransferEncodingInHttp10 = "transfer_encoding_in_http10" => 400,
    BadChunkSize = "bad_chunk_size" => 400,
    BadChunkExtension = "bad_chunk_extension" => 400,
    /// Chunk data not followed by CRLF.
    BadChunkEnd = "bad_chunk_end" => 400,
    BadTrailer = "bad_trailer" => 400,
    TrailersTooLarge = "trailers_too_large" => 431,
    /// Expect with anything but `100-continue` (RFC 9110 §10.1.1).
    UnknownExpectation = "unknown_expectation" => 417,
    /// Upgrade with a body, a bad Upgrade value, or CONNECT with a body.
    BadUpgrade = "bad_upgrade" => 400,
}

impl Reject {
    /// A refused request, with the reason's own status.
    pub const fn request(reason: Reason) -> Self {
        Self { status: reason.request_status(), reason }
    }

    /// A refused response of an upstream: the client gets 502.
    pub const fn response(reason: Reason) -> Self {
        Self { status: 502, reason }
    }
}
