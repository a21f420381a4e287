//! What a limiter remembers about one key.

/// What a limiter remembers about one key: 24 bytes, meaningful only to the quota that wrote them. All zero is a key
/// that was never seen, so tables of fresh states are zeroed memory.
///
/// Three words, because exact levels of any quota need 128 bits; how they are used is said in each algorithm's file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State(pub(crate) [u64; 3]);

impl State {
    /// The first two words as one number.
    pub(crate) fn wide(&self) -> u128 {
        u128::from(self.0[1]) << 64 | u128::from(self.0[0])
    }

    pub(crate) fn set_wide(&mut self, value: u128) {
        self.0[0] = value as u64;
        self.0[1] = (value >> 64) as u64;
    }
}
