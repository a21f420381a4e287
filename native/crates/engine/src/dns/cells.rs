//! What each worker counts of questions.

use trunkline_dns::Outcome;
use trunkline_telemetry::{Counter, Gauge};

/// Response codes that have a counter of their own; those above share the last.
pub(crate) const RCODES: [&str; 8] =
    ["noerror", "formerr", "servfail", "nxdomain", "notimp", "refused", "yxdomain", "other"];

#[derive(Debug, Default)]
pub(crate) struct Cells {
    pub(crate) datagrams: Counter,
    pub(crate) streams: Counter,
    /// By response code.
    pub(crate) responses: [Counter; RCODES.len()],
    pub(crate) truncated: Counter,
    /// Not answered: no questions, or nothing that could be answered.
    pub(crate) silent: Counter,
    /// Answers that the kernel did not take.
    pub(crate) unsent: Counter,
    pub(crate) connections: Counter,
    pub(crate) open: Gauge,
}

impl Cells {
    pub(crate) fn count(&self, outcome: Option<Outcome>) {
        let Some(outcome) = outcome else { return self.silent.inc() };
        let index = (outcome.rcode as usize).min(RCODES.len() - 1);
        if let Some(counter) = self.responses.get(index) {
            counter.inc();
        }
        if outcome.truncated {
            self.truncated.inc();
        }
    }
}
