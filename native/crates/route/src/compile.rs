//! From a list of routes to a [`Router`]: parse everything, report every error, sort once, build.

use crate::definition::{Predicate, Route};
use crate::error::{Error, Fault};
use crate::host::Host;
use crate::keyed::Keyed;
use crate::method;
use crate::order::Rank;
use crate::path::{Path, Refused};
use crate::predicate::Check;
use crate::router::{ANY, Conditions, EXACT, Entry, Router, Table, WILDCARD};
use crate::same;
use crate::trie::Trie;

/// A route parsed.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) hosts: Box<[Host]>,
    pub(crate) methods: Box<[Box<str>]>,
    pub(crate) path: Path,
    pub(crate) headers: Box<[Check]>,
    pub(crate) query: Box<[Check]>,
    pub(crate) cookies: Box<[Check]>,
}

impl Plan {
    /// Conditions besides host and path, as the order counts them.
    pub(crate) fn predicates(&self) -> usize {
        usize::from(!self.methods.is_empty()) + self.headers.len() + self.query.len() + self.cookies.len()
    }

    fn conditions(&self) -> Conditions {
        match method::bits(&self.methods) {
            Some(bits) if self.headers.is_empty() && self.query.is_empty() && self.cookies.is_empty() => {
                if bits == 0 {
                    Conditions::None
                } else {
                    Conditions::Methods(bits)
                }
            }
            _ => Conditions::More,
        }
    }
}

impl Router {
    /// Builds the table. All errors of all routes are returned, each naming its route.
    pub fn compile(routes: Vec<Route>) -> Result<Self, Vec<Error>> {
        let mut errors = Vec::new();
        let plan = |(index, route)| Site { index, route, errors: &mut errors }.plan();
        let plans: Vec<Option<Plan>> = routes.iter().enumerate().map(plan).collect();
        let Some(plans) = plans.into_iter().collect::<Option<Vec<Plan>>>() else { return Err(errors) };
        errors.extend(same::errors(&routes, &plans));
        if errors.is_empty() { Ok(build(routes, plans)) } else { Err(errors) }
    }
}

/// The route that is being parsed, and where its errors go.
struct Site<'a> {
    index: usize,
    route: &'a Route,
    errors: &'a mut Vec<Error>,
}

impl Site<'_> {
    fn error(&mut self, key: impl Into<String>, fault: Fault) {
        self.errors.push(Error { route: self.index, key: key.into(), name: self.route.name.clone(), fault });
    }

    /// The parsed route, or none and its errors added to the list.
    fn plan(mut self) -> Option<Plan> {
        let (before, route) = (self.errors.len(), self.route);
        let hosts = self.hosts();
        for (number, method) in route.methods.iter().enumerate().filter(|(_, method)| !is_token(method)) {
            self.error(format!("methods[{number}]"), Fault::Method(method.clone()));
        }
        let path = self.path();
        let headers = self.checks("headers", &route.headers, Kind::Header);
        let query = self.checks("query", &route.query, Kind::Query);
        let cookies = self.checks("cookies", &route.cookies, Kind::Cookie);
        let methods = route.methods.iter().map(|method| method.as_str().into()).collect();
        if self.errors.len() > before {
            None
        } else {
            Some(Plan { hosts, methods, path: path?, headers, query, cookies })
        }
    }

    fn hosts(&mut self) -> Box<[Host]> {
        let mut hosts = Vec::new();
        for (number, text) in self.route.hosts.iter().enumerate() {
            match Host::parse(text) {
                Ok(host) => hosts.push(host),
                Err(why) => self.error(format!("hosts[{number}]"), Fault::Host { host: text.clone(), why }),
            }
        }
        if self.route.hosts.is_empty() {
            hosts.push(Host::Any);
        }
        hosts.sort_unstable();
        hosts.dedup();
        hosts.into_boxed_slice()
    }

    fn path(&mut self) -> Option<Path> {
        let text = self.route.path.text().to_owned();
        let fault = |refused| match refused {
            Refused::Path(why) => Fault::Path { path: text, why },
            Refused::Regex(why) => Fault::Regex { pattern: text, why },
        };
        Path::parse(&self.route.path).map_err(|refused| self.error("path", fault(refused))).ok()
    }

    fn checks(&mut self, field: &str, predicates: &[Predicate], kind: Kind) -> Box<[Check]> {
        let mut checks = Vec::with_capacity(predicates.len());
        for (number, predicate) in predicates.iter().enumerate() {
            match check(predicate, kind) {
                Ok(check) => checks.push(check),
                Err(fault) => self.error(format!("{field}[{number}]"), fault),
            }
        }
        checks.into_boxed_slice()
    }
}

/// What a predicate looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Header,
    Query,
    Cookie,
}

fn check(predicate: &Predicate, kind: Kind) -> Result<Check, Fault> {
    let lower = predicate.name.to_ascii_lowercase();
    let why = match kind {
        Kind::Header => "a header name is a token",
        Kind::Cookie => "a cookie name is a token",
        Kind::Query => "",
    };
    if kind != Kind::Query && !is_token(&lower) {
        return Err(Fault::Predicate { name: predicate.name.clone(), why });
    }
    let name = if kind == Kind::Header { &lower } else { &predicate.name };
    let pattern = predicate.test.text().to_owned();
    Check::compile(name, predicate).map_err(|why| Fault::Regex { pattern, why })
}

/// RFC 9110 §5.6.2.
fn is_token(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(allowed)
}

fn build(routes: Vec<Route>, plans: Vec<Plan>) -> Router {
    let mut builder = Builder::default();
    for (host, route) in ranked(&routes, &plans) {
        builder.add(host, route, &plans[route]);
    }
    builder.finish(routes, plans)
}

/// Every route on every one of its hosts, best rank first.
fn ranked<'p>(routes: &[Route], plans: &'p [Plan]) -> Vec<(&'p Host, usize)> {
    let mut all: Vec<(Rank, &Host, usize)> = Vec::new();
    for (at, (route, plan)) in routes.iter().zip(plans).enumerate() {
        let rank = |host| Rank::new(route.priority, host, &plan.path, plan.predicates(), at);
        all.extend(plan.hosts.iter().map(|host| (rank(host), host, at)));
    }
    // Ranks are unique but for several hosts of one route, which may stand in either order.
    all.sort_unstable_by(|one, two| one.0.cmp(&two.0));
    all.into_iter().map(|(_, host, route)| (host, route)).collect()
}

#[derive(Default)]
struct Builder {
    entries: Vec<Entry>,
    hosts: Keyed,
    wildcard_labels: usize,
    tables: Vec<Table>,
    trie: Trie,
}

impl Builder {
    fn add(&mut self, host: &Host, route: usize, plan: &Plan) {
        let entry = self.entries.len() as u32;
        let table = self.table(host, entry);
        self.entries.push(Entry { route: route as u32, conditions: plan.conditions() });
        if matches!(plan.path, Path::Regex(_)) {
            self.tables[table].regexes.push(entry);
        } else {
            self.trie.insert(self.tables[table].root, &plan.path, entry);
        }
    }

    /// The table of the host, made if this is its first entry, which is then also its best.
    fn table(&mut self, host: &Host, entry: u32) -> usize {
        let (owner, name) = match host {
            Host::Exact(name) => (EXACT, &**name),
            Host::Wildcard(suffix) => (WILDCARD, &**suffix),
            Host::Any => (ANY, ""),
        };
        if owner == WILDCARD {
            self.wildcard_labels = self.wildcard_labels.max(name.split('.').count());
        }
        let table = self.hosts.get_or_insert(owner, name, self.tables.len() as u32) as usize;
        if table == self.tables.len() {
            self.tables.push(Table { root: self.trie.root(), best: entry, regexes: Vec::new() });
        }
        table
    }

    fn finish(mut self, routes: Vec<Route>, plans: Vec<Plan>) -> Router {
        self.trie.shrink();
        self.hosts.shrink();
        Router {
            routes: routes.into_boxed_slice(),
            plans: plans.into_boxed_slice(),
            entries: self.entries.into_boxed_slice(),
            any: self.hosts.get(ANY, ""),
            has_named_hosts: self.tables.len() > usize::from(self.hosts.get(ANY, "").is_some()),
            hosts: self.hosts,
            wildcard_labels: self.wildcard_labels,
            tables: self.tables.into_boxed_slice(),
            trie: self.trie,
        }
    }
}
