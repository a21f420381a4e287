//! One request on its way: what is decided when its head has arrived, all of it without waiting. Parse, route, filter, rewrite,
//! and write the head that the upstream will get.

use std::cell::Cell;

use smallvec::SmallVec;
use trunkline_compress::Coding;
use trunkline_filter::{Remembered, Rewrite};
use trunkline_http::{
    Answers, Framing, HeaderBuffer, RequestHead, connection_options, host_of, normalise, parse_request,
};

use crate::block::{Block, ORDINARY_BYTES, Text};
use crate::buffering::{Intake, Share};
use crate::facts::Facts;
use crate::failure::{Failure, Side};
use crate::forwarding::Peer;
use crate::grpc::Call;
use crate::hash_key::Key;
use crate::hops;
use crate::snapshot::{Listener, Route};
use crate::{sticky, websocket};

/// A request that was admitted, ready for the upstream.
#[allow(clippy::struct_excessive_bools)] // independent facts
pub(crate) struct Exchange {
    pub(crate) facts: Facts,
    /// When the head was complete: from here on the time is ours and the upstream's.
    pub(crate) admitted_ns: u64,
    pub(crate) route: usize,
    /// Of the route's split.
    pub(crate) side: usize,
    /// The head for the upstream, and the body behind it if all of it has arrived.
    pub(crate) outgoing: Text,
    pub(crate) head_bytes: usize,
    /// The body that is still to come from the client.
    pub(crate) pending: Framing,
    /// That is to be taken in first.
    pub(crate) intake: Option<Intake>,
    /// What the worker holds of its body.
    pub(crate) held: Option<Share>,
    /// What the method that is sent allows its response to be; a route may have changed it.
    pub(crate) answers: Answers,
    /// The client asked for a head only.
    pub(crate) is_head: bool,
    /// Whether trailers are passed on: where headers are changed, they could bring back what was taken out.
    pub(crate) trailers: bool,
    /// What `Connection` says, for the trailers that chunks may bring.
    pub(crate) connection: Vec<u8>,
    /// What a gRPC client gave its call; 0 = all the time.
    pub(crate) timeout_ms: u64,
    /// How the client would like the body compressed, on a route that does.
    pub(crate) coding: Option<Coding>,
    /// A WebSocket that goes over HTTP/2 (RFC 8441).
    pub(crate) is_websocket: bool,
    /// What a client of HTTP/1.1 is answered then (RFC 6455 §4.2.2), as a line.
    pub(crate) websocket_accept: String,
    /// What the client offered in `Upgrade`.
    pub(crate) offered: Vec<u8>,
    /// It offered to change the protocol, or asked for a tunnel.
    pub(crate) may_tunnel: bool,
    /// The method may be sent again after a try that got no answer.
    pub(crate) may_repeat: bool,
    /// The server speaks HTTP/2.
    pub(crate) to_stream: bool,
    pub(crate) key: Key,
    /// Of a copy for the route's mirror, if there is to be one.
    pub(crate) mirror_key: Option<Box<Key>>,
    /// Where the client was before, by its cookie.
    pub(crate) remembered: Option<Remembered>,
    pub(crate) delay_ns: u64,
    pub(crate) body_limit: u64,
}

/// A body that is here may be as long as this to go out with its head.
const WHOLE_BYTES: usize = ORDINARY_BYTES;

impl Exchange {
    /// May be sent again after a try that got no answer.
    pub(crate) fn is_repeatable(&self) -> bool {
        self.may_repeat && self.pending == Framing::None
    }

    /// How long a body may be for [`Self::complete`]; that of a browser's call is translated on its way.
    pub(crate) fn body_room(&self) -> usize {
        if self.facts.web_form().is_some() { 0 } else { self.body_limit.min(WHOLE_BYTES as u64) as usize }
    }

    /// What a response on a stream will look like.
    pub(crate) fn stream_answers(&self) -> Answers {
        if self.is_websocket { Answers::Connect } else { self.answers }
    }
}

/// What became of the bytes so far. Boxed, because 384 bytes were copied four times on their way otherwise.
pub(crate) enum Admission {
    /// The head is not complete.
    Partial,
    Forward(Box<Exchange>),
    /// Refused: answer and, unless the request can be skipped, close.
    Refuse(Box<Refused>),
    /// A filter answers itself.
    Answer(Box<Answered>),
}

impl Admission {
    /// Whether its client speaks gRPC.
    pub(crate) fn is_call(&self) -> bool {
        let facts = match self {
            Self::Partial => None,
            Self::Forward(exchange) => Some(&exchange.facts),
            Self::Refuse(refused) => Some(&refused.facts),
            Self::Answer(answered) => Some(&answered.facts),
        };
        facts.is_some_and(|facts| facts.call.is_some())
    }
}

pub(crate) struct Refused {
    pub(crate) failure: Failure,
    pub(crate) facts: Facts,
    pub(crate) route: Option<usize>,
    /// For 405 (RFC 9110 §15.5.6).
    pub(crate) allow: Option<String>,
    /// For the log: which routes came close.
    pub(crate) detail: String,
    /// No body follows, so the next request can be read.
    pub(crate) reusable: bool,
    pub(crate) is_head: bool,
}

pub(crate) struct Answered {
    pub(crate) refusal: trunkline_filter::Refusal,
    pub(crate) facts: Facts,
    pub(crate) route: Option<usize>,
    /// For an OPTIONS that ends here.
    pub(crate) allow: Option<String>,
    pub(crate) reusable: bool,
    pub(crate) is_head: bool,
}

/// At most so many explanations per second and worker: 10 000 routes take 0.35 ms each.
const NEAR_MISSES_PER_SECOND: u32 = 20;

thread_local! {
    static NEAR_MISSES: PerSecond = const { PerSecond { second: Cell::new(0), taken: Cell::new(0) } };
}

/// A budget that is full again each second.
struct PerSecond {
    second: Cell<u64>,
    taken: Cell<u32>,
}

impl PerSecond {
    fn take(&self, now_ns: u64) -> bool {
        let second = now_ns / 1_000_000_000;
        if self.second.replace(second) != second {
            self.taken.set(0);
        }
        self.taken.set(self.taken.get().saturating_add(1));
        self.taken.get() <= NEAR_MISSES_PER_SECOND
    }
}

/// Who is asking, and for whom.
pub(crate) struct Desk<'d> {
    pub(crate) listener: &'d Listener,
    pub(crate) peer: &'d Peer,
    pub(crate) worker: usize,
    /// When the request began to arrive.
    pub(crate) started_ns: u64,
    pub(crate) now_ns: u64,
}

impl Desk<'_> {
    /// Reads a request from the front of `block` and decides. Consumes the head, and the body if it has arrived whole.
    pub(crate) fn admit(&self, block: &mut Block, filters: &mut trunkline_filter::Exchange) -> Admission {
        let (admission, used) = self.examine(block, filters);
        block.consume(used);
        admission
    }

    /// Decides about a request of a stream; `protocol` is that of an extended CONNECT (RFC 8441).
    pub(crate) fn admit_stream(
        &self,
        mut head: RequestHead<'_, '_>,
        protocol: Option<&str>,
        filters: &mut trunkline_filter::Exchange,
    ) -> Admission {
        let facts = self.facts(&[], 0, &head).copied(&head);
        match protocol {
            None => {}
            Some("websocket") => (head.method, head.upgrade) = ("GET", Some(&b"websocket"[..])),
            Some(_) => return unreadable(Failure::UNKNOWN_PROTOCOL, facts),
        }
        if head.upgrade.is_some() || head.method == "CONNECT" {
            // What follows is no content (RFC 9113 §8.5).
            head.framing = Framing::None;
        }
        self.decide(&[], &head, facts, filters).0
    }

    /// The decision, and how many bytes of the block it took.
    fn examine(&self, block: &Block, filters: &mut trunkline_filter::Exchange) -> (Admission, usize) {
        let mut storage = HeaderBuffer::new();
        let bytes = block.filled();
        let head = match parse_request(bytes, &self.listener.head_limits, &mut storage) {
            Ok(Some(head)) => head,
            Ok(None) => return (Admission::Partial, 0),
            Err(reject) => {
                let facts = Facts::unread(self.started_ns);
                return (unreadable(Failure::client(reject), facts), 0);
            }
        };
        let facts = self.facts(bytes, block.position(), &head);
        let (admission, body) = self.decide(bytes, &head, facts, filters);
        (admission, head.length + body)
    }

    fn facts(&self, bytes: &[u8], position: usize, head: &RequestHead<'_, '_>) -> Facts {
        let client = self.listener.forwarding.client(head, self.peer);
        Facts::of(head, client, bytes, position, self.started_ns)
    }

    /// The decision, and how many body bytes of the block it took.
    fn decide(
        &self,
        bytes: &[u8],
        head: &RequestHead<'_, '_>,
        facts: Facts,
        filters: &mut trunkline_filter::Exchange,
    ) -> (Admission, usize) {
        let listener = self.listener;
        let Ok(path) = normalise(if head.path.is_empty() { "/" } else { head.path }) else {
            return (
                unreadable(
                    Failure::client(trunkline_http::Reject::request(trunkline_http::Reason::BadTarget)),
                    facts,
                ),
                0,
            );
        };
        // A trusted proxy may have taken off the TLS.
        if head.scheme.is_some_and(|scheme| self.peer.contradicts(scheme))
            && !listener.forwarding.trusts(self.peer.address)
        {
            let refused = refused(Failure::WRONG_SCHEME, facts, head);
            return (Admission::Refuse(Box::new(Refused { reusable: false, ..refused })), 0);
        }
        if let Some(refusal) = listener.tokens.answer(head.method, head.path) {
            return (Admission::Answer(Box::new(answered(refusal, facts, None, head))), 0);
        }
        let mut lowered = SmallVec::<[u8; 64]>::new();
        let host = lower_case(host_of(head.authority), &mut lowered);
        let wanted = trunkline_route::Request { host, method: head.method, path: &path, query: head.query };
        let Some(found) = listener.router.find(&wanted, |name| trunkline_http::find(head.headers, name))
        else {
            return (self.unrouted(&wanted, head, facts), 0);
        };
        let Some(route) = listener.routes.get(found.route) else {
            return (unreadable(Failure::ROUTE_NOT_FOUND, facts), 0);
        };
        let mut facts = facts;
        if !route.grpc_web {
            // Whoever speaks gRPC-Web behind us answers in it.
            facts.call = facts.call.filter(|call| *call == Call::Grpc);
        }
        if let Some(failure) = self.over_limits(head, route) {
            let refused = Refused { route: Some(found.route), ..refused(failure, facts, head) };
            return (Admission::Refuse(Box::new(refused)), 0);
        }
        let params = found.params();
        let client = facts.client.unwrap_or(self.peer.address);
        let request = trunkline_filter::Request {
            head,
            path: &path,
            host,
            params: params.as_slice(),
            client,
            secure: self.peer.secure,
        };
        if let trunkline_filter::Verdict::Respond(refusal) =
            route.chain.request(&request, filters, self.now_ns)
        {
            return (Admission::Answer(Box::new(answered(refusal, facts, Some(found.route), head))), 0);
        }
        if hops::left(head) == Some(0) {
            route.chain.abandon(filters);
            return (self.end_here(&wanted, found.route, head, facts, filters), 0);
        }
        self.forward(bytes, &request, found.route, route, facts, filters)
    }

    pub(crate) fn over_limits(&self, head: &RequestHead<'_, '_>, route: &Route) -> Option<Failure> {
        let limit = self.listener.limits.body_bytes;
        if limit > 0 && head.content_length.is_some_and(|length| length > limit) {
            return Some(Failure::BODY_TOO_LARGE);
        }
        (head.method == "CONNECT" && !route.allows_connect).then_some(Failure::CONNECT_NOT_ALLOWED)
    }

    #[cold]
    fn unrouted(
        &self,
        wanted: &trunkline_route::Request<'_>,
        head: &RequestHead<'_, '_>,
        facts: Facts,
    ) -> Admission {
        let refusal = self.listener.router.refusal(wanted, |name| trunkline_http::find(head.headers, name));
        Admission::Refuse(Box::new(match refusal {
            trunkline_route::Refusal::NotFound => Refused {
                detail: self.near_misses(wanted, head),
                ..refused(Failure::ROUTE_NOT_FOUND, facts, head)
            },
            trunkline_route::Refusal::MethodNotAllowed(methods) => Refused {
                allow: Some(methods.join(", ")),
                ..refused(Failure::METHOD_NOT_ALLOWED, facts, head)
            },
        }))
    }

    /// Which routes came close, a few times per second: it takes a look at every route.
    fn near_misses(&self, wanted: &trunkline_route::Request<'_>, head: &RequestHead<'_, '_>) -> String {
        if !self.listener.access_log || !NEAR_MISSES.with(|budget| budget.take(self.now_ns)) {
            return String::new();
        }
        let explained = self.listener.router.explain(wanted, |name| trunkline_http::find(head.headers, name));
        let describe = |miss: &trunkline_route::NearMiss| {
            let name = self.listener.routes.get(miss.route).map_or("", |route| route.name.as_str());
            let failed: Vec<String> = miss.failed.iter().map(ToString::to_string).collect();
            format!("{name} ({})", failed.join("; "))
        };
        explained.near_misses.iter().map(describe).collect::<Vec<_>>().join(", ")
    }

    /// Writes what the upstream gets.
    fn forward(
        &self,
        bytes: &[u8],
        request: &trunkline_filter::Request<'_>,
        index: usize,
        route: &Route,
        facts: Facts,
        filters: &mut trunkline_filter::Exchange,
    ) -> (Admission, usize) {
        let head = request.head;
        let turn = self.turn(route);
        let side = route.sides.side(head, request.client, turn);
        let pool = route.sides.pool(side);
        let mut outgoing = Text::take();
        let web = facts.web_form().is_some();
        if let Err(reason) = self.write_head(&mut outgoing, request, route, pool, filters, web) {
            route.chain.abandon(filters);
            let failure = Failure { status: reason.status(), reason: reason.as_str(), side: Side::Client };
            let refused = Refused { route: Some(index), ..refused(failure, facts, head) };
            return (Admission::Refuse(Box::new(refused)), 0);
        }
        let head_bytes = outgoing.len();
        let rest = bytes.get(head.length..).unwrap_or_default();
        let mut facts = facts;
        let (pending, body) = match head.framing {
            Framing::Length(length) if length <= rest.len() as u64 && facts.web_form().is_none() => {
                outgoing.extend_from_slice(rest.get(..length as usize).unwrap_or_default());
                facts.body_bytes = length;
                (Framing::None, length as usize)
            }
            other => (other, 0),
        };
        let to_stream = pool.plan.protocol == crate::plan::Protocol::Http2;
        let is_websocket = to_stream && websocket::is_asked_for(head);
        let sent = route.rewrite.as_ref().and_then(Rewrite::method).unwrap_or(head.method);
        let facts_call = facts.call;
        let exchange = Box::new(Exchange {
            facts,
            admitted_ns: self.now_ns,
            route: index,
            side,
            outgoing,
            head_bytes,
            pending,
            intake: if pending == Framing::None { None } else { Intake::of(route, head, web) },
            held: None,
            answers: Answers::from_method(sent),
            is_head: head.method == "HEAD",
            trailers: facts_call.is_some() || filters.upstream_edits().is_empty(),
            connection: if pending == Framing::Chunked {
                connection_options(head.headers)
            } else {
                Vec::new()
            },
            timeout_ms: facts_call.and_then(|_| Call::timeout_ms(head)).unwrap_or(0),
            coding: route.compression.as_ref().and_then(|policy| policy.accepts(accepted(head))),
            is_websocket,
            websocket_accept: if is_websocket { websocket::accept_line(head) } else { String::new() },
            offered: head.upgrade.unwrap_or_default().to_vec(),
            may_tunnel: head.upgrade.is_some() || head.method == "CONNECT",
            may_repeat: route.retry.methods.iter().any(|known| known == sent),
            to_stream,
            key: pool.hash_key.as_ref().map_or_else(Key::new, |key| key.of(head, request.client)),
            mirror_key: route.mirror.as_ref().and_then(|target| target.key(head, request.client, turn)),
            remembered: pool.sticky.as_ref().and_then(|sticky| sticky::remembered(sticky, head)),
            delay_ns: filters.delay_ns(),
            body_limit: filters.body_limit().unwrap_or(u64::MAX).min(match self.listener.limits.body_bytes {
                0 => u64::MAX,
                limit => limit,
            }),
        });
        (Admission::Forward(exchange), body)
    }

    /// The number of the request among those of the route, where something goes by it.
    fn turn(&self, route: &Route) -> u64 {
        let counts = route.sides.division.is_some() || route.mirror.is_some();
        if counts { route.cells.get(self.worker).next_turn() } else { 0 }
    }
}

/// The values of `Accept-Encoding`.
fn accepted<'b>(head: &RequestHead<'b, '_>) -> impl Iterator<Item = &'b [u8]> + Clone {
    let lines = head.headers.iter().filter(|header| header.name.eq_ignore_ascii_case("accept-encoding"));
    lines.map(|header| header.value)
}

/// A refused request. Nothing of it can be skipped, so the connection ends after the answer.
#[cold]
pub(crate) fn unreadable(failure: Failure, facts: Facts) -> Admission {
    Admission::Refuse(Box::new(Refused {
        failure,
        facts,
        route: None,
        allow: None,
        detail: String::new(),
        reusable: false,
        is_head: false,
    }))
}

/// Whether what follows a refused request is the next one: neither its body nor early bytes for a tunnel.
fn is_reusable(head: &RequestHead<'_, '_>) -> bool {
    head.framing == Framing::None && head.upgrade.is_none() && head.method != "CONNECT"
}

pub(crate) fn answered(
    refusal: trunkline_filter::Refusal,
    facts: Facts,
    route: Option<usize>,
    head: &RequestHead<'_, '_>,
) -> Answered {
    let (reusable, is_head) = (is_reusable(head), head.method == "HEAD");
    Answered { refusal, facts, route, allow: None, reusable, is_head }
}

fn refused(failure: Failure, facts: Facts, head: &RequestHead<'_, '_>) -> Refused {
    Refused {
        failure,
        facts,
        route: None,
        allow: None,
        detail: String::new(),
        reusable: is_reusable(head),
        is_head: head.method == "HEAD",
    }
}

/// Hosts compare without regard to case (RFC 9110 §4.2.3); nearly all arrive in lower case.
fn lower_case<'t>(host: &'t str, lowered: &'t mut SmallVec<[u8; 64]>) -> &'t str {
    if !host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return host;
    }
    lowered.extend(host.bytes().map(|byte| byte.to_ascii_lowercase()));
    std::str::from_utf8(lowered).unwrap_or(host)
}
