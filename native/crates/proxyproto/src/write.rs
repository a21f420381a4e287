//! Headers for connections to servers.

use std::net::{IpAddr, SocketAddr};

use crate::error::Error;
use crate::extras::Extras;
use crate::tlv;
use crate::v2::{FIXED_BYTES, LOCAL, PROXY, SIGNATURE, TCP_OVER_INET, TCP_OVER_INET6, UNSPECIFIED};

/// Appends a header of version 1 for a connection relayed from `source`, which had connected to `destination`; without endpoints `UNKNOWN`.
/// Its checks had better come with the proxy's own addresses: some servers refuse `UNKNOWN` (specification, section 2.1).
pub fn write_v1(out: &mut Vec<u8>, endpoints: Option<(SocketAddr, SocketAddr)>) {
    let line =
        endpoints.map(of_one_family).map_or("PROXY UNKNOWN\r\n".to_owned(), |(source, destination)| {
            let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
            let (from, to) = (source.ip(), destination.ip());
            format!("PROXY {family} {from} {to} {} {}\r\n", source.port(), destination.port())
        });
    out.extend_from_slice(line.as_bytes());
}

/// Appends a header of version 2 for a connection relayed from `source`, which had connected to `destination`; without endpoints a local
/// one, as for a health check.
///
/// # Errors
/// [`Error::TooLong`] if the unique id has over 128 bytes or all of it over 64 KB; `out` is then as it was.
pub fn write_v2(
    out: &mut Vec<u8>,
    endpoints: Option<(SocketAddr, SocketAddr)>,
    extras: &Extras<'_>,
) -> Result<(), Error> {
    let start = out.len();
    let written = write_parts(out, endpoints.map(of_one_family), extras);
    if written.is_err() {
        out.truncate(start);
    }
    written
}

fn write_parts(
    out: &mut Vec<u8>,
    endpoints: Option<(SocketAddr, SocketAddr)>,
    extras: &Extras<'_>,
) -> Result<(), Error> {
    let start = out.len();
    out.extend_from_slice(SIGNATURE);
    out.extend_from_slice(&match endpoints {
        None => [LOCAL, UNSPECIFIED],
        Some((source, _)) if source.is_ipv4() => [PROXY, TCP_OVER_INET],
        Some(_) => [PROXY, TCP_OVER_INET6],
    });
    out.extend_from_slice(&[0, 0]);
    if let Some((source, destination)) = endpoints {
        write_address(out, source.ip());
        write_address(out, destination.ip());
        out.extend_from_slice(&source.port().to_be_bytes());
        out.extend_from_slice(&destination.port().to_be_bytes());
    }
    extras.write(out)?;
    if extras.checksum {
        tlv::write_value(out, tlv::CRC32C, &[0; 4])?;
    }
    let header = out.get_mut(start..).unwrap_or_default();
    tlv::write_length(header, FIXED_BYTES - 2)?;
    if extras.checksum {
        // Its value comes last, and is still zero.
        let sum = crc32c::crc32c(header);
        if let Some(value) = header.last_chunk_mut() {
            *value = sum.to_be_bytes();
        }
    }
    Ok(())
}

fn write_address(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => out.extend_from_slice(&address.octets()),
        IpAddr::V6(address) => out.extend_from_slice(&address.octets()),
    }
}

/// A header has one family for both: a client of IPv4 on a socket of IPv6 is named as what it is, and if only one of the two is of IPv4, it
/// is mapped.
fn of_one_family((source, destination): (SocketAddr, SocketAddr)) -> (SocketAddr, SocketAddr) {
    let (from, to) = (source.ip().to_canonical(), destination.ip().to_canonical());
    let (from, to) = match (from, to) {
        (IpAddr::V4(from), IpAddr::V6(_)) => (from.to_ipv6_mapped().into(), to),
        (IpAddr::V6(_), IpAddr::V4(to)) => (from, to.to_ipv6_mapped().into()),
        same => same,
    };
    (SocketAddr::new(from, source.port()), SocketAddr::new(to, destination.port()))
}
