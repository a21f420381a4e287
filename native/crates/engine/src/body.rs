//! Bodies between two edges: a [`Source`] finds the end, a [`Sink`] frames anew. What the two have in common is data.
//!
//! | source | ends | | sink | ends with |
//! |---|---|---|---|---|
//! | `Length` | after so many bytes | | `Raw` | nothing: the length was said, or the connection ends |
//! | `Chunked` | with the last chunk | | `Chunked` | the last chunk |
//! | `UntilClose` | with the connection | | `Frames` | `END_STREAM` |
//! | `Stream` | with `END_STREAM` | | | |

use trunkline_http::chunk::{ChunkDecoder, Piece, forwardable_trailers};
use trunkline_http::{Reason, encode};

use crate::block::Block;

/// Where a body comes from.
#[derive(Debug)]
pub(crate) enum Source {
    Nothing,
    Length(u64),
    Chunked(Box<ChunkDecoder>),
    UntilClose,
    Stream,
    /// It ended, with these trailers as lines.
    Ended(Vec<u8>),
}

/// How it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sink {
    Raw,
    Chunked { trailers: bool },
    Frames { trailers: bool },
}

impl Source {
    /// Chunks of a message that says this of its connection.
    pub(crate) fn chunked(connection: Vec<u8>) -> Self {
        Self::Chunked(Box::new(ChunkDecoder::of(connection)))
    }

    pub(crate) fn is_done(&self) -> bool {
        match self {
            Self::Nothing | Self::Length(0) | Self::Ended(_) => true,
            Self::Chunked(decoder) => decoder.is_done(),
            Self::Length(_) | Self::UntilClose | Self::Stream => false,
        }
    }

    /// Moves the body bytes at the front of `block` into `out`, framed for the sink; how many they were.
    pub(crate) fn transfer(
        &mut self,
        block: &mut Block,
        sink: Sink,
        out: &mut Vec<u8>,
    ) -> Result<u64, Reason> {
        let here = block.filled().len();
        let count = match self {
            Self::Nothing | Self::Ended(_) => 0,
            Self::Chunked(decoder) => return transfer_chunks(decoder, block, sink, out),
            Self::UntilClose | Self::Stream => here,
            Self::Length(remaining) => {
                let count = (*remaining).min(here as u64);
                *remaining -= count;
                count as usize
            }
        };
        sink.append(out, block.filled().get(..count).unwrap_or_default());
        block.consume(count);
        Ok(count as u64)
    }

    /// Nothing more comes; false if that is not how the body ends. `trailers` are those of a stream.
    pub(crate) fn close(&mut self, trailers: Option<Vec<u8>>) -> bool {
        let may = matches!(self, Self::UntilClose | Self::Stream);
        if may {
            *self = Self::Ended(trailers.unwrap_or_default());
        }
        may
    }

    /// The trailer section, its final empty line included; empty if there is none.
    pub(crate) fn trailers(&self) -> &[u8] {
        match self {
            Self::Chunked(decoder) => decoder.trailers(),
            Self::Ended(trailers) => trailers,
            _ => &[],
        }
    }
}

impl Sink {
    pub(crate) fn append(self, out: &mut Vec<u8>, data: &[u8]) {
        if !matches!(self, Self::Chunked { .. }) || data.is_empty() {
            out.extend_from_slice(data);
            return;
        }
        encode::chunk_size(out, data.len());
        out.extend_from_slice(data);
        out.extend_from_slice(b"\r\n");
    }

    /// What stands behind the data of a body with these trailers: the last chunk (RFC 9112 §7.1.2); nothing for the others. True if
    /// trailers were among it.
    pub(crate) fn end(self, trailers: &[u8], out: &mut Vec<u8>) -> bool {
        let Self::Chunked { trailers: wanted } = self else { return false };
        out.extend_from_slice(b"0\r\n");
        let bare = out.len();
        if wanted {
            forwardable(trailers, out);
        }
        let written = out.len() > bare;
        out.extend_from_slice(b"\r\n");
        written
    }
}

/// Appends the lines of a trailer section that may be passed on.
pub(crate) fn forwardable(trailers: &[u8], out: &mut Vec<u8>) {
    if !trailers.is_empty() {
        forwardable_trailers(trailers, |name, value| encode::header(out, name, value));
    }
}

fn transfer_chunks(
    decoder: &mut ChunkDecoder,
    block: &mut Block,
    sink: Sink,
    out: &mut Vec<u8>,
) -> Result<u64, Reason> {
    let mut total = 0;
    loop {
        let (used, piece) = decoder.decode(block.filled())?;
        let finished = match piece {
            Piece::Data(data) => {
                total += data.len() as u64;
                sink.append(out, data);
                false
            }
            Piece::NeedMore | Piece::End => true,
        };
        block.consume(used);
        if finished {
            return Ok(total);
        }
    }
}
