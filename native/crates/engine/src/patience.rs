//! What an exchange waits for besides its peers, and how long: pauses, and the end of everything.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use crate::client::Client;
use crate::clock;
use crate::failure::Failure;
use crate::forward::Journey;

/// When a whole exchange must be over.
#[derive(Clone, Copy)]
pub(crate) struct Total {
    /// 0 = never.
    pub(crate) at_ms: u64,
    /// It is the client that wants it so, not the route.
    of_client: bool,
}

impl Total {
    /// What route and client allow, from `started_ms` on; 0 = without end.
    pub(crate) fn of(started_ms: u64, route_ms: u64, client_ms: u64) -> Self {
        let of_client = client_ms != 0 && (route_ms == 0 || client_ms < route_ms);
        let after_ms = if of_client { client_ms } else { route_ms };
        Self { at_ms: if after_ms == 0 { 0 } else { started_ms.saturating_add(after_ms) }, of_client }
    }

    fn is_over(self) -> bool {
        self.at_ms != 0 && clock::now_ms() >= self.at_ms
    }
}

impl Client {
    /// Why a deadline passed while the client's body was taken in: the end of everything, of the whole exchange, or of this step.
    pub(crate) fn late(&self, total: Total, step: Failure) -> Failure {
        if self.worker.is_cut() {
            Failure::SHUTDOWN
        } else if total.is_over() {
            Failure::TOTAL_TIMEOUT_OF_CLIENT
        } else {
            step
        }
    }
}

impl Journey<'_> {
    /// Waits as long as a queueing rate limit says.
    pub(crate) async fn hold_back(&self) -> Result<(), Failure> {
        if self.exchange.delay_ns == 0 {
            return Ok(());
        }
        Box::pin(self.sleep(self.exchange.delay_ns / 1_000_000)).await?;
        self.ready_ns.set(clock::now_ns());
        Ok(())
    }

    /// Exponential backoff with full jitter, after so many tries.
    pub(crate) async fn pause(&self, tries: u32) -> Result<(), Failure> {
        let retry = &self.route.retry;
        let doubled_ms = retry.backoff_ms.saturating_mul(1 << (tries - 1).min(16));
        match doubled_ms.min(retry.backoff_max_ms) {
            0 => Ok(()),
            ceiling_ms => Box::pin(self.sleep(fastrand::u64(0..=ceiling_ms))).await,
        }
    }

    pub(crate) async fn sleep(&self, pause_ms: u64) -> Result<(), Failure> {
        let pause = Duration::from_millis(self.until_total(pause_ms));
        self.unless_gone(tokio::time::sleep(pause)).await?;
        if self.is_over() { Err(self.overrun()) } else { Ok(()) }
    }

    /// Waits for something that the client may not live to see.
    pub(crate) async fn unless_gone<T>(&self, future: impl Future<Output = T>) -> Result<T, Failure> {
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

    /// Whether the time for the whole exchange is used up.
    pub(crate) fn is_over(&self) -> bool {
        self.total.is_over()
    }

    /// The time for the whole exchange is used up: by a server, if one had the whole request for as long as the route allows.
    pub(crate) fn overrun(&self) -> Failure {
        if self.progress.tried.get() && self.body_is_sent() {
            self.overrun_at_server()
        } else {
            Failure::TOTAL_TIMEOUT_OF_CLIENT
        }
    }

    /// The same where only a server was waited for.
    pub(crate) fn overrun_at_server(&self) -> Failure {
        if self.total.of_client { Failure::TOTAL_TIMEOUT_OF_CLIENT } else { Failure::TOTAL_TIMEOUT }
    }

    /// See [`Client::late`].
    pub(crate) fn late(&self, step: Failure) -> Failure {
        match self.client.late(self.total, step) {
            Failure::TOTAL_TIMEOUT_OF_CLIENT => self.overrun(),
            other => other,
        }
    }

    /// `after_ms`, but not beyond the end of the whole exchange.
    pub(crate) fn until_total(&self, after_ms: u64) -> u64 {
        after_ms.min(self.within_total(after_ms))
    }

    /// `after_ms` (0 = without end), but not beyond the end of the whole exchange.
    pub(crate) fn within_total(&self, after_ms: u64) -> u64 {
        let total_ms = self.total.at_ms.saturating_sub(clock::now_ms()).max(1);
        match (self.total.at_ms, after_ms) {
            (0, _) => after_ms,
            (_, 0) => total_ms,
            _ => after_ms.min(total_ms),
        }
    }
}
