//! EDNS (RFC 6891): the OPT record of a request, and ours.
//!
//! ```text
//!  0 | 41 | UDP size | extended rcode, version, DO and 15 zero bits | length | { code, length, data } …
//! ```

use crate::query::{Record, u16_at};

pub const NSID: u16 = 3;
pub const CLIENT_SUBNET: u16 = 8;
pub const COOKIE: u16 = 10;
pub const KEEPALIVE: u16 = 11;
pub const PADDING: u16 = 12;
pub const EXTENDED_ERROR: u16 = 15;

/// What we take and send at most without fragments (DNS flag day 2020; RFC 9715 §4).
pub const UDP_BYTES: u16 = 1_232;
/// What everyone takes (RFC 1035 §2.3.4).
pub const MIN_UDP_BYTES: u16 = 512;
/// An OPT record without options.
pub const OPT_BYTES: usize = 11;

/// A request's OPT.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::struct_excessive_bools)] // independent wishes
pub struct Edns<'m> {
    pub udp_bytes: u16,
    pub version: u8,
    /// It wants DNSSEC's records.
    pub dnssec_ok: bool,
    pub wants_nsid: bool,
    pub cookie: Option<&'m [u8]>,
    pub client_subnet: Option<&'m [u8]>,
    pub wants_keepalive: bool,
    pub wants_padding: bool,
}

/// Reads an OPT record; `None` = an option is cut off, or a cookie of no possible length (RFC 7873 §5.2.2).
pub fn parse<'m>(record: &Record<'m>) -> Option<Edns<'m>> {
    let mut edns = Edns {
        udp_bytes: record.class.max(MIN_UDP_BYTES),
        version: (record.ttl >> 16) as u8,
        dnssec_ok: record.ttl & 0x8000 != 0,
        wants_nsid: false,
        cookie: None,
        client_subnet: None,
        wants_keepalive: false,
        wants_padding: false,
    };
    let mut rest = record.rdata;
    while !rest.is_empty() {
        let head = rest.get(..4)?;
        let (code, length) = (u16_at(head, 0), usize::from(u16_at(head, 2)));
        let data = rest.get(4..4 + length)?;
        edns.take(code, data)?;
        rest = rest.get(4 + length..)?;
    }
    Some(edns)
}

impl<'m> Edns<'m> {
    /// Options that are unknown mean nothing (RFC 6891 §6.1.2); of those that come twice the first counts.
    fn take(&mut self, code: u16, data: &'m [u8]) -> Option<()> {
        match code {
            NSID => self.wants_nsid = true,
            COOKIE if data.len() == 8 || (16..=40).contains(&data.len()) => {
                self.cookie.get_or_insert(data);
            }
            COOKIE => return None,
            CLIENT_SUBNET => {
                self.client_subnet.get_or_insert(data);
            }
            KEEPALIVE => self.wants_keepalive = true,
            PADDING => self.wants_padding = true,
            _ => {}
        }
        Some(())
    }
}
