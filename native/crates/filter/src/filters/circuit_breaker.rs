//! A circuit breaker in front of the upstream: while it is open, requests are answered here with 503 and `Retry-After`, or with
//! the plan's fallback. What counts as a failure is told by the status; no answer at all always is one.

use std::ops::RangeInclusive;
use std::sync::Arc;

use trunkline_breaker::{Breaker, Outcome, Permit, Settings};

use crate::environment::Environment;
use crate::error::Site;
use crate::exchange::Exchange;
use crate::static_response::StaticResponse;
use crate::verdict::Refusal;
use crate::{Reason, Verdict, plan};

const MILLISECOND_NS: u64 = 1_000_000;

#[derive(Debug)]
pub(crate) struct CircuitBreaker {
    breaker: Arc<Breaker>,
    failures: Box<[RangeInclusive<u16>]>,
    fallback: Option<Box<StaticResponse>>,
}

impl CircuitBreaker {
    pub(crate) fn compile(
        plan: &plan::CircuitBreaker,
        site: &mut Site<'_>,
        environment: &mut Environment<'_>,
    ) -> Option<Self> {
        let failures = compile_failures(&plan.failures, site);
        let fallback =
            plan.fallback.as_ref().map(|fallback| StaticResponse::compile(fallback, "fallback.", site));
        let breaker = site.take("name", environment.breaker(&plan.name, settings(plan)));
        let fallback = fallback.map_or(Some(None), |compiled| compiled.map(Some));
        Some(Self { breaker: breaker?, failures: failures?, fallback: fallback?.map(Box::new) })
    }

    #[inline]
    pub(crate) fn request(&self, exchange: &mut Exchange, now_ns: u64) -> Verdict {
        match self.breaker.acquire(now_ns) {
            Ok(permit) => {
                exchange.permits.push((exchange.position, permit));
                Verdict::Continue
            }
            Err(open) => {
                exchange.retry_after(open.retry_after_ns);
                Verdict::Respond(self.refuse(exchange))
            }
        }
    }

    #[inline]
    pub(crate) fn response(
        &self,
        exchange: &mut Exchange,
        status: Option<u16>,
        now_ns: u64,
        latency_ns: u64,
    ) {
        if let Some(permit) = take_permit(exchange) {
            let failed =
                status.is_none_or(|status| self.failures.iter().any(|range| range.contains(&status)));
            let outcome = if failed { Outcome::Failure } else { Outcome::Success };
            self.breaker.record(permit, now_ns, outcome, latency_ns);
        }
    }

    pub(crate) fn abandon(&self, exchange: &mut Exchange) {
        if let Some(permit) = take_permit(exchange) {
            self.breaker.cancel(permit);
        }
    }

    pub(crate) fn explain(&self, now_ns: u64) -> (Verdict, String) {
        let phase = self.breaker.state(now_ns);
        let counts = self.breaker.counts(now_ns);
        let detail = format!("{}, {} of {} calls failed", phase.name(), counts.failures, counts.calls);
        let open = phase == trunkline_breaker::Phase::Open;
        (if open { Reason::BreakerOpen.into() } else { Verdict::Continue }, detail)
    }

    #[cold]
    fn refuse(&self, exchange: &mut Exchange) -> Refusal {
        match &self.fallback {
            Some(fallback) => fallback.answer(Reason::BreakerOpen, exchange),
            None => Reason::BreakerOpen.into(),
        }
    }
}

fn take_permit(exchange: &mut Exchange) -> Option<Permit> {
    let position = exchange.position;
    let index = exchange.permits.iter().position(|(owner, _)| *owner == position)?;
    Some(exchange.permits.swap_remove(index).1)
}

/// Without a rule of its own, a breaker has the library's: half of at least `min_calls` failed.
fn settings(plan: &plan::CircuitBreaker) -> Settings {
    let nanoseconds = |milliseconds: u64| milliseconds.saturating_mul(MILLISECOND_NS);
    let no_rule =
        plan.consecutive_failures.is_none() && plan.failure_ratio.is_none() && plan.slow_ratio.is_none();
    let default = Settings::default();
    Settings {
        consecutive_failures: plan.consecutive_failures,
        failure_ratio: plan.failure_ratio.or(if no_rule { default.failure_ratio } else { None }),
        slow_ratio: plan.slow_ratio,
        slow_call_ns: nanoseconds(plan.slow_ms.unwrap_or(0)),
        window_ns: nanoseconds(plan.window_ms),
        minimum_calls: plan.min_calls,
        open_ns: nanoseconds(plan.open_ms),
        open_max_ns: default.open_max_ns.max(nanoseconds(plan.open_ms)),
        probes: plan.probes,
        ..default
    }
}

fn compile_failures(ranges: &[(u16, u16)], site: &mut Site<'_>) -> Option<Box<[RangeInclusive<u16>]>> {
    if ranges.is_empty() {
        return Some(Box::new([500..=599]));
    }
    let mut valid = true;
    for (index, (first, last)) in ranges.iter().enumerate() {
        if first > last || *first < 100 || *last > 599 {
            site.error(format!("failures[{index}]"), format!("{first} to {last} is not a range of statuses"));
            valid = false;
        }
    }
    valid.then(|| ranges.iter().map(|(first, last)| *first..=*last).collect())
}
