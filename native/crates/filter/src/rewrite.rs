//! From the front end's request to the back end's: method, target, host and header edits. Written straight into the caller's
//! buffer; what a client sent stays a value wherever it lands (see `template`).

use crate::error::{Error, Site};
use crate::exchange::Exchange;
use crate::header_edits::{HeaderEdits, is_token};
use crate::percent::{decode, encode, recode_query};
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

#[derive(Debug)]
enum PathRewrite {
    /// The whole new path.
    Template(Template),
    /// Both without a slash at the end; either may be empty.
    Prefix { strip: String, add: String },
}

#[derive(Debug, Default)]
struct QueryRewrite {
    clear: bool,
    remove: Vec<String>,
    set: Vec<(String, Template)>,
}

impl Default for PathRewrite {
    fn default() -> Self {
        Self::Prefix { strip: String::new(), add: String::new() }
    }
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
            path: PathRewrite::compile(plan, &mut site),
            host: host.and_then(|host| site.take("host", compile_host(host))),
            headers: HeaderEdits::compile(&plan.headers, "headers", &mut site),
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

impl PathRewrite {
    fn compile(plan: &plan::Rewrite, site: &mut Site<'_>) -> Self {
        let strip = compile_prefix(plan.strip_prefix.as_deref(), "strip_prefix", site);
        let add = compile_prefix(plan.add_prefix.as_deref(), "add_prefix", site);
        let Some(path) = &plan.path else { return Self::Prefix { strip, add } };
        if plan.strip_prefix.is_some() || plan.add_prefix.is_some() {
            site.error("path", "is the whole path already: leave out strip_prefix and add_prefix");
        }
        if !path.starts_with('/') && !path.starts_with("{path}") {
            site.error("path", "must begin with a slash");
        }
        site.take("path", Template::parse(path, Place::Path)).map_or_else(Self::default, Self::Template)
    }

    fn changes(&self) -> bool {
        !matches!(self, Self::Prefix { strip, add } if strip.is_empty() && add.is_empty())
    }

    fn write(&self, facts: &Facts<'_>, out: &mut Vec<u8>) -> Result<(), Reason> {
        let start = out.len();
        match self {
            Self::Prefix { strip, add } => {
                out.extend_from_slice(add.as_bytes());
                out.extend_from_slice(without_prefix(facts.request.path, strip).as_bytes());
            }
            Self::Template(template) => template.render(facts, &mut |bytes| out.extend_from_slice(bytes)),
        }
        if self.changes() && climbs(out.get(start..).unwrap_or_default()) {
            out.truncate(start);
            return Err(Reason::RewriteUnsafe);
        }
        Ok(())
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

/// `/api/` and `/api` mean the same prefix; it ends at a segment's end.
fn without_prefix<'p>(path: &'p str, prefix: &str) -> &'p str {
    match path.strip_prefix(prefix) {
        Some("") => "/",
        Some(rest) if rest.starts_with('/') => rest,
        _ => path,
    }
}

fn compile_prefix(prefix: Option<&str>, key: &str, site: &mut Site<'_>) -> String {
    let prefix = prefix.unwrap_or_default().trim_end_matches('/');
    let is_path_byte = |byte| byte == b'%' || crate::percent::is_path_byte(byte);
    if !prefix.is_empty() && (!prefix.starts_with('/') || !prefix.bytes().all(is_path_byte)) {
        site.error(key, format!("{prefix:?} is not the beginning of a path"));
    }
    prefix.to_owned()
}

/// A literal host is checked here, a rendered one by every request.
fn compile_host(host: &str) -> Result<Template, String> {
    let template = Template::parse(host, Place::Header)?;
    match template.as_literal() {
        Some(literal) if !is_host(literal.as_bytes()) => Err(format!("{host:?} is not a host")),
        _ => Ok(template),
    }
}

/// Letters, digits and what stands in names, ports and IPv6 literals: nothing that could end or split the line.
fn is_host(host: &[u8]) -> bool {
    !host.is_empty() && host.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]".contains(byte))
}

/// Whether the path has a `.` or `..` segment once it is decoded. RFC 3986 §3.3 would keep `%2F` inside its segment, but servers
/// that decode before they split (and those to which `\` is a slash) would leave the place that the rewrite put the request in.
fn climbs(path: &[u8]) -> bool {
    let mut dots = Some(0_u8); // of a segment that has nothing else so far
    for byte in decode(path).chain([b'/']) {
        dots = match (byte, dots) {
            (b'/' | b'\\', Some(1 | 2)) => return true,
            (b'/' | b'\\', _) => Some(0),
            (b'.', Some(count)) => Some(count.saturating_add(1)),
            _ => None,
        };
    }
    false
}
