//! Where one message of a body ends and the next one begins, in any pieces (`PROTOCOL-HTTP2.md`, "Length-Prefixed-Message"):
//!
//! ```text
//!   flags (1 byte) | length (4, big-endian) | message …
//!   Prefix ────────────────────────────────▶ Message ──▶ Prefix
//! ```

use crate::error::Error;

/// The only flag that there is.
const COMPRESSED: u8 = 1;

/// Follows the messages of one body.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    state: State,
}

#[derive(Debug)]
enum State {
    Prefix { bytes: u8, length: u32 },
    Message { remaining: u32 },
}

impl Default for State {
    fn default() -> Self {
        Self::Prefix { bytes: 0, length: 0 }
    }
}

impl Frames {
    /// How much of `input` belongs to the message that has begun; all of it if the message goes on.
    pub(crate) fn advance(&mut self, input: &[u8]) -> Result<usize, Error> {
        let mut used = 0;
        while let Some(&byte) = input.get(used) {
            match self.state {
                State::Prefix { bytes, length } => {
                    self.state = prefix(bytes, length, byte)?;
                    used += 1;
                }
                State::Message { remaining } => {
                    let count = remaining.min(u32::try_from(input.len() - used).unwrap_or(u32::MAX));
                    self.state = State::Message { remaining: remaining - count };
                    used += count as usize;
                }
            }
            if matches!(self.state, State::Message { remaining: 0 }) {
                self.state = State::default();
                break;
            }
        }
        Ok(used)
    }

    /// True if what came so far are whole messages.
    pub(crate) fn is_between(&self) -> bool {
        matches!(self.state, State::Prefix { bytes: 0, .. })
    }
}

fn prefix(bytes: u8, length: u32, byte: u8) -> Result<State, Error> {
    match bytes {
        0 if byte > COMPRESSED => Err(Error::Flags),
        0 => Ok(State::Prefix { bytes: 1, length: 0 }),
        1..4 => Ok(State::Prefix { bytes: bytes + 1, length: length << 8 | u32::from(byte) }),
        _ => Ok(State::Message { remaining: length << 8 | u32::from(byte) }),
    }
}
