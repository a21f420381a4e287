//! The three libraries behind one shape: `run(input, out, end)` takes all input and appends what comes out.

mod brotli;
mod gzip;
mod zstd;

pub(crate) use brotli::Brotli;
pub(crate) use gzip::Gzip;
pub(crate) use zstd::Zstd;

/// How far a stream is driven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// The encoder may hold back what it likes.
    Taken,
    /// What was pushed can be decoded.
    Flushed,
    /// The last byte is out.
    Finished,
}

/// Free room that a library is offered at least: a call that fills it is repeated.
const ROOM_BYTES: usize = 4_096;
