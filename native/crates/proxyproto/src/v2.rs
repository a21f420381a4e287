//! Version 2 (specification, section 2.2), bytes:
//!
//! ```text
//!   signature (12) | version, command (4 bits each) | family, transport (4 bits each) | length (2) | addresses | vectors
//! ```
//!
//! A local header's block is skipped whatever is in it, as the specification has it; a relayed one's must be right to its last byte.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::error::Error;
use crate::tlv::{self, Tlvs};
use crate::{Command, Extras, Family, Proxied, Transport};

pub(crate) const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
pub(crate) const FIXED_BYTES: usize = 16;
const VERSION: u8 = 2;
pub(crate) const LOCAL: u8 = 0x20;
pub(crate) const PROXY: u8 = 0x21;
pub(crate) const UNSPECIFIED: u8 = 0x00;
pub(crate) const TCP_OVER_INET: u8 = 0x11;
pub(crate) const TCP_OVER_INET6: u8 = 0x21;

/// Reads the header that `bytes` begin with; they agree with [`SIGNATURE`].
pub(crate) fn parse(bytes: &[u8], max_bytes: usize) -> Result<Option<(Proxied<'_>, usize)>, Error> {
    let Some(&version_and_command) = bytes.get(SIGNATURE.len()) else { return Ok(None) };
    let command = command(version_and_command)?;
    let Some(&kind) = bytes.get(SIGNATURE.len() + 1) else { return Ok(None) };
    let (family, transport, addresses_bytes) = match command {
        Command::Local => (Family::Unspecified, Transport::Unspecified, 0),
        Command::Proxy => addresses(kind)?,
    };
    let Some(&[high, low]) = bytes.get(SIGNATURE.len() + 2..FIXED_BYTES) else { return Ok(None) };
    let used = FIXED_BYTES + usize::from(u16::from_be_bytes([high, low]));
    if used > max_bytes {
        return Err(Error::TooLong);
    }
    if used < FIXED_BYTES + addresses_bytes {
        return Err(Error::Malformed);
    }
    let Some(header) = bytes.get(..used) else { return Ok(None) };
    if command == Command::Local {
        return Ok(Some((Proxied::unknown(command), used)));
    }
    let (fixed, tlvs) = header.split_at_checked(FIXED_BYTES + addresses_bytes).ok_or(Error::Malformed)?;
    let extras = Extras::read(Tlvs::checked(tlvs)?, || checksum(fixed, Tlvs::new(tlvs)))?;
    let (source, destination) = endpoints(fixed, family).unzip();
    Ok(Some((Proxied { command, family, transport, source, destination, extras, tlvs }, used)))
}

fn command(version_and_command: u8) -> Result<Command, Error> {
    match version_and_command {
        LOCAL => Ok(Command::Local),
        PROXY => Ok(Command::Proxy),
        other if other >> 4 == VERSION => Err(Error::Malformed),
        _ => Err(Error::Version),
    }
}

/// Family, transport, and the addresses' bytes: the combinations that the specification lists, no others.
fn addresses(kind: u8) -> Result<(Family, Transport, usize), Error> {
    match kind {
        UNSPECIFIED => Ok((Family::Unspecified, Transport::Unspecified, 0)),
        TCP_OVER_INET => Ok((Family::Inet, Transport::Stream, 12)),
        0x12 => Ok((Family::Inet, Transport::Datagram, 12)),
        TCP_OVER_INET6 => Ok((Family::Inet6, Transport::Stream, 36)),
        0x22 => Ok((Family::Inet6, Transport::Datagram, 36)),
        0x31 => Ok((Family::Unix, Transport::Stream, 216)),
        0x32 => Ok((Family::Unix, Transport::Datagram, 216)),
        _ => Err(Error::Malformed),
    }
}

/// Source and destination, if `fixed` holds any that a socket of ours could have.
fn endpoints(fixed: &[u8], family: Family) -> Option<(SocketAddr, SocketAddr)> {
    let addresses = fixed.get(FIXED_BYTES..)?;
    match family {
        Family::Inet => pair::<4>(addresses, |octets| Ipv4Addr::from(octets).into()),
        Family::Inet6 => pair::<16>(addresses, |octets| Ipv6Addr::from(octets).into()),
        Family::Unspecified | Family::Unix => None,
    }
}

fn pair<const N: usize>(
    addresses: &[u8],
    address: fn([u8; N]) -> std::net::IpAddr,
) -> Option<(SocketAddr, SocketAddr)> {
    let (source, rest) = addresses.split_first_chunk::<N>()?;
    let (destination, ports) = rest.split_first_chunk::<N>()?;
    let &[source_high, source_low, destination_high, destination_low] = ports else { return None };
    Some((
        SocketAddr::new(address(*source), u16::from_be_bytes([source_high, source_low])),
        SocketAddr::new(address(*destination), u16::from_be_bytes([destination_high, destination_low])),
    ))
}

/// CRC32C (RFC 4960, appendix B) of a header, with its own value as zeros (specification, section 2.2.3).
pub(crate) fn checksum(fixed: &[u8], vectors: Tlvs<'_>) -> u32 {
    vectors.fold(crc32c::crc32c(fixed), |sum, (kind, value)| {
        let [high, low] = (value.len() as u16).to_be_bytes();
        let sum = crc32c::crc32c_append(sum, &[kind, high, low]);
        crc32c::crc32c_append(sum, if kind == tlv::CRC32C { &[0; 4] } else { value })
    })
}
