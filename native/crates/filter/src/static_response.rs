//! A plan's `StaticResponse`, compiled: what a breaker falls back to and what `respond` answers.

use std::sync::Arc;

use crate::error::Site;
use crate::exchange::Exchange;
use crate::header_edits::check_name;
use crate::verdict::{FixedContent, Refusal};
use crate::{Reason, plan};

#[derive(Debug)]
pub(crate) struct StaticResponse {
    status: u16,
    headers: Box<[(String, String)]>,
    content: Arc<FixedContent>,
}

impl StaticResponse {
    /// `prefix`: what stands before its keys in errors, e.g. `fallback.`.
    pub(crate) fn compile(plan: &plan::StaticResponse, prefix: &str, site: &mut Site<'_>) -> Option<Self> {
        // 204 and 304 have no body, 1xx are not final (RFC 9110 §15).
        let bodiless = matches!(plan.status, 204 | 205 | 304);
        if !(200..=599).contains(&plan.status) || (bodiless && !plan.body.is_empty()) {
            site.error(
                format!("{prefix}status"),
                format!("{} cannot be answered with this body", plan.status),
            );
            return None;
        }
        let mut headers = Vec::new();
        let mut content_type = "text/plain; charset=utf-8".to_owned();
        for (name, value) in &plan.headers {
            if value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
                site.error(format!("{prefix}headers.{name}"), "a value cannot hold control characters");
                return None;
            }
            match site.take(format!("{prefix}headers"), check_name(name))?.as_str() {
                "content-type" => content_type.clone_from(value),
                name => headers.push((name.to_owned(), value.clone())),
            }
        }
        let content = Arc::new(FixedContent { content_type, body: plan.body.clone().into_bytes() });
        Some(Self { status: plan.status, headers: headers.into(), content })
    }

    pub(crate) fn answer(&self, reason: Reason, exchange: &mut Exchange) -> Refusal {
        for (name, value) in &self.headers {
            exchange.response.append(name, value.as_bytes());
        }
        Refusal::fixed(self.status, reason, &self.content)
    }
}
