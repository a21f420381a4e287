//! Response heads of upstreams, as strict as requests: a response that two parsers could split differently poisons caches
//! and the next response on the connection.

use std::mem::MaybeUninit;

use crate::error::{Reason, Reject};
use crate::fields;
use crate::head::{Field, Framing, Header, HeaderBuffer, Limits, MAX_HEADERS, ResponseHead, Version};
use crate::lines;
use crate::request::check_chunked;

/// What the response answers; decides whether a body follows (RFC 9112 §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    Head,
    Connect,
    Other,
}

impl Answers {
    pub fn from_method(method: &str) -> Self {
        match method {
            "HEAD" => Self::Head,
            "CONNECT" => Self::Connect,
            _ => Self::Other,
        }
    }
}

/// Parses a response head from the start of `buffer`. `Ok(None)` means more bytes are needed.
///
/// # Errors
/// A [`Reject`] with status 502: the upstream's fault.
pub fn parse_response<'b, 'h>(
    buffer: &'b [u8],
    answers: Answers,
    limits: &Limits,
    storage: &'h mut HeaderBuffer<'b>,
) -> Result<Option<ResponseHead<'b, 'h>>, Reject> {
    parse(buffer, answers, limits, storage).map_err(Reject::response)
}

fn parse<'b, 'h>(
    buffer: &'b [u8],
    answers: Answers,
    limits: &Limits,
    storage: &'h mut HeaderBuffer<'b>,
) -> Result<Option<ResponseHead<'b, 'h>>, Reason> {
    // httparse skips empty lines; before a response they are garbage of the message before it.
    if matches!(buffer.first(), Some(b'\r' | b'\n')) {
        return Err(Reason::BadStatusLine);
    }
    let mut slots = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let slots = slots.get_mut(..limits.headers.min(MAX_HEADERS)).unwrap_or_default();
    let mut raw = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    let length = match config.parse_response_with_uninit_headers(&mut raw, buffer, slots) {
        Ok(httparse::Status::Complete(length)) if length <= limits.head_bytes => length,
        Ok(httparse::Status::Partial) if buffer.len() < limits.head_bytes => return Ok(None),
        Ok(_) => return Err(Reason::HeadTooLarge),
        Err(error) => match diagnose(buffer, error) {
            Some(reason) => return Err(reason),
            None if buffer.len() < limits.head_bytes => return Ok(None),
            None => return Err(Reason::HeadTooLarge),
        },
    };
    if !buffer.get(..length).unwrap_or_default().ends_with(b"\r\n\r\n") {
        return Err(Reason::BadLineEnding);
    }
    let (Some(status @ 100..=599), Some(minor)) = (raw.code, raw.version) else {
        return Err(Reason::BadStatusLine);
    };
    let version = if minor == 0 { Version::Http10 } else { Version::Http11 };
    let reason = status_line(buffer)?;
    let mut scan = Scan::default();
    scan.headers(buffer, raw.headers, storage)?;
    let framing = scan.body_framing(version, status, answers)?;
    Ok(Some(ResponseHead {
        status,
        reason,
        version,
        headers: storage,
        framing,
        content_length: scan.content_length,
        keep_alive: scan.keeps_alive(version, framing),
        upgrade: scan.upgrade(status),
        length,
    }))
}

/// The reason phrase: `HTTP/1.x SP 3DIGIT SP [reason] CRLF` (RFC 9112 §4; the second SP may be missing, as many servers do).
fn status_line(buffer: &[u8]) -> Result<&[u8], Reason> {
    let end = memchr::memchr(b'\n', buffer).ok_or(Reason::BadStatusLine)?;
    let line = buffer.get(..end).and_then(|line| line.strip_suffix(b"\r")).ok_or(Reason::BadLineEnding)?;
    let reason = line.get("HTTP/1.1 200".len()..).unwrap_or_default();
    let bad = |&byte: &u8| (byte < b' ' && byte != b'\t') || byte == 0x7F;
    if reason.iter().any(bad) {
        return Err(Reason::BadStatusLine);
    }
    Ok(reason.strip_prefix(b" ").unwrap_or(reason))
}

#[derive(Default)]
#[allow(clippy::struct_excessive_bools)] // independent facts
struct Scan<'b> {
    content_length: Option<u64>,
    chunked: bool,
    close: bool,
    keep_alive: bool,
    connection_upgrade: bool,
    upgrade: Option<&'b [u8]>,
}

impl<'b> Scan<'b> {
    fn headers(
        &mut self,
        head: &[u8],
        raw: &[httparse::Header<'b>],
        storage: &mut HeaderBuffer<'b>,
    ) -> Result<(), Reason> {
        storage.clear();
        let mut named = smallvec::SmallVec::<[&[u8]; 4]>::new();
        for &httparse::Header { name, value } in raw {
            if !lines::ends_in_crlf(head, lines::offset(head, value) + value.len()) {
                return Err(Reason::BadLineEnding);
            }
            let field = fields::classify(name);
            match field {
                Field::Framing => self.framing(name, value)?,
                Field::HopByHop => self.hop_by_hop(name, value, &mut named),
                _ => {}
            }
            storage.push(Header { name, value, field });
        }
        if !named.is_empty() {
            fields::strike_named(storage, &named);
        }
        Ok(())
    }

    fn framing(&mut self, name: &str, value: &[u8]) -> Result<(), Reason> {
        if name.len() == "content-length".len() {
            let length = fields::content_length(value).ok_or(Reason::BadContentLength)?;
            // The same length twice is harmless and happens (RFC 9110 §8.6 lets it be collapsed); we send it once.
            if self.content_length.replace(length).is_some_and(|before| before != length) {
                return Err(Reason::RepeatedContentLength);
            }
            return Ok(());
        }
        if self.chunked {
            return Err(Reason::BadTransferEncoding);
        }
        check_chunked(value)?;
        self.chunked = true;
        Ok(())
    }

    fn hop_by_hop(&mut self, name: &str, value: &'b [u8], named: &mut smallvec::SmallVec<[&'b [u8]; 4]>) {
        if name.eq_ignore_ascii_case("upgrade") {
            self.upgrade = Some(value);
        }
        if !name.eq_ignore_ascii_case("connection") {
            return;
        }
        fields::list_members(value, |option| {
            if option.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                self.keep_alive = true;
            } else if option.eq_ignore_ascii_case(b"upgrade") {
                self.connection_upgrade = true;
            } else {
                named.push(option);
            }
        });
    }

    fn body_framing(&self, version: Version, status: u16, answers: Answers) -> Result<Framing, Reason> {
        if self.chunked && self.content_length.is_some() {
            return Err(Reason::LengthAndTransferEncoding);
        }
        if self.chunked && version == Version::Http10 {
            return Err(Reason::TransferEncodingInHttp10);
        }
        let bodiless = status < 200
            || matches!(status, 204 | 304)
            || answers == Answers::Head
            || (answers == Answers::Connect && status < 300);
        Ok(match (bodiless, self.chunked, self.content_length) {
            (true, _, _) | (false, false, Some(0)) => Framing::None,
            (false, true, _) => Framing::Chunked,
            (false, false, Some(length)) => Framing::Length(length),
            (false, false, None) => Framing::UntilClose,
        })
    }

    /// What a server would like is for the next hop only if `Connection` says so, and of use only if it may be offered to it.
    fn upgrade(&self, status: u16) -> Option<&'b [u8]> {
        let is_advice = |protocols: &[u8]| self.connection_upgrade && !fields::offers_http2(protocols);
        self.upgrade.filter(|protocols| status == 101 || is_advice(protocols))
    }

    fn keeps_alive(&self, version: Version, framing: Framing) -> bool {
        !self.close && framing != Framing::UntilClose && (version == Version::Http11 || self.keep_alive)
    }
}

/// `None` = the line at fault is not complete yet.
#[cold]
fn diagnose(head: &[u8], error: httparse::Error) -> Option<Reason> {
    if error == httparse::Error::TooManyHeaders {
        return Some(Reason::TooManyHeaders);
    }
    if !b"HTTP/".iter().zip(head).all(|(wanted, byte)| wanted == byte) {
        return Some(Reason::BadStatusLine);
    }
    let (line, rest) = head.split_at(memchr::memchr(b'\n', head)? + 1);
    let Some(content) = line.strip_suffix(b"\r\n").filter(|content| !content.contains(&b'\r')) else {
        return Some(Reason::BadLineEnding);
    };
    match content {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0' | b'1', b' ', status @ ..] => {
            if is_status(status) {
                lines::diagnose_headers(rest)
            } else {
                Some(Reason::BadStatusLine)
            }
        }
        _ => Some(Reason::BadVersion),
    }
}

/// `3DIGIT [SP reason]`
fn is_status(text: &[u8]) -> bool {
    let bad = |&byte: &u8| (byte < b' ' && byte != b'\t') || byte == 0x7F;
    text.iter().take(3).filter(|byte| byte.is_ascii_digit()).count() == 3
        && matches!(text.get(3), None | Some(b' '))
        && !text.iter().any(bad)
}
