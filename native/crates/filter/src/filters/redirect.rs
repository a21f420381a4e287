//! Sends the client to another URL (RFC 9110 §15.4): another scheme, host, port or path; what is not named stays.
//!
//! The URL is always absolute: of a path that begins with two slashes a client would take the first segment for a host. A
//! request that is where it would be sent passes on, so that a rule for a whole site cannot send anybody round in circles.

use smallvec::SmallVec;

use crate::error::Site;
use crate::exchange::Exchange;
use crate::path_rewrite::{PathKeys, PathRewrite};
use crate::percent::recode_query;
use crate::rewrite::{compile_host, is_host};
use crate::template::{Facts, Template};
use crate::verdict::Refusal;
use crate::{Reason, Request, Verdict, plan};

type Url = SmallVec<[u8; 256]>;

#[derive(Debug)]
pub(crate) struct Redirect {
    status: u16,
    scheme: Option<&'static str>,
    host: Option<Template>,
    port: Option<u16>,
    path: PathRewrite,
    keeps_query: bool,
}

impl Redirect {
    pub(crate) fn compile(plan: &plan::Redirect, site: &mut Site<'_>) -> Self {
        // 300 offers a choice, 304 answers a condition, 305 and 306 are history.
        if !matches!(plan.status, 301 | 302 | 303 | 307 | 308) {
            site.error("status", format!("{} is not one of 301, 302, 303, 307, 308", plan.status));
        }
        if leads_nowhere(plan) {
            site.error("type", "leads to where the request is; give it scheme, host, port or path");
        }
        let scheme = plan.scheme.as_deref().and_then(|scheme| site.take("scheme", compile_scheme(scheme)));
        let host = plan.host.as_deref().and_then(|host| site.take("host", compile_host(host)));
        let path = PathRewrite::compile(path_keys(plan), site);
        Self { status: plan.status, scheme, host, port: plan.port, path, keeps_query: plan.keep_query }
    }

    pub(crate) fn request(&self, request: &Request<'_>, exchange: &mut Exchange) -> Verdict {
        let facts = exchange.facts(request);
        match self.url(&facts) {
            Ok(url) if *url == *current(request) => Verdict::Continue,
            Ok(url) => {
                exchange.response.set("location", &url);
                Verdict::Respond(Refusal::empty(self.status, Reason::Redirected))
            }
            Err(reason) => reason.into(),
        }
    }

    /// Where it would lead.
    pub(crate) fn explain(&self, request: &Request<'_>, exchange: &mut Exchange) -> (Verdict, String) {
        let url = self.url(&exchange.facts(request));
        let detail = url.map_or_else(|_| String::new(), |url| String::from_utf8_lossy(&url).into_owned());
        (self.request(request, exchange), detail)
    }

    fn url(&self, facts: &Facts<'_>) -> Result<Url, Reason> {
        let request = facts.request;
        let mut url = Url::new();
        let scheme = self.scheme.unwrap_or(scheme_of(request));
        url.extend_from_slice(scheme.as_bytes());
        url.extend_from_slice(b"://");
        self.put_authority(facts, scheme, &mut url)?;
        let mut path = Vec::with_capacity(request.path.len() + 64);
        self.path.write(facts, &mut path)?;
        // `OPTIONS *` speaks of no path; behind a host it would become a part of the name.
        if !path.starts_with(b"/") {
            return Err(Reason::RewriteUnsafe);
        }
        url.extend_from_slice(&path);
        if self.keeps_query {
            put_query(request, &mut url);
        }
        Ok(url)
    }

    /// Host and port. The request's port goes with its host and scheme: another of either does not listen there.
    fn put_authority(&self, facts: &Facts<'_>, scheme: &str, url: &mut Url) -> Result<(), Reason> {
        let start = url.len();
        match &self.host {
            Some(host) => host.render(facts, &mut |bytes| url.extend_from_slice(bytes)),
            None => url.extend_from_slice(facts.request.host.as_bytes()),
        }
        // Without a host there is no URL to send anybody to: HTTP/1.0 may lack it.
        if !is_host(url.get(start..).unwrap_or_default()) {
            return Err(Reason::RewriteUnsafe);
        }
        let stays = self.host.is_none() && scheme == scheme_of(facts.request);
        let port = self.port.or_else(|| if stays { port_of(facts.request) } else { None });
        put_port(port, scheme, url);
        Ok(())
    }
}

fn compile_scheme(scheme: &str) -> Result<&'static str, String> {
    match scheme {
        "http" => Ok("http"),
        "https" => Ok("https"),
        other => Err(format!("{other:?} is neither http nor https")),
    }
}

fn leads_nowhere(plan: &plan::Redirect) -> bool {
    let same_place = plan.scheme.is_none() && plan.host.is_none() && plan.port.is_none();
    same_place && plan.keep_query && path_keys(plan).is_empty()
}

fn path_keys(plan: &plan::Redirect) -> PathKeys<'_> {
    PathKeys {
        path: plan.path.as_deref(),
        strip_prefix: plan.strip_prefix.as_deref(),
        add_prefix: plan.add_prefix.as_deref(),
        regex: plan.regex.as_ref(),
    }
}

/// The URL that the request is for, written the same way.
fn current(request: &Request<'_>) -> Url {
    let scheme = scheme_of(request);
    let mut url = Url::new();
    for part in [scheme, "://", request.host] {
        url.extend_from_slice(part.as_bytes());
    }
    put_port(port_of(request), scheme, &mut url);
    url.extend_from_slice(request.path.as_bytes());
    put_query(request, &mut url);
    url
}

fn put_port(port: Option<u16>, scheme: &str, url: &mut Url) {
    let usual = if scheme == "https" { 443 } else { 80 };
    if let Some(port) = port.filter(|port| *port != usual) {
        url.push(b':');
        url.extend_from_slice(itoa::Buffer::new().format(port).as_bytes());
    }
}

fn put_query(request: &Request<'_>, url: &mut Url) {
    if let Some(query) = request.head.query {
        url.push(b'?');
        recode_query(query.as_bytes(), &mut |bytes| url.extend_from_slice(bytes));
    }
}

fn scheme_of(request: &Request<'_>) -> &'static str {
    if request.secure { "https" } else { "http" }
}

fn port_of(request: &Request<'_>) -> Option<u16> {
    let authority = request.head.authority;
    let after =
        authority.rfind(']').map_or(authority, |bracket| authority.get(bracket..).unwrap_or_default());
    after.rsplit_once(':').and_then(|(_, port)| port.parse().ok())
}
