//! The end of an exchange: counters, histogram, access log, recent errors. Runs once for every request, whatever became of it.

use std::rc::Rc;

use trunkline_telemetry::Record;

use crate::block::Block;
use crate::cells::class_of;
use crate::client::Client;
use crate::clock;
use crate::facts::Facts;
use crate::failure::Failure;
use crate::upstream::LocalServer;

/// What was measured on the way.
#[derive(Default)]
pub(crate) struct Tally {
    /// What the client got; 0 = nothing.
    pub(crate) status: u16,
    pub(crate) failure: Option<Failure>,
    pub(crate) response_bytes: u64,
    /// When the last server was chosen.
    pub(crate) chosen_ns: u64,
    /// From then to the head of its response.
    pub(crate) first_byte_ns: Option<u64>,
    pub(crate) retries: u32,
    /// Of the route's split; `None` = no pool was chosen.
    pub(crate) side: Option<usize>,
    pub(crate) server: Option<Rc<LocalServer>>,
    /// For the log, beyond the reason.
    pub(crate) detail: String,
    /// 0 = now.
    pub(crate) ended_ns: u64,
}

impl Tally {
    pub(crate) fn failed(failure: Failure) -> Self {
        Self { failure: Some(failure), ..Self::default() }
    }
}

impl Client {
    pub(crate) fn settle(
        &self,
        facts: &Facts,
        block: Option<&Block>,
        route: Option<usize>,
        tally: &Tally,
        filters: Option<&trunkline_filter::Exchange>,
    ) {
        let worker = self.worker.index;
        let ended_ns = if tally.ended_ns == 0 { clock::now_ns() } else { tally.ended_ns };
        let duration_ns = ended_ns.saturating_sub(facts.started_ns);
        let listener = self.listener.cells.get(worker);
        listener.requests.inc();
        if let Some(route) = route.and_then(|route| self.listener.routes.get(route)) {
            let cells = route.cells.get(worker);
            if let Some(class) = cells.classes.get(class_of(tally.status)) {
                class.inc();
            }
            if let (Some(division), Some(side)) = (&route.sides.division, tally.side) {
                division.count(side, worker);
            }
            cells.request_bytes.add(facts.body_bytes);
            cells.response_bytes.add(tally.response_bytes);
            cells.latency.observe_ns(duration_ns);
        }
        if let Some(failure) = self.cause(tally) {
            self.note_failure(failure, route, tally);
        }
        if self.listener.access_log && self.worker.log.borrow().is_some() {
            self.log(facts, block, route, tally, filters, ended_ns);
        }
    }

    /// Whoever takes bytes when everything is cut has not stalled: it was our time that was over.
    fn cause(&self, tally: &Tally) -> Option<Failure> {
        let cut = |failure| failure == Failure::CLIENT_STALLED && self.worker.is_cut();
        tally.failure.map(|failure| if cut(failure) { Failure::SHUTDOWN } else { failure })
    }

    #[cold]
    fn note_failure(&self, failure: Failure, route: Option<usize>, tally: &Tally) {
        self.listener.cells.get(self.worker.index).refusals.count(failure.reason);
        let route = route.and_then(|route| self.listener.routes.get(route)).map_or("", |route| &route.name);
        let server = tally.server.as_ref().map_or("", |server| server.server.state.name());
        self.worker.shared.recent.add(clock::unix_ns(), failure, &self.listener.name, route, server);
    }

    fn log(
        &self,
        facts: &Facts,
        block: Option<&Block>,
        route: Option<usize>,
        tally: &Tally,
        filters: Option<&trunkline_filter::Exchange>,
        ended_ns: u64,
    ) {
        let route = route.and_then(|route| self.listener.routes.get(route));
        let target = facts.text(&facts.target, block);
        let redacted = filters.filter(|filters| filters.hides_query()).map(|filters| redact(target, filters));
        let mut log = self.worker.log.borrow_mut();
        let Some(log) = log.as_mut() else { return };
        log.log(&Record {
            time_unix_ns: clock::unix_ns(),
            client: facts.client.unwrap_or(self.peer.address),
            listener: &self.listener.name,
            method: facts.text(&facts.method, block),
            host: facts.text(&facts.authority, block),
            path: redacted.as_deref().unwrap_or(target),
            status: tally.status,
            request_bytes: facts.body_bytes,
            response_bytes: tally.response_bytes,
            duration_ns: ended_ns.saturating_sub(facts.started_ns),
            upstream_ns: tally.first_byte_ns.map(|_| ended_ns.saturating_sub(tally.chosen_ns)),
            first_byte_ns: tally.first_byte_ns,
            retries: tally.retries,
            route: route.map_or("", |route| &route.name),
            pool: route.and_then(|route| route.sides.used(tally.side)).map_or("", |pool| &pool.name),
            server: tally.server.as_ref().map_or("", |server| server.server.state.name()),
            consumer: filters.and_then(trunkline_filter::Exchange::consumer).unwrap_or(""),
            reason: self.cause(tally).map_or("", |failure| failure.reason),
            detail: &tally.detail,
            request_id: filters.and_then(trunkline_filter::Exchange::request_id).unwrap_or("").as_bytes(),
            user_agent: facts.text(&facts.user_agent, block),
        });
    }
}

/// The target without the values that carried a credential.
#[cold]
fn redact(target: &[u8], filters: &trunkline_filter::Exchange) -> Vec<u8> {
    let Some(question) = memchr::memchr(b'?', target) else { return target.to_vec() };
    let (path, query) = target.split_at(question + 1);
    let mut out = path.to_vec();
    for (position, pair) in query.split(|&byte| byte == b'&').enumerate() {
        if position > 0 {
            out.push(b'&');
        }
        let name = pair.split(|&byte| byte == b'=').next().unwrap_or_default();
        if filters.hidden_query().any(|hidden| hidden.as_bytes() == name) {
            out.extend_from_slice(name);
            out.extend_from_slice(b"=-");
        } else {
            out.extend_from_slice(pair);
        }
    }
    out
}
