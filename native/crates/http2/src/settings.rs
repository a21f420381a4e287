//! SETTINGS (RFC 9113 §6.5): what we announce, what the peer has announced, and which values are errors.

use crate::error::{ConnectionError, ErrorCode};
use crate::frame::{self, Kind, MAX_31_BITS};

/// What every connection starts with, before any SETTINGS (RFC 9113 §6.5.2, §6.9.2).
pub(crate) const DEFAULT_WINDOW: u32 = 65_535;
pub(crate) const DEFAULT_FRAME_BYTES: u32 = 16_384;
pub(crate) const DEFAULT_TABLE_BYTES: u32 = 4_096;
const MAX_FRAME_BYTES: u32 = (1 << 24) - 1;
/// Until the peer says otherwise; RFC 9113 §6.5.2 recommends that no limit is below it.
const ASSUMED_STREAMS: u32 = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Client,
    Server,
}

/// What an endpoint announces about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Bytes of the HPACK decoder's dynamic table.
    pub header_table_bytes: u32,
    /// Servers only: requests at a time.
    pub max_concurrent_streams: u32,
    /// Bytes that a peer may send on a stream before any are released; at most 2^31-1.
    pub stream_window_bytes: u32,
    /// The same for the connection as a whole; at least 65 535, which is where it starts.
    pub connection_window_bytes: u32,
    /// Largest payload taken; 16 384 to 2^24-1.
    pub max_frame_bytes: u32,
    /// Servers only: extended CONNECT (RFC 8441) is spoken.
    pub connect_protocol: bool,
}

impl Default for Settings {
    /// nginx's 128 streams; a window of 256 KiB a stream and 1 MiB a connection carries 80 Mbit/s and 320 Mbit/s over 25 ms.
    fn default() -> Self {
        Self {
            header_table_bytes: DEFAULT_TABLE_BYTES,
            max_concurrent_streams: 128,
            stream_window_bytes: 256 << 10,
            connection_window_bytes: 1 << 20,
            max_frame_bytes: DEFAULT_FRAME_BYTES,
            connect_protocol: false,
        }
    }
}

impl Settings {
    /// Brings values that RFC 9113 does not allow to the nearest that it does.
    pub(crate) fn allowed(mut self) -> Self {
        self.stream_window_bytes = self.stream_window_bytes.min(MAX_31_BITS);
        self.connection_window_bytes = self.connection_window_bytes.clamp(DEFAULT_WINDOW, MAX_31_BITS);
        self.max_frame_bytes = self.max_frame_bytes.clamp(DEFAULT_FRAME_BYTES, MAX_FRAME_BYTES);
        self
    }

    /// Appends the SETTINGS frame that opens a connection; values that are the protocol's defaults are left out.
    pub(crate) fn write(&self, out: &mut Vec<u8>, role: Role, header_list_bytes: u32) {
        let server = role == Role::Server;
        let entries = [
            (id::HEADER_TABLE_SIZE, self.header_table_bytes, self.header_table_bytes != DEFAULT_TABLE_BYTES),
            (id::ENABLE_PUSH, 0, !server),
            (id::MAX_CONCURRENT_STREAMS, self.max_concurrent_streams, server),
            (id::INITIAL_WINDOW_SIZE, self.stream_window_bytes, self.stream_window_bytes != DEFAULT_WINDOW),
            (id::MAX_FRAME_SIZE, self.max_frame_bytes, self.max_frame_bytes != DEFAULT_FRAME_BYTES),
            (id::MAX_HEADER_LIST_SIZE, header_list_bytes, true),
            (id::ENABLE_CONNECT_PROTOCOL, 1, server && self.connect_protocol),
        ];
        let count = entries.iter().filter(|(.., announced)| *announced).count();
        frame::head(out, Kind::Settings, 0, 0, count * ENTRY_BYTES);
        for (id, value, _) in entries.into_iter().filter(|(.., announced)| *announced) {
            out.extend_from_slice(&id.to_be_bytes());
            out.extend_from_slice(&value.to_be_bytes());
        }
    }
}

pub(crate) const ENTRY_BYTES: usize = 6;

mod id {
    pub(super) const HEADER_TABLE_SIZE: u16 = 0x1;
    pub(super) const ENABLE_PUSH: u16 = 0x2;
    pub(super) const MAX_CONCURRENT_STREAMS: u16 = 0x3;
    pub(super) const INITIAL_WINDOW_SIZE: u16 = 0x4;
    pub(super) const MAX_FRAME_SIZE: u16 = 0x5;
    pub(super) const MAX_HEADER_LIST_SIZE: u16 = 0x6;
    /// RFC 8441 §3.
    pub(super) const ENABLE_CONNECT_PROTOCOL: u16 = 0x8;
    /// RFC 9218 §2.1.
    pub(super) const NO_RFC7540_PRIORITIES: u16 = 0x9;
}

/// What the peer has announced; the protocol's defaults until it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerSettings {
    pub header_table_bytes: u32,
    pub max_concurrent_streams: u32,
    pub stream_window_bytes: u32,
    pub max_frame_bytes: u32,
    /// Advisory; `u32::MAX` = not announced.
    pub max_header_list_bytes: u32,
    pub connect_protocol: bool,
}

impl Default for PeerSettings {
    fn default() -> Self {
        Self {
            header_table_bytes: DEFAULT_TABLE_BYTES,
            max_concurrent_streams: ASSUMED_STREAMS,
            stream_window_bytes: DEFAULT_WINDOW,
            max_frame_bytes: DEFAULT_FRAME_BYTES,
            max_header_list_bytes: u32::MAX,
            connect_protocol: false,
        }
    }
}

impl PeerSettings {
    /// The peer's first SETTINGS ends what was only assumed.
    pub(crate) fn announced(&mut self) {
        self.max_concurrent_streams = u32::MAX;
    }

    /// Takes one entry in; `role` is ours. Unknown identifiers are ignored (RFC 9113 §6.5.2).
    pub(crate) fn set(&mut self, role: Role, entry: [u8; ENTRY_BYTES]) -> Result<(), ConnectionError> {
        let [i1, i2, v1, v2, v3, v4] = entry;
        let value = u32::from_be_bytes([v1, v2, v3, v4]);
        match u16::from_be_bytes([i1, i2]) {
            id::HEADER_TABLE_SIZE => self.header_table_bytes = value,
            id::ENABLE_PUSH => {
                // A server must not set 1 (RFC 9113 §6.5.2).
                check(value <= u32::from(role == Role::Server), "bad_enable_push")?;
            }
            id::MAX_CONCURRENT_STREAMS => self.max_concurrent_streams = value,
            id::INITIAL_WINDOW_SIZE => {
                if value > MAX_31_BITS {
                    return Err(ConnectionError::new(ErrorCode::FlowControlError, "bad_initial_window"));
                }
                self.stream_window_bytes = value;
            }
            id::MAX_FRAME_SIZE => {
                check((DEFAULT_FRAME_BYTES..=MAX_FRAME_BYTES).contains(&value), "bad_max_frame_size")?;
                self.max_frame_bytes = value;
            }
            id::MAX_HEADER_LIST_SIZE => self.max_header_list_bytes = value,
            id::ENABLE_CONNECT_PROTOCOL => {
                // 0 or 1, and never 0 after 1 (RFC 8441 §3).
                check(value <= 1 && (value == 1 || !self.connect_protocol), "bad_connect_protocol")?;
                self.connect_protocol = value == 1;
            }
            id::NO_RFC7540_PRIORITIES => check(value <= 1, "bad_no_rfc7540_priorities")?,
            _ => {}
        }
        Ok(())
    }
}

fn check(fine: bool, reason: &'static str) -> Result<(), ConnectionError> {
    if fine { Ok(()) } else { Err(ConnectionError::protocol(reason)) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_written_is_what_a_peer_reads() {
        let ours = Settings { max_frame_bytes: 20_000, connect_protocol: true, ..Settings::default() };
        let mut out = Vec::new();
        ours.write(&mut out, Role::Server, 7_000);
        let mut peer = PeerSettings::default();
        for entry in out[frame::HEADER_BYTES..].chunks_exact(ENTRY_BYTES) {
            peer.set(Role::Client, entry.try_into().unwrap()).unwrap();
        }
        assert_eq!(peer.max_concurrent_streams, ours.max_concurrent_streams);
        assert_eq!(peer.stream_window_bytes, ours.stream_window_bytes);
        assert_eq!((peer.max_frame_bytes, peer.max_header_list_bytes), (20_000, 7_000));
        assert!(peer.connect_protocol);
    }

    #[test]
    fn values_out_of_range_are_brought_in() {
        let wild = Settings {
            stream_window_bytes: u32::MAX,
            connection_window_bytes: 0,
            max_frame_bytes: 1,
            ..Settings::default()
        };
        let tame = wild.allowed();
        assert_eq!(tame.stream_window_bytes, MAX_31_BITS);
        assert_eq!(
            (tame.connection_window_bytes, tame.max_frame_bytes),
            (DEFAULT_WINDOW, DEFAULT_FRAME_BYTES)
        );
    }
}
