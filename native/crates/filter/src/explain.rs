//! What a chain would do with a request, without doing it: no count is taken, no permit, no cache is filled.

use crate::chain::Chain;
use crate::exchange::Exchange;
use crate::{Reason, Request, Verdict};

/// What one filter would say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outlook {
    Continue,
    Respond {
        status: u16,
        reason: Reason,
    },
    /// An earlier filter would have answered.
    NotReached,
}

/// One filter's part in the explanation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// The filter's type, as in the plan.
    pub filter: &'static str,
    pub outlook: Outlook,
    /// The numbers behind it, for people; may be empty.
    pub detail: String,
}

impl Chain {
    /// What each filter would say to this request now.
    pub fn explain(&self, request: &Request<'_>, now_ns: u64) -> Vec<Explained> {
        let mut exchange = Exchange::default();
        let mut answered = false;
        let explain = |(position, filter): (u8, &crate::filters::Filter)| {
            if answered {
                return Explained {
                    filter: filter.name(),
                    outlook: Outlook::NotReached,
                    detail: String::new(),
                };
            }
            exchange.enter(position);
            let (verdict, detail) = filter.explain(request, &mut exchange, now_ns);
            let outlook = Outlook::from(verdict);
            answered = outlook != Outlook::Continue;
            Explained { filter: filter.name(), outlook, detail }
        };
        (0..).zip(&*self.filters).map(explain).collect()
    }
}

impl From<Verdict> for Outlook {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Continue => Self::Continue,
            Verdict::Respond(refusal) => Self::Respond { status: refusal.status, reason: refusal.reason },
        }
    }
}
