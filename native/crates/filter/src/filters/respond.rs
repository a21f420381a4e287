//! A fixed answer to every request that comes this far.

use crate::error::Site;
use crate::exchange::Exchange;
use crate::static_response::StaticResponse;
use crate::{Reason, Verdict, plan};

#[derive(Debug)]
pub(crate) struct Respond(StaticResponse);

impl Respond {
    pub(crate) fn compile(plan: &plan::StaticResponse, site: &mut Site<'_>) -> Option<Self> {
        StaticResponse::compile(plan, "", site).map(Self)
    }

    pub(crate) fn request(&self, exchange: &mut Exchange) -> Verdict {
        Verdict::Respond(self.0.answer(Reason::Responded, exchange))
    }
}
