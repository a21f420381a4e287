//! The compiled table and the lookup.

use crate::compile::Plan;
use crate::definition::Route;
use crate::host;
use crate::keyed::Keyed;
use crate::method;
use crate::params::Params;
use crate::path::Path;
use crate::trie::{Offer, Trie};

/// Owners in the map of hosts.
pub(crate) const EXACT: u32 = 0;
pub(crate) const WILDCARD: u32 = 1;
pub(crate) const ANY: u32 = 2;

/// What routing looks at, besides headers. Validated by the HTTP layer.
#[derive(Debug, Clone, Copy)]
pub struct Request<'r> {
    /// Lower case, without port; empty if the request has none.
    pub host: &'r str,
    /// The method token.
    pub method: &'r str,
    /// Percent-encoded, dot segments removed, without query.
    pub path: &'r str,
    /// The raw query without `?`.
    pub query: Option<&'r str>,
}

/// The route for a request.
#[derive(Debug, Clone, Copy)]
pub struct Match<'r> {
    /// Its index in the list given to [`Router::compile`].
    pub route: usize,
    pattern: &'r Path,
    path: &'r str,
}

impl<'r> Match<'r> {
    /// The path parameters, cut out of the path when asked for.
    pub fn params(&self) -> Params<'r> {
        Params::of(self.pattern, self.path)
    }
}

/// Why there is no route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal<'r> {
    /// 404.
    NotFound,
    /// 405: only the method failed; the methods for `Allow`, sorted.
    MethodNotAllowed(Vec<&'r str>),
}

/// An immutable routing table. See the crate's page.
#[derive(Debug)]
pub struct Router {
    pub(crate) routes: Box<[Route]>,
    /// By route.
    pub(crate) plans: Box<[Plan]>,
    /// By rank.
    pub(crate) entries: Box<[Entry]>,
    /// `(EXACT | WILDCARD | ANY, name)` to an index into `tables`.
    pub(crate) hosts: Keyed,
    pub(crate) has_named_hosts: bool,
    /// Labels of the longest wildcard suffix: no need to look up longer ones.
    pub(crate) wildcard_labels: usize,
    pub(crate) any: Option<u32>,
    pub(crate) tables: Box<[Table]>,
    pub(crate) trie: Trie,
}

/// A route on one of its hosts. Its position is its rank.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) route: u32,
    pub(crate) conditions: Conditions,
}

/// What an entry asks for besides host and path.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Conditions {
    None,
    /// One of the methods in the bit set, and nothing else.
    Methods(u16),
    /// See the plan.
    More,
}

/// The routes of one host pattern.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) root: u32,
    /// The lowest entry: nothing here is better.
    pub(crate) best: u32,
    pub(crate) regexes: Vec<u32>,
}

impl Router {
    /// The route for the request by the documented order. `header` gets a lower-case name and returns the first value.
    #[inline]
    pub fn find<'r>(
        &'r self,
        request: &Request<'r>,
        header: impl Fn(&str) -> Option<&'r [u8]>,
    ) -> Option<Match<'r>> {
        let mut best = Best { router: self, request, header, entry: u32::MAX };
        self.search(request.host, request.path, &mut best);
        let route = self.entries.get(best.entry as usize)?.route as usize;
        Some(Match { route, pattern: &self.plans[route].path, path: request.path })
    }

    /// What to answer when [`Router::find`] found nothing. Costs about as much as a lookup, and allocates.
    #[cold]
    pub fn refusal<'r>(
        &'r self,
        request: &Request<'r>,
        header: impl Fn(&str) -> Option<&'r [u8]>,
    ) -> Refusal<'r> {
        let mut allowed = Allowed { router: self, request, header, methods: Vec::new() };
        self.search(request.host, request.path, &mut allowed);
        let mut methods = allowed.methods;
        methods.sort_unstable();
        methods.dedup();
        if methods.is_empty() { Refusal::NotFound } else { Refusal::MethodNotAllowed(methods) }
    }

    /// The routes as they were given.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// Offers every entry whose host and path hold: exact host, wildcards from the longest suffix, any.
    #[inline]
    fn search(&self, host: &str, path: &str, offer: &mut impl Offer) {
        if self.has_named_hosts {
            self.search_named(host, path, offer);
        }
        if let Some(table) = self.any {
            self.search_table(table, path, offer);
        }
    }

    fn search_named(&self, host: &str, path: &str, offer: &mut impl Offer) {
        if let Some(table) = self.hosts.get(EXACT, host) {
            self.search_table(table, path, offer);
        }
        if self.wildcard_labels > 0 {
            for suffix in host::suffixes(host, self.wildcard_labels) {
                if let Some(table) = self.hosts.get(WILDCARD, suffix) {
                    self.search_table(table, path, offer);
                }
            }
        }
    }

    #[inline]
    fn search_table(&self, table: u32, path: &str, offer: &mut impl Offer) {
        let table = &self.tables[table as usize];
        if offer.wants(table.best) {
            self.trie.walk(table.root, path, offer);
            for &entry in &table.regexes {
                if offer.wants(entry) && self.plan(entry).path.matches(path) {
                    offer.offer(entry);
                }
            }
        }
    }

    #[inline]
    fn plan(&self, entry: u32) -> &Plan {
        &self.plans[self.entries[entry as usize].route as usize]
    }
}

impl Plan {
    pub(crate) fn method_holds(&self, request: &Request<'_>) -> bool {
        self.methods.is_empty() || self.methods.iter().any(|method| **method == *request.method)
    }

    fn holds<'r>(&self, request: &Request<'r>, header: &impl Fn(&str) -> Option<&'r [u8]>) -> bool {
        self.method_holds(request) && self.rest_holds(request, header)
    }

    /// Headers, query and cookies.
    fn rest_holds<'r>(&self, request: &Request<'r>, header: &impl Fn(&str) -> Option<&'r [u8]>) -> bool {
        self.headers.iter().all(|check| check.holds(header(&check.name)))
            && self.query.iter().all(|check| check.holds_in(request.query))
            && self.cookies.iter().all(|check| check.holds_among(header("cookie")))
    }
}

/// Keeps the lowest entry whose predicates hold.
struct Best<'a, 'r, H> {
    router: &'a Router,
    request: &'a Request<'r>,
    header: H,
    entry: u32,
}

impl<'r, H: Fn(&str) -> Option<&'r [u8]>> Offer for Best<'_, 'r, H> {
    #[inline]
    fn wants(&self, entry: u32) -> bool {
        entry < self.entry
    }

    #[inline]
    fn offer(&mut self, entry: u32) {
        let holds = match self.router.entries[entry as usize].conditions {
            Conditions::None => true,
            Conditions::Methods(bits) => bits & method::bit(self.request.method) != 0,
            Conditions::More => self.router.plan(entry).holds(self.request, &self.header),
        };
        if holds {
            self.entry = entry;
        }
    }
}

/// Collects the methods of the entries that would have been taken with another one.
struct Allowed<'t, 'a, 'r, H> {
    router: &'t Router,
    request: &'a Request<'r>,
    header: H,
    methods: Vec<&'t str>,
}

impl<'r, H: Fn(&str) -> Option<&'r [u8]>> Offer for Allowed<'_, '_, 'r, H> {
    fn wants(&self, _: u32) -> bool {
        true
    }

    fn offer(&mut self, entry: u32) {
        let plan = self.router.plan(entry);
        if plan.rest_holds(self.request, &self.header) {
            self.methods.extend(plan.methods.iter().map(|method| &**method));
        }
    }
}
