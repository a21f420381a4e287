//! Header edits on the way up and down. Values for the response are rendered in the request phase too, because the request
//! they quote is gone by the time the response comes.

use crate::error::Site;
use crate::exchange::Exchange;
use crate::header_edits::HeaderEdits;
use crate::template::Place;
use crate::{Request, Verdict, plan};

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
            request: HeaderEdits::compile(request, "request", Place::Header, site),
            response: HeaderEdits::compile(response, "response", Place::Response, site),
        }
    }

    pub(crate) fn request(&self, request: &Request<'_>, exchange: &mut Exchange) -> Verdict {
        let (facts, upstream, response) = exchange.split(request);
        self.request.apply(&facts, upstream);
        self.response.apply(&facts, response);
        Verdict::Continue
    }
}
