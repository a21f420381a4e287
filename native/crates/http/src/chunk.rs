//! Chunked bodies (RFC 9112 §7.1) decoded as they come, in any pieces:
//!
//! ```text
//!   size [;extension] CRLF data CRLF … 0 [;extension] CRLF *(trailer CRLF) CRLF
//!   Size ──────▶ SizeLf ──▶ Data ──▶ DataCr ──▶ DataLf ──▶ Size
//!     └▶ Extension ─┘ └(size 0)▶ Trailers ──▶ Done
//! ```
//!
//! Data is handed on as slices of the input; only trailers are collected, up to a limit.

use crate::error::Reason;
use crate::fields;
use crate::head::MAX_HEADERS;

/// 16 hex digits hold any u64; more is an attack or a bug.
const MAX_SIZE_DIGITS: u8 = 16;
/// Extensions are legal, ignored by everyone, and were used to burn CPU at 2 bytes of data per 8 KB of extension
/// (CVE-2023-39326). Over the whole body:
const MAX_EXTENSION_BYTES: u32 = 4_096;
/// All trailers of a message together.
const MAX_TRAILER_BYTES: usize = 8_192;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Size { digits: u8 },
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    Trailers,
    Done,
}

/// What a step of the decoder found.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'i> {
    /// Body bytes; never empty.
    Data(&'i [u8]),
    /// The input is used up, the body goes on.
    NeedMore,
    /// The body has ended; the trailers are in [`ChunkDecoder::trailers`].
    End,
}

/// Decodes one chunked body.
#[derive(Debug)]
pub struct ChunkDecoder {
    state: State,
    remaining: u64,
    extension_bytes: u32,
    trailers: Vec<u8>,
    /// What `Connection` of the message names.
    connection: Vec<u8>,
}

impl Default for ChunkDecoder {
    fn default() -> Self {
        Self::of(Vec::new())
    }
}

impl ChunkDecoder {
    /// For the body of a message whose header says this of its connection ([`crate::connection_options`]): trailers that it names end
    /// here (RFC 9110 §7.6.1).
    pub fn of(connection: Vec<u8>) -> Self {
        let (state, trailers) = (State::Size { digits: 0 }, Vec::new());
        Self { state, remaining: 0, extension_bytes: 0, trailers, connection }
    }

    /// Takes the next piece off `input`: how many bytes it used, and what they were.
    ///
    /// # Errors
    /// The [`Reason`] why this is no chunked body; the connection is lost then.
    pub fn decode<'i>(&mut self, input: &'i [u8]) -> Result<(usize, Piece<'i>), Reason> {
        if self.is_done() {
            return Ok((0, Piece::End));
        }
        let mut used = 0;
        while let Some(&byte) = input.get(used) {
            if self.state == State::Data {
                let (count, data) = self.data(input.get(used..).unwrap_or_default());
                return Ok((used + count, Piece::Data(data)));
            }
            self.step(byte)?;
            used += 1;
            if self.state == State::Done {
                break;
            }
        }
        Ok((used, if self.state == State::Done { Piece::End } else { Piece::NeedMore }))
    }

    /// True once [`Piece::End`] was returned.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// The trailer section, with its final empty line; empty if there was none.
    pub fn trailers(&self) -> &[u8] {
        if self.trailers.len() > 2 { &self.trailers } else { &[] }
    }

    fn data<'i>(&mut self, input: &'i [u8]) -> (usize, &'i [u8]) {
        let count = usize::try_from(self.remaining).unwrap_or(usize::MAX).min(input.len());
        self.remaining -= count as u64;
        if self.remaining == 0 {
            self.state = State::DataCr;
        }
        (count, input.get(..count).unwrap_or_default())
    }

    fn step(&mut self, byte: u8) -> Result<(), Reason> {
        self.state = match (self.state, byte) {
            (State::Size { digits: 1.. }, b';') => State::Extension,
            (State::Size { digits: 1.. } | State::Extension, b'\r') => State::SizeLf,
            (State::Size { digits }, _) => self.size_digit(digits, byte)?,
            (State::Extension, _) => self.extension_byte(byte)?,
            (State::SizeLf, b'\n') if self.remaining == 0 => State::Trailers,
            (State::SizeLf, b'\n') => State::Data,
            (State::SizeLf, _) => return Err(Reason::BadChunkSize),
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size { digits: 0 },
            (State::DataCr | State::DataLf, _) => return Err(Reason::BadChunkEnd),
            (State::Trailers, _) => self.trailer_byte(byte)?,
            (State::Data | State::Done, _) => self.state,
        };
        Ok(())
    }

    fn size_digit(&mut self, digits: u8, byte: u8) -> Result<State, Reason> {
        let digit = char::from(byte).to_digit(16).ok_or(Reason::BadChunkSize)?;
        if digits == 0 {
            self.remaining = 0;
        }
        if digits == MAX_SIZE_DIGITS || self.remaining > (i64::MAX as u64) >> 4 {
            return Err(Reason::BadChunkSize);
        }
        self.remaining = self.remaining << 4 | u64::from(digit);
        Ok(State::Size { digits: digits + 1 })
    }

    fn extension_byte(&mut self, byte: u8) -> Result<State, Reason> {
        self.extension_bytes += 1;
        let control = (byte < b' ' && byte != b'\t') || byte == 0x7F;
        if control || self.extension_bytes > MAX_EXTENSION_BYTES {
            return Err(Reason::BadChunkExtension);
        }
        Ok(State::Extension)
    }

    fn trailer_byte(&mut self, byte: u8) -> Result<State, Reason> {
        if self.trailers.len() == MAX_TRAILER_BYTES {
            return Err(Reason::TrailersTooLarge);
        }
        self.trailers.push(byte);
        let done = self.trailers == b"\r\n" || self.trailers.ends_with(b"\r\n\r\n");
        if byte == b'\n' && !self.trailers.ends_with(b"\r\n") {
            return Err(Reason::BadLineEnding);
        }
        if done && self.trailers.len() > 2 {
            check_trailers(&self.trailers)?;
            self.strike_named();
        }
        Ok(if done { State::Done } else { State::Trailers })
    }

    fn strike_named(&mut self) {
        if self.connection.is_empty() {
            return;
        }
        let stays = |line: &&[u8]| {
            let name = line.split(|&byte| byte == b':').next().unwrap_or_default();
            !fields::names(&self.connection, name)
        };
        let lines = self.trailers.split_inclusive(|&byte| byte == b'\n');
        self.trailers = lines.filter(stays).collect::<Vec<_>>().concat();
    }
}

/// Calls `visit(name, value)` for each line of a checked trailer section that may be passed on: fields that
/// frame, route or authenticate must not come late (RFC 9110 §6.5.1). A section has as many lines as a head may have: one of HTTP/2 is
/// held to that limit where it is read.
pub fn forwardable_trailers(section: &[u8], mut visit: impl FnMut(&str, &[u8])) {
    let mut slots = [httparse::EMPTY_HEADER; MAX_HEADERS];
    if let Ok(httparse::Status::Complete((_, trailers))) = httparse::parse_headers(section, &mut slots) {
        let allowed = |name: &str| {
            fields::classify(name) == crate::head::Field::Other
                && !FORBIDDEN_TRAILERS.iter().any(|forbidden| fields::reads_as(name, forbidden))
        };
        trailers
            .iter()
            .filter(|trailer| allowed(trailer.name))
            .for_each(|trailer| visit(trailer.name, trailer.value));
    }
}

const FORBIDDEN_TRAILERS: [&str; 8] = [
    "trailer",
    "authorization",
    "cookie",
    "set-cookie",
    "content-type",
    "content-encoding",
    "content-range",
    "cache-control",
];

fn check_trailers(section: &[u8]) -> Result<(), Reason> {
    let mut slots = [httparse::EMPTY_HEADER; MAX_HEADERS];
    match httparse::parse_headers(section, &mut slots) {
        Ok(httparse::Status::Complete(_)) if !section.iter().zip(section.iter().skip(1)).any(is_bare_cr) => {
            Ok(())
        }
        Err(httparse::Error::TooManyHeaders) => Err(Reason::TrailersTooLarge),
        _ => Err(Reason::BadTrailer),
    }
}

fn is_bare_cr((first, second): (&u8, &u8)) -> bool {
    *first == b'\r' && *second != b'\n'
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn decode_all(input: &[u8], step: usize) -> Result<(Vec<u8>, bool, usize), Reason> {
        let (mut decoder, mut body, mut used) = (ChunkDecoder::default(), Vec::new(), 0);
        while used < input.len() && !decoder.is_done() {
            let end = (used + step).min(input.len());
            let (count, piece) = decoder.decode(&input[used..end])?;
            used += count;
            if let Piece::Data(data) = piece {
                body.extend_from_slice(data);
            }
        }
        Ok((body, decoder.is_done(), used))
    }

    #[test]
    fn decodes_in_any_pieces() {
        let input = b"5\r\nhello\r\n000A;name=\"v\"\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\nGET";
        for step in 1..input.len() {
            assert_eq!(
                decode_all(input, step).unwrap(),
                (b"hello0123456789".to_vec(), true, input.len() - 3)
            );
        }
    }

    #[test]
    fn takes_nothing_behind_its_end() {
        let mut decoder = ChunkDecoder::default();
        assert_eq!(decoder.decode(b"0\r\n\r\nGET").unwrap().0, 5);
        assert_eq!(decoder.decode(b"GET").unwrap().0, 0);
    }

    #[test]
    fn refuses_with_the_reason() {
        for (input, reason) in [
            (&b"\r\n"[..], Reason::BadChunkSize),
            (b"5 \r\nhello", Reason::BadChunkSize),
            (b"+5\r\nhello", Reason::BadChunkSize),
            (b"0x5\r\nhello", Reason::BadChunkSize),
            (b"-1\r\n", Reason::BadChunkSize),
            (b"5\nhello", Reason::BadChunkSize),
            (b"5\rhello", Reason::BadChunkSize),
            (b"8000000000000000\r\n", Reason::BadChunkSize),
            (b"00000000000000001\r\n", Reason::BadChunkSize),
            (b"5;a\nb\r\nhello\r\n", Reason::BadChunkExtension),
            (b"5\r\nhelloX", Reason::BadChunkEnd),
            (b"5\r\nhello\n", Reason::BadChunkEnd),
            (b"0\r\nX\r\n\r\n", Reason::BadTrailer),
            (b"0\r\nX: 1\n\r\n", Reason::BadLineEnding),
            (b"0\r\nX : 1\r\n\r\n", Reason::BadTrailer),
        ] {
            for step in [1, 2, input.len()] {
                assert_eq!(decode_all(input, step).unwrap_err(), reason, "{}", input.escape_ascii());
            }
        }
    }

    #[test]
    fn trailers_that_connection_names_end_here() {
        for (connection, left) in [
            ("", "X-Hop: 1\r\nX-Stay: 2\r\nx-hop: 3\r\n\r\n"),
            ("close, x-HOP", "X-Stay: 2\r\n\r\n"),
            ("X-Stay,X-Hop", ""),
        ] {
            let mut decoder = ChunkDecoder::of(connection.as_bytes().to_vec());
            decoder.decode(b"0\r\nX-Hop: 1\r\nX-Stay: 2\r\nx-hop: 3\r\n\r\n").unwrap();
            assert_eq!(decoder.trailers(), left.as_bytes(), "{connection}");
        }
    }

    #[test]
    fn bounds_what_it_keeps() {
        let extensions = [&b"1;"[..], &[b'a'; 5_000], b"\r\n"].concat();
        assert_eq!(decode_all(&extensions, 100).unwrap_err(), Reason::BadChunkExtension);
        let trailers = [&b"0\r\nX: "[..], &[b'a'; 9_000]].concat();
        assert_eq!(decode_all(&trailers, 100).unwrap_err(), Reason::TrailersTooLarge);
    }

    #[test]
    fn passes_on_only_harmless_trailers() {
        let mut seen = Vec::new();
        forwardable_trailers(
            b"X-Sum: 1\r\nContent-Length: 5\r\nSet-Cookie: a\r\nHost: b\r\n\r\n",
            |name, _| {
                seen.push(name.to_owned());
            },
        );
        assert_eq!(seen, ["X-Sum"]);
    }

    #[test]
    fn as_many_trailers_as_a_head_has_headers() {
        let section = [b"X: 1\r\n".repeat(MAX_HEADERS), b"\r\n".to_vec()].concat();
        let mut seen = 0;
        forwardable_trailers(&section, |_, _| seen += 1);
        assert_eq!(seen, MAX_HEADERS);
        let body = [&b"0\r\n"[..], &section].concat();
        assert!(decode_all(&body, body.len()).unwrap().1);
    }
}
