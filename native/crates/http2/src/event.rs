//! What a connection tells its owner.

use crate::error::ErrorCode;

/// One thing that happened. The fields of heads and trailers are in [`crate::Connection::fields`] until the next call of `receive`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'b> {
    /// Servers: a new request. Clients: the final response.
    Head { stream: u32, end: bool },
    /// Clients: a 1xx response.
    Informational { stream: u32 },
    /// Servers: a request whose field list is over the limit; the stream is open, to answer 431 on.
    HeadTooLarge { stream: u32, end: bool },
    /// Content; to be given back by [`crate::Connection::release`] once it is passed on. Empty only at the end.
    Data { stream: u32, bytes: &'b [u8], end: bool },
    /// The end, with fields.
    Trailers { stream: u32 },
    /// The stream is gone: by the peer's `RST_STREAM`, or because the peer broke a rule and `RST_STREAM` is in the output. In that case
    /// the stream may be one that no event was about.
    Reset { stream: u32, code: ErrorCode, by_peer: bool, reason: &'static str },
    /// A window was shut and is open: the stream's, or for `None` the connection's.
    Window { stream: Option<u32> },
    /// The peer takes no new streams. Clients: streams above `last_stream` are gone and were not processed (RFC 9113 §6.8).
    GoAway { last_stream: u32, code: ErrorCode },
    /// [`crate::Connection::peer_settings`] may have changed, and with them every window.
    Settings,
    /// The answer to a PING of ours.
    Pong { payload: [u8; 8] },
}
