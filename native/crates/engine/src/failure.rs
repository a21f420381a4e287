//! Why an exchange did not go as asked: whose fault, what the client is told, and under which reason it is counted.

use trunkline_http::Reject;

/// Whose fault it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Upstream,
    Gateway,
}

impl Side {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Upstream => "upstream",
            Self::Gateway => "gateway",
        }
    }
}

/// A failed or refused exchange. A `status` of 0 means that there is nobody left to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) status: u16,
    pub(crate) reason: &'static str,
    pub(crate) side: Side,
}

macro_rules! failures {
    ($($(#[$doc:meta])* $name:ident = $side:ident $status:literal $reason:literal;)*) => {
        impl Failure {
            $($(#[$doc])* pub(crate) const $name: Self = Self { status: $status, reason: $reason, side: Side::$side };)*
        }
    };
}

failures! {
    /// The connection was closed or reset by the client.
    CLIENT_CLOSED = Client 0 "client_closed";
    /// The head did not arrive in time.
    HEAD_TIMEOUT = Client 408 "request_head_timeout";
    /// The request body stalled.
    BODY_TIMEOUT = Client 408 "request_body_timeout";
    /// The client does not take the response.
    CLIENT_STALLED = Client 0 "client_stalled";
    BODY_TOO_LARGE = Client 413 "body_too_large";
    /// The target's scheme is not what the connection is (RFC 9110 §7.4).
    WRONG_SCHEME = Client 421 "wrong_scheme";
    ROUTE_NOT_FOUND = Client 404 "route_not_found";
    METHOD_NOT_ALLOWED = Client 405 "method_not_allowed";
    /// CONNECT on a route that does not list it.
    CONNECT_NOT_ALLOWED = Client 405 "connect_not_allowed";
    /// An extended CONNECT for something else than a WebSocket (RFC 8441 §5.1).
    UNKNOWN_PROTOCOL = Client 501 "unknown_protocol";
    /// The client speaks TLS to a plain port.
    TLS_ON_PLAIN_PORT = Client 0 "tls_on_plain_port";
    /// No server of the pool is eligible.
    NO_SERVER = Upstream 503 "no_server";
    /// All servers are at their limit and so is the queue.
    QUEUE_FULL = Gateway 503 "queue_full";
    QUEUE_TIMEOUT = Gateway 503 "queue_timeout";
    /// The limit of the pool or the route is reached, and so is its queue.
    CONCURRENCY_FULL = Gateway 503 "concurrency_full";
    CONCURRENCY_TIMEOUT = Gateway 503 "concurrency_timeout";
    CONNECT_FAILED = Upstream 502 "connect_failed";
    CONNECT_TIMEOUT = Upstream 504 "connect_timeout";
    /// No file descriptor left for an upstream connection.
    OUT_OF_FILES = Gateway 503 "out_of_files";
    /// Closed before the response head was complete.
    UPSTREAM_CLOSED = Upstream 502 "upstream_closed";
    /// Reset before the response head was complete.
    UPSTREAM_RESET = Upstream 502 "upstream_reset";
    RESPONSE_TIMEOUT = Upstream 504 "response_timeout";
    TOTAL_TIMEOUT = Upstream 504 "total_timeout";
    /// The same, and nothing to hold against a server: the time was the client's own, or went by before one had the whole request.
    TOTAL_TIMEOUT_OF_CLIENT = Client 504 "total_timeout";
    /// A retryable status, and tries or budget are used up; the response itself is passed on.
    RETRYABLE_STATUS = Upstream 502 "retryable_status";
    /// The response body ended before its declared end: the client's connection is cut, so that it notices.
    RESPONSE_TRUNCATED = Upstream 0 "response_truncated";
    RESPONSE_STALLED = Upstream 0 "response_stalled";
    /// More bytes than declared followed the response; it was complete, the upstream connection is thrown away.
    RESPONSE_EXCESS = Upstream 0 "response_excess";
    /// The server did not look at the request: it was going away, or had too many (RFC 9113 §8.7).
    UPSTREAM_REFUSED = Upstream 503 "upstream_refused";
    /// The server did not agree to HTTP/2.
    WRONG_PROTOCOL = Upstream 502 "upstream_wrong_protocol";
    /// No memory for compressing, or the library refused.
    ENCODER_FAILED = Gateway 0 "encoder_failed";
    /// Another answer than 101 to a WebSocket of HTTP/2, which cannot be told apart from one there. Whoever asks an ordinary page for one
    /// gets this, so that it says nothing of the server.
    UPGRADE_IGNORED = Client 502 "upgrade_ignored";
    /// The server has not announced that it takes `WebSocket`s over HTTP/2 (RFC 8441 §3).
    NO_WEBSOCKET = Gateway 502 "upstream_no_websocket";
    /// 101 or a CONNECT tunnel that nobody asked for.
    UNEXPECTED_UPGRADE = Upstream 502 "unexpected_upgrade";
    /// The grace period of a stop was over.
    SHUTDOWN = Gateway 503 "shutdown";
    TUNNEL_IDLE = Gateway 0 "tunnel_idle";
}

impl Failure {
    /// The exchange is over, whatever else could be tried.
    pub(crate) fn ends_all(self) -> bool {
        matches!(
            self,
            Self::TOTAL_TIMEOUT | Self::TOTAL_TIMEOUT_OF_CLIENT | Self::CLIENT_CLOSED | Self::SHUTDOWN
        )
    }

    pub(crate) const fn client(reject: Reject) -> Self {
        Self { status: reject.status, reason: reject.reason.as_str(), side: Side::Client }
    }

    pub(crate) const fn upstream(reject: Reject) -> Self {
        Self { status: reject.status, reason: reject.reason.as_str(), side: Side::Upstream }
    }
}
