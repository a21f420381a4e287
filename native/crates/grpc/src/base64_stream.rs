//! Base64 (RFC 4648 §4) of a stream, in any pieces: what does not fill a group waits for the next piece, three bytes at most.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::error::Error;

/// Bytes to base64.
#[derive(Debug, Default)]
pub(crate) struct Encoder {
    groups: Groups<3>,
}

impl Encoder {
    /// Appends the groups that `input` completes.
    pub(crate) fn push(&mut self, input: &[u8], out: &mut Vec<u8>) {
        let (completed, whole) = self.groups.cut(input);
        encode(completed.as_ref().map_or(&[], |group| group.as_slice()), out);
        encode(whole, out);
    }

    /// Appends what waits, padded.
    pub(crate) fn pad(&mut self, out: &mut Vec<u8>) {
        encode(self.groups.waiting(), out);
        self.groups = Groups::default();
    }
}

/// Base64 to bytes. Padding may come after any group: gRPC-Web joins what was encoded apart (`PROTOCOL-WEB.md`).
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    groups: Groups<4>,
}

impl Decoder {
    /// Appends the bytes of the groups that `input` completes.
    pub(crate) fn push(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        let (completed, whole) = self.groups.cut(input);
        decode(completed.as_ref().map_or(&[], |group| group.as_slice()), out)?;
        decode(whole, out)
    }

    /// True if the last group is complete.
    pub(crate) fn is_between(&self) -> bool {
        self.groups.waiting().is_empty()
    }
}

/// Cuts a stream into groups of `N` bytes.
#[derive(Debug)]
struct Groups<const N: usize> {
    bytes: [u8; N],
    count: usize,
}

impl<const N: usize> Default for Groups<N> {
    fn default() -> Self {
        Self { bytes: [0; N], count: 0 }
    }
}

impl<const N: usize> Groups<N> {
    /// The group that was waiting, if `input` completes it, and the whole groups behind it; the rest waits.
    fn cut<'i>(&mut self, input: &'i [u8]) -> (Option<[u8; N]>, &'i [u8]) {
        let missing = if self.count == 0 { 0 } else { N - self.count };
        let (head, rest) = input.split_at(missing.min(input.len()));
        self.hold(head);
        let completed = (self.count == N).then_some(self.bytes);
        if completed.is_some() {
            self.count = 0;
        }
        let (whole, tail) = rest.split_at(rest.len() / N * N);
        self.hold(tail);
        (completed, whole)
    }

    fn hold(&mut self, bytes: &[u8]) {
        for (place, byte) in self.bytes.iter_mut().skip(self.count).zip(bytes) {
            *place = *byte;
        }
        self.count += bytes.len();
    }

    fn waiting(&self) -> &[u8] {
        self.bytes.get(..self.count).unwrap_or_default()
    }
}

fn encode(bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    let place = out.get_mut(start..).unwrap_or_default();
    let written = STANDARD.encode_slice(bytes, place);
    debug_assert!(written.is_ok_and(|count| start + count == out.len()));
}

/// Whole groups, each of them padded or not.
fn decode(mut groups: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    while !groups.is_empty() {
        let end = memchr::memchr(b'=', groups).map_or(groups.len(), |at| at / 4 * 4 + 4);
        let (run, rest) = groups.split_at_checked(end).ok_or(Error::Base64)?;
        STANDARD.decode_vec(run, out).map_err(|_| Error::Base64)?;
        groups = rest;
    }
    Ok(())
}
