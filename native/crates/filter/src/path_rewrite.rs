//! How a path is written anew: whole by a template, by its prefix, or by a regular expression.

use regex::{Captures, Regex, RegexBuilder};
use smallvec::SmallVec;

use crate::error::Site;
use crate::percent::{decode, is_path_byte};
use crate::template::{Facts, Place, Template};
use crate::{Reason, Request, plan};

/// The keys of a plan that say so.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PathKeys<'p> {
    pub(crate) path: Option<&'p str>,
    pub(crate) strip_prefix: Option<&'p str>,
    pub(crate) add_prefix: Option<&'p str>,
    pub(crate) regex: Option<&'p plan::RegexRewrite>,
}

impl PathKeys<'_> {
    pub(crate) const fn is_empty(&self) -> bool {
        self.path.is_none()
            && self.strip_prefix.is_none()
            && self.add_prefix.is_none()
            && self.regex.is_none()
    }
}

/// What a compiled expression may take, as for the router's (crate `regex` promises linear time, not small automata).
const REGEX_BYTES: usize = 1 << 20;

#[derive(Debug)]
pub(crate) enum PathRewrite {
    /// The whole new path.
    Template(Template),
    /// Both without a slash at the end; either may be empty.
    Prefix { strip: String, add: String },
    /// The first match is replaced; a path without one stays.
    Regex(Box<RegexRewrite>),
}

#[derive(Debug)]
pub(crate) struct RegexRewrite {
    pattern: Regex,
    replace: Template,
    /// What the groups are called in the template, by their number; the ones without a name by the number.
    names: Box<[String]>,
}

impl Default for PathRewrite {
    fn default() -> Self {
        Self::Prefix { strip: String::new(), add: String::new() }
    }
}

impl PathRewrite {
    pub(crate) fn compile(plan: PathKeys<'_>, site: &mut Site<'_>) -> Self {
        let strip = compile_prefix(plan.strip_prefix, "strip_prefix", site);
        let add = compile_prefix(plan.add_prefix, "add_prefix", site);
        let has_prefix = plan.strip_prefix.is_some() || plan.add_prefix.is_some();
        if plan.path.is_some() && (has_prefix || plan.regex.is_some()) {
            site.error("path", "is the whole path already: leave out strip_prefix, add_prefix and regex");
        }
        if plan.regex.is_some() && has_prefix {
            site.error("regex", "does not go with strip_prefix and add_prefix");
        }
        let compiled = match (plan.path, plan.regex) {
            (Some(path), _) => compile_template(path, site).map(Self::Template),
            (None, Some(regex)) => RegexRewrite::compile(regex, site).map(Box::new).map(Self::Regex),
            (None, None) => Some(Self::Prefix { strip, add }),
        };
        compiled.unwrap_or_default()
    }

    pub(crate) fn changes(&self) -> bool {
        !matches!(self, Self::Prefix { strip, add } if strip.is_empty() && add.is_empty())
    }

    /// Appends the new path.
    ///
    /// # Errors
    /// [`Reason::RewriteUnsafe`], with `out` as it was, if it has a `.` or `..` segment, or lost the slash it begins with.
    pub(crate) fn write(&self, facts: &Facts<'_>, out: &mut Vec<u8>) -> Result<(), Reason> {
        let start = out.len();
        match self {
            Self::Prefix { strip, add } => {
                out.extend_from_slice(add.as_bytes());
                out.extend_from_slice(without_prefix(facts.request.path, strip).as_bytes());
            }
            Self::Template(template) => template.render(facts, &mut |bytes| out.extend_from_slice(bytes)),
            Self::Regex(regex) => regex.write(facts, out),
        }
        let written = out.get(start..).unwrap_or_default();
        let lost_its_slash = matches!(self, Self::Regex(_)) && !written.starts_with(b"/");
        if self.changes() && (climbs(written) || lost_its_slash) {
            out.truncate(start);
            return Err(Reason::RewriteUnsafe);
        }
        Ok(())
    }
}

impl RegexRewrite {
    fn compile(plan: &plan::RegexRewrite, site: &mut Site<'_>) -> Option<Self> {
        let built =
            RegexBuilder::new(&plan.pattern).size_limit(REGEX_BYTES).dfa_size_limit(REGEX_BYTES).build();
        let pattern = site.take("regex.pattern", built);
        let replace = site.take("regex.replace", Template::parse(&plan.replace, Place::Path));
        let (pattern, replace) = (pattern?, replace?);
        let name =
            |(number, name): (usize, Option<&str>)| name.map_or_else(|| number.to_string(), str::to_owned);
        let names = pattern.capture_names().enumerate().map(name).collect();
        Some(Self { pattern, replace, names })
    }

    /// Before the match, the replacement with what the groups took, after the match.
    fn write(&self, facts: &Facts<'_>, out: &mut Vec<u8>) {
        let path = facts.request.path;
        let Some(captures) = self.pattern.captures(path) else {
            out.extend_from_slice(path.as_bytes());
            return;
        };
        let whole = captures.get(0).map_or(0..0, |found| found.range());
        out.extend_from_slice(path.get(..whole.start).unwrap_or_default().as_bytes());
        let params = self.params(facts.request, &captures);
        let request = Request { params: &params, ..*facts.request };
        self.replace
            .render(&Facts { request: &request, ..*facts }, &mut |bytes| out.extend_from_slice(bytes));
        out.extend_from_slice(path.get(whole.end..).unwrap_or_default().as_bytes());
    }

    /// The groups, before the route's parameters: of two with one name the nearer is meant.
    fn params<'a>(
        &'a self,
        request: &Request<'a>,
        captures: &Captures<'a>,
    ) -> SmallVec<[(&'a str, &'a str); 8]> {
        let group = |(number, name): (usize, &'a String)| {
            (name.as_str(), captures.get(number).map_or("", |found| found.as_str()))
        };
        self.names.iter().enumerate().map(group).chain(request.params.iter().copied()).collect()
    }
}

fn compile_template(path: &str, site: &mut Site<'_>) -> Option<Template> {
    if !path.starts_with('/') && !path.starts_with("{path}") {
        site.error("path", "must begin with a slash");
    }
    site.take("path", Template::parse(path, Place::Path))
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
    let is_allowed = |byte| byte == b'%' || is_path_byte(byte);
    if !prefix.is_empty() && (!prefix.starts_with('/') || !prefix.bytes().all(is_allowed)) {
        site.error(key, format!("{prefix:?} is not the beginning of a path"));
    }
    prefix.to_owned()
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
