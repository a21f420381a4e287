//! A server for a request: chosen at once, or waited for where all are busy.

use std::pin::pin;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::clock;
use crate::failure::Failure;
use crate::forward::Journey;
use crate::settle::Tally;

/// Who waits for room on a server looks again so often, for changes that nobody announces: an ejection that ends, a reload.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

impl Journey<'_> {
    /// Chooses a server, waiting for one if all are busy.
    pub(crate) async fn choose(&self, tried: &[usize], tally: &mut Tally) -> Result<usize, Failure> {
        // The first choice needs no reading of the clock.
        tally.chosen_ns = if tried.is_empty() { self.ready_ns.get() } else { clock::now_ns() };
        if let Some(index) = self.pick(tally.chosen_ns, tried) {
            return Ok(index);
        }
        let index = Box::pin(self.wait_for_server(tried)).await?;
        tally.chosen_ns = clock::now_ns();
        Ok(index)
    }

    /// The server that the client's cookie remembers, if it may be used; else the scheduler's choice.
    fn pick(&self, now_ns: u64, tried: &[usize]) -> Option<usize> {
        let remembered = self.exchange.remembered.map(|remembered| remembered.server);
        let usable = remembered.filter(|index| self.pool.admits(*index, now_ns, tried));
        usable.or_else(|| self.pool.pick(&self.exchange.key, now_ns, tried))
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
                if let Some(index) = self.pick(clock::now_ns(), tried) {
                    return index;
                }
                let _ = tokio::time::timeout(LOOK_AGAIN, released).await;
            }
        };
        let limit = Duration::from_millis(self.within_total(queue.timeout_ms));
        let late = |_| if self.is_over() { self.overrun() } else { Failure::QUEUE_TIMEOUT };
        self.unless_gone(tokio::time::timeout(limit, search)).await?.map_err(late)
    }
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
