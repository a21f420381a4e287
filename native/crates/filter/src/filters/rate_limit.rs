//! Rate limits by client address, consumer, route or header, with the `RateLimit` fields of
//! draft-ietf-httpapi-ratelimit-headers (as of -09: a policy's name, `q` per `w` seconds; `r` left, whole again in `t` seconds).
//!
//! An IPv6 client is its /64: that is what one subscriber gets (RFC 6177), and what an abuser would otherwise rotate through.
//! Requests without a consumer, or without the header, share one count. A chain does not sleep: what a `leaky_queue` wants
//! to hold back goes on the exchange's [`Exchange::delay_ns`], and only what its queue has no room for is refused.

use std::net::IpAddr;
use std::sync::Arc;

use trunkline_ratelimit::{Algorithm, Decision, KeyedLimiter, Quota};

use crate::environment::{Environment, LimiterSettings};
use crate::error::Site;
use crate::exchange::Exchange;
use crate::header_edits::is_token;
use crate::plan;
use crate::{Reason, Request, Verdict};

const SECOND_NS: u64 = 1_000_000_000;
const MILLISECOND_NS: u64 = 1_000_000;

/// With the key `api` there is one key per route that shares the limiter, whatever capacity the plan has by default.
const API_CAPACITY: usize = 1_024;

#[derive(Debug)]
pub(crate) struct RateLimit {
    key: Key,
    cost: u64,
    limiter: Arc<KeyedLimiter>,
    /// `"name"` as a structured-field string, and the whole of `RateLimit-Policy`; `None` leaves both fields out.
    fields: Option<(Box<str>, Box<str>)>,
}

#[derive(Debug)]
enum Key {
    Ip,
    Consumer,
    /// The route's name.
    Api(Box<str>),
    Header(Box<str>),
}

impl RateLimit {
    pub(crate) fn compile(
        plan: &plan::RateLimit,
        site: &mut Site<'_>,
        environment: &mut Environment<'_>,
    ) -> Option<Self> {
        let key = Key::parse(&plan.key, site.route);
        let key = site.take("key", key);
        let quota = site.take("limit", quota(plan));
        if plan.headers && !plan.name.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
            site.error("name", "only printable ASCII can stand in the RateLimit field (RFC 9651 §3.3.3)");
            return None;
        }
        if let Some(quota) = quota.filter(|quota| plan.cost > quota.burst()) {
            site.error(
                "cost",
                format!("must be at most the burst, {}: no request would ever pass", quota.burst()),
            );
            return None;
        }
        let capacity = if plan.key == "api" { plan.capacity.min(API_CAPACITY) } else { plan.capacity };
        let settings = LimiterSettings { quota: quota?, key: plan.key.clone(), capacity };
        let limiter = site.take("name", environment.limiter(&plan.name, settings))?;
        let name = quoted(&plan.name);
        let policy = policy(&name, plan);
        let fields = plan.headers.then(|| (name.into(), policy.into()));
        Some(Self { key: key?, cost: plan.cost, limiter, fields })
    }

    #[inline]
    pub(crate) fn request(&self, request: &Request<'_>, exchange: &mut Exchange, now_ns: u64) -> Verdict {
        let decision = self.with_key(request, exchange, |key| self.limiter.check(key, now_ns, self.cost));
        self.describe(&decision, exchange);
        exchange.add_delay(decision.delay_ns);
        verdict(&decision)
    }

    pub(crate) fn explain(
        &self,
        request: &Request<'_>,
        exchange: &Exchange,
        now_ns: u64,
    ) -> (Verdict, String) {
        let decision = self.with_key(request, exchange, |key| self.limiter.peek(key, now_ns, self.cost));
        let Decision { limit, remaining, .. } = decision;
        let mut detail = format!("{remaining} of {limit} left after this request");
        if !decision.allowed {
            detail = format!("retry in {} ms", decision.retry_after_ns.div_ceil(MILLISECOND_NS));
        } else if decision.delay_ns > 0 {
            detail = format!("held for {} ms", decision.delay_ns.div_ceil(MILLISECOND_NS));
        }
        (verdict(&decision), detail)
    }

    #[inline]
    fn with_key<T>(&self, request: &Request<'_>, exchange: &Exchange, check: impl FnOnce(&[u8]) -> T) -> T {
        match &self.key {
            Key::Ip => match request.client.to_canonical() {
                IpAddr::V4(address) => check(&address.octets()),
                IpAddr::V6(address) => check(&address.octets()[..8]),
            },
            Key::Consumer => check(&exchange.consumer),
            Key::Api(route) => check(route.as_bytes()),
            Key::Header(name) => check(request.header(name).unwrap_or_default()),
        }
    }

    #[inline]
    fn describe(&self, decision: &Decision, exchange: &mut Exchange) {
        if let Some((name, policy)) = &self.fields {
            exchange.response.append("ratelimit-policy", policy.as_bytes());
            exchange.response.append_with("ratelimit", |value| {
                value.put(name.as_bytes());
                value.put(b";r=");
                value.put_number(decision.remaining);
                value.put(b";t=");
                value.put_number(decision.reset_after_ns.div_ceil(SECOND_NS));
            });
        }
        if !decision.allowed {
            exchange.retry_after(decision.retry_after_ns);
        }
    }
}

impl Key {
    fn parse(key: &str, route: &str) -> Result<Self, String> {
        match key.split_once(':') {
            Some(("header", name)) if is_token(name) => Ok(Self::Header(name.into())),
            None if key == "ip" => Ok(Self::Ip),
            None if key == "consumer" => Ok(Self::Consumer),
            None if key == "api" => Ok(Self::Api(route.into())),
            _ => Err(format!("{key:?} is none of ip, consumer, api, header:NAME")),
        }
    }
}

fn verdict(decision: &Decision) -> Verdict {
    if decision.allowed { Verdict::Continue } else { Reason::RateLimited.into() }
}

fn quota(plan: &plan::RateLimit) -> Result<Quota, String> {
    let algorithm = match plan.algorithm.as_str() {
        "leaky_bucket" => Algorithm::LeakyMeter,
        name => name.parse().map_err(|error: trunkline_ratelimit::QuotaError| error.to_string())?,
    };
    let period_ns = plan.period_ms.saturating_mul(MILLISECOND_NS);
    Quota::new(algorithm, plan.limit, period_ns, plan.burst).map_err(|error| error.to_string())
}

/// A structured-field string (RFC 9651 §3.3.3).
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

/// `w` is whole seconds; a window that is not is left out rather than rounded.
fn policy(name: &str, plan: &plan::RateLimit) -> String {
    let window = match (plan.period_ms / 1_000, plan.period_ms % 1_000) {
        (seconds, 0) => format!(";w={seconds}"),
        _ => String::new(),
    };
    format!("{name};q={}{window}", plan.limit)
}
