//! A filter's answer to a request, and the response that the gateway writes itself.

use std::sync::Arc;

use crate::Reason;

/// What happens to the request next.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// On to the upstream, after waiting [`crate::Exchange::delay_ns`] if that is not 0.
    Continue,
    /// The gateway answers: this, with the header lines of [`crate::Exchange::response_edits`].
    Respond(Refusal),
}

/// A response that the gateway gives itself: a refusal, a CORS preflight's answer, or a breaker's fallback.
#[derive(Debug, Clone)]
pub struct Refusal {
    pub status: u16,
    pub reason: Reason,
    content: Content,
}

#[derive(Debug, Clone)]
enum Content {
    /// `{"error":"rate_limited","status":429}`
    Json,
    Empty,
    Fixed(Arc<FixedContent>),
}

/// What a plan's `StaticResponse` answers with.
#[derive(Debug)]
pub(crate) struct FixedContent {
    pub(crate) content_type: String,
    pub(crate) body: Vec<u8>,
}

impl Refusal {
    /// The body's media type; `None` without a body.
    pub fn content_type(&self) -> Option<&str> {
        match &self.content {
            Content::Json => Some("application/json"),
            Content::Empty => None,
            Content::Fixed(fixed) => (!fixed.body.is_empty()).then_some(&fixed.content_type),
        }
    }

    /// Appends the body to `out`.
    pub fn write_body(&self, out: &mut Vec<u8>) {
        match &self.content {
            Content::Json => {
                out.extend_from_slice(b"{\"error\":\"");
                out.extend_from_slice(self.reason.as_str().as_bytes());
                out.extend_from_slice(b"\",\"status\":");
                out.extend_from_slice(itoa::Buffer::new().format(self.status).as_bytes());
                out.push(b'}');
            }
            Content::Empty => {}
            Content::Fixed(fixed) => out.extend_from_slice(&fixed.body),
        }
    }

    /// 200 with a text.
    pub fn text(body: Vec<u8>) -> Self {
        Self::content("text/plain", body)
    }

    /// 200 with a body of that type.
    pub fn content(content_type: &str, body: Vec<u8>) -> Self {
        let content = FixedContent { content_type: content_type.to_owned(), body };
        Self::fixed(200, Reason::Responded, &Arc::new(content))
    }

    pub(crate) fn fixed(status: u16, reason: Reason, content: &Arc<FixedContent>) -> Self {
        Self { status, reason, content: Content::Fixed(Arc::clone(content)) }
    }

    pub(crate) fn empty(status: u16, reason: Reason) -> Self {
        Self { status, reason, content: Content::Empty }
    }
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self { status: reason.status(), reason, content: Content::Json }
    }
}

impl From<Reason> for Verdict {
    fn from(reason: Reason) -> Self {
        Self::Respond(reason.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_body_names_reason_and_status() {
        let mut body = Vec::new();
        Refusal::from(Reason::RateLimited).write_body(&mut body);
        assert_eq!(body, br#"{"error":"rate_limited","status":429}"#);
    }
}
