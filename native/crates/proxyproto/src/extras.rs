//! What a header of version 2 says beyond the addresses (specification, section 2.2.1 to 2.2.7): the same struct read and written.
//!
//! Text must be UTF-8 without control characters, since it ends up in logs and header lines; a known vector that comes twice is refused,
//! since another reader might believe the other one. Unknown types are skipped.

use crate::error::Error;
use crate::tlv::{self, Tlvs};

/// Specification, section 2.2.5.
const MAX_UNIQUE_ID_BYTES: usize = 128;

/// The known vectors.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extras<'b> {
    /// The application protocol the client and the sender agreed on, e.g. `h2`.
    pub alpn: Option<&'b [u8]>,
    /// The host name that the client asked for, as a rule by SNI.
    pub authority: Option<&'b str>,
    /// The sender's name for the connection, at most 128 bytes.
    pub unique_id: Option<&'b [u8]>,
    pub ssl: Option<Ssl<'b>>,
    pub network_namespace: Option<&'b str>,
    /// Read: a checksum was there, and right. Written: put one in.
    pub checksum: bool,
}

/// The client's TLS session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ssl<'b> {
    /// Bits [`Ssl::TLS`], [`Ssl::CERTIFICATE_ON_CONNECTION`], [`Ssl::CERTIFICATE_IN_SESSION`].
    pub client: u8,
    /// 0 = the client's certificate was verified.
    pub verify: u32,
    pub version: Option<&'b str>,
    /// Of the client's certificate.
    pub common_name: Option<&'b str>,
    pub cipher: Option<&'b str>,
    /// Of the sender's own certificate.
    pub signature_algorithm: Option<&'b str>,
    /// Of the sender's own certificate.
    pub key_algorithm: Option<&'b str>,
}

impl Ssl<'_> {
    /// The client speaks TLS.
    pub const TLS: u8 = 0x01;
    /// It showed a certificate on this connection.
    pub const CERTIFICATE_ON_CONNECTION: u8 = 0x02;
    /// It showed a certificate at least once in this session.
    pub const CERTIFICATE_IN_SESSION: u8 = 0x04;

    /// True if the client has shown a certificate that the sender verified. `verify` alone says nothing: without a certificate some senders
    /// leave it 0.
    pub fn is_verified(&self) -> bool {
        self.verify == 0
            && self.client & (Self::CERTIFICATE_ON_CONNECTION | Self::CERTIFICATE_IN_SESSION) != 0
    }
}

impl<'b> Extras<'b> {
    /// Reads the known vectors; what a checksum is compared with is `sum`.
    pub(crate) fn read(vectors: Tlvs<'b>, sum: impl FnOnce() -> u32) -> Result<Self, Error> {
        let (mut extras, mut checksum) = (Self::default(), None);
        for (kind, value) in vectors {
            match kind {
                tlv::ALPN => once(&mut extras.alpn, value)?,
                tlv::AUTHORITY => once(&mut extras.authority, text(value)?)?,
                tlv::CRC32C => once(&mut checksum, number(value)?)?,
                tlv::UNIQUE_ID => once(&mut extras.unique_id, unique_id(value)?)?,
                tlv::SSL => once(&mut extras.ssl, Ssl::read(value)?)?,
                tlv::NETWORK_NAMESPACE => once(&mut extras.network_namespace, text(value)?)?,
                _ => {}
            }
        }
        extras.checksum = checksum.is_some();
        if checksum.is_some_and(|expected| expected != sum()) {
            return Err(Error::Checksum);
        }
        Ok(extras)
    }

    /// Appends all but the checksum.
    pub(crate) fn write(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        write_if(out, tlv::ALPN, self.alpn)?;
        write_if(out, tlv::AUTHORITY, self.authority.map(str::as_bytes))?;
        write_if(out, tlv::UNIQUE_ID, self.unique_id.map(unique_id).transpose()?)?;
        if let Some(ssl) = &self.ssl {
            tlv::write(out, tlv::SSL, |out| ssl.write(out))?;
        }
        write_if(out, tlv::NETWORK_NAMESPACE, self.network_namespace.map(str::as_bytes))
    }
}

impl<'b> Ssl<'b> {
    fn read(value: &'b [u8]) -> Result<Self, Error> {
        let ([client, verify @ ..], vectors) = value.split_first_chunk::<5>().ok_or(Error::Malformed)?;
        let mut ssl = Self { client: *client, verify: u32::from_be_bytes(*verify), ..Self::default() };
        for (kind, value) in Tlvs::checked(vectors)? {
            match kind {
                tlv::SSL_VERSION => once(&mut ssl.version, text(value)?)?,
                tlv::SSL_COMMON_NAME => once(&mut ssl.common_name, text(value)?)?,
                tlv::SSL_CIPHER => once(&mut ssl.cipher, text(value)?)?,
                tlv::SSL_SIGNATURE_ALGORITHM => once(&mut ssl.signature_algorithm, text(value)?)?,
                tlv::SSL_KEY_ALGORITHM => once(&mut ssl.key_algorithm, text(value)?)?,
                _ => {}
            }
        }
        Ok(ssl)
    }

    fn write(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        out.push(self.client);
        out.extend_from_slice(&self.verify.to_be_bytes());
        for (kind, value) in [
            (tlv::SSL_VERSION, self.version),
            (tlv::SSL_COMMON_NAME, self.common_name),
            (tlv::SSL_CIPHER, self.cipher),
            (tlv::SSL_SIGNATURE_ALGORITHM, self.signature_algorithm),
            (tlv::SSL_KEY_ALGORITHM, self.key_algorithm),
        ] {
            write_if(out, kind, value.map(str::as_bytes))?;
        }
        Ok(())
    }
}

fn once<T>(place: &mut Option<T>, value: T) -> Result<(), Error> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(Error::Malformed),
    }
}

fn text(value: &[u8]) -> Result<&str, Error> {
    let text = std::str::from_utf8(value).map_err(|_| Error::Malformed)?;
    if text.chars().any(char::is_control) { Err(Error::Malformed) } else { Ok(text) }
}

fn number(value: &[u8]) -> Result<u32, Error> {
    value.try_into().map(u32::from_be_bytes).map_err(|_| Error::Malformed)
}

fn unique_id(value: &[u8]) -> Result<&[u8], Error> {
    if value.len() > MAX_UNIQUE_ID_BYTES { Err(Error::TooLong) } else { Ok(value) }
}

fn write_if(out: &mut Vec<u8>, kind: u8, value: Option<&[u8]>) -> Result<(), Error> {
    value.map_or(Ok(()), |value| tlv::write_value(out, kind, value))
}
