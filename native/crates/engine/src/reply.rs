//! The response on its way back: its head is checked and written anew, its body follows in bounded pieces.

use trunkline_compress::{Decision, Policy};
use trunkline_grpc::{ContentType, Form, ResponseBridge};
use trunkline_http::{
    Answers, Field, Framing, HeaderBuffer, Limits, Reason, Reject, ResponseHead, Version, connection_options,
    encode, may_switch, parse_response,
};
use trunkline_http2::Fields;

use crate::answer::phrase;
use crate::block::{Block, ORDINARY_BYTES, Text};
use crate::body::{Sink, Source};
use crate::date;
use crate::exchange::Exchange;
use crate::facts::Facts;
use crate::failure::Failure;
use crate::forwarding::Forwarding;
use crate::grpc::Call;
use crate::sticky::Reminder;
use crate::transform::Transform;

/// Limits on what an upstream may send as a head: the same block that a request's head has to fit.
pub(crate) const RESPONSE_LIMITS: Limits =
    Limits { head_bytes: ORDINARY_BYTES, headers: trunkline_http::MAX_HEADERS, target_bytes: 0 };

/// A response whose head is here.
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// The head as the client gets it.
    pub(crate) head: Text,
    pub(crate) body: Source,
    pub(crate) sink: Sink,
    /// Boxed, because every reply would carry its 150 bytes from hand to hand otherwise.
    pub(crate) transform: Option<Box<Transform>>,
    /// The upstream connection can be used again when the body has ended.
    pub(crate) upstream_keeps: bool,
    /// The client was told that its connection closes.
    pub(crate) closes: bool,
    /// Protocol switch or tunnel: bytes flow both ways from now on.
    pub(crate) tunnels: bool,
}

impl Reply {
    /// Moves the body bytes at the front of `block` into `out` as the client gets them, and behind the last one what ends them; how many the
    /// server sent. `drained`: no more are here.
    pub(crate) fn transfer(
        &mut self,
        block: &mut Block,
        drained: bool,
        out: &mut Vec<u8>,
    ) -> Result<u64, Failure> {
        let Some(transform) = &mut self.transform else {
            let moved = self.body.transfer(block, self.sink, out).map_err(fault)?;
            if self.body.is_done() {
                self.sink.end(self.body.trailers(), out);
            }
            return Ok(moved);
        };
        let (mut plain, mut changed) = (Text::take(), Text::take());
        let moved = self.body.transfer(block, Sink::Raw, &mut plain).map_err(fault)?;
        transform.push(&plain, &mut changed)?;
        let mut trailers = self.body.trailers();
        if self.body.is_done() {
            let taken = transform.finish(trailers, &mut changed)?;
            trailers = if taken { &[] } else { trailers };
        } else if drained {
            transform.flush(&mut changed)?;
        }
        self.sink.append(out, &changed);
        if self.body.is_done() {
            self.sink.end(trailers, out);
        }
        Ok(moved)
    }

    /// The body has gone through it: whoever reads slowly must not keep its memory.
    pub(crate) fn give_back_encoder(&mut self) {
        self.transform.take_if(|transform| matches!(**transform, Transform::Compress(_)));
    }
}

/// A body that is not what it says: the client notices by its connection's or stream's end.
fn fault(reason: Reason) -> Failure {
    Failure { status: 0, ..Failure::upstream(Reject::response(reason)) }
}

/// What was at the front of the block.
pub(crate) enum Arrived {
    Partial,
    /// 1xx, to be passed on; the real response follows. Empty if the client cannot take it.
    Interim(Text),
    Final(Reply),
}

/// Reads a response head from the front of `block` and consumes it.
pub(crate) fn read_head(
    block: &mut Block,
    exchange: &Exchange,
    filters: &mut FilterPhase<'_>,
    forwarding: &Forwarding,
    close: bool,
    try_again: impl FnOnce(u16) -> bool,
) -> Result<Arrived, Failure> {
    let (arrived, used) = examine(block.filled(), exchange, filters, forwarding, close, try_again)?;
    block.consume(used);
    Ok(arrived)
}

/// What is at the front of `bytes`, and how many of them it takes.
fn examine(
    bytes: &[u8],
    exchange: &Exchange,
    filters: &mut FilterPhase<'_>,
    forwarding: &Forwarding,
    close: bool,
    try_again: impl FnOnce(u16) -> bool,
) -> Result<(Arrived, usize), Failure> {
    let mut storage = HeaderBuffer::new();
    let parsed = parse_response(bytes, exchange.answers, &RESPONSE_LIMITS, &mut storage);
    let Some(head) = parsed.map_err(Failure::upstream)? else { return Ok((Arrived::Partial, 0)) };
    if head.status == 101 && !head.upgrade.is_some_and(|chosen| may_switch(&exchange.offered, chosen)) {
        return Err(Failure::UNEXPECTED_UPGRADE);
    }
    let ignored = exchange.facts.version == Version::Http2 && exchange.may_tunnel;
    if ignored && exchange.answers != Answers::Connect && (200..300).contains(&head.status) {
        // RFC 8441 §5: it would say that the WebSocket is open.
        return Err(Failure::UPGRADE_IGNORED);
    }
    let arrived = judge(&head, exchange, filters, forwarding, close, try_again)?;
    Ok((arrived, head.length))
}

/// A response head of a stream.
pub(crate) fn take_fields(
    fields: &Fields,
    exchange: &Exchange,
    filters: &mut FilterPhase<'_>,
    forwarding: &Forwarding,
    close: bool,
    try_again: impl FnOnce(u16) -> bool,
) -> Result<Arrived, Failure> {
    let mut storage = HeaderBuffer::new();
    let mut head = fields.response(exchange.answers, &mut storage).map_err(Failure::upstream)?;
    if exchange.is_websocket && head.status < 300 && head.status >= 200 {
        // RFC 8441 §5: what an extended CONNECT is answered with is what HTTP/1.1 calls a switch.
        (head.status, head.upgrade, head.framing) = (101, Some(&b"websocket"[..]), Framing::None);
    }
    judge(&head, exchange, filters, forwarding, close, try_again)
}

fn judge(
    head: &ResponseHead<'_, '_>,
    exchange: &Exchange,
    filters: &mut FilterPhase<'_>,
    forwarding: &Forwarding,
    close: bool,
    try_again: impl FnOnce(u16) -> bool,
) -> Result<Arrived, Failure> {
    Ok(match head.status {
        100 | 102..=199 => Arrived::Interim(interim(head, &exchange.facts)),
        status if try_again(status) => return Err(Failure::RETRYABLE_STATUS),
        status => {
            filters.run(status);
            Arrived::Final(translate(head, exchange, filters, forwarding, close))
        }
    })
}

/// The filters' response phase, run once, when the final head is known.
pub(crate) struct FilterPhase<'f> {
    pub(crate) chain: &'f trunkline_filter::Chain,
    pub(crate) compression: Option<&'f Policy>,
    /// A cookie that the client needs.
    pub(crate) reminder: Option<Reminder<'f>>,
    pub(crate) exchange: &'f mut trunkline_filter::Exchange,
    pub(crate) now_ns: u64,
    pub(crate) latency_ns: u64,
}

impl FilterPhase<'_> {
    fn run(&mut self, status: u16) {
        self.chain.response(self.exchange, Some(status), self.now_ns, self.latency_ns);
    }
}

/// 1xx responses pass to clients that know them (RFC 9110 §15.2).
fn interim(head: &ResponseHead<'_, '_>, facts: &Facts) -> Text {
    let mut out = Text::take();
    if facts.version != Version::Http10 {
        encode::status_line(&mut out, Version::Http11, head.status, head.reason);
        encode::headers(&mut out, head.headers, |header| header.field == Field::Other);
        out.extend_from_slice(b"\r\n");
    }
    out
}

fn translate(
    head: &ResponseHead<'_, '_>,
    exchange: &Exchange,
    filters: &FilterPhase<'_>,
    forwarding: &Forwarding,
    close: bool,
) -> Reply {
    let connect = exchange.answers == Answers::Connect;
    let tunnels = head.status == 101 || (connect && head.status < 300);
    let (edits, policy) = (filters.exchange.response_edits(), filters.compression);
    // A HEAD that the route made another method: its response has a body that the client must not get.
    let unwanted = exchange.is_head && exchange.answers != Answers::Head && head.framing != Framing::None;
    let (decision, compressor) = compression(head, exchange, policy);
    let web = web_content_type(head, exchange);
    let changes = web.is_some() || decision.coding().is_some();
    // Neither form of the body has the length that was declared.
    let length = if changes { None } else { head.content_length };
    let framing = if changes && head.framing != Framing::None { Framing::Chunked } else { head.framing };
    let trailers = exchange.facts.call.is_some() || edits.is_empty();
    let (body, sink, declared) = framing_for(head, framing, exchange.facts.version, trailers);
    let (body, declared) = if unwanted { (Source::Nothing, Framing::None) } else { (body, declared) };
    // A stream's end says that there is no body; in HTTP/1.1 a length has to.
    let says_nothing = head.version == Version::Http2 && head.framing == Framing::None && length.is_none();
    let may_have_body = exchange.answers != Answers::Head && !matches!(head.status, 204 | 304);
    let length = if says_nothing && may_have_body { Some(0) } else { length };
    let ends_with_close = sink == Sink::Raw && declared == Framing::UntilClose;
    // Behind a CONNECT that was refused may come bytes that were meant for the tunnel; they must not be read as a request.
    let closes = !tunnels && (close || !exchange.facts.keep_alive || ends_with_close || connect);
    let mut out = Text::take();
    // RFC 9110 §6.6.1: what a server without a clock sends is dated here, unless the route takes that out or sets its own.
    let mut dated = edits.removes("date");
    encode::status_line(&mut out, Version::Http11, head.status, reason_of(head));
    encode::headers(&mut out, head.headers, |header| {
        dated |= date::is_date(header.name);
        !matches!(header.field, Field::HopByHop | Field::Framing)
            && !edits.removes(header.name)
            && decision.keeps(header.name)
            && (web.is_none() || !trunkline_grpc::web::drops_response_line(header.name))
    });
    let kept = pairs(head).filter(|(name, _)| !edits.removes(name));
    decision.lines(kept, |name, value| encode::header(&mut out, name, value));
    if let Some((content_type, form)) = &web {
        trunkline_grpc::web::write_response_lines(&mut out, content_type, *form);
    }
    edits.appended().for_each(|(name, value)| encode::header(&mut out, name, &decision.revised(name, value)));
    if let Some(reminder) = &filters.reminder {
        reminder.write(&mut out);
    }
    if !dated {
        date::write(&mut out, filters.now_ns);
    }
    if let Some(via) = forwarding.via(head.version) {
        encode::header(&mut out, "Via", via);
    }
    if !tunnels {
        // RFC 9110 §8.6: no Content-Length in 204.
        encode::framing(&mut out, declared, length.filter(|_| head.status != 204));
    }
    if tunnels && exchange.facts.version == Version::Http11 && head.version == Version::Http2 {
        out.extend_from_slice(exchange.websocket_accept.as_bytes());
    }
    connection_line(&mut out, head, tunnels, closes, exchange.facts.version == Version::Http10);
    out.extend_from_slice(b"\r\n");
    Reply {
        status: head.status,
        head: out,
        transform: transform_for(&body, compressor, web.map(|(_, form)| form)).map(Box::new),
        body,
        sink,
        upstream_keeps: head.keep_alive && !tunnels && !unwanted,
        closes,
        tunnels,
    }
}

/// HTTP/2 has no reason phrases, and clients of HTTP/1.1 that want one.
fn reason_of<'b>(head: &ResponseHead<'b, '_>) -> &'b [u8] {
    if head.version == Version::Http2 { phrase(head.status).as_bytes() } else { head.reason }
}

/// What the client is told of the body's coding, and what gives it one. Nothing is not compressed; neither is what there is no encoder
/// for.
fn compression(
    head: &ResponseHead<'_, '_>,
    exchange: &Exchange,
    policy: Option<&Policy>,
) -> (Decision, Option<Transform>) {
    let Some(policy) = policy else { return (Decision::Untouched, None) };
    let decision = policy.decide(exchange.coding, head.status, head.content_length, pairs(head));
    let Some(coding) = decision.coding() else { return (decision, None) };
    if head.framing == Framing::None {
        // The response to HEAD says what that to GET would.
        let of_head = exchange.answers == Answers::Head && head.content_length != Some(0);
        return (if of_head { decision } else { Decision::Vary }, None);
    }
    match Transform::compress(coding, policy.levels()) {
        None => (Decision::Vary, None),
        compressor => (decision, compressor),
    }
}

/// A gRPC response for a browser: its content type, and the form that is wanted.
fn web_content_type<'b>(head: &ResponseHead<'b, '_>, exchange: &Exchange) -> Option<(ContentType<'b>, Form)> {
    let Some(Call::Web { wanted, .. }) = exchange.facts.call else { return None };
    let content_type = ContentType::parse(trunkline_http::find(head.headers, "content-type")?)?;
    Some((content_type, wanted))
}

fn transform_for(body: &Source, compressor: Option<Transform>, web: Option<Form>) -> Option<Transform> {
    let web = web.map(|form| Transform::Web(ResponseBridge::new(form)));
    web.or(compressor).filter(|_| !body.is_done())
}

fn pairs<'h>(head: &'h ResponseHead<'_, '_>) -> impl Iterator<Item = (&'h str, &'h [u8])> + Clone {
    head.headers.iter().map(|header| (header.name, header.value))
}

fn connection_line(
    out: &mut Vec<u8>,
    head: &ResponseHead<'_, '_>,
    tunnels: bool,
    closes: bool,
    http10: bool,
) {
    if closes {
        out.extend_from_slice(b"Connection: close\r\n");
    } else if http10 && !tunnels {
        out.extend_from_slice(b"Connection: keep-alive\r\n");
    }
    if let Some(protocols) = head.upgrade.filter(|_| !http10) {
        out.extend_from_slice(b"Connection: upgrade\r\n");
        encode::header(out, "Upgrade", protocols);
    }
}

/// Where the body comes from, how it goes out, and what the head says about it. A client of HTTP/1.0 knows no chunks: its
/// body ends with the connection.
fn framing_for(
    head: &ResponseHead<'_, '_>,
    framing: Framing,
    client: Version,
    trailers: bool,
) -> (Source, Sink, Framing) {
    let streams = head.version == Version::Http2;
    let source = match head.framing {
        Framing::None => Source::Nothing,
        _ if streams => Source::Stream,
        Framing::Length(length) => Source::Length(length),
        Framing::Chunked => Source::chunked(connection_options(head.headers)),
        Framing::UntilClose => Source::UntilClose,
    };
    let (sink, declared) = match (client, framing) {
        (Version::Http2, framing) => (Sink::Frames { trailers }, framing),
        (_, framing @ (Framing::None | Framing::Length(_))) => (Sink::Raw, framing),
        (Version::Http10, _) => (Sink::Raw, Framing::UntilClose),
        (Version::Http11, _) => (Sink::Chunked { trailers }, Framing::Chunked),
    };
    (source, sink, declared)
}
