//! Encoders between two responses. A body of 2 KB takes a new one of zstd 29 µs, a used one 5; gzip 17 and 12.

use crate::{Coding, Encoder, Error, Levels};

/// 15 MB at most for each worker, if all are zstd's at the default level.
const KEPT: usize = 8;
/// On loan at once: who reads slowly keeps an encoder for as long, and 64 of brotli take 134 MB.
const MOST_LENT: usize = 64;

/// A worker's encoders; not shared between threads, so nothing is locked.
#[derive(Debug, Default)]
pub struct Encoders {
    idle: Vec<Encoder>,
    lent: usize,
}

impl Encoders {
    /// A kept encoder, or a new one.
    ///
    /// # Errors
    /// There is no memory for one, or as many as may be are on loan.
    pub fn take(&mut self, coding: Coding, levels: &Levels) -> Result<Encoder, Error> {
        if self.lent >= MOST_LENT {
            return Err(Error::Encoder { coding, problem: format!("{MOST_LENT} are in use") });
        }
        let encoder = match self.idle.iter().rposition(|encoder| encoder.is_for(coding, levels)) {
            Some(index) => self.idle.swap_remove(index),
            None => Encoder::new(coding, levels)?,
        };
        self.lent += 1;
        Ok(encoder)
    }

    /// Keeps an encoder for the next response, wherever in a body it stopped.
    pub fn give_back(&mut self, encoder: Encoder) {
        self.lent = self.lent.saturating_sub(1);
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
