//! Header edits on the way up and down. Values for the response are rendered in the request phase too, because the request
//! they quote is gone by the time the response comes.

use crate::error::Site;
use crate::exchange::Exchange;
use crate::header_edits::HeaderEdits;
use crate::plan;
use crate::{Request, Verdict};

#[derive(Debug)]
pub(crate) struct Headers {
    request: HeaderEdits,
    response: HeaderEdits,
}

impl Headers {
    pub(crate) fn compile(
        request: &plan::HeaderEdits,
        response: &plan::HeaderEdits,
        site: &mut Site<'_>,
    ) -> Self {
        Self {
            request: HeaderEdits::compile(request, "request", site),
            response: HeaderEdits::compile(response, "response", site),
        }
    }

    pub(crate) fn request(&self, request: &Request<'_>, exchange: &mut Exchange) -> Verdict {
        let (facts, upstream, response) = exchange.split(request);
        self.request.apply(&facts, upstream);
        self.response.apply(&facts, response);
        Verdict::Continue
    }
}
