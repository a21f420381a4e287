//! The filters, one file each, behind one enum: dispatched by a jump, stored in the chain without boxes.
//!
//! Every filter has `compile` (plan in, every mistake noted), `request` (runs in the chain's order) and, if it has something to
//! say about the outcome, `response` (runs in reverse).

mod api_key;
mod circuit_breaker;
mod cors;
mod headers;
mod ip_access;
mod jwt;
mod maintenance;
mod rate_limit;
mod redirect;
pub(crate) mod request_id;
mod respond;
mod size_limit;

use crate::environment::Environment;
use crate::error::Site;
use crate::exchange::Exchange;
use crate::plan;
use crate::{Request, Verdict};

#[derive(Debug)]
pub(crate) enum Filter {
    RequestId(request_id::RequestId),
    IpAccess(ip_access::IpAccess),
    Cors(Box<cors::Cors>),
    ApiKey(api_key::ApiKey),
    Jwt(Box<jwt::Jwt>),
    RateLimit(rate_limit::RateLimit),
    CircuitBreaker(circuit_breaker::CircuitBreaker),
    Headers(headers::Headers),
    Redirect(Box<redirect::Redirect>),
    Respond(respond::Respond),
    Maintenance(Box<maintenance::Maintenance>),
    SizeLimit(size_limit::SizeLimit),
}

impl Filter {
    pub(crate) fn compile(
        plan: &plan::Filter,
        site: &mut Site<'_>,
        environment: &mut Environment<'_>,
    ) -> Option<Self> {
        Some(match plan {
            plan::Filter::RequestId { trust } => {
                Self::RequestId(request_id::RequestId::new(*trust, environment.seed()))
            }
            plan::Filter::IpAccess { allow, deny } => {
                Self::IpAccess(ip_access::IpAccess::compile(allow, deny, site)?)
            }
            plan::Filter::Cors(plan) => Self::Cors(Box::new(cors::Cors::compile(plan, site)?)),
            plan::Filter::ApiKey(plan) => Self::ApiKey(api_key::ApiKey::compile(plan, site, environment)?),
            plan::Filter::Jwt(plan) => Self::Jwt(Box::new(jwt::Jwt::compile(plan, site, environment)?)),
            plan::Filter::RateLimit(plan) => {
                Self::RateLimit(rate_limit::RateLimit::compile(plan, site, environment)?)
            }
            plan::Filter::CircuitBreaker(plan) => {
                Self::CircuitBreaker(circuit_breaker::CircuitBreaker::compile(plan, site, environment)?)
            }
            plan::Filter::Headers { request, response } => {
                Self::Headers(headers::Headers::compile(request, response, site))
            }
            plan::Filter::Redirect(plan) => Self::Redirect(Box::new(redirect::Redirect::compile(plan, site))),
            plan::Filter::Respond(plan) => Self::Respond(respond::Respond::compile(plan, site)?),
            plan::Filter::Maintenance(plan) => {
                Self::Maintenance(Box::new(maintenance::Maintenance::compile(plan, site)?))
            }
            plan::Filter::SizeLimit { body_bytes, head_bytes } => {
                Self::SizeLimit(size_limit::SizeLimit { body_bytes: *body_bytes, head_bytes: *head_bytes })
            }
        })
    }

    #[inline]
    pub(crate) fn request(&self, request: &Request<'_>, exchange: &mut Exchange, now_ns: u64) -> Verdict {
        match self {
            Self::RequestId(filter) => filter.request(request, exchange),
            Self::IpAccess(filter) => filter.request(request),
            Self::Cors(filter) => filter.request(request, exchange),
            Self::ApiKey(filter) => filter.request(request, exchange),
            Self::Jwt(filter) => filter.request(request, exchange, now_ns),
            Self::RateLimit(filter) => filter.request(request, exchange, now_ns),
            Self::CircuitBreaker(filter) => filter.request(exchange, now_ns),
            Self::Headers(filter) => filter.request(request, exchange),
            Self::Redirect(filter) => filter.request(request, exchange),
            Self::Respond(filter) => filter.request(exchange),
            Self::Maintenance(filter) => filter.request(request, exchange),
            Self::SizeLimit(filter) => filter.request(request, exchange),
        }
    }

    /// Only breakers learn from the outcome; the other filters' response edits were settled in the request phase.
    #[inline]
    pub(crate) fn response(
        &self,
        exchange: &mut Exchange,
        status: Option<u16>,
        now_ns: u64,
        latency_ns: u64,
    ) {
        if let Self::CircuitBreaker(filter) = self {
            filter.response(exchange, status, now_ns, latency_ns);
        }
    }

    /// Gives back what the request phase took.
    #[inline]
    pub(crate) fn abandon(&self, exchange: &mut Exchange) {
        if let Self::CircuitBreaker(filter) = self {
            filter.abandon(exchange);
        }
    }

    /// What `request` would say, and the numbers behind it, without counting anything.
    pub(crate) fn explain(
        &self,
        request: &Request<'_>,
        exchange: &mut Exchange,
        now_ns: u64,
    ) -> (Verdict, String) {
        match self {
            Self::RateLimit(filter) => filter.explain(request, exchange, now_ns),
            Self::CircuitBreaker(filter) => filter.explain(now_ns),
            Self::Jwt(filter) => filter.explain(request, exchange, now_ns),
            Self::ApiKey(filter) => named(filter.request(request, exchange), exchange),
            Self::IpAccess(_) | Self::Maintenance(_) => {
                (self.request(request, exchange, now_ns), format!("client {}", request.client))
            }
            Self::Redirect(filter) => filter.explain(request, exchange),
            Self::RequestId(_) | Self::Cors(_) | Self::Headers(_) | Self::Respond(_) | Self::SizeLimit(_) => {
                (self.request(request, exchange, now_ns), String::new())
            }
        }
    }

    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::RequestId(_) => "request_id",
            Self::IpAccess(_) => "ip_access",
            Self::Cors(_) => "cors",
            Self::ApiKey(_) => "api_key",
            Self::Jwt(_) => "jwt",
            Self::RateLimit(_) => "rate_limit",
            Self::CircuitBreaker(_) => "circuit_breaker",
            Self::Headers(_) => "headers",
            Self::Redirect(_) => "redirect",
            Self::Respond(_) => "respond",
            Self::Maintenance(_) => "maintenance",
            Self::SizeLimit(_) => "size_limit",
        }
    }
}

/// A verdict on a credential, with the consumer it belongs to.
fn named(verdict: Verdict, exchange: &Exchange) -> (Verdict, String) {
    let detail = exchange.consumer().map_or_else(String::new, |name| format!("consumer {name}"));
    (verdict, detail)
}

impl plan::Filter {
    /// The `type` under which it stands in the plan.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::RequestId { .. } => "request_id",
            Self::IpAccess { .. } => "ip_access",
            Self::Cors(_) => "cors",
            Self::ApiKey(_) => "api_key",
            Self::Jwt(_) => "jwt",
            Self::RateLimit(_) => "rate_limit",
            Self::CircuitBreaker(_) => "circuit_breaker",
            Self::Headers { .. } => "headers",
            Self::Redirect(_) => "redirect",
            Self::Respond(_) => "respond",
            Self::Maintenance(_) => "maintenance",
            Self::SizeLimit { .. } => "size_limit",
        }
    }
}
