//! The messages of `grpc.health.v1.Health/Check` (`health-checking.md`), one string out and one enum in: too little for a protobuf library.
//!
//! ```text
//!   HealthCheckRequest  { string service = 1; }
//!   HealthCheckResponse { ServingStatus status = 1; }    UNKNOWN 0, SERVING 1, NOT_SERVING 2, SERVICE_UNKNOWN 3
//! ```

use crate::error::Error;

/// Path of the call, a POST.
pub const PATH: &str = "/grpc.health.v1.Health/Check";
/// More than any answer has: an enum, and what later versions may add.
pub const MAX_RESPONSE_BYTES: usize = 1_024;

const PREFIX_BYTES: usize = 5;
/// Field 1 of wire type 2 (length-delimited).
const SERVICE_TAG: u8 = 0x0A;
const STATUS_FIELD: u64 = 1;
/// 10 groups of 7 bits hold a u64.
const MAX_VARINT_BYTES: usize = 10;

/// What a server says of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Serving {
    Unknown,
    Serving,
    NotServing,
    ServiceUnknown,
}

/// The body of a request that asks for a service, or with an empty name for the server as a whole.
pub fn check_request(service: &str) -> Vec<u8> {
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push(SERVICE_TAG);
        write_varint(&mut message, service.len());
        message.extend_from_slice(service.as_bytes());
    }
    [&[0], (message.len() as u32).to_be_bytes().as_slice(), &message].concat()
}

/// What the whole body of a response says, to a call whose `grpc-status` was 0: one that failed has no message.
///
/// # Errors
/// [`Error::Health`] if it is not one message that is uncompressed, well-formed and at most [`MAX_RESPONSE_BYTES`] long.
pub fn parse_response(body: &[u8]) -> Result<Serving, Error> {
    read(body).ok_or(Error::Health)
}

fn read(body: &[u8]) -> Option<Serving> {
    let ([0, length @ ..], mut fields) = body.split_first_chunk::<PREFIX_BYTES>()? else { return None };
    if body.len() > MAX_RESPONSE_BYTES || fields.len() != u32::from_be_bytes(*length) as usize {
        return None;
    }
    // A field that is missing has the value 0; one that comes twice has its last.
    let mut status = 0;
    while !fields.is_empty() {
        take_field(&mut fields, &mut status)?;
    }
    Some(match status {
        1 => Serving::Serving,
        2 => Serving::NotServing,
        3 => Serving::ServiceUnknown,
        _ => Serving::Unknown,
    })
}

/// Takes one field off `fields`; the status is kept, others are skipped by their wire type.
fn take_field(fields: &mut &[u8], status: &mut u64) -> Option<()> {
    let tag = take_varint(fields)?;
    let skipped_bytes = match (tag >> 3, tag & 7) {
        (STATUS_FIELD, 0) => {
            *status = take_varint(fields)?;
            0
        }
        (0 | STATUS_FIELD, _) => return None,
        (_, 0) => take_varint(fields).map(|_| 0)?,
        (_, 1) => 8,
        (_, 2) => usize::try_from(take_varint(fields)?).ok()?,
        (_, 5) => 4,
        _ => return None,
    };
    *fields = fields.get(skipped_bytes..)?;
    Some(())
}

fn take_varint(fields: &mut &[u8]) -> Option<u64> {
    let last = fields.iter().take(MAX_VARINT_BYTES).position(|byte| byte & 0x80 == 0)?;
    let (varint, rest) = fields.split_at_checked(last + 1)?;
    *fields = rest;
    Some(varint.iter().rev().fold(0, |sum, byte| sum << 7 | u64::from(byte & 0x7F)))
}

fn write_varint(out: &mut Vec<u8>, mut number: usize) {
    while number > 0x7F {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests() {
        let long = "a".repeat(300);
        for (service, body) in [
            ("", b"\0\0\0\0\0".to_vec()),
            ("shop.Cart", b"\0\0\0\0\x0B\x0A\x09shop.Cart".to_vec()),
            (&long, [b"\0\0\0\x01\x2F\x0A\xAC\x02", long.as_bytes()].concat()),
        ] {
            assert_eq!(check_request(service), body);
        }
    }

    #[test]
    fn responses() {
        for (message, serving) in [
            (&b""[..], Ok(Serving::Unknown)),
            (b"\x08\x00", Ok(Serving::Unknown)),
            (b"\x08\x01", Ok(Serving::Serving)),
            (b"\x08\x02", Ok(Serving::NotServing)),
            (b"\x08\x03", Ok(Serving::ServiceUnknown)),
            (b"\x08\x07", Ok(Serving::Unknown)),
            // The same number in more bytes; the last of two; unknown fields of every wire type.
            (b"\x08\x81\x00", Ok(Serving::Serving)),
            (b"\x08\x02\x08\x01", Ok(Serving::Serving)),
            (b"\x10\x05\x08\x01", Ok(Serving::Serving)),
            (b"\x11abcdefgh\x08\x01", Ok(Serving::Serving)),
            (b"\x12\x03abc\x08\x01", Ok(Serving::Serving)),
            (b"\x15abcd\x08\x01", Ok(Serving::Serving)),
            (b"\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", Ok(Serving::Unknown)),
            (b"\x08", Err(Error::Health)),
            (b"\x08\x81", Err(Error::Health)),
            (b"\x08\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x01", Err(Error::Health)),
            (b"\x0A\x01\x01", Err(Error::Health)),
            (b"\x00\x01", Err(Error::Health)),
            (b"\x12\x04abc", Err(Error::Health)),
            (b"\x11abc", Err(Error::Health)),
            (b"\x13\x08\x01", Err(Error::Health)),
            (b"\x12\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", Err(Error::Health)),
        ] {
            let body = [&[0, 0, 0, 0, message.len() as u8], message].concat();
            assert_eq!(parse_response(&body), serving, "{}", message.escape_ascii());
        }
    }

    #[test]
    fn refused_bodies() {
        let too_long = [&[0, 0, 0, 4, 0][..], &[0x10; 1_024]].concat();
        for body in [
            &b""[..],
            b"\0\0\0\0",
            b"\x01\0\0\0\x02\x08\x01",
            b"\x80\0\0\0\x02\x08\x01",
            b"\0\0\0\0\x03\x08\x01",
            b"\0\0\0\0\x01\x08\x01",
            b"\0\0\0\0\x02\x08\x01\0\0\0\0\x00",
            &too_long,
        ] {
            assert_eq!(parse_response(body), Err(Error::Health), "{}", body.escape_ascii());
        }
    }
}
