//! HTTP/2 connections: one task each reads, hands events to its streams and writes what they have queued. A stream is a task of its own on
//! the same thread, so nothing is locked; what the task shares with its streams is a [`Link`].
//!
//! ```text
//!   client ─▶ Front ─▶ Link ─▶ Slot ◀─ Stream ◀─ Client (a task per request)
//!   server ◀───────── Link ─▶ Slot ◀─ Stream ◀─ Journey (in the task of its request)
//! ```
//! Memory is bounded: what a stream has received and nobody has taken by its window, what it wants to send by [`link::OUTPUT_HIGH`].

mod front;
mod lines;
mod link;
mod slot;
mod stream;

pub(crate) use front::Front;
pub(crate) use link::Link;
pub(crate) use slot::Reset;
pub(crate) use stream::Stream;

/// Limits on what a server may send; what it says is bounded like a head of HTTP/1.1.
pub(crate) fn upstream_limits() -> trunkline_http2::Limits {
    trunkline_http2::Limits {
        header_list_bytes: 2 * crate::block::ORDINARY_BYTES as u32,
        ..Default::default()
    }
}

/// What servers are told of us. No stream takes another's window: a slow client holds up its own response only.
pub(crate) fn upstream_settings() -> trunkline_http2::Settings {
    trunkline_http2::Settings { connection_window_bytes: i32::MAX as u32, ..Default::default() }
}
