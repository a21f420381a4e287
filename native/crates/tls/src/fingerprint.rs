//! SHA-256 over parts, each with its length before it, so that different lists of parts never read the same.

use aws_lc_rs::digest;

pub(crate) struct Fingerprint(digest::Context);

impl Fingerprint {
    pub(crate) fn new() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }

    pub(crate) fn add(&mut self, part: &[u8]) {
        self.0.update(&(part.len() as u64).to_be_bytes());
        self.0.update(part);
    }

    pub(crate) fn add_all(&mut self, parts: &[impl AsRef<[u8]>]) {
        for part in parts {
            self.add(part.as_ref());
        }
    }

    pub(crate) fn finish(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.0.finish().as_ref());
        bytes
    }

    /// The first 64 bits, where nobody gains from two that are the same.
    pub(crate) fn short(self) -> u64 {
        self.finish().first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
    }
}
