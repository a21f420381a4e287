//! The way to an answer: choose a server, connect, send, wait for the head; try again where that is safe and the budget allows.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use smallvec::SmallVec;
use trunkline_http::{Answers, Framing};

use crate::answer::next_after;
use crate::block::Block;
use crate::client::{Client, Next};
use crate::clock;
use crate::exchange::Exchange;
use crate::failure::{Failure, Side};
use crate::grpc::Call;
use crate::h2::Stream;
use crate::plan::RetryOn;
use crate::relay::Relayed;
use crate::reply::{Arrived, FilterPhase, Reply, read_head, take_fields};
use crate::settle::Tally;
use crate::snapshot::Route;
use crate::upload::Progress;
use crate::upstream::{Connection, Lease, LocalPool, LocalServer};
use crate::wire::Message;

/// Who waits for room on a server looks again so often, for changes that nobody announces: an ejection that ends, a reload.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// One request's travel through a pool.
pub(crate) struct Journey<'j> {
    pub(crate) client: &'j Client,
    pub(crate) route: &'j Route,
    pub(crate) pool: &'j LocalPool,
    pub(crate) exchange: &'j Exchange,
    /// When the whole exchange must be over; 0 = never.
    pub(crate) total_at_ms: u64,
    pub(crate) progress: Progress,
}

/// How far a failed try got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Nothing was sent.
    Connect,
    /// A kept connection ended before the response began: the server had closed it while it was idle.
    Stale,
    /// The request was sent, and no response came that could be passed on.
    Sent,
    /// Part of the response has been passed on, or the request body is used up.
    Committed,
}

/// What a try has to know of those before it.
#[derive(Clone, Copy)]
struct Again<'t> {
    /// No kept connection: the last one had ended.
    fresh: bool,
    /// Servers that were tried, with this one.
    tried: &'t [usize],
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Miss {
    pub(crate) failure: Failure,
    pub(crate) stage: Stage,
}

impl Miss {
    pub(crate) const fn committed(failure: Failure) -> Self {
        Self { failure, stage: Stage::Committed }
    }
}

impl Client {
    /// Serves an admitted request and settles it.
    pub(crate) async fn forward(
        &self,
        mut exchange: Exchange,
        block: &mut Block,
        filters: &mut trunkline_filter::Exchange,
    ) -> Next {
        let Some(route) = self.listener.routes.get(exchange.route) else { return Next::Close };
        let pool = self.worker.pool(&route.pool);
        pool.count_request(exchange.facts.started_ns);
        let total_at_ms = match shorter(route.timeouts.total_ms, exchange.timeout_ms) {
            0 => 0,
            total_ms => exchange.facts.started_ns / 1_000_000 + total_ms,
        };
        if exchange.pending != Framing::None || exchange.may_tunnel {
            exchange.facts.detach(block);
        }
        let mut tally = Tally::default();
        let progress = Progress::default();
        let journey =
            Journey { client: self, route, pool: &pool, exchange: &exchange, total_at_ms, progress };
        self.deadline.limit(total_at_ms);
        let result = journey.attempts(block, filters, &mut tally).await;
        self.deadline.limit(0);
        let body_read = journey.body_is_sent();
        let uploaded = journey.progress.bytes.get();
        let next = match result {
            Ok(_) if !body_read => Next::Linger,
            Ok(relayed) if relayed.closes => Next::Close,
            Ok(_) => Next::Request,
            Err(failure) => Box::pin(self.failed(failure, &exchange, body_read, filters, &mut tally)).await,
        };
        exchange.facts.body_bytes += uploaded;
        self.settle(&exchange.facts, Some(block), Some(exchange.route), &tally, Some(filters));
        next
    }

    /// Tells the client, if its response has not begun and it is still there.
    async fn failed(
        &self,
        failure: Failure,
        exchange: &Exchange,
        body_read: bool,
        filters: &mut trunkline_filter::Exchange,
        tally: &mut Tally,
    ) -> Next {
        let Some(route) = self.listener.routes.get(exchange.route) else { return Next::Cut };
        tally.failure = Some(failure);
        let begun = tally.status != 0;
        if !begun {
            let now_ns = clock::now_ns();
            let latency_ns = now_ns.saturating_sub(exchange.facts.started_ns);
            if failure.side == Side::Upstream {
                route.chain.response(filters, None, now_ns, latency_ns);
            } else {
                route.chain.abandon(filters);
            }
        }
        if begun && exchange.facts.call == Some(Call::Grpc) && failure.side != Side::Client {
            return self.cut_call(failure);
        }
        if failure.status == 0 || begun {
            return Next::Cut;
        }
        // A tunnel that was not opened: what follows need not be a request.
        let reusable = body_read && !exchange.may_tunnel;
        let close = !reusable || !exchange.facts.keep_alive || self.must_close();
        tally.status = failure.status;
        let (bytes, written) = self.fail(failure, close, exchange, filters).await;
        tally.response_bytes = bytes;
        next_after(written, close, reusable)
    }

    /// The client of a call learns from its trailers why the response broke off; there are none but on a stream.
    fn cut_call(&self, failure: Failure) -> Next {
        let Some(stream) = self.wire.stream() else { return Next::Cut };
        stream.end(&Call::late_failure(failure));
        Next::Close
    }
}

impl Journey<'_> {
    async fn attempts(
        &self,
        block: &mut Block,
        filters: &mut trunkline_filter::Exchange,
        tally: &mut Tally,
    ) -> Result<Relayed, Failure> {
        let mut tried = SmallVec::<[usize; 4]>::new();
        let mut fresh = false;
        self.hold_back().await?;
        let mut index = self.choose(&tried, tally).await?;
        loop {
            let Some(local) = self.pool.servers.get(index) else { return Err(Failure::NO_SERVER) };
            if !fresh {
                tried.push(index);
            }
            let again = Again { fresh, tried: &tried };
            let result = self.attempt(local, block, filters, tally, again).await;
            self.report(index, &result, tally.status);
            let miss = match result {
                Ok(done) => return Ok(done),
                Err(miss) => miss,
            };
            // A connection that the server closed while it was idle says nothing about the server: once, at once, for free. The same for a
            // request that it has not looked at, which may be any.
            let may_come_again = self.exchange.repeatable || miss.failure == Failure::UPSTREAM_REFUSED;
            fresh = miss.stage == Stage::Stale && may_come_again && !fresh;
            if !fresh {
                if tried.len() as u32 >= self.route.retry.attempts || !self.may_repeat(miss) {
                    return Err(miss.failure);
                }
                self.pause(tried.len() as u32).await?;
                index = self.choose(&tried, tally).await.map_err(|_| miss.failure)?;
            }
            tally.chosen_ns = clock::now_ns();
            local.cells().retries.inc();
            tally.retries += 1;
        }
    }

    /// Waits as long as a queueing rate limit says.
    async fn hold_back(&self) -> Result<(), Failure> {
        if self.exchange.delay_ns == 0 {
            return Ok(());
        }
        Box::pin(self.sleep(self.exchange.delay_ns / 1_000_000)).await
    }

    /// Exponential backoff with full jitter, after so many tries.
    async fn pause(&self, tries: u32) -> Result<(), Failure> {
        let retry = &self.route.retry;
        let doubled_ms = retry.backoff_ms.saturating_mul(1 << (tries - 1).min(16));
        match doubled_ms.min(retry.backoff_max_ms) {
            0 => Ok(()),
            ceiling_ms => Box::pin(self.sleep(fastrand::u64(0..=ceiling_ms))).await,
        }
    }

    async fn sleep(&self, pause_ms: u64) -> Result<(), Failure> {
        let pause = Duration::from_millis(pause_ms.min(self.within_total(pause_ms)));
        self.unless_gone(tokio::time::sleep(pause)).await?;
        if self.is_over() { Err(Failure::TOTAL_TIMEOUT) } else { Ok(()) }
    }

    /// Waits for something that the client may not live to see.
    async fn unless_gone<T>(&self, future: impl Future<Output = T>) -> Result<T, Failure> {
        let mut future = pin!(future);
        poll_fn(|context| match future.as_mut().poll(context) {
            Poll::Ready(value) => Poll::Ready(Ok(value)),
            Poll::Pending if self.client.worker.is_cut() => Poll::Ready(Err(Failure::SHUTDOWN)),
            Poll::Pending => {
                // Nothing but to be woken when everything is cut.
                let _ = self.client.deadline.poll_expired(context);
                self.client.wire.poll_reset(context).map(|()| Err(Failure::CLIENT_CLOSED))
            }
        })
        .await
    }

    /// Chooses a server, waiting for one if all are busy.
    async fn choose(&self, tried: &[usize], tally: &mut Tally) -> Result<usize, Failure> {
        // The first choice is made when the request was admitted, unless it was held back: one reading of the clock less.
        let at_once = tried.is_empty() && self.exchange.delay_ns == 0;
        tally.chosen_ns = if at_once { self.exchange.admitted_ns } else { clock::now_ns() };
        if let Some(index) = self.pool.pick(&self.exchange.key, tally.chosen_ns, tried) {
            return Ok(index);
        }
        let index = Box::pin(self.wait_for_server(tried)).await?;
        tally.chosen_ns = clock::now_ns();
        Ok(index)
    }

    /// One try on one server.
    async fn attempt(
        &self,
        local: &Rc<LocalServer>,
        block: &mut Block,
        filters: &mut trunkline_filter::Exchange,
        tally: &mut Tally,
        again: Again<'_>,
    ) -> Result<Relayed, Miss> {
        let mut lease = Lease::begin(&self.pool.pool, local, tally.chosen_ns);
        tally.server = Some(Rc::clone(local));
        let kept = if again.fresh { None } else { local.reuse(self.exchange.stream_answers()) };
        let reused = kept.is_some();
        let connection = match kept {
            Some(connection) => connection,
            None => self.connect(local).await?,
        };
        let relayed = if self.exchange.pending == Framing::None {
            let head = async {
                self.send(&connection, tally.chosen_ns).await?;
                self.await_head(&connection, &mut lease, filters, tally, again.tried).await
            };
            let (reply, rest) = match head.await {
                Ok(arrived) => arrived,
                Err(failure) => {
                    let ended = matches!(failure, Failure::UPSTREAM_CLOSED | Failure::UPSTREAM_RESET);
                    let stale = reused && ended && !lease.has_answered();
                    let unseen = failure == Failure::UPSTREAM_REFUSED;
                    return Err(Miss {
                        failure,
                        stage: if stale || unseen { Stage::Stale } else { Stage::Sent },
                    });
                }
            };
            self.relay(&connection, reply, rest, Some(block), tally).await.map_err(Miss::committed)?
        } else {
            Box::pin(self.duplex(&connection, &mut lease, block, filters, tally)).await?
        };
        if relayed.reusable && self.body_is_sent() {
            local.keep(connection, &self.pool.pool.plan.keep_alive, tally.ended_ns / 1_000_000);
        }
        Ok(relayed)
    }

    /// Nothing more of the request is to come.
    fn body_is_sent(&self) -> bool {
        self.exchange.pending == Framing::None || self.progress.complete.get()
    }

    async fn connect(&self, local: &LocalServer) -> Result<Connection, Miss> {
        let timeout_ms = self.within_total(self.pool.pool.plan.connect_timeout_ms);
        let connecting = Box::pin(local.connect(
            &self.client.worker,
            timeout_ms,
            &self.client.peer,
            self.exchange.stream_answers(),
        ));
        let gone = |failure| Miss { failure, stage: Stage::Connect };
        let connected = self.unless_gone(connecting).await.map_err(gone)?;
        connected.map_err(|failure| {
            let late = failure == Failure::CONNECT_TIMEOUT && self.is_over();
            Miss { failure: if late { Failure::TOTAL_TIMEOUT } else { failure }, stage: Stage::Connect }
        })
    }

    pub(crate) async fn send(&self, connection: &Connection, now_ns: u64) -> Result<(), Failure> {
        self.client.deadline.arm(now_ns / 1_000_000, self.route.timeouts.response_head_ms);
        let exchange = self.exchange;
        let end = exchange.pending == Framing::None
            && !exchange.is_websocket
            && exchange.answers != Answers::Connect;
        let message = Message { text: &exchange.outgoing, head_bytes: exchange.head_bytes, end };
        let sent = connection.wire.send(message, &self.client.deadline).await;
        sent.map_err(|error| self.sent_failure(connection, &error))
    }

    /// What a failed write or read says of the server.
    fn sent_failure(&self, connection: &Connection, error: &io::Error) -> Failure {
        let reset = connection.wire.stream().and_then(Stream::reset);
        if error.kind() == io::ErrorKind::NotConnected || reset.is_some_and(|reset| reset.unprocessed) {
            return Failure::UPSTREAM_REFUSED;
        }
        self.upstream_error(error)
    }

    /// Waits for the response head, passing interim responses on. Holds no buffer while nothing has arrived.
    pub(crate) async fn await_head(
        &self,
        connection: &Connection,
        lease: &mut Lease,
        filters: &mut trunkline_filter::Exchange,
        tally: &mut Tally,
        tried: &[usize],
    ) -> Result<(Reply, Block), Failure> {
        if let Some(stream) = connection.wire.stream() {
            return self.await_stream_head(connection, stream, lease, filters, tally, tried).await;
        }
        let mut block = self.first_bytes(connection).await?;
        loop {
            let now_ns = clock::now_ns();
            let latency_ns = lease.answered(now_ns);
            tally.first_byte_ns = Some(latency_ns);
            tally.ended_ns = now_ns;
            let mut phase = self.phase(filters, now_ns, latency_ns);
            // What is left of the request is not read after its answer (RFC 9112 §9.3).
            let close = self.client.must_close() || !self.body_is_sent();
            let forwarding = &self.client.listener.forwarding;
            match read_head(&mut block, self.exchange, &mut phase, forwarding, close, |status| {
                self.would_repeat(status, tried, now_ns)
            })? {
                Arrived::Final(reply) => {
                    lease.local.cells().latency.observe_ns(latency_ns);
                    return Ok((reply, block));
                }
                Arrived::Interim(text) => {
                    Box::pin(self.interim(&text)).await?;
                    // A slow client had its own time for that; the server's goes on.
                    let chosen_ms = tally.chosen_ns / 1_000_000;
                    self.client.deadline.arm(chosen_ms, self.route.timeouts.response_head_ms);
                    if !block.is_empty() {
                        continue;
                    }
                }
                Arrived::Partial => {}
            }
            self.more(connection, &mut block).await?;
        }
    }

    /// The same on a stream, where a head comes whole.
    async fn await_stream_head(
        &self,
        connection: &Connection,
        stream: &Stream,
        lease: &mut Lease,
        filters: &mut trunkline_filter::Exchange,
        tally: &mut Tally,
        tried: &[usize],
    ) -> Result<(Reply, Block), Failure> {
        loop {
            let fields = self.await_upstream(connection, |context| stream.poll_head(context)).await?;
            let now_ns = clock::now_ns();
            let latency_ns = lease.answered(now_ns);
            tally.first_byte_ns = Some(latency_ns);
            tally.ended_ns = now_ns;
            let mut phase = self.phase(filters, now_ns, latency_ns);
            let close = self.client.must_close() || !self.body_is_sent();
            let forwarding = &self.client.listener.forwarding;
            let arrived = take_fields(&fields, self.exchange, &mut phase, forwarding, close, |status| {
                self.would_repeat(status, tried, now_ns)
            });
            stream.give_back(fields);
            match arrived? {
                Arrived::Final(mut reply) => {
                    lease.local.cells().latency.observe_ns(latency_ns);
                    let block = stream.take_block(&mut reply.body, reply.sink);
                    return Ok((reply, block));
                }
                Arrived::Interim(text) => Box::pin(self.interim(&text)).await?,
                Arrived::Partial => {}
            }
            self.client.deadline.arm(tally.chosen_ns / 1_000_000, self.route.timeouts.response_head_ms);
        }
    }

    fn phase<'f>(
        &'f self,
        exchange: &'f mut trunkline_filter::Exchange,
        now_ns: u64,
        latency_ns: u64,
    ) -> FilterPhase<'f> {
        let compression = self.route.compression.as_ref();
        FilterPhase { chain: &self.route.chain, compression, exchange, now_ns, latency_ns }
    }

    /// Passes a 1xx response on to a client that knows what it is.
    async fn interim(&self, text: &[u8]) -> Result<(), Failure> {
        if text.is_empty() { Ok(()) } else { self.head_to_client(text).await }
    }

    async fn first_bytes(&self, connection: &Connection) -> Result<Block, Failure> {
        self.await_upstream(connection, |context| connection.wire.poll_block(context)).await
    }

    /// Waits for something of the server, while the client is there and its time is not over.
    async fn await_upstream<T>(
        &self,
        connection: &Connection,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Result<T, Failure> {
        // While a body is coming, it tells when the client has gone.
        let watches = self.exchange.pending == Framing::None;
        poll_fn(|context| match poll(context) {
            Poll::Ready(read) => Poll::Ready(read.map_err(|error| self.sent_failure(connection, &error))),
            Poll::Pending if watches && self.client.wire.poll_reset(context).is_ready() => {
                Poll::Ready(Err(Failure::CLIENT_CLOSED))
            }
            Poll::Pending => {
                let late = || self.upstream_error(&io::ErrorKind::TimedOut.into());
                self.client.deadline.poll_expired(context).map(|()| Err(late()))
            }
        })
        .await
    }

    async fn more(&self, connection: &Connection, block: &mut Block) -> Result<(), Failure> {
        block.compact();
        let read = connection.wire.read(block.spare(), &self.client.deadline).await;
        let count = read.map_err(|error| self.upstream_error(&error))?;
        block.advance(count);
        if count == 0 { Err(Failure::UPSTREAM_CLOSED) } else { Ok(()) }
    }

    /// Whether the time for the whole exchange is used up.
    fn is_over(&self) -> bool {
        self.total_at_ms != 0 && clock::now_ms() >= self.total_at_ms
    }

    /// Why a deadline passed: the end of everything, of the whole exchange, or of this step.
    pub(crate) fn late(&self, step: Failure) -> Failure {
        if self.client.worker.is_cut() {
            Failure::SHUTDOWN
        } else if self.is_over() {
            Failure::TOTAL_TIMEOUT
        } else {
            step
        }
    }

    /// `after_ms` (0 = without end), but not beyond the end of the whole exchange.
    fn within_total(&self, after_ms: u64) -> u64 {
        let total_ms = self.total_at_ms.saturating_sub(clock::now_ms()).max(1);
        match (self.total_at_ms, after_ms) {
            (0, _) => after_ms,
            (_, 0) => total_ms,
            _ => after_ms.min(total_ms),
        }
    }

    pub(crate) fn upstream_error(&self, error: &io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::TimedOut => self.late(Failure::RESPONSE_TIMEOUT),
            io::ErrorKind::UnexpectedEof => Failure::UPSTREAM_CLOSED,
            _ => Failure::UPSTREAM_RESET,
        }
    }

    /// All servers are out or full: an empty pool fails at once, a full one may be waited for, behind those who wait already.
    async fn wait_for_server(&self, tried: &[usize]) -> Result<usize, Failure> {
        let pool = &self.pool.pool;
        let full = pool.limits_servers() && self.pool.any_full(clock::now_ns());
        if !full {
            return Err(Failure::NO_SERVER);
        }
        let queue = &pool.plan.queue;
        let _place = Place::take(&pool.waiting, queue.length).ok_or(Failure::QUEUE_FULL)?;
        let search = async {
            loop {
                let mut released = pin!(pool.released.notified());
                released.as_mut().enable();
                if let Some(index) = self.pool.pick(&self.exchange.key, clock::now_ns(), tried) {
                    return index;
                }
                let _ = tokio::time::timeout(LOOK_AGAIN, released).await;
            }
        };
        let limit = Duration::from_millis(self.within_total(queue.timeout_ms));
        let late = |_| if self.is_over() { Failure::TOTAL_TIMEOUT } else { Failure::QUEUE_TIMEOUT };
        self.unless_gone(tokio::time::timeout(limit, search)).await?.map_err(late)
    }

    /// Whether a response of this status is thrown away for another try. Not if there is no other server: its answer is the best there is.
    fn would_repeat(&self, status: u16, tried: &[usize], now_ns: u64) -> bool {
        let retry = &self.route.retry;
        self.exchange.repeatable
            && retry.statuses.contains(&status)
            && retry.on.contains(&RetryOn::Status)
            && (tried.len() as u32) < retry.attempts
            && self.pool.has_other(now_ns, tried)
            && self.pool.may_retry(now_ns)
    }

    fn may_repeat(&self, miss: Miss) -> bool {
        let retry = &self.route.retry;
        let repeatable = self.exchange.repeatable;
        let allowed = match (miss.stage, miss.failure) {
            (Stage::Committed, _) | (_, Failure::TOTAL_TIMEOUT | Failure::SHUTDOWN) => false,
            (Stage::Connect, _) => retry.on.contains(&RetryOn::Connect),
            // The budget was charged when the status was seen.
            (_, Failure::RETRYABLE_STATUS) => return true,
            (_, Failure::UPSTREAM_REFUSED) => retry.on.contains(&RetryOn::Reset),
            (_, Failure::UPSTREAM_CLOSED | Failure::UPSTREAM_RESET) => {
                repeatable && retry.on.contains(&RetryOn::Reset)
            }
            (_, Failure::RESPONSE_TIMEOUT) => repeatable && retry.on.contains(&RetryOn::Timeout),
            _ => false,
        };
        allowed && self.pool.may_retry(clock::now_ns())
    }

    /// Feeds the passive health check and the server's counters.
    fn report(&self, index: usize, result: &Result<Relayed, Miss>, status: u16) {
        let Some(local) = self.pool.servers.get(index) else { return };
        let cells = local.cells();
        let good = match result {
            Ok(_) => status < 500,
            Err(miss) if miss.stage == Stage::Stale || miss.failure.side != Side::Upstream => return,
            Err(_) => {
                cells.failures.inc();
                false
            }
        };
        if let Some(class) =
            result.as_ref().ok().and_then(|_| cells.classes.get(crate::cells::class_of(status)))
        {
            class.inc();
        }
        if let Some(outliers) = &self.pool.pool.outliers
            && let Some(ejection) = outliers.record(index, good, clock::now_ns())
        {
            cells.ejections.inc();
            local.server.state.eject_until(ejection.until_ns);
        }
    }
}

/// The shorter of two times of which 0 means none.
fn shorter(one_ms: u64, other_ms: u64) -> u64 {
    if one_ms == 0 || other_ms == 0 { one_ms.max(other_ms) } else { one_ms.min(other_ms) }
}

/// A place in a pool's queue, given back when it is left.
struct Place<'p>(&'p std::sync::atomic::AtomicUsize);

impl<'p> Place<'p> {
    fn take(waiting: &'p std::sync::atomic::AtomicUsize, length: usize) -> Option<Self> {
        let place = Self(waiting);
        // The drop of a refused place gives it back, too.
        (waiting.fetch_add(1, Ordering::Relaxed) < length).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

pub(crate) fn client_error(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::TimedOut { Failure::CLIENT_STALLED } else { Failure::CLIENT_CLOSED }
}
