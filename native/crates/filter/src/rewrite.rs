//! From the front end's request to the back end's: method, target, host and header edits. Written straight into the caller's
//! buffer; what a client sent stays a value wherever it lands (see `template`).

use crate::error::{Error, Site};
use crate::exchange::Exchange;
use crate::header_edits::{HeaderEdits, is_token};
use crate::path_rewrite::{PathKeys, PathRewrite};
use crate::percent::{encode, recode_query};
use crate::template::{Facts, Place, Template};
use crate::{Reason, Request, plan, query};

/// A route's rewrite; the default one changes nothing.
#[derive(Debug, Default)]
pub struct Rewrite {
    method: Option<String>,
    path: PathRewrite,
    host: Option<Template>,
    headers: HeaderEdits,
    query: QueryRewrite,
}

#[derive(Debug, Default)]
struct QueryRewrite {
    clear: bool,
    remove: Vec<String>,
    set: Vec<(String, Template)>,
}

impl Rewrite {
    /// # Errors
    /// Everything that is wrong with it, by key.
    pub fn compile(route: &str, plan: &plan::Rewrite) -> Result<Self, Vec<Error>> {
        let mut errors = Vec::new();
        let mut site = Site { route, filter: None, errors: &mut errors };
        check_method(plan.method.as_deref(), &mut site);
        let host = plan.host.as_ref();
        let rewrite = Self {
            method: plan.method.clone(),
            path: PathRewrite::compile(path_keys(plan), &mut site),
            host: host.and_then(|host| site.take("host", compile_host(host))),
            headers: HeaderEdits::compile(&plan.headers, "headers", Place::Header, &mut site),
            query: QueryRewrite::compile(&plan.query, &mut site),
        };
        if errors.is_empty() { Ok(rewrite) } else { Err(errors) }
    }

    /// The upstream's method, if it is not the client's.
    pub fn method(&self) -> Option<&str> {
        self.method.as_deref()
    }

    /// Appends path and query, in origin-form (RFC 9112 §3.2.1), without what filters have hidden.
    ///
    /// # Errors
    /// [`Reason::RewriteUnsafe`], with `out` as it was, if values would make a `.` or `..` segment.
    pub fn target(
        &self,
        request: &Request<'_>,
        exchange: &Exchange,
        out: &mut Vec<u8>,
    ) -> Result<(), Reason> {
        let facts = exchange.facts(request);
        self.path.write(&facts, out)?;
        self.query.write(&facts, exchange, out);
        Ok(())
    }

    /// Appends the value of Host for the upstream; `false`, and nothing, if the client's is kept.
    ///
    /// # Errors
    /// [`Reason::RewriteUnsafe`], with `out` as it was, if what was rendered is not a host.
    pub fn host(
        &self,
        request: &Request<'_>,
        exchange: &Exchange,
        out: &mut Vec<u8>,
    ) -> Result<bool, Reason> {
        let Some(template) = &self.host else { return Ok(false) };
        let start = out.len();
        template.render(&exchange.facts(request), &mut |bytes| out.extend_from_slice(bytes));
        if is_host(out.get(start..).unwrap_or_default()) {
            return Ok(true);
        }
        out.truncate(start);
        Err(Reason::RewriteUnsafe)
    }

    /// Adds the header edits to the exchange's, after those of the chain.
    pub fn headers(&self, request: &Request<'_>, exchange: &mut Exchange) {
        let (facts, upstream, _) = exchange.split(request);
        self.headers.apply(&facts, upstream);
    }
}

impl QueryRewrite {
    fn compile(plan: &plan::QueryEdits, site: &mut Site<'_>) -> Self {
        let parse = |(name, value): &(String, String)| {
            let template = site.take(format!("query.set.{name}"), Template::parse(value, Place::Query))?;
            Some((name.clone(), template))
        };
        let set = plan.set.iter().filter_map(parse).collect();
        Self { clear: plan.clear, remove: plan.remove.clone(), set }
    }

    fn changes(&self) -> bool {
        self.clear || !self.remove.is_empty() || !self.set.is_empty()
    }

    /// Parameters that stay are passed on as they came, byte for byte.
    fn write(&self, facts: &Facts<'_>, exchange: &Exchange, out: &mut Vec<u8>) {
        let mut separator = b'?';
        let mut begin = |out: &mut Vec<u8>| out.push(std::mem::replace(&mut separator, b'&'));
        let kept = facts.request.head.query.filter(|_| !self.clear);
        if !self.changes() && !exchange.hides_query() {
            if let Some(all) = kept {
                begin(out);
                recode_query(all.as_bytes(), &mut |bytes| out.extend_from_slice(bytes));
            }
            return;
        }
        for (name, value) in query::pairs(kept.unwrap_or_default()) {
            if self.drops(name, exchange) {
                continue;
            }
            begin(out);
            let mut put = |bytes: &[u8]| out.extend_from_slice(bytes);
            recode_query(name.as_bytes(), &mut put);
            if let Some(value) = value {
                put(b"=");
                recode_query(value.as_bytes(), &mut put);
            }
        }
        for (name, template) in &self.set {
            begin(out);
            let mut put = |bytes: &[u8]| out.extend_from_slice(bytes);
            encode(name.bytes(), &mut put);
            put(b"=");
            template.render(facts, &mut put);
        }
    }

    fn drops(&self, raw: &str, exchange: &Exchange) -> bool {
        let named = |name: &str| query::is_named(raw, name);
        exchange.withholds(raw)
            || self.remove.iter().any(|name| named(name))
            || self.set.iter().any(|(name, _)| named(name))
    }
}

fn path_keys(plan: &plan::Rewrite) -> PathKeys<'_> {
    PathKeys {
        path: plan.path.as_deref(),
        strip_prefix: plan.strip_prefix.as_deref(),
        add_prefix: plan.add_prefix.as_deref(),
        regex: plan.regex.as_ref(),
    }
}

/// The answer must fit the request that the client made: that to a HEAD lacks the body that a GET waits for (RFC 9110 §9.3.2),
/// that to a CONNECT begins a tunnel (§9.3.6).
fn check_method(method: Option<&str>, site: &mut Site<'_>) {
    match method {
        Some(method @ ("HEAD" | "CONNECT")) => {
            site.error(
                "method",
                format!("the response to {method} cannot answer a request of another method"),
            );
        }
        Some(method) if !is_token(method) => site.error("method", "a method is one word of letters"),
        _ => {}
    }
}

/// A literal host is checked here, a rendered one by every request.
pub(crate) fn compile_host(host: &str) -> Result<Template, String> {
    let template = Template::parse(host, Place::Header)?;
    match template.as_literal() {
        Some(literal) if !is_host(literal.as_bytes()) => Err(format!("{host:?} is not a host")),
        _ => Ok(template),
    }
}

/// Letters, digits and what stands in names, ports and IPv6 literals: nothing that could end or split the line.
pub(crate) fn is_host(host: &[u8]) -> bool {
    !host.is_empty() && host.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]".contains(byte))
}
