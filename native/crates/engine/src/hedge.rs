//! Further tries beside one that is slow (Dean and Barroso, "The Tail at Scale", 2013): the server whose response begins first answers,
//! and the others are given up. An error does not answer while others may still do better: errors come fast. For requests that may be
//! repeated, on servers that were not tried, as far as the retry budget goes: when everything is slow, that ends by itself.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;
use trunkline_telemetry::{Counter, PerWorker};
use trunkline_traffic::Hedge;

use crate::block::Block;
use crate::clock;
use crate::failure::{Failure, Side};
use crate::forward::{Journey, Miss, Stage, Tried};
use crate::plan;
use crate::relay::Relayed;
use crate::settle::Tally;
use crate::timer::Deadline;
use crate::upload::Progress;
use crate::upstream::{Connection, Lease, LocalServer};

/// A route's hedging.
pub(crate) struct Hedging {
    pub(crate) hedge: Hedge,
    pub(crate) plan: plan::Hedge,
    pub(crate) cells: Arc<PerWorker<HedgeCells>>,
}

/// Further tries that were begun.
#[derive(Debug, Default)]
pub(crate) struct HedgeCells {
    /// They answered first.
    pub(crate) won: Counter,
    pub(crate) lost: Counter,
}

impl Hedging {
    /// So many further tries were begun; `won`: one of them answered.
    fn count(&self, worker: usize, begun: u32, won: bool) {
        let cells = self.cells.get(worker);
        cells.won.add(u64::from(won));
        cells.lost.add(u64::from(begun).saturating_sub(u64::from(won)));
    }

    /// By outcome.
    pub(crate) fn counts(&self) -> [(&'static str, u64); 2] {
        let sum = |pick: fn(&HedgeCells) -> &Counter| self.cells.iter().map(|cells| pick(cells).get()).sum();
        [("won", sum(|cells| &cells.won)), ("lost", sum(|cells| &cells.lost))]
    }
}

/// A try whose response has begun.
struct Winner {
    lease: Lease,
    connection: Connection,
    /// What came of it; on a stream it is still there.
    first: Option<Block>,
    chosen_ns: u64,
}

impl Winner {
    /// The status of its response, as far as it can be seen already; 0 = it cannot.
    fn status(&self) -> u16 {
        match (&self.first, self.connection.wire.stream()) {
            (Some(block), _) => status_of(block.filled()),
            (None, Some(stream)) => stream.status(),
            (None, None) => 0,
        }
    }
}

/// That of a status line (RFC 9112 §4): `HTTP/1.1 503`.
fn status_of(line: &[u8]) -> u16 {
    let digits = line.get(9..12).filter(|digits| digits.iter().all(u8::is_ascii_digit));
    digits.map_or(0, |digits| digits.iter().fold(0, |status, digit| status * 10 + u16::from(digit - b'0')))
}

type Running<'r> = Pin<Box<dyn Future<Output = Result<Winner, Miss>> + 'r>>;

/// Tries under way, the first one first, with the indices of their servers.
struct Race<'r> {
    running: Vec<(usize, Running<'r>)>,
    begun: u32,
}

/// What happens in a race.
enum Event {
    /// The try in this place has got a response, or none.
    Ended(usize, Result<Winner, Miss>),
    /// Nobody has answered for long enough.
    Late,
}

impl Race<'_> {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Event> {
        for (place, (_, running)) in self.running.iter_mut().enumerate() {
            if let Poll::Ready(result) = running.as_mut().poll(context) {
                return Poll::Ready(Event::Ended(place, result));
            }
        }
        Poll::Pending
    }
}

impl Journey<'_> {
    /// How this request is hedged, if it is.
    pub(crate) fn hedging(&self) -> Option<&Hedging> {
        let may_be = || self.exchange.is_repeatable() && !self.exchange.may_tunnel;
        self.route.hedging.as_ref().filter(|_| may_be())
    }

    /// A try on this server, and others beside it if it is slow; which server it was in the end.
    pub(crate) async fn hedged(
        &self,
        hedging: &Hedging,
        first: usize,
        block: &mut Block,
        filters: &mut trunkline_filter::Exchange,
        tally: &mut Tally,
        tried: &mut Tried,
    ) -> (usize, Result<Relayed, Miss>) {
        let winner = match self.race(hedging, first, tried, tally).await {
            Ok(winner) => winner,
            Err((index, miss)) => return (index, Err(miss)),
        };
        let index = winner.lease.index;
        (index, self.finish(winner, block, filters, tally, tried).await)
    }

    async fn race(
        &self,
        hedging: &Hedging,
        first: usize,
        tried: &mut Tried,
        tally: &mut Tally,
    ) -> Result<Winner, (usize, Miss)> {
        let began = Instant::now();
        let mut race = Race { running: vec![(first, self.run(first, tally.chosen_ns))], begun: 1 };
        let mut others = true;
        let outcome = loop {
            let after_ns = hedging.hedge.next_after_ns(race.begun).filter(|_| others);
            let due = after_ns.map(|after_ns| began + Duration::from_nanos(after_ns));
            match self.next_event(&mut race, due).await {
                Event::Late => others = self.begin_another(&mut race, tried, tally),
                Event::Ended(place, result) => {
                    let (index, _) = race.running.remove(place);
                    let result = if race.running.is_empty() { result } else { self.unless_error(result) };
                    match result {
                        // The others may still answer.
                        Err(miss) if miss.failure.side == Side::Upstream && !race.running.is_empty() => {
                            self.report(index, &Err(miss), 0);
                        }
                        result => break result.map_err(|miss| (index, miss)),
                    }
                }
            }
        };
        let won = outcome.as_ref().is_ok_and(|winner| winner.lease.index != first);
        hedging.count(self.client.worker.index, race.begun - 1, won);
        outcome
    }

    /// A response that is an error, or that the route would rather have from another server, is a miss.
    fn unless_error(&self, result: Result<Winner, Miss>) -> Result<Winner, Miss> {
        let mut winner = result?;
        let status = winner.status();
        if status < 500 && !self.route.retry.statuses.contains(&status) {
            return Ok(winner);
        }
        winner.lease.leave_race();
        Err(Miss { failure: Failure::RETRYABLE_STATUS, stage: Stage::Sent })
    }

    /// One more try, if there is a server for it and the budget allows it.
    fn begin_another<'r>(&'r self, race: &mut Race<'r>, tried: &mut Tried, tally: &mut Tally) -> bool {
        let now_ns = clock::now_ns();
        let picked = self.pool.pick(&self.exchange.key, now_ns, tried);
        let Some(index) = picked.filter(|_| self.pool.may_retry(now_ns)) else { return false };
        tried.push(index);
        race.running.push((index, self.run(index, now_ns)));
        race.begun += 1;
        tally.retries += 1;
        true
    }

    /// `due`: when the next try begins.
    async fn next_event(&self, race: &mut Race<'_>, due: Option<Instant>) -> Event {
        let Some(due) = due else { return poll_fn(|context| race.poll(context)).await };
        let mut alarm = pin!(tokio::time::sleep_until(due));
        poll_fn(|context| match race.poll(context) {
            Poll::Pending => alarm.as_mut().poll(context).map(|()| Event::Late),
            ended @ Poll::Ready(_) => ended,
        })
        .await
    }

    fn run(&self, index: usize, chosen_ns: u64) -> Running<'_> {
        Box::pin(async move {
            // What is waited for here is this try's alone.
            let deadline = Deadline::new(&self.client.worker.timer);
            deadline.limit(self.total.at_ms);
            let beside = Journey {
                client: self.client,
                route: self.route,
                pool: self.pool,
                exchange: self.exchange,
                deadline: &deadline,
                total: self.total,
                ready_ns: Cell::new(chosen_ns),
                progress: Progress { tried: Cell::new(true), ..Progress::default() },
            };
            beside.run_to_answer(index, chosen_ns).await
        })
    }

    async fn run_to_answer(&self, index: usize, chosen_ns: u64) -> Result<Winner, Miss> {
        let missing = Miss { failure: Failure::NO_SERVER, stage: Stage::Connect };
        let local = self.pool.servers.get(index).ok_or(missing)?;
        let mut lease = Lease::begin(&self.pool.pool, local, index, chosen_ns);
        lease.race();
        let ran = self.run_on(local, chosen_ns).await;
        if ran.is_err() {
            lease.leave_race();
        }
        let (connection, first) = ran?;
        Ok(Winner { lease, connection, first, chosen_ns })
    }

    /// On a kept connection or a new one; anew, once, if the kept one had ended, or the server has not looked at the request.
    async fn run_on(
        &self,
        local: &Rc<LocalServer>,
        chosen_ns: u64,
    ) -> Result<(Connection, Option<Block>), Miss> {
        let sent = |failure| Miss { failure, stage: Stage::Sent };
        let kept = local.reuse(self.exchange.stream_answers());
        let reused = kept.is_some();
        let connection = match kept {
            Some(connection) => connection,
            None => self.connect(local).await?,
        };
        match self.begin(&connection, chosen_ns).await {
            Ok(first) => return Ok((connection, first)),
            Err(Failure::UPSTREAM_REFUSED) => {}
            Err(Failure::UPSTREAM_CLOSED | Failure::UPSTREAM_RESET) if reused && !connection.ends_alone() => {
            }
            Err(failure) => return Err(sent(failure)),
        }
        drop(connection);
        let connection = match local.reuse_shared(self.exchange.stream_answers()) {
            Some(connection) => connection,
            None => self.connect(local).await?,
        };
        let first = self.begin(&connection, chosen_ns).await.map_err(sent)?;
        Ok((connection, first))
    }

    /// Sends, and waits until something of the response is here.
    async fn begin(&self, connection: &Connection, chosen_ns: u64) -> Result<Option<Block>, Failure> {
        self.send(connection, chosen_ns).await?;
        match connection.wire.stream() {
            Some(stream) => {
                self.await_upstream(connection, |context| stream.poll_answered(context)).await?;
                Ok(None)
            }
            None => self.first_bytes(connection).await.map(Some),
        }
    }

    /// The response that has begun, to its end.
    async fn finish(
        &self,
        winner: Winner,
        block: &mut Block,
        filters: &mut trunkline_filter::Exchange,
        tally: &mut Tally,
        tried: &[usize],
    ) -> Result<Relayed, Miss> {
        let Winner { mut lease, connection, first, chosen_ns } = winner;
        let local = Rc::clone(&lease.local);
        tally.chosen_ns = chosen_ns;
        tally.server = Some(Rc::clone(&local));
        self.deadline.arm(chosen_ns / 1_000_000, self.route.timeouts.response_head_ms);
        let arrived = self.await_head(&connection, &mut lease, first, filters, tally, tried).await;
        let (reply, rest) = arrived.map_err(|failure| Miss { failure, stage: Stage::Sent })?;
        let relayed = self.relay(&connection, reply, rest, Some(block), tally).await;
        let relayed = relayed.map_err(Miss::committed)?;
        self.keep(&local, connection, relayed, tally);
        Ok(relayed)
    }
}
