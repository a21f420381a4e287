//! What the chain remembers about one request until its response is done. The engine makes one per request, or keeps one per
//! connection and calls [`Exchange::clear`]; up to usual sizes nothing in it is on the heap.

use std::sync::Arc;

use smallvec::SmallVec;
use trunkline_breaker::Permit;

use crate::Request;
use crate::edits::Edits;
use crate::query::is_named;
use crate::template::Facts;

/// Names and ids up to here need no allocation; a UUID takes 36.
type ShortText = SmallVec<[u8; 40]>;

/// State of one request between the two phases of a chain. Belongs to the chain that filled it.
#[derive(Debug)]
pub struct Exchange {
    pub(crate) consumer: ShortText,
    pub(crate) request_id: ShortText,
    pub(crate) upstream: Edits,
    pub(crate) response: Edits,
    pub(crate) credentials: SmallVec<[QueryCredential; 1]>,
    pub(crate) permits: SmallVec<[(u8, Permit); 1]>,
    /// The filter that is running.
    pub(crate) position: u8,
    delay_ns: u64,
    body_limit: u64,
}

/// A query parameter of this request in which a credential came: no log shows it.
#[derive(Debug)]
pub(crate) struct QueryCredential {
    pub(crate) name: Arc<str>,
    /// Whether the upstream gets it nevertheless.
    pub(crate) forward: bool,
}

impl Default for Exchange {
    fn default() -> Self {
        Self {
            consumer: ShortText::new(),
            request_id: ShortText::new(),
            upstream: Edits::default(),
            response: Edits::reversed(),
            credentials: SmallVec::new(),
            permits: SmallVec::new(),
            position: 0,
            delay_ns: 0,
            body_limit: u64::MAX,
        }
    }
}

impl Exchange {
    /// Ready for the next request; keeps what was allocated.
    pub fn clear(&mut self) {
        self.consumer.clear();
        self.request_id.clear();
        self.upstream.clear();
        self.response.clear();
        self.credentials.clear();
        self.permits.clear();
        self.position = 0;
        self.delay_ns = 0;
        self.body_limit = u64::MAX;
    }

    /// Who calls, as an authentication filter found out.
    pub fn consumer(&self) -> Option<&str> {
        text(&self.consumer)
    }

    pub fn request_id(&self) -> Option<&str> {
        text(&self.request_id)
    }

    /// Edits of the request's header on its way to the upstream; complete after the request phase and the rewrite.
    pub fn upstream_edits(&self) -> &Edits {
        &self.upstream
    }

    /// Edits of the response's header, be it the upstream's or the gateway's own; complete after the request phase.
    pub fn response_edits(&self) -> &Edits {
        &self.response
    }

    /// How long to hold the request before it goes to the upstream: what a `leaky_queue` asks for, summed over the chain.
    pub fn delay_ns(&self) -> u64 {
        self.delay_ns
    }

    /// The largest body the chain admits. A Content-Length above it was refused already; a chunked body must be counted
    /// and answered with [`crate::Reason::BodyTooLarge`] when it grows beyond.
    pub fn body_limit(&self) -> Option<u64> {
        (self.body_limit != u64::MAX).then_some(self.body_limit)
    }

    /// Whether the query string must be rewritten although the route has no rewrite of its own.
    pub fn hides_query(&self) -> bool {
        self.credentials.iter().any(|credential| !credential.forward)
    }

    /// Names, decoded, of the query parameters that carry a credential and must not be logged: those of an `api_key` filter,
    /// whether it admitted the request, refused it or never saw it because a filter before it refused. Complete after the
    /// request phase; compare with [`crate::is_named`].
    pub fn hidden_query(&self) -> impl Iterator<Item = &str> {
        self.credentials.iter().map(|credential| &*credential.name)
    }

    /// Whether the upstream must not see the parameter of this raw name.
    pub(crate) fn withholds(&self, raw: &str) -> bool {
        let is_meant = |credential: &QueryCredential| is_named(raw, &credential.name);
        self.credentials.iter().any(|credential| !credential.forward && is_meant(credential))
    }

    pub(crate) fn enter(&mut self, position: u8) {
        self.position = position;
        self.upstream.enter(position);
        self.response.enter(position);
    }

    pub(crate) fn set_consumer(&mut self, name: &str) {
        self.consumer.clear();
        self.consumer.extend_from_slice(name.as_bytes());
    }

    pub(crate) fn set_request_id(&mut self, id: &[u8]) {
        self.request_id.clear();
        self.request_id.extend_from_slice(id);
    }

    pub(crate) fn add_delay(&mut self, delay_ns: u64) {
        self.delay_ns = self.delay_ns.saturating_add(delay_ns);
    }

    pub(crate) fn limit_body(&mut self, bytes: u64) {
        self.body_limit = self.body_limit.min(bytes);
    }

    /// Whole seconds, rounded up, at least 1 (RFC 9110 §10.2.3): a client that waits this long is not too early.
    pub(crate) fn retry_after(&mut self, wait_ns: u64) {
        let seconds = wait_ns.div_ceil(1_000_000_000).max(1);
        self.response.remove("retry-after");
        self.response.append_with("retry-after", |value| value.put_number(seconds));
    }

    /// What templates may refer to, beside the edits they write into.
    pub(crate) fn split<'a>(
        &'a mut self,
        request: &'a Request<'a>,
    ) -> (Facts<'a>, &'a mut Edits, &'a mut Edits) {
        let facts = Facts {
            request,
            consumer: text(&self.consumer).unwrap_or_default(),
            request_id: text(&self.request_id).unwrap_or_default(),
        };
        (facts, &mut self.upstream, &mut self.response)
    }

    pub(crate) fn facts<'a>(&'a self, request: &'a Request<'a>) -> Facts<'a> {
        Facts {
            request,
            consumer: self.consumer().unwrap_or_default(),
            request_id: self.request_id().unwrap_or_default(),
        }
    }
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|text| !text.is_empty())
}
