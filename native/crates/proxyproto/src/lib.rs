//! # trunkline-proxyproto: the header that says who a relayed connection is from
//!
//! Both versions of `HAProxy`'s PROXY protocol (`proxy-protocol.txt`, here "the specification"), both ways: [`parse`] reads the header
//! in front of a connection's first bytes, [`write_v1`] and [`write_v2`] make one.
//!
//! Promises: strict, since a header decides what address a client is taken for; bounded; a checksum that is there is verified;
//! nothing a peer sends can panic. Does not know connections: whether a listener expects a header is configuration, never guessed
//! from the bytes (specification, section 5), and whose headers are believed is for the caller to decide.
//!
//! ```
//! use trunkline_proxyproto::{MAX_HEADER_BYTES, parse};
//!
//! let received = b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\nGET / HTTP/1.1\r\n";
//! let (proxied, used) = parse(received, MAX_HEADER_BYTES)?.ok_or("more bytes are needed")?;
//! assert_eq!(proxied.source, "192.168.0.1:56324".parse().ok());
//! assert!(received[used..].starts_with(b"GET"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod error;
mod extras;
mod tlv;
mod v1;
mod v2;
mod write;

use std::net::SocketAddr;

pub use error::Error;
pub use extras::{Extras, Ssl};
pub use tlv::Tlvs;
pub use write::{write_v1, write_v2};

/// How long a header may be, unless configured: addresses take 232 bytes at most, a certificate's names a few hundred; nginx takes as much.
pub const MAX_HEADER_BYTES: usize = 4_096;

/// Whether the connection was relayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Made by the proxy itself, for a health check: its real addresses count.
    Local,
    /// Relayed for a client.
    Proxy,
}

/// What kind of addresses the client's connection had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Unknown to the sender, or of no meaning ([`Command::Local`]).
    Unspecified,
    Inet,
    Inet6,
    Unix,
}

/// How the client's connection carried its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Unspecified,
    Stream,
    Datagram,
}

/// What a header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxied<'b> {
    pub command: Command,
    pub family: Family,
    pub transport: Transport,
    /// The client; `None` = the real connection's address counts (local, unknown and UNIX connections).
    pub source: Option<SocketAddr>,
    /// What the client connected to; `None` together with `source`.
    pub destination: Option<SocketAddr>,
    /// What the known vectors say, checked; nothing in version 1.
    pub extras: Extras<'b>,
    tlvs: &'b [u8],
}

impl<'b> Proxied<'b> {
    /// All vectors as they came, those of unknown types, too.
    pub fn tlvs(&self) -> Tlvs<'b> {
        Tlvs::new(self.tlvs)
    }

    /// A header that says nothing of where the connection is from.
    fn unknown(command: Command) -> Self {
        Self {
            command,
            family: Family::Unspecified,
            transport: Transport::Unspecified,
            source: None,
            destination: None,
            extras: Extras::default(),
            tlvs: &[],
        }
    }
}

/// Reads the header that `bytes` begin with: what it says and how long it is; `None` = more bytes are needed.
///
/// What cannot become a header is refused as soon as the field that shows it is complete. A header of version 2 longer than
/// `max_bytes`, or of version 1 longer than 107 bytes (specification, section 2.1), is refused.
///
/// # Errors
/// The [`Error`] for which to close the connection; nothing behind a bad header can be trusted.
pub fn parse(bytes: &[u8], max_bytes: usize) -> Result<Option<(Proxied<'_>, usize)>, Error> {
    if agree(bytes, v1::SIGNATURE) {
        v1::parse(bytes)
    } else if agree(bytes, v2::SIGNATURE) {
        v2::parse(bytes, max_bytes)
    } else {
        Err(Error::Missing)
    }
}

/// True if one of them begins with the other.
fn agree(bytes: &[u8], signature: &[u8]) -> bool {
    bytes.iter().zip(signature).all(|(byte, expected)| byte == expected)
}
