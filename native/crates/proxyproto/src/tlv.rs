//! Type, length, value: what follows the addresses of a header, and the same once more inside of the SSL vector.
//!
//! ```text
//!   type (1 byte) | length (2, big-endian) | value …
//! ```

use crate::error::Error;

pub(crate) const ALPN: u8 = 0x01;
pub(crate) const AUTHORITY: u8 = 0x02;
pub(crate) const CRC32C: u8 = 0x03;
pub(crate) const UNIQUE_ID: u8 = 0x05;
pub(crate) const SSL: u8 = 0x20;
pub(crate) const SSL_VERSION: u8 = 0x21;
pub(crate) const SSL_COMMON_NAME: u8 = 0x22;
pub(crate) const SSL_CIPHER: u8 = 0x23;
pub(crate) const SSL_SIGNATURE_ALGORITHM: u8 = 0x24;
pub(crate) const SSL_KEY_ALGORITHM: u8 = 0x25;
pub(crate) const NETWORK_NAMESPACE: u8 = 0x30;

/// The vectors of a header, as `(type, value)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tlvs<'b> {
    rest: &'b [u8],
}

impl<'b> Tlvs<'b> {
    pub(crate) fn new(bytes: &'b [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The vectors of `bytes`.
    ///
    /// # Errors
    /// [`Error::Malformed`] if the last one does not end where `bytes` do.
    pub(crate) fn checked(bytes: &'b [u8]) -> Result<Self, Error> {
        let mut vectors = Self::new(bytes);
        vectors.by_ref().for_each(drop);
        if vectors.rest.is_empty() { Ok(Self::new(bytes)) } else { Err(Error::Malformed) }
    }
}

impl<'b> Iterator for Tlvs<'b> {
    type Item = (u8, &'b [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let ([kind, high, low], values) = self.rest.split_first_chunk()?;
        let (value, rest) = values.split_at_checked(usize::from(u16::from_be_bytes([*high, *low])))?;
        self.rest = rest;
        Some((*kind, value))
    }
}

/// Appends one vector, its value being what `value` appends.
///
/// # Errors
/// [`Error::TooLong`] if the value is longer than its length can say.
pub(crate) fn write(
    out: &mut Vec<u8>,
    kind: u8,
    value: impl FnOnce(&mut Vec<u8>) -> Result<(), Error>,
) -> Result<(), Error> {
    out.push(kind);
    let length_at = out.len();
    out.extend_from_slice(&[0, 0]);
    value(out)?;
    write_length(out, length_at)
}

/// Appends one vector.
pub(crate) fn write_value(out: &mut Vec<u8>, kind: u8, value: &[u8]) -> Result<(), Error> {
    write(out, kind, |out| {
        out.extend_from_slice(value);
        Ok(())
    })
}

/// Puts the number of bytes behind the two at `length_at` into them.
pub(crate) fn write_length(out: &mut [u8], length_at: usize) -> Result<(), Error> {
    let length = u16::try_from(out.len().saturating_sub(length_at + 2)).map_err(|_| Error::TooLong)?;
    if let Some(place) = out.get_mut(length_at..length_at + 2) {
        place.copy_from_slice(&length.to_be_bytes());
    }
    Ok(())
}
