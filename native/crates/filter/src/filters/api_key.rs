//! API keys in a header or a query parameter. The key is hashed, found by its hash and forgotten; unless the plan says
//! `forward`, the upstream never sees it, whichever of the two places it came in.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::consumers::Consumers;
use crate::environment::Environment;
use crate::error::Site;
use crate::exchange::{Exchange, QueryCredential};
use crate::header_edits::check_name;
use crate::percent::decode_query;
use crate::plan;
use crate::{Reason, Request, Verdict, query};

/// RFC 9110 §15.5.2: a 401 must name a scheme. There is no registered one for API keys.
const CHALLENGE: &[u8] = b"ApiKey realm=\"api\"";

#[derive(Debug)]
pub(crate) struct ApiKey {
    header: Option<String>,
    query: Option<Arc<str>>,
    admitted: Admitted,
    forward: bool,
    consumers: Arc<Consumers>,
}

#[derive(Debug)]
enum Admitted {
    Everyone,
    /// By consumer index.
    Listed(Box<[bool]>),
}

impl ApiKey {
    pub(crate) fn compile(
        plan: &plan::ApiKey,
        site: &mut Site<'_>,
        environment: &Environment<'_>,
    ) -> Option<Self> {
        let before = site.errors.len();
        if plan.header.is_none() && plan.query.is_none() {
            site.error("header", "name the header or the query parameter that carries the key");
        }
        let consumers = Arc::clone(&environment.consumers);
        let filter = Self {
            header: plan.header.as_ref().and_then(|name| site.take("header", check_name(name))),
            query: plan.query.as_deref().map(Arc::from),
            admitted: Admitted::compile(&plan.consumers, &consumers, site),
            forward: plan.forward,
            consumers,
        };
        (site.errors.len() == before).then_some(filter)
    }

    #[inline]
    pub(crate) fn request(&self, request: &Request<'_>, exchange: &mut Exchange) -> Verdict {
        match self.identify(request) {
            Ok(consumer) => {
                exchange.set_consumer(self.consumers.name(consumer));
                if !self.forward
                    && let Some(name) = &self.header
                {
                    exchange.upstream.remove(name);
                }
                self.conceal(request, exchange);
                Verdict::Continue
            }
            Err(reason) => {
                if reason.status() == 401 {
                    exchange.response.append("www-authenticate", CHALLENGE);
                }
                reason.into()
            }
        }
    }

    fn identify(&self, request: &Request<'_>) -> Result<u32, Reason> {
        let consumer = match self.header_key(request)? {
            Some(key) => self.consumers.identify(key),
            None => self.consumers.identify(&self.query_key(request)?.ok_or(Reason::ApiKeyMissing)?),
        };
        let consumer = consumer.ok_or(Reason::ApiKeyUnknown)?;
        if self.admitted.contains(consumer) { Ok(consumer) } else { Err(Reason::ConsumerForbidden) }
    }

    fn header_key<'a>(&self, request: &Request<'a>) -> Result<Option<&'a [u8]>, Reason> {
        self.header.as_ref().map_or(Ok(None), |name| request.credential(name))
    }

    fn query_key(&self, request: &Request<'_>) -> Result<Option<SmallVec<[u8; 64]>>, Reason> {
        let (Some(name), Some(all)) = (&self.query, request.head.query) else { return Ok(None) };
        let mut found = query::pairs(all).filter(|(raw, _)| query::is_named(raw, name));
        match (found.next(), found.next()) {
            (_, Some(_)) => Err(Reason::CredentialsRepeated),
            (pair, None) => {
                Ok(pair.map(|(_, value)| decode_query(value.unwrap_or_default().as_bytes()).collect()))
            }
        }
    }

    /// Keeps a key in the query from logs and, unless the plan says `forward`, from the upstream.
    pub(crate) fn conceal(&self, request: &Request<'_>, exchange: &mut Exchange) {
        if let (Some(name), Some(all)) = (&self.query, request.head.query)
            && query::find(all, name).is_some()
        {
            exchange.credentials.push(QueryCredential { name: Arc::clone(name), forward: self.forward });
        }
    }
}

impl Admitted {
    fn compile(names: &[String], consumers: &Consumers, site: &mut Site<'_>) -> Self {
        if names.is_empty() {
            return Self::Everyone;
        }
        let mut listed = vec![false; consumers.len()];
        for (position, name) in names.iter().enumerate() {
            let known = consumers.index_of(name).ok_or_else(|| format!("there is no consumer {name:?}"));
            let index = site.take(format!("consumers[{position}]"), known);
            if let Some(flag) = index.and_then(|index| listed.get_mut(index as usize)) {
                *flag = true;
            }
        }
        Self::Listed(listed.into())
    }

    fn contains(&self, consumer: u32) -> bool {
        match self {
            Self::Everyone => true,
            Self::Listed(listed) => listed.get(consumer as usize).copied().unwrap_or(false),
        }
    }
}
