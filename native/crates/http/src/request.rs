//! Request heads: httparse finds the parts, this file refuses everything that could be read in two ways.

use std::mem::MaybeUninit;

use crate::error::{Reason, Reject};
use crate::fields;
use crate::head::{Field, Framing, Header, HeaderBuffer, Limits, MAX_HEADERS, RequestHead, Version};
use crate::lines;
use crate::target;

/// Longest registered method is `BASELINE-CONTROL` with 16 bytes (IANA HTTP method registry); twice that is enough.
const MAX_METHOD_BYTES: usize = 32;

/// Parses a request head from the start of `buffer`. `Ok(None)` means more bytes are needed.
///
/// # Errors
/// A [`Reject`] with the status for the client; the connection is to be closed after it.
pub fn parse_request<'b, 'h>(
    buffer: &'b [u8],
    limits: &Limits,
    storage: &'h mut HeaderBuffer<'b>,
) -> Result<Option<RequestHead<'b, 'h>>, Reject> {
    let Some(start) = lines::skip_empty_line(buffer) else { return Ok(None) };
    let head = buffer.get(start..).unwrap_or_default();
    if matches!(head.first(), Some(b'\r' | b'\n')) {
        return Err(Reject::request(Reason::BadLineEnding));
    }
    let mut slots = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let slots = slots.get_mut(..limits.headers.min(MAX_HEADERS)).unwrap_or_default();
    let mut raw = httparse::Request::new(&mut []);
    let length = match raw.parse_with_uninit_headers(head, slots) {
        Ok(httparse::Status::Complete(length)) if length <= limits.head_bytes => length,
        Ok(httparse::Status::Complete(_)) => return Err(Reject::request(Reason::HeadTooLarge)),
        Ok(httparse::Status::Partial) => return partial(head, limits),
        Err(error) => {
            return diagnose(head, error).map_or_else(|| partial(head, limits), |r| Err(Reject::request(r)));
        }
    };
    if !head.get(..length).unwrap_or_default().ends_with(b"\r\n\r\n") {
        return Err(Reject::request(Reason::BadLineEnding));
    }
    let (Some(method), Some(target), Some(minor)) = (raw.method, raw.path, raw.version) else {
        return Err(Reject::request(Reason::BadRequestLine));
    };
    check_request_line(head, method, target, limits)?;
    let mut scan = Scan::default();
    scan.headers(head, raw.headers, storage).map_err(Reject::request)?;
    scan.finish(method, target, minor, storage, start + length).map(Some).map_err(Reject::request)
}

/// An incomplete head is refused as soon as it cannot become a good one.
fn partial<T>(head: &[u8], limits: &Limits) -> Result<Option<T>, Reject> {
    let line_end = memchr::memchr(b'\n', head);
    if line_end.is_none() && head.len() > limits.target_bytes + MAX_METHOD_BYTES + " HTTP/1.1 ".len() {
        return Err(Reject::request(Reason::TargetTooLong));
    }
    if head.len() >= limits.head_bytes {
        return Err(Reject::request(Reason::HeadTooLarge));
    }
    Ok(None)
}

/// Method length, target length, exactly one space between the parts, CRLF at the end (RFC 9112 §3).
fn check_request_line(head: &[u8], method: &str, target: &str, limits: &Limits) -> Result<(), Reject> {
    let reason = if method.len() > MAX_METHOD_BYTES {
        Reason::BadMethod
    } else if target.len() > limits.target_bytes {
        Reason::TargetTooLong
    } else {
        let version_at = method.len() + 1 + target.len() + 1;
        let rest = head.get(version_at..).unwrap_or_default();
        match rest.strip_prefix(b"HTTP/1.") {
            Some([b'0' | b'1', b'\r', b'\n', ..]) => return Ok(()),
            Some([b'0' | b'1', ..]) => Reason::BadLineEnding,
            _ => Reason::BadRequestLine,
        }
    };
    Err(Reject::request(reason))
}

/// What one pass over the headers finds out.
#[derive(Default)]
#[allow(clippy::struct_excessive_bools)] // independent facts, each set by its own header
struct Scan<'b> {
    host: Option<&'b [u8]>,
    content_length: Option<u64>,
    chunked: bool,
    close: bool,
    keep_alive: bool,
    connection_upgrade: bool,
    upgrade: Option<&'b [u8]>,
    expects_continue: bool,
}

impl<'b> Scan<'b> {
    fn headers(
        &mut self,
        head: &[u8],
        raw: &[httparse::Header<'b>],
        storage: &mut HeaderBuffer<'b>,
    ) -> Result<(), Reason> {
        storage.clear();
        let mut nominates = false;
        for &httparse::Header { name, value } in raw {
            if !lines::ends_in_crlf(head, lines::offset(head, value) + value.len()) {
                return Err(Reason::BadLineEnding);
            }
            let field = fields::classify(name);
            if field != Field::Other {
                nominates |= self.known(field, name, value)?;
            }
            storage.push(Header { name, value, field });
        }
        if nominates {
            strike_nominated(storage);
        }
        Ok(())
    }

    /// Takes note of a known header; true if it is a Connection that names further headers.
    fn known(&mut self, field: Field, name: &str, value: &'b [u8]) -> Result<bool, Reason> {
        match field {
            Field::Host => {
                let earlier = self.host.replace(value);
                if earlier.is_some() {
                    return Err(Reason::DuplicateHost);
                }
            }
            Field::Framing => self.framing(name, value)?,
            Field::Expect => {
                if !value.eq_ignore_ascii_case(b"100-continue") {
                    return Err(Reason::UnknownExpectation);
                }
                self.expects_continue = true;
            }
            Field::HopByHop => return Ok(self.hop_by_hop(name, value)),
            _ => {}
        }
        Ok(false)
    }

    fn framing(&mut self, name: &str, value: &[u8]) -> Result<(), Reason> {
        if name.len() == "content-length".len() {
            if self.content_length.is_some() || value.contains(&b',') {
                return Err(Reason::RepeatedContentLength);
            }
            self.content_length = Some(fields::content_length(value).ok_or(Reason::BadContentLength)?);
        } else {
            if self.chunked {
                return Err(Reason::BadTransferEncoding);
            }
            check_chunked(value)?;
            self.chunked = true;
        }
        Ok(())
    }

    fn hop_by_hop(&mut self, name: &str, value: &'b [u8]) -> bool {
        if name.eq_ignore_ascii_case("connection") {
            return self.connection(value);
        }
        if name.eq_ignore_ascii_case("upgrade") {
            self.upgrade = Some(value);
        }
        false
    }

    fn connection(&mut self, value: &[u8]) -> bool {
        let mut nominates = false;
        fields::list_members(value, |option| {
            if option.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                self.keep_alive = true;
            } else if option.eq_ignore_ascii_case(b"upgrade") {
                self.connection_upgrade = true;
            } else {
                nominates = true;
            }
        });
        nominates
    }

    /// The checks that need more than one header.
    fn finish<'h>(
        self,
        method: &'b str,
        raw_target: &'b str,
        minor: u8,
        headers: &'h [Header<'b>],
        length: usize,
    ) -> Result<RequestHead<'b, 'h>, Reason> {
        let version = if minor == 0 { Version::Http10 } else { Version::Http11 };
        let parts = target::parse(method, raw_target)?;
        let authority = self.authority(version, parts.authority)?;
        let framing = self.body_framing(version, method)?;
        let keep_alive = !self.close && (version == Version::Http11 || self.keep_alive);
        let upgrade = self.upgrade_token(version).filter(|_| framing == Framing::None);
        Ok(RequestHead {
            method,
            target: raw_target,
            path: parts.path,
            query: parts.query,
            version,
            scheme: parts.scheme,
            authority,
            headers,
            framing,
            content_length: self.content_length,
            keep_alive,
            expects_continue: self.expects_continue && version == Version::Http11,
            upgrade,
            length,
        })
    }

    /// Host is required once in HTTP/1.1 and must agree with an absolute target (RFC 9112 §3.2).
    fn authority(&self, version: Version, target: Option<&'b str>) -> Result<&'b str, Reason> {
        let Some(host) = self.host else {
            return if version == Version::Http11 {
                Err(Reason::MissingHost)
            } else {
                Ok(target.unwrap_or(""))
            };
        };
        let host = std::str::from_utf8(host).map_err(|_| Reason::BadHost)?;
        if !target::is_authority(host) {
            return Err(Reason::BadHost);
        }
        match target {
            Some(target) if !target.eq_ignore_ascii_case(host) => Err(Reason::HostMismatch),
            _ => Ok(host),
        }
    }

    fn body_framing(&self, version: Version, method: &str) -> Result<Framing, Reason> {
        let framing = match (self.chunked, self.content_length) {
            (true, Some(_)) => return Err(Reason::LengthAndTransferEncoding),
            (true, None) if version == Version::Http10 => return Err(Reason::TransferEncodingInHttp10),
            (true, None) => Framing::Chunked,
            (false, None | Some(0)) => Framing::None,
            (false, Some(length)) => Framing::Length(length),
        };
        if method == "CONNECT" && framing != Framing::None {
            return Err(Reason::BadUpgrade);
        }
        Ok(framing)
    }

    /// What is offered. With a body it is not passed on: that would have to end before the protocol changes, and no client does so.
    fn upgrade_token(&self, version: Version) -> Option<&'b [u8]> {
        let token = self.upgrade.filter(|_| self.connection_upgrade && version == Version::Http11)?;
        (!token.is_empty() && !fields::offers_http2(token)).then_some(token)
    }
}

fn strike_nominated(headers: &mut HeaderBuffer<'_>) {
    let mut named = smallvec::SmallVec::<[&[u8]; 8]>::new();
    for header in headers.iter().filter(|header| header.name.eq_ignore_ascii_case("connection")) {
        fields::list_members(header.value, |name| named.push(name));
    }
    fields::strike_named(headers, &named);
}

/// `chunked` alone is accepted. With another coding before it the end of the body could be found: 501 (RFC 9112 §6.1); else it
/// could not, or the list is malformed: 400 (§6.3).
pub(crate) fn check_chunked(value: &[u8]) -> Result<(), Reason> {
    if value.eq_ignore_ascii_case(b"chunked") {
        return Ok(());
    }
    let lower = value.to_ascii_lowercase();
    let tokens = lower.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    let well_formed =
        tokens.clone().all(|token| !token.is_empty() && token.iter().copied().all(lines::is_token));
    let final_chunked = tokens.clone().next_back() == Some(b"chunked")
        && tokens.filter(|token| *token == b"chunked").count() == 1;
    Err(if well_formed && final_chunked {
        Reason::UnknownTransferEncoding
    } else {
        Reason::BadTransferEncoding
    })
}

/// Names the fault of a head that httparse refused; `None` = the line at fault is not complete yet. Judging whole lines makes
/// the verdict independent of how the bytes were cut into reads. Runs only on refused messages.
#[cold]
fn diagnose(head: &[u8], error: httparse::Error) -> Option<Reason> {
    if error == httparse::Error::TooManyHeaders {
        return Some(Reason::TooManyHeaders);
    }
    match memchr::memchr(b'\n', head) {
        Some(line_end) => {
            let (line, rest) = head.split_at(line_end + 1);
            diagnose_line(line).or_else(|| lines::diagnose_headers(rest))
        }
        // A method that is no token needs no line end: a TLS greeting is refused at once.
        None => starts_badly(head).then_some(Reason::BadMethod),
    }
}

fn starts_badly(line: &[u8]) -> bool {
    let method = line.split(|&byte| byte == b' ' || byte == b'\r').next().unwrap_or_default();
    method.is_empty() || !method.iter().copied().all(lines::is_token)
}

fn diagnose_line(line: &[u8]) -> Option<Reason> {
    let Some(content) = line.strip_suffix(b"\r\n").filter(|content| !content.contains(&b'\r')) else {
        return Some(Reason::BadLineEnding);
    };
    if starts_badly(content) {
        return Some(Reason::BadMethod);
    }
    let mut parts = content.split(|&byte| byte == b' ');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(_), Some(target), Some(version), None) if !target.is_empty() => {
            if target.iter().copied().all(target::is_target_byte) {
                diagnose_version(version)
            } else {
                Some(Reason::BadTarget)
            }
        }
        _ => Some(Reason::BadRequestLine),
    }
}

fn diagnose_version(version: &[u8]) -> Option<Reason> {
    match version {
        b"HTTP/1.0" | b"HTTP/1.1" => None,
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Some(Reason::UnsupportedVersion)
        }
        _ => Some(Reason::BadVersion),
    }
}
