//! What a pool or a route may have under way at once. Over the limit a request waits, bounded in number and time, or is refused: what
//! hangs holds so many places and takes nothing from its neighbours.
//!
//! Who gives a place back wakes one of those who wait, the one that has waited longest; and who gets a place wakes the next one if there is
//! room for it, too. So nobody wakes in vain, and places that came free together, or with a limit that grew, are all taken.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use trunkline_concurrency::{Entry, Limit, Permit, Place, Report};

use crate::clock;
use crate::failure::Failure;
use crate::forward::Journey;
use crate::plan;
use crate::relay::Relayed;
use crate::settle::Tally;

/// Shared by all workers; outlives a configuration by name and equal plan.
#[derive(Debug)]
pub(crate) struct Bulkhead {
    pub(crate) plan: plan::Concurrency,
    limit: Arc<Limit>,
    /// A place came free.
    released: Notify,
}

impl Bulkhead {
    pub(crate) fn new(plan: &plan::Concurrency) -> Result<Self, trunkline_concurrency::Error> {
        let limit = Arc::new(Limit::new(plan.settings())?);
        Ok(Self { plan: plan.clone(), limit, released: Notify::new() })
    }

    pub(crate) fn report(&self) -> Report {
        self.limit.report()
    }

    /// A place for something that nobody waits for.
    pub(crate) fn try_pass(self: &Arc<Self>) -> Option<Pass> {
        match self.limit.enter() {
            Entry::Admitted(permit) => Some(self.pass(permit)),
            Entry::Queued(_) | Entry::Refused => None,
        }
    }

    fn pass(self: &Arc<Self>, permit: Permit) -> Pass {
        Pass { bulkhead: Arc::clone(self), permit: Some(permit) }
    }

    /// The place that comes free for whoever holds this one in the queue.
    async fn next_pass(self: &Arc<Self>, place: Place) -> Pass {
        loop {
            self.released.notified().await;
            if let Some(permit) = place.try_enter() {
                drop(place);
                if self.limit.has_room() {
                    self.released.notify_one();
                }
                return self.pass(permit);
            }
        }
    }
}

/// A place that is held, and given back when it is dropped, whatever became of the exchange.
#[derive(Debug)]
pub(crate) struct Pass {
    bulkhead: Arc<Bulkhead>,
    permit: Option<Permit>,
}

/// What an exchange has shown of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lesson {
    /// It answered after so long.
    Answered(u64),
    /// It did not answer in time, could not be reached, or said that it has too much to do.
    Overloaded,
    /// Nothing: the client left, the response broke off.
    Nothing,
}

impl Lesson {
    fn of(result: &Result<Relayed, Failure>, tally: &Tally) -> Self {
        match (result, tally.first_byte_ns) {
            (Ok(_), Some(latency_ns)) => Self::of_status(tally.status, latency_ns),
            (Err(failure), _) if speaks_of_overload(*failure) => Self::Overloaded,
            _ => Self::Nothing,
        }
    }

    /// An error that comes quickly does not say that more could be borne.
    fn of_status(status: u16, latency_ns: u64) -> Self {
        match status {
            503 => Self::Overloaded,
            500.. => Self::Nothing,
            _ => Self::Answered(latency_ns),
        }
    }
}

fn speaks_of_overload(failure: Failure) -> bool {
    matches!(
        failure,
        Failure::CONNECT_FAILED
            | Failure::CONNECT_TIMEOUT
            | Failure::RESPONSE_TIMEOUT
            | Failure::TOTAL_TIMEOUT
            | Failure::UPSTREAM_REFUSED
    )
}

impl Pass {
    fn learn(mut self, lesson: Lesson, now_ns: u64) {
        let Some(permit) = self.permit.take() else { return };
        match lesson {
            Lesson::Answered(latency_ns) => permit.answered(now_ns, latency_ns),
            Lesson::Overloaded => permit.dropped(now_ns),
            Lesson::Nothing => drop(permit),
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.permit.take();
        self.bulkhead.released.notify_one();
    }
}

/// The places of one exchange.
#[derive(Debug, Default)]
pub(crate) struct Passes {
    route: Option<Pass>,
    pool: Option<Pass>,
}

impl Passes {
    pub(crate) fn give_back(self, result: &Result<Relayed, Failure>, tally: &Tally) {
        if self.route.is_none() && self.pool.is_none() {
            return;
        }
        let lesson = Lesson::of(result, tally);
        let now_ns = clock::now_ns();
        for pass in [self.route, self.pool].into_iter().flatten() {
            pass.learn(lesson, now_ns);
        }
    }
}

impl Journey<'_> {
    /// Whether pool or route has a limit.
    pub(crate) fn is_limited(&self) -> bool {
        self.route.bulkhead.is_some() || self.pool.pool.bulkhead.is_some()
    }

    /// Takes the places that the limits of route and pool ask for, waiting for them where that is allowed.
    pub(crate) async fn enter(&self) -> Result<Passes, Failure> {
        let route = self.pass(self.route.bulkhead.as_ref()).await?;
        let pool = self.pass(self.pool.pool.bulkhead.as_ref()).await?;
        Ok(Passes { route, pool })
    }

    async fn pass(&self, bulkhead: Option<&Arc<Bulkhead>>) -> Result<Option<Pass>, Failure> {
        let Some(bulkhead) = bulkhead else { return Ok(None) };
        match bulkhead.limit.enter() {
            Entry::Admitted(permit) => Ok(Some(bulkhead.pass(permit))),
            Entry::Queued(place) => Box::pin(self.queue(bulkhead, place)).await.map(Some),
            Entry::Refused => Err(Failure::CONCURRENCY_FULL),
        }
    }

    async fn queue(&self, bulkhead: &Arc<Bulkhead>, place: Place) -> Result<Pass, Failure> {
        let limit = Duration::from_millis(self.until_total(bulkhead.plan.queue_timeout_ms));
        let waiting = tokio::time::timeout(limit, bulkhead.next_pass(place));
        let late = |_| if self.is_over() { self.overrun() } else { Failure::CONCURRENCY_TIMEOUT };
        let pass = self.unless_gone(waiting).await?.map_err(late)?;
        self.ready_ns.set(clock::now_ns());
        Ok(pass)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn bulkhead(max: u32, queue: u32) -> Arc<Bulkhead> {
        let plan = plan::Concurrency { max, adaptive: None, queue, queue_timeout_ms: 1_000 };
        Arc::new(Bulkhead::new(&plan).unwrap())
    }

    fn place(bulkhead: &Arc<Bulkhead>) -> Place {
        match bulkhead.limit.enter() {
            Entry::Queued(place) => place,
            other => panic!("{other:?}"),
        }
    }

    fn run(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(test);
    }

    #[test]
    fn places_that_came_free_before_anyone_waited_are_all_taken() {
        run(async {
            let bulkhead = bulkhead(2, 2);
            let passes = [bulkhead.try_pass().unwrap(), bulkhead.try_pass().unwrap()];
            let places = [place(&bulkhead), place(&bulkhead)];
            drop(passes);
            // The two releases left one notice; the second place is handed on.
            let [first, second] = places;
            let _first = bulkhead.next_pass(first).await;
            let _second = bulkhead.next_pass(second).await;
            assert_eq!((bulkhead.report().in_flight, bulkhead.report().waiting), (2, 0));
        });
    }

    #[test]
    fn who_gave_up_waiting_passes_the_notice_on() {
        run(async {
            let bulkhead = bulkhead(1, 2);
            let pass = bulkhead.try_pass().unwrap();
            let mut first = Box::pin(bulkhead.next_pass(place(&bulkhead)));
            let mut second = Box::pin(bulkhead.next_pass(place(&bulkhead)));
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(first.as_mut().poll(&mut context).is_pending());
            assert!(second.as_mut().poll(&mut context).is_pending());
            drop(pass);
            drop(first);
            assert!(second.as_mut().poll(&mut context).is_ready());
        });
    }

    #[test]
    fn what_is_learnt() {
        let relayed = Relayed { closes: false, reusable: true };
        for (result, status, first_byte_ns, lesson) in [
            (Ok(relayed), 200, Some(7), Lesson::Answered(7)),
            (Ok(relayed), 404, Some(7), Lesson::Answered(7)),
            (Ok(relayed), 500, Some(7), Lesson::Nothing),
            (Ok(relayed), 503, Some(7), Lesson::Overloaded),
            (Err(Failure::RESPONSE_TIMEOUT), 0, None, Lesson::Overloaded),
            (Err(Failure::CONNECT_FAILED), 0, None, Lesson::Overloaded),
            (Err(Failure::TOTAL_TIMEOUT), 0, None, Lesson::Overloaded),
            (Err(Failure::TOTAL_TIMEOUT_OF_CLIENT), 0, None, Lesson::Nothing),
            (Err(Failure::CLIENT_CLOSED), 200, Some(7), Lesson::Nothing),
            (Err(Failure::NO_SERVER), 0, None, Lesson::Nothing),
        ] {
            let tally = Tally { status, first_byte_ns, ..Tally::default() };
            assert_eq!(Lesson::of(&result, &tally), lesson, "{status} {result:?}");
        }
    }
}
