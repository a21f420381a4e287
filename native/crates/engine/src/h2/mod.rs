//! HTTP/2 connections: one task each reads, hands events to its streams and writes what they have queued. A stream is a task of its own on
//! the same thread, so nothing is locked; what the task shares with its streams is a [`Link`].
//!
//! ```text
//!   client ─▶ Front ─▶ Link ─▶ Slot ◀─ Stream ◀─ Client (a task per request)
//!   server ◀───────── Link ─▶ Slot ◀─ Stream ◀─ Journey (in the task of its request)
//! ```
//! Memory is bounded: what a stream has received and nobody has taken by its window, what it wants to send by [`link::OUTPUT_HIGH`].

mod ending;
mod front;
mod lines;
mod link;
mod pulse;
mod slot;
mod stream;

pub(crate) use front::Front;
pub(crate) use link::Link;
pub(crate) use slot::Reset;
pub(crate) use stream::Stream;
use trunkline_http2::{Limits, Rate};

/// What many requests of many clients add up to on one connection, at 100 ns a frame a thousandth of a core.
const SHARED: Rate = Rate { burst: 10_000, per_second: 10_000 };

/// Limits on what a server may send; what it says is bounded like a head of HTTP/1.1. Of floods, fewer count than of a client: a server
/// that goes over a limit ends everyone's streams, and some limits would only count what our clients do.
///
/// - Each `RST_STREAM` ends a stream that we have opened: a server that refuses all it is asked sends as many as there are requests.
/// - Servers that flush without data send empty DATA for each message of each stream.
/// - What is ignored is mostly for streams that we have reset: frames that were on their way when a client went.
pub(crate) fn upstream_limits() -> Limits {
    Limits {
        header_list_bytes: 2 * crate::block::ORDINARY_BYTES as u32,
        resets: Rate::UNLIMITED,
        empty_data: SHARED,
        ignored: SHARED,
        ..Limits::default()
    }
}

/// What servers are told of us. No stream takes another's window: a slow client holds up its own response only.
pub(crate) fn upstream_settings() -> trunkline_http2::Settings {
    trunkline_http2::Settings { connection_window_bytes: i32::MAX as u32, ..Default::default() }
}
