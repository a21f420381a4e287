//! Version 1 (specification, section 2.1), one line of text:
//!
//! ```text
//!   PROXY SP (TCP4 | TCP6) SP source SP destination SP source-port SP destination-port CRLF
//!   PROXY SP UNKNOWN [SP anything] CRLF
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::error::Error;
use crate::{Command, Extras, Family, Proxied, Transport};

pub(crate) const SIGNATURE: &[u8] = b"PROXY ";
/// With CRLF: `UNKNOWN` and the longest of everything (specification, section 2.1).
const MAX_LINE_BYTES: usize = 107;

/// A field: how long it may be, of which bytes it is made, what they mean.
struct Field<T> {
    max_bytes: usize,
    allows: fn(u8) -> bool,
    read: fn(&str) -> Option<T>,
}

const INET: Field<IpAddr> = Field {
    max_bytes: "255.255.255.255".len(),
    allows: |byte| byte.is_ascii_digit() || byte == b'.',
    read: |field| field.parse::<Ipv4Addr>().map(IpAddr::V4).ok(),
};
/// With dots, too: `inet_ntop` and so most senders write `::ffff:192.0.2.1`.
const INET6: Field<IpAddr> = Field {
    max_bytes: "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff".len(),
    allows: |byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'),
    read: |field| field.parse::<Ipv6Addr>().map(IpAddr::V6).ok(),
};
/// Leading zeros are not permitted.
const PORT: Field<u16> = Field {
    max_bytes: "65535".len(),
    allows: |byte| byte.is_ascii_digit(),
    read: |field| if field.len() > 1 && field.starts_with('0') { None } else { field.parse().ok() },
};

type Endpoints = (SocketAddr, SocketAddr);

/// Reads the line that `bytes` begin with; they agree with [`SIGNATURE`].
pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(Proxied<'_>, usize)>, Error> {
    let line = bytes.get(..MAX_LINE_BYTES - 1).unwrap_or(bytes);
    let end = line.iter().position(|&byte| byte == b'\r');
    let text = line.get(SIGNATURE.len()..end.unwrap_or(line.len())).unwrap_or_default();
    let proxied = content(&mut Text { rest: text, is_whole: end.is_some() })?;
    match (end, end.and_then(|end| bytes.get(end + 1))) {
        (None, _) if bytes.len() >= MAX_LINE_BYTES - 1 => Err(Error::TooLong),
        (None, _) | (Some(_), None) => Ok(None),
        (Some(end), Some(b'\n')) => Ok(proxied.map(|proxied| (proxied, end + 2))),
        (Some(_), Some(_)) => Err(Error::Malformed),
    }
}

/// What the line says between signature and CRLF; `None` = it is not complete.
fn content<'b>(text: &mut Text<'_>) -> Result<Option<Proxied<'b>>, Error> {
    let proxied = |family, (source, destination)| Proxied {
        command: Command::Proxy,
        family,
        transport: Transport::Stream,
        source: Some(source),
        destination: Some(destination),
        extras: Extras::default(),
        tlvs: &[],
    };
    if text.skip(b"TCP4 ") {
        Ok(endpoints(text, &INET)?.map(|found| proxied(Family::Inet, found)))
    } else if text.skip(b"TCP6 ") {
        Ok(endpoints(text, &INET6)?.map(|found| proxied(Family::Inet6, found)))
    } else if text.skip(b"UNKNOWN") {
        Ok(text.is_ignorable()?.then(|| Proxied::unknown(Command::Proxy)))
    } else {
        text.may_become(&[b"TCP4 ", b"TCP6 ", b"UNKNOWN"]).map(|()| None)
    }
}

fn endpoints(text: &mut Text<'_>, address: &Field<IpAddr>) -> Result<Option<Endpoints>, Error> {
    let Some(source) = text.field(address)? else { return Ok(None) };
    let Some(destination) = text.field(address)? else { return Ok(None) };
    let Some(source_port) = text.field(&PORT)? else { return Ok(None) };
    let Some(destination_port) = text.last_field(&PORT)? else { return Ok(None) };
    Ok(Some((SocketAddr::new(source, source_port), SocketAddr::new(destination, destination_port))))
}

/// What is left of the line; `is_whole` = its end is known.
struct Text<'b> {
    rest: &'b [u8],
    is_whole: bool,
}

impl Text<'_> {
    fn skip(&mut self, prefix: &[u8]) -> bool {
        let found = self.rest.strip_prefix(prefix);
        self.rest = found.unwrap_or(self.rest);
        found.is_some()
    }

    fn may_become(&self, words: &[&[u8]]) -> Result<(), Error> {
        let begins = words.iter().any(|word| word.starts_with(self.rest));
        if begins && !self.is_whole { Ok(()) } else { Err(Error::Malformed) }
    }

    /// Whatever stands behind `UNKNOWN` is of no meaning, but it stands behind a space, on the same line.
    fn is_ignorable(&self) -> Result<bool, Error> {
        match self.rest {
            [] => Ok(self.is_whole),
            [b' ', ignored @ ..] if !ignored.contains(&b'\n') => Ok(self.is_whole),
            _ => Err(Error::Malformed),
        }
    }

    /// A field that a space ends.
    fn field<T>(&mut self, field: &Field<T>) -> Result<Option<T>, Error> {
        let end = self.rest.iter().position(|&byte| byte == b' ');
        if end.is_none() && self.is_whole {
            return Err(Error::Malformed);
        }
        let value = self.take(end, field);
        self.rest = self.rest.get(1..).unwrap_or_default();
        value
    }

    /// The field that the line's end ends.
    fn last_field<T>(&mut self, field: &Field<T>) -> Result<Option<T>, Error> {
        self.take(self.is_whole.then_some(self.rest.len()), field)
    }

    /// `end` is `None` if the field is not complete.
    fn take<T>(&mut self, end: Option<usize>, field: &Field<T>) -> Result<Option<T>, Error> {
        let (bytes, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        if bytes.len() > field.max_bytes || !bytes.iter().copied().all(field.allows) {
            return Err(Error::Malformed);
        }
        self.rest = rest;
        let text = std::str::from_utf8(bytes).map_err(|_| Error::Malformed)?;
        end.map(|_| (field.read)(text).ok_or(Error::Malformed)).transpose()
    }
}
