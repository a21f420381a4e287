//! The way to an answer: choose a server, connect, send, wait for the head; try again where that is safe and the budget allows.

use std::cell::Cell;
use std::io;
use std::rc::Rc;

use smallvec::SmallVec;
use trunkline_http::Framing;

use crate::answer::next_after;
use crate::block::Block;
use crate::bulkhead::Passes;
use crate::client::{Client, Next};
use crate::clock;
use crate::exchange::Exchange;
use crate::failure::{Failure, Side};
use crate::grpc::Call;
use crate::patience::Total;
use crate::relay::Relayed;
use crate::settle::Tally;
use crate::snapshot::Route;
use crate::timer::Deadline;
use crate::upload::Progress;
use crate::upstream::{Connection, Lease, LocalPool, LocalServer};

/// One request's travel through a pool.
pub(crate) struct Journey<'j> {
    pub(crate) client: &'j Client,
    pub(crate) route: &'j Route,
    pub(crate) pool: &'j LocalPool,
    pub(crate) exchange: &'j Exchange,
    /// Of what is waited for of servers.
    pub(crate) deadline: &'j Deadline,
    /// When the whole exchange must be over.
    pub(crate) total: Total,
    /// When nothing was left to wait for but a server: when it was admitted, unless it was held back, or waited for a place.
    pub(crate) ready_ns: Cell<u64>,
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

/// Indices of servers.
pub(crate) type Tried = SmallVec<[usize; 4]>;

/// What a try has to know of those before it.
#[derive(Clone, Copy)]
struct Again<'t> {
    /// No kept connection: the last one had ended, or the server did not look at the request.
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
        mut exchange: Box<Exchange>,
        block: &mut Block,
        filters: &mut trunkline_filter::Exchange,
    ) -> Next {
        let Some(route) = self.listener.routes.get(exchange.route) else { return Next::Close };
        let pool = self.worker.pool(route.sides.pool(exchange.side));
        pool.count_request(exchange.facts.started_ns);
        let started_ms = exchange.facts.started_ns / 1_000_000;
        let total = Total::of(started_ms, route.timeouts.total_ms, exchange.timeout_ms);
        if let Some(stream) = self.wire.stream().filter(|_| exchange.pending != Framing::None) {
            stream.take_whole(exchange.body_room(), |body| exchange.complete(body));
        }
        if exchange.pending != Framing::None || exchange.may_tunnel {
            exchange.facts.detach(block);
        }
        let mut tally = Tally { side: Some(exchange.side), ..Tally::default() };
        self.deadline.limit(total.at_ms);
        let intake = exchange.intake.filter(|_| exchange.pending != Framing::None);
        let (progress, failed) = match intake {
            None => (Progress::default(), None),
            Some(intake) => Box::pin(self.take_in(intake, route, &mut exchange, block, total)).await,
        };
        let ready_ns = if intake.is_none() { exchange.admitted_ns } else { clock::now_ns() };
        let journey = Journey {
            client: self,
            route,
            pool: &pool,
            exchange: &exchange,
            deadline: &self.deadline,
            total,
            ready_ns: Cell::new(ready_ns),
            progress,
        };
        let result = match failed {
            None => journey.travel(block, filters, &mut tally).await,
            Some(failure) => Err(failure),
        };
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
        let gone = matches!(failure, Failure::CLIENT_CLOSED | Failure::CLIENT_STALLED);
        if begun && exchange.facts.call == Some(Call::Grpc) && !gone {
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
    async fn travel(
        &self,
        block: &mut Block,
        filters: &mut trunkline_filter::Exchange,
        tally: &mut Tally,
    ) -> Result<Relayed, Failure> {
        self.hold_back().await?;
        let passes = if self.is_limited() { self.enter().await? } else { Passes::default() };
        if self.exchange.mirror_key.is_some() {
            self.mirror();
        }
        let result = self.attempts(block, filters, tally).await;
        passes.give_back(&result, tally);
        result
    }

    async fn attempts(
        &self,
        block: &mut Block,
        filters: &mut trunkline_filter::Exchange,
        tally: &mut Tally,
    ) -> Result<Relayed, Failure> {
        let mut tried = Tried::new();
        let mut fresh = false;
        let mut index = self.choose(&tried, tally).await?;
        self.progress.tried.set(true);
        loop {
            let Some(local) = self.pool.servers.get(index) else { return Err(Failure::NO_SERVER) };
            if !fresh {
                tried.push(index);
            }
            let result = match self.hedging().filter(|_| tried.len() == 1 && !fresh) {
                None => {
                    let again = Again { fresh, tried: &tried };
                    self.attempt(index, local, block, filters, tally, again).await
                }
                Some(hedging) => {
                    let hedged = self.hedged(hedging, index, block, filters, tally, &mut tried);
                    let (last, result) = Box::pin(hedged).await;
                    index = last;
                    result
                }
            };
            self.report(index, &result, tally.status);
            let miss = match result {
                Ok(done) => return Ok(done),
                Err(miss) => miss,
            };
            // A connection that the server closed while it was idle says nothing about the server: once, at once, for free. The same for a
            // request that it has not looked at, which may be any.
            let may_come_again = self.exchange.is_repeatable() || miss.failure == Failure::UPSTREAM_REFUSED;
            fresh = miss.stage == Stage::Stale && may_come_again && !fresh;
            if !fresh {
                if tried.len() as u32 >= self.route.retry.attempts || !self.may_repeat(miss) {
                    return Err(miss.failure);
                }
                self.pause(tried.len() as u32).await?;
                let chosen = self.choose(&tried, tally).await;
                index = chosen.map_err(|failure| if failure.ends_all() { failure } else { miss.failure })?;
            }
            tally.chosen_ns = clock::now_ns();
            local.cells().retries.inc();
            tally.retries += 1;
        }
    }

    /// One try on one server.
    async fn attempt(
        &self,
        index: usize,
        local: &Rc<LocalServer>,
        block: &mut Block,
        filters: &mut trunkline_filter::Exchange,
        tally: &mut Tally,
        again: Again<'_>,
    ) -> Result<Relayed, Miss> {
        let mut lease = Lease::begin(&self.pool.pool, local, index, tally.chosen_ns);
        tally.server = Some(Rc::clone(local));
        let answers = self.exchange.stream_answers();
        let kept = if again.fresh { local.reuse_shared(answers) } else { local.reuse(answers) };
        let reused = kept.is_some();
        let connection = match kept {
            Some(connection) => connection,
            None => self.connect(local).await?,
        };
        let relayed = if self.exchange.pending == Framing::None {
            let head = async {
                self.send(&connection, tally.chosen_ns).await?;
                self.await_head(&connection, &mut lease, None, filters, tally, again.tried).await
            };
            let (reply, rest) = match head.await {
                Ok(arrived) => arrived,
                Err(failure) => {
                    let ended = matches!(failure, Failure::UPSTREAM_CLOSED | Failure::UPSTREAM_RESET);
                    let stale = reused && ended && !connection.ends_alone() && !lease.has_answered();
                    let unseen = failure == Failure::UPSTREAM_REFUSED;
                    // What happens a second time says something about the server.
                    let innocent = (stale || unseen) && !again.fresh;
                    return Err(Miss { failure, stage: if innocent { Stage::Stale } else { Stage::Sent } });
                }
            };
            self.relay(&connection, reply, rest, Some(block), tally).await.map_err(Miss::committed)?
        } else {
            Box::pin(self.duplex(&connection, &mut lease, block, filters, tally)).await?
        };
        self.keep(local, connection, relayed, tally);
        Ok(relayed)
    }

    /// For the next request, if it is clean.
    pub(crate) fn keep(&self, local: &LocalServer, connection: Connection, relayed: Relayed, tally: &Tally) {
        if relayed.reusable && self.body_is_sent() && !self.progress.trailers.get() {
            local.keep(connection, &self.pool.pool.plan.keep_alive, tally.ended_ns / 1_000_000);
        }
    }

    /// Nothing more of the request is to come.
    pub(crate) fn body_is_sent(&self) -> bool {
        self.exchange.pending == Framing::None || self.progress.complete.get()
    }

    pub(crate) async fn connect(&self, local: &Rc<LocalServer>) -> Result<Connection, Miss> {
        let plan = &self.pool.pool.plan;
        let timeout_ms = self.within_total(plan.connect_timeout_ms);
        let answers = self.exchange.stream_answers();
        let (worker, peer) = (&self.client.worker, &self.client.peer);
        let connecting = Box::pin(local.connect(worker, plan, timeout_ms, peer, answers));
        let gone = |failure| Miss { failure, stage: Stage::Connect };
        let connected = self.unless_gone(connecting).await.map_err(gone)?;
        connected.map_err(|failure| {
            let late = failure == Failure::CONNECT_TIMEOUT && self.is_over();
            Miss { failure: if late { self.overrun_at_server() } else { failure }, stage: Stage::Connect }
        })
    }
}

pub(crate) fn client_error(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::TimedOut { Failure::CLIENT_STALLED } else { Failure::CLIENT_CLOSED }
}
