//! Upper bounds on a request. A declared length is refused up front; a chunked body is counted by the engine against
//! [`Exchange::body_limit`].

use trunkline_http::Framing;

use crate::exchange::Exchange;
use crate::{Reason, Request, Verdict};

#[derive(Debug)]
pub(crate) struct SizeLimit {
    /// 0 = no limit, for both.
    pub(crate) body_bytes: u64,
    pub(crate) head_bytes: u64,
}

impl SizeLimit {
    pub(crate) fn request(&self, request: &Request<'_>, exchange: &mut Exchange) -> Verdict {
        if self.head_bytes > 0 && request.head.length as u64 > self.head_bytes {
            return Reason::HeadTooLarge.into();
        }
        if self.body_bytes > 0 {
            if matches!(request.head.framing, Framing::Length(length) if length > self.body_bytes) {
                return Reason::BodyTooLarge.into();
            }
            exchange.limit_body(self.body_bytes);
        }
        Verdict::Continue
    }
}
