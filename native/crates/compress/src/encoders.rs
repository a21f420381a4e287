//! Encoders between two responses. A body of 2 KB takes a new one of zstd 29 µs, a used one 5; gzip 17 and 12.

use crate::{Coding, Encoder, Error, Levels};

/// 15 MB at most for each worker, if all are zstd's at the default level.
const KEPT: usize = 8;

/// A worker's idle encoders; not shared between threads, so nothing is locked.
#[derive(Debug, Default)]
pub struct Encoders {
    idle: Vec<Encoder>,
}

impl Encoders {
    /// A kept encoder, or a new one.
    ///
    /// # Errors
    /// There is no memory for one.
    pub fn take(&mut self, coding: Coding, levels: &Levels) -> Result<Encoder, Error> {
        match self.idle.iter().rposition(|encoder| encoder.is_for(coding, levels)) {
            Some(index) => Ok(self.idle.swap_remove(index)),
            None => Encoder::new(coding, levels),
        }
    }

    /// Keeps an encoder for the next response, wherever in a body it stopped.
    pub fn give_back(&mut self, encoder: Encoder) {
        if self.idle.len() < KEPT {
            self.idle.extend(encoder.renew());
        }
    }

    pub fn len(&self) -> usize {
        self.idle.len()
    }

    pub fn is_empty(&self) -> bool {
        self.idle.is_empty()
    }
}
