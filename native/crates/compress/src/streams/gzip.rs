//! gzip (RFC 1952) by zlib-rs, through flate2.

use flate2::{Compress, Compression, FlushCompress, Status};

use super::{ROOM_BYTES, Until};

/// 32 KB, the format's largest: what browsers and curl keep for decoding anyway.
const WINDOW_BITS: u8 = 15;

#[derive(Debug)]
pub(crate) struct Gzip(Compress);

impl Gzip {
    pub(crate) fn new(level: u32) -> Self {
        Self(Compress::new_gzip(Compression::new(level), WINDOW_BITS))
    }

    pub(crate) fn reset(&mut self) {
        self.0.reset();
    }

    pub(crate) fn run(&mut self, input: &[u8], out: &mut Vec<u8>, until: Until) -> Result<(), String> {
        let flush = match until {
            Until::Taken => FlushCompress::None,
            Until::Flushed => FlushCompress::Sync,
            Until::Finished => FlushCompress::Finish,
        };
        let mut rest = input;
        while !rest.is_empty() || until != Until::Taken {
            out.reserve(ROOM_BYTES);
            let before = self.0.total_in();
            let status = self.0.compress_vec(rest, out, flush).map_err(|error| error.to_string())?;
            rest = rest.get((self.0.total_in() - before) as usize..).unwrap_or_default();
            // zlib's rule: a flush is complete when a call left room (zlib.h, deflate).
            let left_room = out.len() < out.capacity();
            let done = match until {
                Until::Taken | Until::Flushed => rest.is_empty() && left_room,
                Until::Finished => status == Status::StreamEnd,
            };
            if done {
                break;
            }
        }
        Ok(())
    }
}
