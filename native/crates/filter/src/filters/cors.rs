//! Cross-origin requests (Fetch standard, §3.2). Preflights are answered here with 204; on other responses the fields say who may
//! read them, whatever the upstream said. A request from an origin that is not allowed still goes to the upstream, because the
//! header alone cannot tell a foreign page from the API's own; only the browser's permission to read the answer is missing.

use crate::error::Site;
use crate::exchange::Exchange;
use crate::header_edits::is_token;
use crate::plan;
use crate::verdict::Refusal;
use crate::{Reason, Request, Verdict};

/// Fields of an upstream's own CORS policy: two policies on one response would contradict each other.
const OVERRULED: [&str; 3] =
    ["access-control-allow-origin", "access-control-allow-credentials", "access-control-expose-headers"];

/// Methods that need no permission in a preflight (Fetch §2.2.1), and so the default.
const SAFELISTED_METHODS: [&str; 3] = ["GET", "HEAD", "POST"];

#[derive(Debug)]
pub(crate) struct Cors {
    origins: Origins,
    methods: Names,
    headers: Names,
    expose: String,
    credentials: bool,
    /// Empty = not sent.
    max_age: String,
}

#[derive(Debug)]
enum Origins {
    Any,
    Listed(Vec<Origin>),
}

#[derive(Debug)]
enum Origin {
    Exact(String),
    /// `https://*.example.com`: what stands before and after the star.
    Subdomains {
        before: String,
        after: String,
    },
}

/// Methods or headers that a preflight may ask for.
#[derive(Debug)]
enum Names {
    Any,
    Listed { names: Vec<String>, joined: String },
}

impl Cors {
    pub(crate) fn compile(plan: &plan::Cors, site: &mut Site<'_>) -> Option<Self> {
        let before = site.errors.len();
        let origins = Origins::compile(plan, site);
        let default = SAFELISTED_METHODS.map(String::from);
        let methods = if plan.methods.is_empty() { &default[..] } else { &plan.methods };
        let cors = Self {
            origins,
            methods: Names::compile(methods, "methods", plan.credentials, site),
            headers: Names::compile(&plan.headers, "headers", plan.credentials, site),
            expose: plan.expose.join(", "),
            credentials: plan.credentials,
            max_age: if plan.max_age_s > 0 { plan.max_age_s.to_string() } else { String::new() },
        };
        check_names(&plan.expose, "expose", plan.credentials, site);
        (site.errors.len() == before).then_some(cors)
    }

    pub(crate) fn request(&self, request: &Request<'_>, exchange: &mut Exchange) -> Verdict {
        for name in OVERRULED {
            exchange.response.remove(name);
        }
        if matches!(self.origins, Origins::Listed(_)) {
            // Also without Origin: a cache must not serve this answer to a request that has one.
            exchange.response.append("vary", b"Origin");
        }
        let Some(origin) = request.header("origin") else { return Verdict::Continue };
        let allowed = self.origins.allow(origin);
        if allowed {
            self.grant(origin, exchange);
        }
        match request.header("access-control-request-method") {
            Some(method) if request.head.method == "OPTIONS" => {
                self.preflight(request, allowed, method, exchange)
            }
            _ => Verdict::Continue,
        }
    }

    fn grant(&self, origin: &[u8], exchange: &mut Exchange) {
        let value = if matches!(self.origins, Origins::Any) { b"*" } else { origin };
        exchange.response.append("access-control-allow-origin", value);
        if self.credentials {
            exchange.response.append("access-control-allow-credentials", b"true");
        }
        if !self.expose.is_empty() {
            exchange.response.append("access-control-expose-headers", self.expose.as_bytes());
        }
    }

    fn preflight(
        &self,
        request: &Request<'_>,
        allowed: bool,
        method: &[u8],
        exchange: &mut Exchange,
    ) -> Verdict {
        const VARY: &[u8] = b"Access-Control-Request-Method, Access-Control-Request-Headers";
        exchange.response.append("vary", VARY);
        let headers = request.header("access-control-request-headers").unwrap_or_default();
        if !allowed || !self.methods.allow(method, false) || !self.headers.allow(headers, true) {
            return Reason::CorsRefused.into();
        }
        let response = &mut exchange.response;
        response.append("access-control-allow-methods", self.methods.answer(method));
        let granted = self.headers.answer(headers);
        if !granted.is_empty() {
            response.append("access-control-allow-headers", granted);
        }
        if !self.max_age.is_empty() {
            response.append("access-control-max-age", self.max_age.as_bytes());
        }
        Verdict::Respond(Refusal::empty(Reason::CorsPreflight.status(), Reason::CorsPreflight))
    }
}

impl Origins {
    fn compile(plan: &plan::Cors, site: &mut Site<'_>) -> Self {
        if plan.origins.is_empty() {
            site.error("origins", "name at least one origin, or \"*\"");
        }
        if plan.origins.iter().any(|origin| origin == "*") {
            if plan.credentials {
                site.error("origins", "\"*\" cannot go with credentials (Fetch §3.2.5): name the origins");
            }
            return Self::Any;
        }
        let parse =
            |(index, text): (usize, &String)| site.take(format!("origins[{index}]"), Origin::parse(text));
        Self::Listed(plan.origins.iter().enumerate().filter_map(parse).collect())
    }

    fn allow(&self, origin: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(list) => list.iter().any(|known| known.matches(origin)),
        }
    }
}

impl Origin {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("{text:?} is not an origin such as https://app.example.com or https://*.example.com");
        if text == "null" {
            return Ok(Self::Exact(text.to_owned()));
        }
        let (_, host) = text.split_once("://").ok_or_else(wrong)?;
        let is_host_byte = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
        match host.strip_prefix("*.") {
            Some(domain) if !domain.is_empty() && domain.bytes().all(is_host_byte) => {
                let (before, after) = text.split_once('*').ok_or_else(wrong)?;
                Ok(Self::Subdomains { before: before.into(), after: after.into() })
            }
            None if !host.is_empty() && host.bytes().all(is_host_byte) => Ok(Self::Exact(text.to_owned())),
            _ => Err(wrong()),
        }
    }

    /// Schemes and hosts compare without regard to case.
    fn matches(&self, origin: &[u8]) -> bool {
        match self {
            Self::Exact(text) => text.as_bytes().eq_ignore_ascii_case(origin),
            Self::Subdomains { before, after } => {
                let middle = origin.len().checked_sub(before.len() + after.len());
                let Some(middle) = middle.filter(|length| *length > 0) else { return false };
                let (start, rest) = origin.split_at(before.len());
                let (label, end) = rest.split_at(middle);
                start.eq_ignore_ascii_case(before.as_bytes())
                    && end.eq_ignore_ascii_case(after.as_bytes())
                    && label.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(byte))
            }
        }
    }
}

impl Names {
    fn compile(names: &[String], key: &str, credentials: bool, site: &mut Site<'_>) -> Self {
        check_names(names, key, credentials, site);
        if names.iter().any(|name| name == "*") {
            return Self::Any;
        }
        Self::Listed { names: names.to_vec(), joined: names.join(", ") }
    }

    /// `asked` is a list of names; methods compare by case, headers without.
    fn allow(&self, asked: &[u8], ignore_case: bool) -> bool {
        let mut names =
            asked.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|name| !name.is_empty());
        names.all(|name| match self {
            Self::Any => std::str::from_utf8(name).is_ok_and(is_token),
            Self::Listed { names, .. } => names.iter().any(|known| {
                known.as_bytes() == name || (ignore_case && known.as_bytes().eq_ignore_ascii_case(name))
            }),
        })
    }

    /// The list, or for `*` what was asked for: a literal `*` would not cover Authorization (Fetch §3.2.4).
    fn answer<'a>(&'a self, asked: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Any => asked,
            Self::Listed { joined, .. } => joined.as_bytes(),
        }
    }
}

fn check_names(names: &[String], key: &str, credentials: bool, site: &mut Site<'_>) {
    for (index, name) in names.iter().enumerate() {
        if !is_token(name) {
            site.error(format!("{key}[{index}]"), format!("{name:?} is not a name"));
        } else if name == "*" && credentials {
            site.error(key, "\"*\" means nothing with credentials (Fetch §3.2.5): name them");
        }
    }
}
