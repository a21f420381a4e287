//! Responses of our own: refusals, what filters answer, and what a client is told when its exchange failed.

use std::io;

use trunkline_http::{Version, encode};

use crate::block::{Block, Text};
use crate::client::{Client, Next};
use crate::clock;
use crate::date;
use crate::exchange::{Answered, Exchange, Refused};
use crate::failure::{Failure, Side};
use crate::grpc::Call;
use crate::settle::Tally;
use crate::wire::Message;

/// What every response of our own has.
struct Own<'o> {
    status: u16,
    reason: &'static str,
    close: bool,
    is_head: bool,
    /// A gRPC client understands nothing else than its own.
    call: Option<Call>,
    content_type: Option<&'o str>,
    body: &'o [u8],
}

impl Client {
    /// Answers a refused request.
    pub(crate) async fn refuse(
        &self,
        refused: Box<Refused>,
        block: &Block,
        filters: &mut trunkline_filter::Exchange,
    ) -> Next {
        let Refused { failure, facts, route, allow, detail, reusable, is_head } = *refused;
        let close = !reusable || !facts.keep_alive || self.must_close();
        let (out, response_bytes) =
            self.compose_failure(failure, close, is_head, facts.call, filters, |out| allow_line(out, allow));
        let tally = Tally { status: failure.status, response_bytes, detail, ..Tally::failed(failure) };
        self.settle(&facts, Some(block), route, &tally, Some(filters));
        next_after(self.write_own(&out, response_bytes).await, close, reusable)
    }

    /// Writes a filter's own response.
    pub(crate) async fn answer(
        &self,
        answered: Box<Answered>,
        block: &Block,
        filters: &mut trunkline_filter::Exchange,
    ) -> Next {
        let Answered { refusal, facts, route, allow, reusable, is_head } = *answered;
        let close = !reusable || !facts.keep_alive || self.must_close();
        let (status, reason) = (refusal.status, refusal.reason.as_str());
        let mut body = Text::take();
        refusal.write_body(&mut body);
        let failure = side_of(refusal.reason).map(|side| Failure { status, reason, side });
        let call = facts.call.filter(|_| failure.is_some());
        let content_type = refusal.content_type();
        let own = Own { status, reason, close, is_head, call, content_type, body: &body };
        let (out, response_bytes) = self.compose(&own, filters, |out| allow_line(out, allow));
        let tally = Tally { status, failure, response_bytes, ..Tally::default() };
        self.settle(&facts, Some(block), route, &tally, Some(filters));
        next_after(self.write_own(&out, response_bytes).await, close, reusable)
    }

    /// A whole response whose last `body_bytes` are its body.
    async fn write_own(&self, text: &[u8], body_bytes: u64) -> io::Result<()> {
        let head_bytes = text.len().saturating_sub(body_bytes as usize);
        self.send(Message { text, head_bytes, end: true }).await
    }

    /// Tells of an exchange that failed before its response began. Also returns the body bytes.
    pub(crate) async fn fail(
        &self,
        failure: Failure,
        close: bool,
        exchange: &Exchange,
        filters: &trunkline_filter::Exchange,
    ) -> (u64, io::Result<()>) {
        let (is_head, call) = (exchange.is_head, exchange.facts.call);
        let (out, bytes) = self.compose_failure(failure, close, is_head, call, filters, |out| {
            if failure.status == 503 {
                out.extend_from_slice(b"Retry-After: 1\r\n");
            }
        });
        (bytes, self.write_own(&out, bytes).await)
    }

    /// With the body `{"error":"reason","status":404}`.
    fn compose_failure(
        &self,
        Failure { status, reason, .. }: Failure,
        close: bool,
        is_head: bool,
        call: Option<Call>,
        filters: &trunkline_filter::Exchange,
        lines: impl FnOnce(&mut Vec<u8>),
    ) -> (Text, u64) {
        let body = format!("{{\"error\":\"{reason}\",\"status\":{status}}}");
        let content_type = Some("application/json");
        let own = Own { status, reason, close, is_head, call, content_type, body: body.as_bytes() };
        self.compose(&own, filters, lines)
    }

    /// A whole response with the lines that the filters want on every one, and how many bytes of it are its body.
    fn compose(
        &self,
        own: &Own<'_>,
        filters: &trunkline_filter::Exchange,
        lines: impl FnOnce(&mut Vec<u8>),
    ) -> (Text, u64) {
        let mut out = Text::take();
        let status = if own.call.is_some() { 200 } else { own.status };
        encode::status_line(&mut out, Version::Http11, status, phrase(status).as_bytes());
        // RFC 9110 §6.6.1: whoever answers itself and has a clock says when.
        date::write(&mut out, clock::now_ns());
        if own.close {
            out.extend_from_slice(b"Connection: close\r\n");
        }
        lines(&mut out);
        let edits = filters.response_edits().appended();
        edits.for_each(|(name, value)| encode::header(&mut out, name, value));
        if self.listener.reason_header {
            encode::header(&mut out, "X-Trunkline-Reason", own.reason.as_bytes());
        }
        if let Some(call) = own.call {
            call.write_failure(&mut out, own.status, own.reason);
            if self.wire.stream().is_none() {
                out.extend_from_slice(b"Content-Length: 0\r\n");
            }
            out.extend_from_slice(b"\r\n");
            return (out, 0);
        }
        // RFC 9110 §8.6, §15.4.5: neither has a body, nor a length that would say so.
        if matches!(own.status, 204 | 304) {
            out.extend_from_slice(b"\r\n");
            return (out, 0);
        }
        if let Some(content_type) = own.content_type {
            encode::header(&mut out, "Content-Type", content_type.as_bytes());
        }
        out.extend_from_slice(b"Content-Length: ");
        encode::decimal(&mut out, own.body.len() as u64);
        out.extend_from_slice(b"\r\n\r\n");
        let body = if own.is_head { &[][..] } else { own.body };
        out.extend_from_slice(body);
        (out, body.len() as u64)
    }
}

fn allow_line(out: &mut Vec<u8>, allow: Option<String>) {
    if let Some(methods) = allow {
        encode::header(out, "Allow", methods.as_bytes());
    }
}

/// Whose fault a filter's answer is. That of what the configuration wants answered is nobody's.
fn side_of(reason: trunkline_filter::Reason) -> Option<Side> {
    match reason {
        trunkline_filter::Reason::CorsPreflight
        | trunkline_filter::Reason::Redirected
        | trunkline_filter::Reason::Responded => None,
        trunkline_filter::Reason::BreakerOpen => Some(Side::Upstream),
        trunkline_filter::Reason::Maintenance => Some(Side::Gateway),
        _ => Some(Side::Client),
    }
}

/// `reusable`: everything the client sent for this request has been read.
pub(crate) fn next_after(written: io::Result<()>, close: bool, reusable: bool) -> Next {
    match (written, close, reusable) {
        (Ok(()), false, _) => Next::Request,
        (Ok(()), true, false) => Next::Linger,
        (Ok(()), true, true) => Next::Close,
        (Err(_), ..) => Next::Cut,
    }
}

/// Reason phrases (RFC 9110 §15).
pub(crate) fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        413 => "Content Too Large",
        412 => "Precondition Failed",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}
