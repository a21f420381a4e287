//! Taking the body of a request in before a server is chosen, up to a size: while the client is slow no server has to wait, and what is
//! here whole may be sent again. A body that turns out larger is passed on from there as it comes.
//!
//! Only what fits is begun with: a declared length above the size is passed on at once. Trailers end the attempt, too: they travel only
//! behind a body that is passed on. And what a worker holds in all has a bound: above it nothing more is taken in.

use std::cell::Cell;
use std::rc::Rc;

use trunkline_http::{Framing, Reject, RequestHead, encode};

use crate::block::Block;
use crate::body::{Sink, Source};
use crate::client::Client;
use crate::clock;
use crate::exchange::Exchange;
use crate::failure::Failure;
use crate::h2::Stream;
use crate::patience::Total;
use crate::snapshot::Route;
use crate::upload::Progress;
use crate::worker::Worker;

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
/// The end of a head whose body comes in chunks.
const IN_CHUNKS: &[u8] = b"Transfer-Encoding: chunked\r\n\r\n";

/// Of all bodies that a worker has taken in; a thousand of the usual 64 KB.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// Bytes of bodies that a worker holds.
#[derive(Debug, Default)]
pub(crate) struct Held(Cell<usize>);

/// A request's part of them, until it is over.
pub(crate) struct Share {
    worker: Rc<Worker>,
    bytes: usize,
}

impl Share {
    fn none(worker: &Rc<Worker>) -> Self {
        Self { worker: Rc::clone(worker), bytes: 0 }
    }

    /// So many bytes are here now; whether more may come.
    fn resize(&mut self, bytes: usize) -> bool {
        let Held(held) = &self.worker.held;
        held.set(held.get().saturating_sub(self.bytes).saturating_add(bytes));
        self.bytes = bytes;
        held.get() < MOST_BYTES
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.resize(0);
    }
}

/// A body that is to be taken in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Intake {
    /// The client waits until it is told to send (RFC 9110 §10.1.1).
    expects_continue: bool,
}

impl Intake {
    /// `None`: it is passed on as it comes. `web`: it is translated on the way.
    pub(crate) fn of(route: &Route, head: &RequestHead<'_, '_>, web: bool) -> Option<Self> {
        let most_bytes = route.buffer_request_bytes;
        let fits = match head.framing {
            Framing::Length(length) => length <= most_bytes,
            Framing::Chunked => most_bytes > 0,
            Framing::None | Framing::UntilClose => false,
        };
        let tunnels = head.upgrade.is_some() || head.method == "CONNECT";
        (fits && !web && !tunnels).then_some(Self { expects_continue: head.expects_continue })
    }
}

/// What became of a body.
struct Taken {
    bytes: Vec<u8>,
    share: Share,
    /// Where it goes on.
    source: Source,
}

impl Taken {
    /// All of it is here that the server gets.
    fn is_whole(&self, sink: Sink) -> bool {
        let passes = matches!(sink, Sink::Chunked { trailers: true } | Sink::Frames { trailers: true });
        self.source.is_done() && (self.source.trailers().is_empty() || !passes)
    }
}

impl Client {
    /// Takes the body in; how far it got, and what went wrong.
    pub(crate) async fn take_in(
        &self,
        intake: Intake,
        route: &Route,
        exchange: &mut Exchange,
        block: &mut Block,
        total: Total,
    ) -> (Progress, Option<Failure>) {
        let progress = Progress::default();
        let taken = match self.take_body(intake, route.buffer_request_bytes, exchange, block, total).await {
            Ok(taken) => taken,
            Err(failure) => return (progress, Some(failure)),
        };
        let sink = exchange.sink();
        let whole = taken.is_whole(sink);
        exchange.held = Some(taken.share);
        if whole {
            exchange.complete(&taken.bytes);
        } else {
            sink.append(&mut exchange.outgoing, &taken.bytes);
            progress.bytes.set(taken.bytes.len() as u64);
            progress.source.set(Some(taken.source));
        }
        (progress, None)
    }

    async fn ask_for_body(&self, total: Total) -> Result<(), Failure> {
        self.deadline.arm(clock::now_ms(), self.listener.timeouts.body_idle_ms);
        let asked = match self.wire.stream() {
            Some(stream) => stream.send_head(CONTINUE, false),
            None => self.wire.write_all(CONTINUE, &self.deadline).await,
        };
        asked.map_err(|error| self.receive_failure(&error, total))
    }

    async fn take_body(
        &self,
        intake: Intake,
        most_bytes: u64,
        exchange: &Exchange,
        block: &mut Block,
        total: Total,
    ) -> Result<Taken, Failure> {
        if intake.expects_continue && block.is_empty() {
            self.ask_for_body(total).await?;
        }
        let share = Share::none(&self.worker);
        let mut taken = Taken { bytes: Vec::new(), share, source: self.source(exchange) };
        let mut own = Block::none();
        let block = if self.wire.stream().is_some() { &mut own } else { block };
        loop {
            let moved = taken.source.transfer(block, Sink::Raw, &mut taken.bytes);
            moved.map_err(|reason| Failure::client(Reject::request(reason)))?;
            let length = taken.bytes.len() as u64;
            if length > exchange.body_limit {
                return Err(Failure::BODY_TOO_LARGE);
            }
            let has_room = taken.share.resize(taken.bytes.len());
            if taken.source.is_done() || length > most_bytes || !has_room {
                return Ok(taken);
            }
            if self.receive(block, total).await? == 0 && !self.close(&mut taken.source) {
                return Err(Failure::CLIENT_CLOSED);
            }
        }
    }

    fn source(&self, exchange: &Exchange) -> Source {
        match (self.wire.stream(), exchange.pending) {
            (Some(_), _) => Source::Stream,
            (None, Framing::Length(length)) => Source::Length(length),
            (None, _) => Source::chunked(exchange.connection.clone()),
        }
    }

    /// The client sends no more; false if its body ends otherwise.
    fn close(&self, source: &mut Source) -> bool {
        source.close(self.wire.stream().and_then(Stream::trailers))
    }

    /// Reads some bytes into a block whose own have been taken.
    async fn receive(&self, block: &mut Block, total: Total) -> Result<usize, Failure> {
        if self.wire.stream().is_some() {
            *block = Block::ordinary();
        }
        block.clear();
        self.deadline.arm(clock::now_ms(), self.listener.timeouts.body_idle_ms);
        let read = self.wire.read(block.spare(), &self.deadline).await;
        let count = read.map_err(|error| self.receive_failure(&error, total))?;
        block.advance(count);
        Ok(count)
    }

    fn receive_failure(&self, error: &std::io::Error, total: Total) -> Failure {
        match error.kind() {
            std::io::ErrorKind::TimedOut => self.late(total, Failure::BODY_TIMEOUT),
            _ => Failure::CLIENT_CLOSED,
        }
    }
}

/// A head that announces chunks says this length instead.
pub(crate) fn say_length(head: &mut Vec<u8>, body_bytes: usize) {
    if head.ends_with(IN_CHUNKS) {
        head.truncate(head.len() - IN_CHUNKS.len());
        encode::framing(head, Framing::Length(body_bytes as u64), None);
        head.extend_from_slice(b"\r\n");
    }
}

impl Exchange {
    /// How a body that is passed on is framed for the server.
    pub(crate) fn sink(&self) -> Sink {
        match self.pending {
            _ if self.to_stream => Sink::Frames { trailers: self.trailers },
            Framing::Length(_) => Sink::Raw,
            _ => Sink::Chunked { trailers: self.trailers },
        }
    }

    /// The whole body is here: it goes out with the head, which says its length, and again if need be.
    pub(crate) fn complete(&mut self, body: &[u8]) {
        // Servers of gRPC need no length, and their own clients send none.
        let is_call = self.to_stream && self.facts.call.is_some();
        if !is_call {
            say_length(&mut self.outgoing, body.len());
            self.head_bytes = self.outgoing.len();
        }
        self.outgoing.extend_from_slice(body);
        self.facts.body_bytes = body.len() as u64;
        self.pending = Framing::None;
    }
}
