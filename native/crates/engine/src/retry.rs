//! Whether a try is followed by another, and what is learnt from it.

use crate::clock;
use crate::failure::{Failure, Side};
use crate::forward::{Journey, Miss, Stage};
use crate::plan::RetryOn;
use crate::relay::Relayed;
use crate::upstream::LocalPool;

impl Journey<'_> {
    /// Whether a response of this status is thrown away for another try. Not if there is no other server: its answer is the best there is.
    pub(crate) fn would_repeat(&self, status: u16, tried: &[usize], now_ns: u64) -> bool {
        let retry = &self.route.retry;
        self.exchange.is_repeatable()
            && retry.statuses.contains(&status)
            && retry.on.contains(&RetryOn::Status)
            && (tried.len() as u32) < retry.attempts
            && self.pool.has_other(now_ns, tried)
            && self.pool.may_retry(now_ns)
    }

    pub(crate) fn may_repeat(&self, miss: Miss) -> bool {
        let retry = &self.route.retry;
        let repeatable = self.exchange.is_repeatable();
        let allowed = match (miss.stage, miss.failure) {
            (Stage::Committed, _) => false,
            (_, failure) if failure.ends_all() => false,
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
    pub(crate) fn report(&self, index: usize, result: &Result<Relayed, Miss>, status: u16) {
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
        self.pool.judge(index, good);
    }
}

impl LocalPool {
    /// Tells the passive health check how a server did.
    pub(crate) fn judge(&self, index: usize, good: bool) {
        let (Some(outliers), Some(local)) = (&self.pool.outliers, self.servers.get(index)) else { return };
        if let Some(ejection) = outliers.record(index, good, clock::now_ns()) {
            local.cells().ejections.inc();
            local.server.state.eject_until(ejection.until_ns);
        }
    }
}
