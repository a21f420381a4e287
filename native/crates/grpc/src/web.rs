//! gRPC-Web for browsers, which can neither read trailers nor speak HTTP/2 as they like: the same messages, with the trailers as a last
//! message of their own, and all of it in base64 if the client asks for text (`PROTOCOL-WEB.md`).
//!
//! ```text
//!   client ── gRPC-Web ──▶ RequestBridge  ── gRPC ──▶ server      messages; base64 is taken off
//!   client ◀─ gRPC-Web ─── ResponseBridge ◀─ gRPC ─── server      messages, trailers as the last one; base64 is put on
//! ```
//!
//! Of the heads, [`drops_request_line`] and [`drops_response_line`] say what must not pass, [`write_request_lines`] and
//! [`write_response_lines`] write what comes instead; everything else passes as it is. A response without a body has its trailers in its
//! head and needs no bridge.

use crate::base64_stream::{Decoder, Encoder};
use crate::content_type::{ContentType, Form, Kind};
use crate::error::Error;
use crate::frames::Frames;

/// All trailers of a response together. A chunked body's may have 8 KB here; `grpc-status-details-bin` carries whole messages.
pub const MAX_TRAILER_BYTES: usize = 65_536;
/// A message that holds trailers.
const TRAILERS: u8 = 0x80;

/// What a client sends, for a server that speaks gRPC.
#[derive(Debug)]
pub struct RequestBridge {
    decoder: Option<Decoder>,
    frames: Frames,
}

impl RequestBridge {
    pub fn new(form: Form) -> Self {
        let decoder = (form == Form::Text).then(Decoder::default);
        Self { decoder, frames: Frames::default() }
    }

    /// Takes the next piece of the body and appends what goes to the server.
    ///
    /// # Errors
    /// [`Error::Base64`], or [`Error::Flags`] for trailers, which a request has none of; the exchange is lost then.
    pub fn push(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        let start = out.len();
        match &mut self.decoder {
            Some(decoder) => decoder.push(input, out)?,
            None => out.extend_from_slice(input),
        }
        let mut messages = out.get(start..).unwrap_or_default();
        while !messages.is_empty() {
            let count = self.frames.advance(messages)?;
            messages = messages.get(count..).unwrap_or_default();
        }
        Ok(())
    }

    /// The body has ended.
    ///
    /// # Errors
    /// [`Error::Base64`] or [`Error::Truncated`] if it should not have.
    pub fn finish(&self) -> Result<(), Error> {
        if self.decoder.as_ref().is_some_and(|decoder| !decoder.is_between()) {
            return Err(Error::Base64);
        }
        if self.frames.is_between() { Ok(()) } else { Err(Error::Truncated) }
    }
}

/// What a server sends, for a client that speaks gRPC-Web.
#[derive(Debug)]
pub struct ResponseBridge {
    encoder: Option<Encoder>,
    frames: Frames,
}

impl ResponseBridge {
    pub fn new(form: Form) -> Self {
        Self { encoder: (form == Form::Text).then(Encoder::default), frames: Frames::default() }
    }

    /// Takes the next piece of the body and appends what goes to the client. Base64 is padded after each message, so that the client of a
    /// stream has a message as soon as we have.
    ///
    /// # Errors
    /// [`Error::Flags`] for a message that the client would take for trailers; the exchange is lost then.
    pub fn push(&mut self, mut input: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        while !input.is_empty() {
            let (piece, rest) = input.split_at(self.frames.advance(input)?);
            let Some(encoder) = &mut self.encoder else {
                out.extend_from_slice(piece);
                input = rest;
                continue;
            };
            encoder.push(piece, out);
            if self.frames.is_between() {
                encoder.pad(out);
            }
            input = rest;
        }
        Ok(())
    }

    /// The body has ended, with these trailers: lines `name: value CRLF`, checked, with or without the empty one at the end. Appends
    /// the last message.
    ///
    /// # Errors
    /// [`Error::Truncated`] within a message; [`Error::TrailersTooLong`].
    pub fn finish(&mut self, trailers: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        if !self.frames.is_between() {
            return Err(Error::Truncated);
        }
        let message = trailers_message(trailers)?;
        match &mut self.encoder {
            None => out.extend_from_slice(&message),
            Some(encoder) => {
                encoder.push(&message, out);
                encoder.pad(out);
            }
        }
        Ok(())
    }
}

/// Names are in lower case whatever the server's edge spoke.
fn trailers_message(trailers: &[u8]) -> Result<Vec<u8>, Error> {
    if trailers.len() > MAX_TRAILER_BYTES {
        return Err(Error::TrailersTooLong);
    }
    let mut lines = Vec::with_capacity(trailers.len());
    for line in trailers.split_inclusive(|&byte| byte == b'\n').filter(|line| line != b"\r\n") {
        let name = line.iter().position(|&byte| byte == b':').unwrap_or_default();
        lines.extend(line.iter().take(name).map(u8::to_ascii_lowercase));
        lines.extend(line.iter().skip(name));
    }
    Ok([&[TRAILERS], (lines.len() as u32).to_be_bytes().as_slice(), &lines].concat())
}

/// True for a line of a gRPC-Web request that is not for the server: what is of the body as the client wrote it, and `te`, which
/// [`write_request_lines`] writes.
pub fn drops_request_line(name: &str) -> bool {
    ["content-type", "content-length", "accept", "te", "x-grpc-web"]
        .iter()
        .any(|dropped| name.eq_ignore_ascii_case(dropped))
}

/// Appends the lines of a request that are different for the server.
pub fn write_request_lines(out: &mut Vec<u8>, content_type: &ContentType<'_>) {
    write_content_type(out, content_type, Kind::Grpc);
    out.extend_from_slice(b"te: trailers\r\n");
}

/// True for a line of a gRPC response that is not for the client: what is of the body as the server wrote it.
pub fn drops_response_line(name: &str) -> bool {
    ["content-type", "content-length", "trailer"].iter().any(|dropped| name.eq_ignore_ascii_case(dropped))
}

/// Appends the line of a response that is different for the client. A server's response of any other content type is no gRPC: it passes as
/// it is, without a bridge.
pub fn write_response_lines(out: &mut Vec<u8>, content_type: &ContentType<'_>, form: Form) {
    write_content_type(out, content_type, Kind::Web(form));
}

fn write_content_type(out: &mut Vec<u8>, content_type: &ContentType<'_>, kind: Kind) {
    out.extend_from_slice(b"content-type: ");
    content_type.write_as(kind, out);
    out.extend_from_slice(b"\r\n");
}
