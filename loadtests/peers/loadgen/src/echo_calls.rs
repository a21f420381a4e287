//! A server for unary gRPC calls: every call is answered with its own message and `grpc-status: 0`.
//!
//! Bytes in, bytes out, for many streams of one HTTP/2 connection (RFC 9113). What calls say in their header
//! lists is not read, so there is no HPACK decoder; messages must fit a stream's first window (65 535
//! bytes). The connection's window is kept.

use std::collections::{HashMap, VecDeque};

/// RFC 9113 §3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FRAME_HEAD_BYTES: usize = 9;
/// RFC 9113 §6: types and flags of frames.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// RFC 9113 §6.9.2 and §6.9.1: a window's first size and its largest one.
const FIRST_WINDOW: u32 = 65_535;
const LARGEST_WINDOW: u32 = (1 << 31) - 1;
/// RFC 7541: `:status: 200` by its index, `content-type` by its name's, `grpc-status` in letters.
const HEAD: &[u8] = b"\x88\x0f\x10\x10application/grpc";
const TRAILERS: &[u8] = b"\x00\x0bgrpc-status\x010";

/// One connection.
pub struct EchoCalls {
    input: Vec<u8>,
    has_preface: bool,
    /// How much the client lets us send.
    window: usize,
    messages: HashMap<u32, Vec<u8>>,
    /// Complete calls that wait for the window.
    complete: VecDeque<(u32, Vec<u8>)>,
}

impl EchoCalls {
    /// What is sent first goes to `output`: settings, and a window that no run can fill.
    pub fn new(output: &mut Vec<u8>) -> Self {
        write_frame(output, SETTINGS, 0, 0, &[]);
        let increment = LARGEST_WINDOW - FIRST_WINDOW;
        write_frame(output, WINDOW_UPDATE, 0, 0, &increment.to_be_bytes());
        Self {
            input: Vec::new(),
            has_preface: false,
            window: FIRST_WINDOW as usize,
            messages: HashMap::new(),
            complete: VecDeque::new(),
        }
    }

    /// Take what was received, append what is to be sent.
    pub fn receive(&mut self, bytes: &[u8], output: &mut Vec<u8>) {
        self.input.extend_from_slice(bytes);
        let input = std::mem::take(&mut self.input);
        let mut rest = &input[..];
        if !self.has_preface && rest.len() >= PREFACE.len() {
            self.has_preface = true;
            rest = &rest[PREFACE.len()..];
        }
        while self.has_preface
            && let Some((frame, after)) = next_frame(rest)
        {
            self.take(&frame, output);
            rest = after;
        }
        self.input = rest.to_vec();
        self.answer(output);
    }

    fn take(&mut self, frame: &Frame<'_>, output: &mut Vec<u8>) {
        match frame.kind {
            DATA => self.messages.entry(frame.stream).or_default().extend_from_slice(frame.payload),
            SETTINGS if frame.flags & ACK == 0 => write_frame(output, SETTINGS, ACK, 0, &[]),
            PING if frame.flags & ACK == 0 => write_frame(output, PING, ACK, 0, frame.payload),
            WINDOW_UPDATE if frame.stream == 0 => self.window += number(frame.payload) as usize,
            _ => {}
        }
        if matches!(frame.kind, DATA | HEADERS) && frame.flags & END_STREAM != 0 {
            let message = self.messages.remove(&frame.stream).unwrap_or_default();
            self.complete.push_back((frame.stream, message));
        }
    }

    fn answer(&mut self, output: &mut Vec<u8>) {
        while let Some((stream, message)) = self.complete.front() {
            if self.window < message.len() {
                return;
            }
            self.window -= message.len();
            write_frame(output, HEADERS, END_HEADERS, *stream, HEAD);
            write_frame(output, DATA, 0, *stream, message);
            write_frame(output, HEADERS, END_HEADERS | END_STREAM, *stream, TRAILERS);
            self.complete.pop_front();
        }
    }
}

struct Frame<'a> {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: &'a [u8],
}

/// The first frame, if it is whole, and what follows it.
fn next_frame(bytes: &[u8]) -> Option<(Frame<'_>, &[u8])> {
    let (head, rest) = bytes.split_at_checked(FRAME_HEAD_BYTES)?;
    let (payload, after) = rest.split_at_checked(number(&head[..3]) as usize)?;
    let frame = Frame { kind: head[3], flags: head[4], stream: number(&head[5..]), payload };
    Some((frame, after))
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |number, &byte| number << 8 | u32::from(byte))
}

fn write_frame(output: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    output.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
    output.extend_from_slice(&[kind, flags]);
    output.extend_from_slice(&stream.to_be_bytes());
    output.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &[u8] = b"\0\0\0\0\x02hi";

    fn call(stream: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_frame(&mut bytes, HEADERS, END_HEADERS, stream, b"anything");
        write_frame(&mut bytes, DATA, 0, stream, MESSAGE);
        write_frame(&mut bytes, DATA, END_STREAM, stream, &[]);
        bytes
    }

    fn answer_to(stream: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_frame(&mut bytes, HEADERS, END_HEADERS, stream, HEAD);
        write_frame(&mut bytes, DATA, 0, stream, MESSAGE);
        write_frame(&mut bytes, HEADERS, END_HEADERS | END_STREAM, stream, TRAILERS);
        bytes
    }

    #[test]
    fn calls_are_answered_whatever_way_their_bytes_arrive() {
        let sent = [PREFACE, &call(1), &call(3)].concat();
        let mut calls = EchoCalls::new(&mut Vec::new());
        let mut output = Vec::new();
        for byte in sent {
            calls.receive(&[byte], &mut output);
        }
        assert_eq!(output, [answer_to(1), answer_to(3)].concat());
    }

    #[test]
    fn answers_wait_for_the_window() {
        let mut calls = EchoCalls::new(&mut Vec::new());
        calls.window = 0;
        let mut output = Vec::new();
        calls.receive(&[PREFACE, &call(1)].concat(), &mut output);
        assert!(output.is_empty());
        let mut update = Vec::new();
        write_frame(&mut update, WINDOW_UPDATE, 0, 0, &(MESSAGE.len() as u32).to_be_bytes());
        calls.receive(&update, &mut output);
        assert_eq!(output, answer_to(1));
    }
}
