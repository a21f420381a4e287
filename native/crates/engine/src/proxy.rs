//! The PROXY protocol at both edges: who a relayed connection is from.

use std::future::poll_fn;
use std::io;
use std::task::Poll;

use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use trunkline_proxyproto::{Error, Extras, MAX_HEADER_BYTES, Proxied, parse, write_v1, write_v2};

use crate::forwarding::Peer;
use crate::plan::ProxyVersion;
use crate::timer::Deadline;
use crate::transport::expire;

/// The header for a server.
pub(crate) fn header(version: ProxyVersion, peer: &Peer) -> Vec<u8> {
    let mut header = Vec::with_capacity(128);
    match version {
        ProxyVersion::V1 => write_v1(&mut header, peer.endpoints),
        // Without extras nothing can be too long.
        ProxyVersion::V2 => {
            let _ = write_v2(&mut header, peer.endpoints, &Extras::default());
        }
    }
    header
}

/// Why a connection does not begin as it should.
pub(crate) enum Bad {
    Header(Error),
    Io(io::Error),
}

/// Reads the header that a connection begins with, and not a byte more: what follows may be TLS. `look` is told what it says.
pub(crate) async fn read<T>(
    stream: &TcpStream,
    deadline: &Deadline,
    look: impl Fn(&Proxied<'_>) -> T,
) -> Result<T, Bad> {
    let mut header = Vec::new();
    loop {
        let here = header.len();
        peek(stream, deadline, &mut header).await.map_err(Bad::Io)?;
        let parsed = parse(&header, MAX_HEADER_BYTES).map_err(Bad::Header)?;
        let (told, length) = match parsed {
            Some((proxied, length)) => (Some(look(&proxied)), length),
            None => (None, header.len()),
        };
        header.truncate(length);
        take(stream, header.get_mut(here..).unwrap_or_default()).map_err(Bad::Io)?;
        if let Some(told) = told {
            return Ok(told);
        }
    }
}

/// Appends what has come and leaves it where it is.
async fn peek(stream: &TcpStream, deadline: &Deadline, header: &mut Vec<u8>) -> io::Result<()> {
    let mut bytes = [0; 512];
    let count = poll_fn(|context| {
        let mut buffer = ReadBuf::new(&mut bytes);
        match stream.poll_peek(context, &mut buffer) {
            Poll::Pending => expire(deadline, context),
            done @ Poll::Ready(_) => done,
        }
    })
    .await?;
    header.extend_from_slice(bytes.get(..count).unwrap_or_default());
    if count == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

/// Takes what was looked at.
fn take(stream: &TcpStream, mut bytes: &mut [u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let count = stream.try_read(bytes)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes = bytes.get_mut(count..).unwrap_or_default();
    }
    Ok(())
}
