//! Frames on the wire (RFC 9113 §4.1, §6):
//!
//! ```text
//!   +-----------------------------------------------+
//!   |                 Length (24)                   |   of the payload
//!   +---------------+---------------+---------------+
//!   |   Type (8)    |   Flags (8)   |
//!   +-+-------------+---------------+-------------------------------+
//!   |R|                 Stream Identifier (31)                      |   R is ignored
//!   +=+=============================================================+
//!   |                   Frame Payload (0...)                      ...
//!   +---------------------------------------------------------------+
//!
//!   DATA, HEADERS   [Pad Length (8)] [Priority (40), HEADERS only] content [Padding]
//!   SETTINGS        *( Identifier (16) Value (32) )
//!   GOAWAY          Last-Stream-ID (31) Error Code (32) [Debug Data]
//! ```

use crate::error::ErrorCode;

pub(crate) const HEADER_BYTES: usize = 9;
/// The client's first bytes (RFC 9113 §3.4).
pub(crate) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Stream identifiers and windows have 31 bits.
pub(crate) const MAX_31_BITS: u32 = (1 << 31) - 1;

pub(crate) mod flag {
    pub(crate) const END_STREAM: u8 = 0x1;
    /// Of SETTINGS and PING.
    pub(crate) const ACK: u8 = 0x1;
    pub(crate) const END_HEADERS: u8 = 0x4;
    pub(crate) const PADDED: u8 = 0x8;
    pub(crate) const PRIORITY: u8 = 0x20;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Data,
    Headers,
    Priority,
    RstStream,
    Settings,
    PushPromise,
    Ping,
    GoAway,
    WindowUpdate,
    Continuation,
    /// Of an extension; ignored (RFC 9113 §5.5).
    Unknown,
}

impl Kind {
    const fn from_wire(byte: u8) -> Self {
        match byte {
            0 => Self::Data,
            1 => Self::Headers,
            2 => Self::Priority,
            3 => Self::RstStream,
            4 => Self::Settings,
            5 => Self::PushPromise,
            6 => Self::Ping,
            7 => Self::GoAway,
            8 => Self::WindowUpdate,
            9 => Self::Continuation,
            _ => Self::Unknown,
        }
    }

    const fn wire(self) -> u8 {
        self as u8
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Bytes of the payload.
    pub(crate) length: usize,
    pub(crate) kind: Kind,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
}

impl Frame {
    /// `None` = fewer than nine bytes.
    pub(crate) fn parse(input: &[u8]) -> Option<Self> {
        let [l1, l2, l3, kind, flags, s1, s2, s3, s4] = *input.first_chunk::<HEADER_BYTES>()?;
        Some(Self {
            length: u32::from_be_bytes([0, l1, l2, l3]) as usize,
            kind: Kind::from_wire(kind),
            flags,
            stream: u32::from_be_bytes([s1, s2, s3, s4]) & MAX_31_BITS,
        })
    }

    pub(crate) const fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// Appends a frame's header; its `length` bytes of payload are the caller's.
pub(crate) fn head(out: &mut Vec<u8>, kind: Kind, flags: u8, stream: u32, length: usize) {
    let [_, l1, l2, l3] = (length as u32).to_be_bytes();
    let [s1, s2, s3, s4] = stream.to_be_bytes();
    out.extend_from_slice(&[l1, l2, l3, kind.wire(), flags, s1, s2, s3, s4]);
}

pub(crate) fn rst_stream(out: &mut Vec<u8>, stream: u32, code: ErrorCode) {
    head(out, Kind::RstStream, 0, stream, 4);
    out.extend_from_slice(&code.wire().to_be_bytes());
}

pub(crate) fn window_update(out: &mut Vec<u8>, stream: u32, increment: u32) {
    head(out, Kind::WindowUpdate, 0, stream, 4);
    out.extend_from_slice(&increment.to_be_bytes());
}

pub(crate) fn ping(out: &mut Vec<u8>, flags: u8, payload: [u8; 8]) {
    head(out, Kind::Ping, flags, 0, 8);
    out.extend_from_slice(&payload);
}

pub(crate) fn settings_ack(out: &mut Vec<u8>) {
    head(out, Kind::Settings, flag::ACK, 0, 0);
}

pub(crate) fn go_away(out: &mut Vec<u8>, last_stream: u32, code: ErrorCode) {
    head(out, Kind::GoAway, 0, 0, 8);
    out.extend_from_slice(&last_stream.to_be_bytes());
    out.extend_from_slice(&code.wire().to_be_bytes());
}

/// The first four bytes of a payload, without the reserved bit where there is one.
pub(crate) fn word(payload: &[u8]) -> Option<u32> {
    payload.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_heads_are_read_again() {
        for kind in [Kind::Data, Kind::Headers, Kind::Ping, Kind::Continuation] {
            let mut out = Vec::new();
            head(&mut out, kind, flag::PADDED, 0x0102_0304, 0x00AB_CDEF);
            let frame = Frame { length: 0x00AB_CDEF, kind, flags: flag::PADDED, stream: 0x0102_0304 };
            assert_eq!(Frame::parse(&out), Some(frame));
            assert_eq!(Frame::parse(&out[..8]), None);
        }
    }

    #[test]
    fn the_reserved_bit_is_ignored() {
        let frame = Frame::parse(&[0, 0, 0, 0xEE, 0, 0xFF, 0xFF, 0xFF, 0xFF]);
        let unknown = Frame { length: 0, kind: Kind::Unknown, flags: 0, stream: MAX_31_BITS };
        assert_eq!(frame, Some(unknown));
    }
}
