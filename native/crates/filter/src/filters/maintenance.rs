//! Maintenance: 503 for everyone, but for those who look after it. RFC 9110 §15.6.4 allows `Retry-After`; no cache may keep the
//! page beyond the work.

use std::sync::Arc;

use crate::error::Site;
use crate::exchange::Exchange;
use crate::filters::ip_access::compile_list;
use crate::networks::Networks;
use crate::verdict::{FixedContent, Refusal};
use crate::{Reason, Request, Verdict, plan};

#[derive(Debug)]
pub(crate) struct Maintenance {
    enabled: bool,
    allow: Networks,
    retry_after_s: u64,
    page: Option<Arc<FixedContent>>,
}

impl Maintenance {
    pub(crate) fn compile(plan: &plan::Maintenance, site: &mut Site<'_>) -> Option<Self> {
        let allow = compile_list(&plan.allow, "allow", site)?;
        let is_sound = !plan.content_type.bytes().any(|byte| byte.is_ascii_control());
        if !is_sound {
            site.error("content_type", "cannot hold control characters");
        }
        let page = plan.page.as_ref().map(|page| {
            Arc::new(FixedContent {
                content_type: plan.content_type.clone(),
                body: page.clone().into_bytes(),
            })
        });
        is_sound.then_some(Self { enabled: plan.enabled, allow, retry_after_s: plan.retry_after_s, page })
    }

    pub(crate) fn request(&self, request: &Request<'_>, exchange: &mut Exchange) -> Verdict {
        if !self.enabled || self.allow.contains(request.client) {
            return Verdict::Continue;
        }
        exchange.response.set("cache-control", b"no-store");
        if self.retry_after_s > 0 {
            exchange.retry_after(self.retry_after_s.saturating_mul(1_000_000_000));
        }
        Verdict::Respond(match &self.page {
            Some(page) => Refusal::fixed(Reason::Maintenance.status(), Reason::Maintenance, page),
            None => Reason::Maintenance.into(),
        })
    }
}
