//! One copy on its way: the same connections and the same bookkeeping as any request to these servers, but nobody who waits, and no retry.

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use trunkline_http::{Answers, Framing, HeaderBuffer, ResponseHead, parse_response};
use trunkline_telemetry::PerWorker;

use super::{MirrorCells, Room};
use crate::block::{Block, Text};
use crate::body::{Sink, Source};
use crate::buffering::say_length;
use crate::bulkhead::Pass;
use crate::cells::class_of;
use crate::clock;
use crate::failure::{Failure, Side};
use crate::forwarding::Peer;
use crate::h2::Stream;
use crate::hash_key::Key;
use crate::plan::{Protocol, RouteTimeouts};
use crate::reply::RESPONSE_LIMITS;
use crate::snapshot::Pool;
use crate::timer::Deadline;
use crate::transport::expire;
use crate::upstream::{Connection, Lease, LocalPool, LocalServer};
use crate::wire::Message;

/// A response that never ends must not keep its copy under way.
const MOST_TIME: Duration = Duration::from_secs(60);
/// Reading on costs more than another connection.
const MOST_RESPONSE_BYTES: u64 = 16 * 1024 * 1024;
/// What servers of HTTP/2 are told of gRPC's clients; to others it would be hop-by-hop (RFC 9110 §10.1.4).
const TAKES_TRAILERS: &[u8] = b"TE: trailers\r\n";

pub(super) struct Copy {
    pub(super) pool: Rc<LocalPool>,
    pub(super) key: Key,
    pub(super) text: Text,
    pub(super) head_bytes: usize,
    pub(super) answers: Answers,
    pub(super) peer: Rc<Peer>,
    pub(super) timeouts: RouteTimeouts,
    pub(super) cells: Arc<PerWorker<MirrorCells>>,
    pub(super) room: Room,
    /// A place in the limit of its pool.
    pub(super) _pass: Option<Pass>,
}

/// What matters of a response.
struct Head {
    status: u16,
    body: Source,
    keeps: bool,
}

/// Appends what one pool gets of a request that was written for the other; how long its head is.
pub(super) fn write(text: &mut Text, message: Message<'_>, from: &Pool, to: &Pool) -> usize {
    let (head, body) = message.text.split_at(message.head_bytes.min(message.text.len()));
    let speaks_less = from.plan.protocol == Protocol::Http2 && to.plan.protocol == Protocol::Http1;
    match memchr::memmem::find(head, TAKES_TRAILERS).filter(|_| speaks_less) {
        Some(start) => {
            text.extend_from_slice(head.get(..start).unwrap_or_default());
            text.extend_from_slice(head.get(start + TAKES_TRAILERS.len()..).unwrap_or_default());
        }
        None => text.extend_from_slice(head),
    }
    if speaks_less {
        // A call's head has no length, and its body no chunks: to HTTP/1.1 it would not be the end of the request.
        say_length(text, body.len());
    }
    let head_bytes = text.len();
    text.extend_from_slice(body);
    head_bytes
}

impl Copy {
    pub(super) async fn travel(self) {
        let delivered = tokio::time::timeout(MOST_TIME, self.deliver()).await;
        let cells = self.cells.get(self.room.worker.index);
        match delivered {
            Ok(Ok(())) => cells.answered.inc(),
            Ok(Err(_)) | Err(_) => cells.failed.inc(),
        }
    }

    async fn deliver(&self) -> Result<(), Failure> {
        let now_ns = clock::now_ns();
        let index = self.pool.pick(&self.key, now_ns, &[]).ok_or(Failure::NO_SERVER)?;
        let local = self.pool.servers.get(index).ok_or(Failure::NO_SERVER)?;
        let mut lease = Lease::begin(&self.pool.pool, local, index, now_ns);
        let delivered = self.deliver_to(local, &mut lease).await;
        if let Err(failure) = &delivered
            && failure.side == Side::Upstream
            && !lease.has_answered()
        {
            local.cells().failures.inc();
            self.pool.judge(index, false);
        }
        delivered
    }

    /// On a kept connection or a new one; anew if the kept one had ended.
    async fn deliver_to(&self, local: &Rc<LocalServer>, lease: &mut Lease) -> Result<(), Failure> {
        if let Some(connection) = local.reuse(self.answers) {
            let exchanged = self.exchange(connection, lease).await;
            let ended = matches!(exchanged, Err(Failure::UPSTREAM_CLOSED | Failure::UPSTREAM_RESET));
            if !ended || lease.has_answered() {
                return exchanged;
            }
        }
        let (plan, worker) = (&self.pool.pool.plan, &self.room.worker);
        let connected = local.connect(worker, plan, plan.connect_timeout_ms, &self.peer, self.answers).await;
        self.exchange(connected?, lease).await
    }

    async fn exchange(&self, connection: Connection, lease: &mut Lease) -> Result<(), Failure> {
        let deadline = Deadline::new(&self.room.worker.timer);
        deadline.arm(clock::now_ms(), self.timeouts.response_head_ms);
        let message = Message { text: &self.text, head_bytes: self.head_bytes, end: true };
        connection.wire.send(message, &deadline).await.map_err(|error| upstream_failure(&error))?;
        let (head, block) = self.head(&connection, &deadline).await?;
        self.note(&head, lease);
        // Whatever becomes of the body, the copy was answered.
        if self.drain(&connection, head, block, &deadline).await.is_ok_and(|clean| clean) {
            lease.local.keep(connection, &self.pool.pool.plan.keep_alive, clock::now_ms());
        }
        Ok(())
    }

    fn note(&self, head: &Head, lease: &mut Lease) {
        let latency_ns = lease.answered(clock::now_ns());
        let cells = lease.local.cells();
        cells.latency.observe_ns(latency_ns);
        if let Some(class) = cells.classes.get(class_of(head.status)) {
            class.inc();
        }
        self.pool.judge(lease.index, head.status < 500);
    }

    /// The final head, and what came behind it.
    async fn head(&self, connection: &Connection, deadline: &Deadline) -> Result<(Head, Block), Failure> {
        if let Some(stream) = connection.wire.stream() {
            return Ok((self.stream_head(stream, deadline).await?, Block::ordinary()));
        }
        let mut block = poll_fn(|context| match connection.wire.poll_block(context) {
            Poll::Pending => expire(deadline, context),
            done @ Poll::Ready(_) => done,
        })
        .await
        .map_err(|error| upstream_failure(&error))?;
        loop {
            let (found, length) = parse(block.filled(), self.answers)?;
            block.consume(length);
            match found {
                Some(head) => return Ok((head, block)),
                None if length > 0 && !block.is_empty() => continue,
                None => {}
            }
            block.compact();
            if read(connection, &mut block, deadline).await? == 0 {
                return Err(Failure::UPSTREAM_CLOSED);
            }
        }
    }

    async fn stream_head(&self, stream: &Stream, deadline: &Deadline) -> Result<Head, Failure> {
        loop {
            let fields = poll_fn(|context| match stream.poll_head(context) {
                Poll::Pending => expire(deadline, context),
                done @ Poll::Ready(_) => done,
            })
            .await
            .map_err(|error| upstream_failure(&error))?;
            let mut storage = HeaderBuffer::new();
            let head = fields.response(self.answers, &mut storage).map_err(Failure::upstream)?;
            if let Some(head) = Head::of(&head)? {
                return Ok(head);
            }
        }
    }

    /// Reads the body to its end; whether the connection can be used again.
    async fn drain(
        &self,
        connection: &Connection,
        mut head: Head,
        mut block: Block,
        deadline: &Deadline,
    ) -> Result<bool, Failure> {
        let mut scrap = Text::take();
        let mut total = 0;
        loop {
            let moved = head.body.transfer(&mut block, Sink::Raw, &mut scrap);
            total += moved.map_err(|_| Failure::RESPONSE_TRUNCATED)?;
            scrap.clear();
            if head.body.is_done() {
                return Ok(head.keeps && block.is_empty());
            }
            if total > MOST_RESPONSE_BYTES {
                return Ok(false);
            }
            block.clear();
            deadline.arm(clock::now_ms(), self.timeouts.body_idle_ms);
            if read(connection, &mut block, deadline).await? == 0 && !head.body.close(None) {
                return Err(Failure::RESPONSE_TRUNCATED);
            }
        }
    }
}

impl Head {
    /// `None`: an interim one.
    fn of(head: &ResponseHead<'_, '_>) -> Result<Option<Self>, Failure> {
        let body = match head.framing {
            _ if head.status == 101 => return Err(Failure::UNEXPECTED_UPGRADE),
            _ if head.status < 200 => return Ok(None),
            Framing::None => Source::Nothing,
            _ if head.version == trunkline_http::Version::Http2 => Source::Stream,
            Framing::Length(length) => Source::Length(length),
            Framing::Chunked => Source::Chunked(Box::default()),
            Framing::UntilClose => Source::UntilClose,
        };
        Ok(Some(Self { status: head.status, body, keeps: head.keep_alive }))
    }
}

/// The final head at the front of the bytes, and how many a head there takes; 0 = it is not complete.
fn parse(bytes: &[u8], answers: Answers) -> Result<(Option<Head>, usize), Failure> {
    let mut storage = HeaderBuffer::new();
    let parsed = parse_response(bytes, answers, &RESPONSE_LIMITS, &mut storage);
    match parsed.map_err(Failure::upstream)? {
        Some(head) => Ok((Head::of(&head)?, head.length)),
        None => Ok((None, 0)),
    }
}

async fn read(connection: &Connection, block: &mut Block, deadline: &Deadline) -> Result<usize, Failure> {
    let read = connection.wire.read(block.spare(), deadline).await;
    let count = read.map_err(|error| upstream_failure(&error))?;
    block.advance(count);
    Ok(count)
}

fn upstream_failure(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::TimedOut => Failure::RESPONSE_TIMEOUT,
        io::ErrorKind::UnexpectedEof => Failure::UPSTREAM_CLOSED,
        _ => Failure::UPSTREAM_RESET,
    }
}
