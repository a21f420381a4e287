//! A client: an HTTP/1.1 connection, from which requests are read one after another, each answered before the next is looked at; or one
//! stream of HTTP/2, which is one request.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use trunkline_http::{Reason, Reject};

use crate::block::Block;
use crate::clock;
use crate::exchange::{Admission, Desk, unreadable};
use crate::facts::Facts;
use crate::failure::Failure;
use crate::filter_state::FilterState;
use crate::forwarding::Peer;
use crate::settle::Tally;
use crate::snapshot::Listener;
use crate::timer::Deadline;
use crate::transport::Transport;
use crate::wire::{Message, Wire};
use crate::worker::Worker;

/// How long a connection that ends with unread bytes is kept for the client to read our answer (RFC 9112 §9.6) …
pub(crate) const LINGER_MS: u64 = 1_000;
/// … and how much it may still send in that time.
pub(crate) const LINGER_BYTES: usize = 256 * 1024;

pub(crate) struct Client {
    pub(crate) worker: Rc<Worker>,
    pub(crate) listener: Arc<Listener>,
    pub(crate) wire: Wire,
    pub(crate) deadline: Deadline,
    pub(crate) peer: Rc<Peer>,
    served: u32,
    /// The configuration no longer has this listener: the present request is the last.
    orphaned: bool,
}

/// What happens to the connection after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    Request,
    /// The answer is complete, and its last one.
    Close,
    /// Close, but let the client finish reading: it is still sending.
    Linger,
    /// The answer broke off, or there is nobody to read it.
    Cut,
}

impl Client {
    pub(crate) fn new(worker: Rc<Worker>, listener: Arc<Listener>, wire: Wire, peer: Rc<Peer>) -> Self {
        let deadline = Deadline::new(&worker.timer);
        Self { worker, listener, wire, deadline, peer, served: 0, orphaned: false }
    }

    /// Serves the request of a stream.
    pub(crate) async fn serve_stream(self, admission: Admission, filters: &mut trunkline_filter::Exchange) {
        let is_call = admission.is_call();
        let mut block = Block::none();
        let Some(response) = self.respond(admission, &mut block, filters) else { return };
        match (response.await, self.wire.stream()) {
            (Next::Cut, Some(stream)) => stream.abort(),
            // A stream that is reset while its client still sends may take the answer with it. An answer that is a head alone ends the
            // stream as it comes; curl 7.88 waits for ever if no reset follows.
            (Next::Linger, _) if !is_call => self.linger(&mut Block::ordinary()).await,
            _ => {}
        }
    }

    /// Does what was decided; `None` = there is nobody left. Boxed, because an idle connection would carry its 1.6 KB otherwise: 2.9
    /// instead of 1.9 KB for each.
    fn respond<'r>(
        &'r self,
        admission: Admission,
        block: &'r mut Block,
        filters: &'r mut trunkline_filter::Exchange,
    ) -> Option<Pin<Box<dyn Future<Output = Next> + 'r>>> {
        Some(match admission {
            Admission::Forward(exchange) => in_place(|| self.forward(exchange, block, filters)),
            Admission::Refuse(refused) => in_place(|| self.refuse(refused, block, filters)),
            Admission::Answer(answered) => in_place(|| self.answer(answered, block, filters)),
            Admission::Partial => return None,
        })
    }

    /// Serves until one side has had enough; `block` holds what was read already.
    pub(crate) async fn serve(&mut self, mut block: Option<Block>) {
        loop {
            if block.is_none() {
                block = self.first_bytes().await;
            }
            let Some(filled) = block.as_mut() else { return };
            let mut filters = FilterState::take();
            let Some(admission) = self.admission(filled, &mut filters).await else { return };
            let Some(response) = self.respond(admission, filled, &mut filters) else { return };
            let next = response.await;
            drop(filters);
            self.served += 1;
            match next {
                Next::Request if filled.is_empty() => block = None,
                Next::Request => {}
                Next::Close if self.has_had_enough(filled) => return,
                Next::Close | Next::Linger => return Box::pin(self.linger(filled)).await,
                Next::Cut => return,
            }
        }
    }

    /// Waits for a request without holding a buffer. `None` = the connection ends here.
    pub(crate) async fn first_bytes(&self) -> Option<Block> {
        let timeouts = &self.listener.timeouts;
        let wait_ms = if self.served == 0 { timeouts.request_head_ms } else { timeouts.keep_alive_ms };
        self.deadline.arm(clock::now_ms(), wait_ms);
        poll_fn(|context| match self.wire.poll_block(context) {
            Poll::Ready(read) => Poll::Ready(read.ok()),
            Poll::Pending => {
                let over = self.worker.closes_idle() || self.deadline.poll_expired(context).is_ready();
                if over { Poll::Ready(None) } else { Poll::Pending }
            }
        })
        .await
    }

    /// Whether the client expects the end and has sent nothing beyond its last request.
    fn has_had_enough(&self, block: &Block) -> bool {
        !self.must_close() && block.is_empty() && self.wire.is_quiet()
    }

    /// Reads until the head is complete and decides about it. `None` = the client has gone.
    async fn admission(
        &mut self,
        block: &mut Block,
        filters: &mut trunkline_filter::Exchange,
    ) -> Option<Admission> {
        let started_ns = clock::now_ns();
        self.refresh();
        match self.desk(started_ns, started_ns).admit(block, filters) {
            Admission::Partial => Box::pin(self.rest_of_head(block, filters, started_ns)).await,
            admission => Some(admission),
        }
    }

    fn desk(&self, started_ns: u64, now_ns: u64) -> Desk<'_> {
        Desk { listener: &self.listener, peer: &self.peer, worker: self.worker.index, started_ns, now_ns }
    }

    /// The slow way to a head. It is parsed again only when a line has ended, so that a client that sends one byte at a time
    /// costs one parse per line, not per byte.
    async fn rest_of_head(
        &self,
        block: &mut Block,
        filters: &mut trunkline_filter::Exchange,
        started_ns: u64,
    ) -> Option<Admission> {
        block.compact();
        self.deadline.arm(started_ns / 1_000_000, self.listener.timeouts.request_head_ms);
        loop {
            if block.spare().is_empty() {
                let failure = Failure::client(Reject::request(Reason::HeadTooLarge));
                return Some(unreadable(failure, Facts::unread(started_ns)));
            }
            let count = match self.wire.read(block.spare(), &self.deadline).await {
                Ok(count @ 1..) => count,
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    return Some(unreadable(Failure::HEAD_TIMEOUT, Facts::unread(started_ns)));
                }
                Ok(0) | Err(_) => {
                    self.vanished(started_ns);
                    return None;
                }
            };
            let before = block.filled().len();
            block.advance(count);
            let (known, fresh) = block.filled().split_at(before);
            let first_line_is_long =
                before + count > self.listener.limits.target_bytes && !known.contains(&b'\n');
            if memchr::memchr(b'\n', fresh).is_none() && !first_line_is_long && !block.spare().is_empty() {
                continue;
            }
            match self.desk(started_ns, clock::now_ns()).admit(block, filters) {
                Admission::Partial => {}
                admission => return Some(admission),
            }
        }
    }

    /// Takes over a new snapshot. A listener that is gone serves its open connections to their end.
    fn refresh(&mut self) {
        let generation = self.worker.generation();
        if generation != self.listener.generation {
            self.worker.refresh();
            match self.worker.listener(&self.listener.name) {
                Some(listener) => self.listener = listener,
                None => self.orphaned = true,
            }
        }
    }

    /// Whether the answer to the present request has to announce the end of the connection.
    pub(crate) fn must_close(&self) -> bool {
        let limit = self.listener.limits.requests_per_connection;
        self.orphaned || self.worker.is_draining() || (limit > 0 && self.served + 1 >= limit)
    }

    fn vanished(&self, started_ns: u64) {
        let facts = Facts::unread(started_ns);
        self.settle(&facts, None, None, &Tally::failed(Failure::CLIENT_CLOSED), None);
    }

    /// A connection on which no request can come.
    pub(crate) fn refused(&self, failure: Failure) {
        self.settle(&Facts::unread(clock::now_ns()), None, None, &Tally::failed(failure), None);
    }

    /// What a connection of HTTP/2 is made of.
    pub(crate) fn into_connection(self) -> Option<(Transport, Rc<Peer>)> {
        match self.wire {
            Wire::Http1(transport) => Some((transport, self.peer)),
            Wire::Http2(_) => None,
        }
    }

    pub(crate) async fn send(&self, message: Message<'_>) -> io::Result<()> {
        self.deadline.arm(clock::now_ms(), self.listener.timeouts.body_idle_ms);
        self.wire.send(message, &self.deadline).await
    }

    /// Says that we are done and reads on for a while: closing a socket with unread bytes resets it, and the reset may destroy
    /// the answer on its way.
    pub(crate) async fn linger(&self, block: &mut Block) {
        self.wire.finish();
        self.deadline.arm(clock::now_ms(), LINGER_MS);
        let mut total = 0;
        while total < LINGER_BYTES {
            block.clear();
            match self.wire.read(block.spare(), &self.deadline).await {
                Ok(count @ 1..) => total += count,
                _ => return,
            }
        }
    }
}

/// As `Box::pin`, which makes the future on the stack and copies all of it, though only its arguments mean anything yet.
#[inline]
fn in_place<'f, F: Future<Output = Next> + 'f>(
    make: impl FnOnce() -> F,
) -> Pin<Box<dyn Future<Output = Next> + 'f>> {
    let boxed: Box<F> = Box::write(Box::new_uninit(), make());
    Box::into_pin(boxed)
}
