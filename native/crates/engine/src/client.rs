//! One client connection: requests are read from it one after another, each is answered before the next is looked at.

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use crate::block::{Block, Text};
use crate::clock;
use crate::exchange::{Admission, Answered, Desk, Facts, Refused};
use crate::failure::{Failure, begin_answer, error_body};
use crate::filter_state::FilterState;
use crate::forwarding::Peer;
use crate::settle::Tally;
use crate::snapshot::Listener;
use crate::timer::Deadline;
use crate::transport::Transport;
use crate::worker::Worker;

/// How long a connection that ends with unread bytes is kept for the client to read our answer (RFC 9112 §9.6) …
const LINGER_MS: u64 = 1_000;
/// … and how much it may still send in that time.
const LINGER_BYTES: usize = 256 * 1024;

pub(crate) struct Client {
    pub(crate) worker: Rc<Worker>,
    pub(crate) listener: Arc<Listener>,
    pub(crate) transport: Transport,
    pub(crate) deadline: Deadline,
    pub(crate) peer: Peer,
    served: u32,
    /// The configuration no longer has this listener: the present request is the last.
    orphaned: bool,
}

/// What happens to the connection after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    Request,
    Close,
    /// Close, but let the client finish reading: it may still be sending.
    Linger,
}

impl Client {
    pub(crate) fn new(worker: Rc<Worker>, listener: Arc<Listener>, transport: Transport, peer: Peer) -> Self {
        let deadline = Deadline::new(&worker.timer);
        Self { worker, listener, transport, deadline, peer, served: 0, orphaned: false }
    }

    /// Serves until one side has had enough.
    pub(crate) async fn serve(mut self) {
        let mut block = None;
        loop {
            if block.is_none() {
                block = self.first_bytes().await;
            }
            let Some(filled) = block.as_mut() else { return };
            let mut filters = FilterState::take();
            let Some(admission) = self.admission(filled, &mut filters).await else { return };
            let next = match admission {
                Admission::Forward(exchange) => self.forward(exchange, filled, &mut filters).await,
                Admission::Refuse(refused) => Box::pin(self.refuse(refused, filled)).await,
                Admission::Answer(answered) => Box::pin(self.answer(answered, filled, &mut filters)).await,
                Admission::Partial => return,
            };
            drop(filters);
            self.served += 1;
            match next {
                Next::Request if filled.is_empty() => block = None,
                Next::Request => {}
                Next::Close => return,
                Next::Linger => return Box::pin(self.linger(filled)).await,
            }
        }
    }

    /// Waits for a request without holding a buffer. `None` = the connection ends here.
    async fn first_bytes(&self) -> Option<Block> {
        let timeouts = &self.listener.timeouts;
        let wait_ms = if self.served == 0 { timeouts.request_head_ms } else { timeouts.keep_alive_ms };
        self.deadline.arm(clock::now_ms(), wait_ms);
        poll_fn(|context| {
            if self.transport.poll_readable(context).is_pending() {
                let over = self.worker.is_draining() || self.deadline.poll_expired(context).is_ready();
                return if over { Poll::Ready(None) } else { Poll::Pending };
            }
            let mut block = Block::ordinary();
            match self.transport.poll_read(context, block.spare()) {
                Poll::Ready(Ok(count @ 1..)) => {
                    block.advance(count);
                    Poll::Ready(Some(block))
                }
                Poll::Ready(_) => Poll::Ready(None),
                Poll::Pending => {
                    let expired = self.deadline.poll_expired(context).is_ready();
                    if expired { Poll::Ready(None) } else { Poll::Pending }
                }
            }
        })
        .await
    }

    /// Reads until the head is complete and decides about it. `None` = the client has gone.
    async fn admission(
        &mut self,
        block: &mut Block,
        filters: &mut trunkline_filter::Exchange,
    ) -> Option<Admission> {
        let started_ns = clock::now_ns();
        self.refresh();
        let desk = Desk { listener: &self.listener, peer: &self.peer, now_ns: started_ns };
        match desk.admit(block, filters) {
            Admission::Partial => Box::pin(self.rest_of_head(block, filters, started_ns)).await,
            admission => Some(admission),
        }
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
            let count = match self.transport.read(block.spare(), &self.deadline).await {
                Ok(0) => 0,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::TimedOut => return Some(timed_out(started_ns)),
                Err(_) => 0,
            };
            if count == 0 {
                self.vanished(started_ns);
                return None;
            }
            let before = block.filled().len();
            block.advance(count);
            let fresh = block.filled().get(before..).unwrap_or_default();
            if memchr::memchr(b'\n', fresh).is_none()
                && block.filled().len() < self.listener.limits.target_bytes
            {
                continue;
            }
            let desk = Desk { listener: &self.listener, peer: &self.peer, now_ns: started_ns };
            match desk.admit(block, filters) {
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

    /// Answers a refused request.
    async fn refuse(&self, refused: Refused, block: &Block) -> Next {
        let Refused { failure, facts, route, allow, detail, reusable, is_head } = refused;
        let mut out = Text::take();
        let close = !reusable || !facts.keep_alive || self.must_close();
        let body = error_body(failure);
        begin_answer(&mut out, failure.status, close);
        if let Some(allow) = allow {
            trunkline_http::encode::header(&mut out, "Allow", allow.as_bytes());
        }
        self.finish_answer(&mut out, failure.reason, Some("application/json"), body.as_bytes(), is_head);
        let tally = Tally {
            status: failure.status,
            response_bytes: if is_head { 0 } else { body.len() as u64 },
            detail,
            ..Tally::failed(failure)
        };
        self.settle(&facts, Some(block), route, &tally, None);
        let written = self.write(&out).await;
        next_after(written, close, reusable)
    }

    /// Writes a filter's own response.
    async fn answer(
        &self,
        answered: Answered,
        block: &Block,
        filters: &mut trunkline_filter::Exchange,
    ) -> Next {
        let Answered { refusal, facts, route, reusable, is_head } = answered;
        let mut out = Text::take();
        let close = !reusable || !facts.keep_alive || self.must_close();
        begin_answer(&mut out, refusal.status, close);
        for (name, value) in filters.response_edits().appended() {
            trunkline_http::encode::header(&mut out, name, value);
        }
        let mut body = Text::take();
        refusal.write_body(&mut body);
        let reason = refusal.reason.as_str();
        self.finish_answer(&mut out, reason, refusal.content_type(), &body, is_head);
        let failure = Failure { status: refusal.status, reason, side: crate::failure::Side::Client };
        let response_bytes = if is_head { 0 } else { body.len() as u64 };
        let tally = Tally { status: refusal.status, response_bytes, ..Tally::failed(failure) };
        self.settle(&facts, Some(block), Some(route), &tally, Some(filters));
        let written = self.write(&out).await;
        next_after(written, close, reusable)
    }

    /// An exchange that failed before its response began.
    pub(crate) async fn fail(&self, failure: Failure, close: bool, is_head: bool) -> (u64, io::Result<()>) {
        let mut out = Text::take();
        begin_answer(&mut out, failure.status, close);
        if failure.status == 503 {
            out.extend_from_slice(b"Retry-After: 1\r\n");
        }
        let body = error_body(failure);
        self.finish_answer(&mut out, failure.reason, Some("application/json"), body.as_bytes(), is_head);
        let written = self.write(&out).await;
        (if is_head { 0 } else { body.len() as u64 }, written)
    }

    fn finish_answer(
        &self,
        out: &mut Vec<u8>,
        reason: &str,
        content_type: Option<&str>,
        body: &[u8],
        is_head: bool,
    ) {
        if self.listener.reason_header {
            trunkline_http::encode::header(out, "X-Trunkline-Reason", reason.as_bytes());
        }
        if let Some(content_type) = content_type {
            trunkline_http::encode::header(out, "Content-Type", content_type.as_bytes());
        }
        out.extend_from_slice(b"Content-Length: ");
        trunkline_http::encode::decimal(out, body.len() as u64);
        out.extend_from_slice(b"\r\n\r\n");
        if !is_head {
            out.extend_from_slice(body);
        }
    }

    async fn write(&self, bytes: &[u8]) -> io::Result<()> {
        self.deadline.arm(clock::now_ms(), self.listener.timeouts.body_idle_ms);
        self.transport.write_all(bytes, &self.deadline).await
    }

    /// Says that we are done and reads on for a while: closing a socket with unread bytes resets it, and the reset may destroy
    /// the answer on its way.
    async fn linger(&self, block: &mut Block) {
        self.transport.finish();
        self.deadline.arm(clock::now_ms(), LINGER_MS);
        let mut total = 0;
        while total < LINGER_BYTES {
            block.clear();
            match self.transport.read(block.spare(), &self.deadline).await {
                Ok(count @ 1..) => total += count,
                _ => return,
            }
        }
    }
}

/// `reusable`: everything the client sent for this request has been read.
pub(crate) fn next_after(written: io::Result<()>, close: bool, reusable: bool) -> Next {
    match (written, close, reusable) {
        (Ok(()), false, _) => Next::Request,
        (Ok(()), true, false) => Next::Linger,
        (Err(_), ..) | (Ok(()), true, true) => Next::Close,
    }
}

fn timed_out(started_ns: u64) -> Admission {
    let facts = Facts::unread(started_ns);
    Admission::Refuse(Refused {
        failure: Failure::HEAD_TIMEOUT,
        facts,
        route: None,
        allow: None,
        detail: String::new(),
        reusable: false,
        is_head: false,
    })
}
