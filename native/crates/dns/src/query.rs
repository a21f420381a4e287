//! A request, taken apart without copying. Nothing in it is trusted: every length is checked, and what is odd is named.
//!
//! ```text
//!  0  ID  2 flags  4 QDCOUNT  6 ANCOUNT  8 NSCOUNT  10 ARCOUNT  12 name  type class  records …
//! ```

use crate::edns::Edns;
use crate::{edns, name, rtype};

pub const HEADER_BYTES: usize = 12;
/// The smallest record: the root, type, class, TTL, length.
const MIN_RECORD_BYTES: usize = 11;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opcode {
    Query,
    Notify,
    Other,
}

/// What a request asks.
#[derive(Debug)]
pub struct Query<'m> {
    pub id: u16,
    pub opcode: Opcode,
    /// As it came, so that the answer has the same case.
    pub name: &'m [u8],
    pub rtype: u16,
    pub class: u16,
    pub edns: Option<Edns<'m>>,
    /// Where the TSIG record begins, if the request is signed.
    pub tsig_at: Option<usize>,
    /// The first record of the authority section: an IXFR's SOA.
    pub authority: Option<Record<'m>>,
}

/// One record of a message, its owner as it stands there.
#[derive(Debug, Clone, Copy)]
pub struct Record<'m> {
    pub at: usize,
    pub rtype: u16,
    pub class: u16,
    pub ttl: u32,
    pub rdata: &'m [u8],
    pub rdata_at: usize,
    pub is_of_root: bool,
    end: usize,
}

/// Why a request gets no ordinary answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Not a request, or nothing that could be answered: silence.
    Ignore,
    /// The question cannot be read; the answer is a header (RFC 1035 §4.1.1).
    Format,
    /// An opcode that is not served.
    NotImplemented,
}

/// Reads a request.
///
/// # Errors
/// [`Fault`]: what to do instead of answering.
pub fn parse(message: &[u8]) -> Result<Query<'_>, Fault> {
    let header = message.get(..HEADER_BYTES).ok_or(Fault::Ignore)?;
    let flags = header[2];
    if flags & 0x80 != 0 {
        return Err(Fault::Ignore); // a response: answering it could go on for ever
    }
    let opcode = match (flags >> 3) & 0xF {
        0 => Opcode::Query,
        4 => Opcode::Notify,
        _ => return Err(Fault::NotImplemented),
    };
    let count = |at: usize| usize::from(u16_at(header, at));
    let (questions, answers, authorities, additionals) = (count(4), count(6), count(8), count(10));
    if questions != 1 {
        return Err(Fault::Format);
    }
    let name = name::uncompressed(message.get(HEADER_BYTES..).ok_or(Fault::Format)?).ok_or(Fault::Format)?;
    let mut at = HEADER_BYTES + name.len();
    let question = message.get(at..at + 4).ok_or(Fault::Format)?;
    let (rtype, class) = (u16_at(question, 0), u16_at(question, 2));
    at += 4;
    let records = answers + authorities + additionals;
    if message.len() - at < records.saturating_mul(MIN_RECORD_BYTES) {
        return Err(Fault::Format);
    }
    let mut query = Query {
        id: u16_at(header, 0),
        opcode,
        name,
        rtype,
        class,
        edns: None,
        tsig_at: None,
        authority: None,
    };
    for index in 0..records {
        let record = record(message, at).ok_or(Fault::Format)?;
        if index >= answers + authorities {
            query.take_additional(&record, index + 1 == records)?;
        } else if index == answers {
            query.authority = Some(record);
        } else if opcode == Opcode::Query {
            return Err(Fault::Format);
        }
        at = record.end;
    }
    if at == message.len() { Ok(query) } else { Err(Fault::Format) }
}

impl<'m> Query<'m> {
    fn take_additional(&mut self, record: &Record<'m>, is_last: bool) -> Result<(), Fault> {
        match record.rtype {
            // RFC 6891 §6.1.1: one, of the root.
            rtype::OPT if self.edns.is_some() || !record.is_of_root => Err(Fault::Format),
            rtype::OPT => {
                self.edns = Some(edns::parse(record).ok_or(Fault::Format)?);
                Ok(())
            }
            // RFC 8945 §5.1: the last one.
            rtype::TSIG if is_last => {
                self.tsig_at = Some(record.at);
                Ok(())
            }
            rtype::TSIG => Err(Fault::Format),
            _ => Ok(()),
        }
    }

    /// Where the question ends in the message.
    pub fn question_end(&self) -> usize {
        HEADER_BYTES + self.name.len() + 4
    }
}

/// The record at a position; `None` = it is cut off or its owner is malformed.
pub fn record(message: &[u8], at: usize) -> Option<Record<'_>> {
    let owner_end = skip_name(message, at)?;
    let fixed = message.get(owner_end..owner_end + 10)?;
    let rdata_at = owner_end + 10;
    let end = rdata_at + usize::from(u16_at(fixed, 8));
    Some(Record {
        at,
        rtype: u16_at(fixed, 0),
        class: u16_at(fixed, 2),
        ttl: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
        rdata: message.get(rdata_at..end)?,
        rdata_at,
        is_of_root: message.get(at) == Some(&0),
        end,
    })
}

impl Record<'_> {
    /// Where the next one begins.
    pub fn end(&self) -> usize {
        self.end
    }
}

/// Where a name ends, that may end with a pointer; pointers are not followed.
fn skip_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            length @ 1..=63 => at += 1 + usize::from(length),
            0xC0.. => return message.get(at + 1).map(|_| at + 2),
            _ => return None,
        }
    }
}

/// Big-endian number; 0 beyond the end, which callers have excluded.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    match bytes.get(at..at + 2) {
        Some(&[high, low]) => u16::from_be_bytes([high, low]),
        _ => 0,
    }
}
