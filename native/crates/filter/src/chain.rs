//! A route's filters, compiled, and the order in which things happen to a request:
//!
//! | when | what | then |
//! |---|---|---|
//! | [`Chain::request`] | filters in the plan's order | the first that answers ends it; permits taken before are given back |
//! | [`crate::Rewrite`] | target, host, headers for the upstream | not after a refusal |
//! | upstream | with [`Exchange::upstream_edits`], after [`Exchange::delay_ns`] | |
//! | [`Chain::response`] | filters in reverse | breakers learn how it ended |
//! | or [`Chain::abandon`] | the client went away | permits are given back without a verdict |
//!
//! A refusal carries the response edits of the filters that ran, its own included: CORS fields on a 401, the request id on a
//! 429. Those of filters behind it are missing, because they never saw the request.

use crate::environment::Environment;
use crate::error::{Error, Site};
use crate::exchange::Exchange;
use crate::filters::Filter;
use crate::plan;
use crate::{Request, Verdict};

/// More than any sensible chain, and few enough for a byte in every edit.
const MAX_FILTERS: u8 = 64;

/// The filters of one route. Immutable and shared by all threads; what changes stands in the [`Exchange`], in limiters and in breakers.
#[derive(Debug, Default)]
pub struct Chain {
    pub(crate) filters: Box<[Filter]>,
}

impl Chain {
    /// Compiles the filters of the route named `route`.
    ///
    /// # Errors
    /// Everything that is wrong with them, each with its position, type and key.
    pub fn compile(
        route: &str,
        plan: &[plan::Filter],
        environment: &mut Environment<'_>,
    ) -> Result<Self, Vec<Error>> {
        let mut errors = Vec::new();
        let mut filters = Vec::with_capacity(plan.len());
        for (position, step) in plan.iter().enumerate() {
            let filter = Some((position, step.type_name()));
            let mut site = Site { route, filter, errors: &mut errors };
            check_order(&plan[..position], step, &mut site);
            filters.extend(Filter::compile(step, &mut site, environment));
        }
        if errors.is_empty() { Ok(Self { filters: filters.into() }) } else { Err(errors) }
    }

    pub fn is_empty(&self) -> bool {
        self.filters.is_empty()
    }

    /// Whether the route must match OPTIONS too, because a filter answers CORS preflights.
    pub fn answers_preflights(&self) -> bool {
        self.filters.iter().any(|filter| matches!(filter, Filter::Cors(_)))
    }

    /// The request phase. `exchange` is a new one, or one that was cleared.
    #[inline]
    pub fn request(&self, request: &Request<'_>, exchange: &mut Exchange, now_ns: u64) -> Verdict {
        for (position, filter) in (0..MAX_FILTERS).zip(&*self.filters) {
            exchange.enter(position);
            if let Verdict::Respond(refusal) = filter.request(request, exchange, now_ns) {
                // The upstream is not asked, so the breakers that let this request pass have nothing to learn from it.
                self.abandon(exchange);
                self.conceal_from(position, request, exchange);
                return Verdict::Respond(refusal);
            }
        }
        // What is edited from here on, by a rewrite, comes after every filter.
        exchange.enter(u8::MAX);
        Verdict::Continue
    }

    /// A refused request is logged too, and its key must not be, though the filter that knows where keys come may not have run.
    #[cold]
    fn conceal_from(&self, position: u8, request: &Request<'_>, exchange: &mut Exchange) {
        for filter in self.filters.iter().skip(usize::from(position)) {
            if let Filter::ApiKey(filter) = filter {
                filter.conceal(request, exchange);
            }
        }
    }

    /// The response phase. `status`: the upstream's, or `None` if it gave no answer; `latency_ns`: from the request sent to
    /// the response head. A second time breakers learn nothing.
    #[inline]
    pub fn response(&self, exchange: &mut Exchange, status: Option<u16>, now_ns: u64, latency_ns: u64) {
        if let Some(status) = status {
            exchange.response.fill_in_status(status);
        }
        if exchange.permits.is_empty() {
            return;
        }
        for (position, filter) in (0..MAX_FILTERS).zip(&*self.filters).rev() {
            exchange.enter(position);
            filter.response(exchange, status, now_ns, latency_ns);
        }
    }

    /// The client vanished, or the request never reached the upstream through no fault of it: what was taken is given back.
    pub fn abandon(&self, exchange: &mut Exchange) {
        if exchange.permits.is_empty() {
            return;
        }
        for (position, filter) in (0..MAX_FILTERS).zip(&*self.filters) {
            exchange.enter(position);
            filter.abandon(exchange);
        }
    }
}

fn check_order(earlier: &[plan::Filter], step: &plan::Filter, site: &mut Site<'_>) {
    let authenticates =
        |filter: &plan::Filter| matches!(filter, plan::Filter::ApiKey(_) | plan::Filter::Jwt(_));
    if earlier.len() == usize::from(MAX_FILTERS) {
        site.error("type", format!("a chain has at most {MAX_FILTERS} filters"));
    }
    match step {
        plan::Filter::Cors(_) if earlier.iter().any(authenticates) => {
            site.error("type", "cors must come before api_key and jwt: a preflight carries no credentials");
        }
        plan::Filter::RateLimit(limit) if limit.key == "consumer" && !earlier.iter().any(authenticates) => {
            site.error("key", "\"consumer\" needs an api_key or jwt filter before it");
        }
        _ => {}
    }
}
