//! Field lists as messages: the rules that need more than one field (RFC 9113 §8.1 to §8.3, RFC 8441 §4), and the heads that the
//! rest of the program works with.

use trunkline_http::{
    Answers, Field, Framing, HeaderBuffer, Reason, Reject, RequestHead, ResponseHead, Version, is_authority,
    is_token, parse_target,
};

use crate::fields::Fields;
use crate::kind::{Malformed, Pseudo};

/// As in trunkline-http: twice the longest registered method.
const MAX_METHOD_BYTES: usize = 32;

impl Fields {
    /// Checks a request's list; `connect_protocol` = we have offered extended CONNECT.
    pub(crate) fn check_request(&self, connect_protocol: bool) -> Result<(), Malformed> {
        self.malformed().map_or(Ok(()), Err)?;
        check(!self.has(Pseudo::Status), Malformed::MisplacedPseudo)?;
        let method = self.method().ok_or(Malformed::MissingPseudo)?;
        check(!method.is_empty() && method.bytes().all(is_token), Malformed::BadMethod)?;
        let connect = method == "CONNECT";
        if self.has(Pseudo::Protocol) {
            check(connect && connect_protocol, Malformed::MisplacedPseudo)?;
        }
        if connect {
            check(self.has(Pseudo::Authority), Malformed::MissingPseudo)?;
        }
        if connect && !self.has(Pseudo::Protocol) {
            check(!self.has(Pseudo::Scheme) && !self.has(Pseudo::Path), Malformed::MisplacedPseudo)?;
        } else {
            self.check_target(method)?;
        }
        self.check_authority()
    }

    /// RFC 9113 §8.3.1.
    fn check_target(&self, method: &str) -> Result<(), Malformed> {
        let (Some(scheme), Some(path)) = (self.scheme(), self.path()) else {
            return Err(Malformed::MissingPseudo);
        };
        let scheme_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic());
        check(is_scheme && scheme.bytes().all(scheme_byte), Malformed::BadScheme)?;
        check(path.starts_with('/') || (path == "*" && method == "OPTIONS"), Malformed::BadPath)
    }

    /// `:authority` and `host` are good ones and agree.
    fn check_authority(&self) -> Result<(), Malformed> {
        let authority = self.authority();
        check(authority.is_none_or(is_authority), Malformed::BadAuthority)?;
        let Some(host) = self.host() else { return Ok(()) };
        let host = std::str::from_utf8(host).map_err(|_| Malformed::BadAuthority)?;
        check(is_authority(host), Malformed::BadAuthority)?;
        check(authority.is_none_or(|authority| authority.eq_ignore_ascii_case(host)), Malformed::HostMismatch)
    }

    /// Checks a response's list and returns its status.
    pub(crate) fn check_response(&self) -> Result<u16, Malformed> {
        self.malformed().map_or(Ok(()), Err)?;
        let others = [Pseudo::Method, Pseudo::Scheme, Pseudo::Authority, Pseudo::Path, Pseudo::Protocol];
        check(!others.into_iter().any(|pseudo| self.has(pseudo)), Malformed::MisplacedPseudo)?;
        check(self.has(Pseudo::Status), Malformed::MissingPseudo)?;
        let status = self.status().ok_or(Malformed::BadStatus)?;
        check(status != 101 && (status >= 200 || !self.ends_stream()), Malformed::BadInformational)?;
        Ok(status)
    }

    /// No pseudo-header fields in trailers (RFC 9113 §8.1).
    pub(crate) fn check_trailers(&self) -> Result<(), Malformed> {
        self.malformed().map_or(Ok(()), Err)?;
        check(!self.has_any_pseudo(), Malformed::MisplacedPseudo)
    }

    /// The request head. Without `END_STREAM` and Content-Length it is [`Framing::Chunked`]: of unknown length.
    /// The target for logs is the path, the authority for CONNECT.
    ///
    /// # Errors
    /// A [`Reject`] with the status for the client; only this stream is concerned.
    pub fn request<'f, 'h>(
        &'f self,
        storage: &'h mut HeaderBuffer<'f>,
    ) -> Result<RequestHead<'f, 'h>, Reject> {
        self.request_head(storage).map_err(Reject::request)
    }

    fn request_head<'f, 'h>(
        &'f self,
        storage: &'h mut HeaderBuffer<'f>,
    ) -> Result<RequestHead<'f, 'h>, Reason> {
        let method = self.method().ok_or(Reason::BadRequestLine)?;
        accept(method.len() <= MAX_METHOD_BYTES, Reason::BadMethod)?;
        let authority = self.request_authority()?;
        let target = self.path().unwrap_or(authority);
        accept(target.len() <= self.limits().target_bytes, Reason::TargetTooLong)?;
        // An extended CONNECT has the target of a GET.
        let form = if self.has(Pseudo::Protocol) { "GET" } else { method };
        let parts = parse_target(form, target)?;
        let framing = self.request_framing(method)?;
        Ok(RequestHead {
            method,
            target,
            path: parts.path,
            query: parts.query,
            version: Version::Http2,
            scheme: self.scheme(),
            authority,
            expects_continue: self.collect(storage)?,
            headers: storage,
            framing,
            content_length: self.content_length(),
            keep_alive: true,
            upgrade: None,
            length: self.list_bytes(),
        })
    }

    fn request_authority(&self) -> Result<&str, Reason> {
        let host = || self.host().and_then(|host| std::str::from_utf8(host).ok());
        self.authority().or_else(host).ok_or(Reason::MissingHost)
    }

    fn request_framing(&self, method: &str) -> Result<Framing, Reason> {
        if method == "CONNECT" && self.content_length().is_some() {
            return Err(Reason::BadUpgrade);
        }
        Ok(match (self.ends_stream(), self.content_length()) {
            (true, _) | (false, Some(0)) => Framing::None,
            (false, Some(length)) => Framing::Length(length),
            (false, None) => Framing::Chunked,
        })
    }

    /// Puts the fields into `storage`; true if one is `expect: 100-continue`.
    fn collect<'f>(&'f self, storage: &mut HeaderBuffer<'f>) -> Result<bool, Reason> {
        storage.clear();
        storage.extend(self.lines());
        let mut expects = false;
        for header in storage.iter().filter(|header| header.field == Field::Expect) {
            accept(header.value.eq_ignore_ascii_case(b"100-continue"), Reason::UnknownExpectation)?;
            expects = true;
        }
        Ok(expects)
    }

    /// The response head, 1xx included. Without `END_STREAM` and Content-Length it is [`Framing::Chunked`]: of unknown length.
    ///
    /// # Errors
    /// [`Reject`] if there is no status, which no list of an event is without.
    pub fn response<'f, 'h>(
        &'f self,
        answers: Answers,
        storage: &'h mut HeaderBuffer<'f>,
    ) -> Result<ResponseHead<'f, 'h>, Reject> {
        let status = self.status().ok_or(Reject::response(Reason::BadStatusLine))?;
        storage.clear();
        storage.extend(self.lines());
        let tunnel = answers == Answers::Connect && status < 300;
        let framing = match self.content_length() {
            _ if self.ends_stream() || is_bodiless(status, answers) => Framing::None,
            Some(0) if !tunnel => Framing::None,
            Some(length) if !tunnel => Framing::Length(length),
            _ => Framing::Chunked,
        };
        Ok(ResponseHead {
            status,
            reason: b"",
            version: Version::Http2,
            headers: storage,
            framing,
            content_length: self.content_length(),
            keep_alive: true,
            upgrade: None,
            length: self.list_bytes(),
        })
    }
}

/// Whatever the head declares, no content follows (RFC 9110 §6.4.1).
pub(crate) fn is_bodiless(status: u16, answers: Answers) -> bool {
    status < 200 || matches!(status, 204 | 304) || answers == Answers::Head
}

fn check(fine: bool, malformed: Malformed) -> Result<(), Malformed> {
    if fine { Ok(()) } else { Err(malformed) }
}

fn accept(fine: bool, reason: Reason) -> Result<(), Reason> {
    if fine { Ok(()) } else { Err(reason) }
}
