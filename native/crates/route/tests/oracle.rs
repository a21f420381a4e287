//! The compiled table against the rule as `docs/concepts/routing.md` words it: look at every route, compare the winners in pairs.
//! The oracle shares no code with the crate beyond the public definitions.
#![allow(clippy::unwrap_used, clippy::similar_names)] // `routes` and the `router` of them

use std::cmp::Ordering;

use proptest::prelude::*;
use trunkline_route::{Error, Fault, PathPattern, Predicate, Refusal, Request, Route, Router, Test};

type Headers = Vec<(String, String)>;

fn host_matches(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix('*') {
        Some("") => true,
        Some(suffix) => host.ends_with(suffix) && host.len() > suffix.len(),
        None => pattern == host,
    }
}

fn path_matches(pattern: &PathPattern, path: &str) -> bool {
    match pattern {
        PathPattern::Exact(exact) => exact == path,
        PathPattern::Prefix(prefix) if prefix == "/" => true,
        PathPattern::Prefix(prefix) if prefix.ends_with('/') => path.starts_with(prefix.as_str()),
        PathPattern::Prefix(prefix) => path == prefix || path.starts_with(&format!("{prefix}/")),
        PathPattern::Template(template) => {
            let (wanted, given): (Vec<&str>, Vec<&str>) =
                (template.split('/').collect(), path.split('/').collect());
            let rest = wanted.last().unwrap().starts_with("{*");
            let fixed = wanted.len() - usize::from(rest);
            let lengths = if rest {
                given.len() > fixed && !given[fixed..].join("/").is_empty()
            } else {
                given.len() == fixed
            };
            lengths
                && wanted[..fixed]
                    .iter()
                    .zip(&given)
                    .all(|(want, give)| want == give || (want.starts_with('{') && !give.is_empty()))
        }
        PathPattern::Regex(pattern) => regex::Regex::new(&format!("^({pattern})$")).unwrap().is_match(path),
    }
}

fn predicate_holds(wanted: &Test, values: &[&str]) -> bool {
    match wanted {
        Test::Absent => values.is_empty(),
        Test::Present => !values.is_empty(),
        Test::Equals(text) => values.contains(&text.as_str()),
        Test::Prefix(text) => values.iter().any(|value| value.starts_with(text.as_str())),
        Test::Suffix(text) => values.iter().any(|value| value.ends_with(text.as_str())),
        Test::Contains(text) => values.iter().any(|value| value.contains(text.as_str())),
        Test::Regex(_) => unreachable!("not generated"),
    }
}

fn rest_matches(route: &Route, request: &Request<'_>, headers: &Headers) -> bool {
    let header =
        |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let query = |name: &str| -> Vec<&str> {
        let pairs = request.query.unwrap_or("").split('&').filter_map(|pair| pair.split_once('='));
        pairs.filter(|(known, _)| *known == name).map(|(_, value)| value).collect()
    };
    let cookie = |name: &str| -> Vec<&str> {
        let pairs = header("cookie").unwrap_or("").split("; ").filter_map(|pair| pair.split_once('='));
        pairs.filter(|(known, _)| *known == name).map(|(_, value)| value).collect()
    };
    route.headers.iter().all(|one| predicate_holds(&one.test, header(&one.name).as_slice()))
        && route.query.iter().all(|one| predicate_holds(&one.test, &query(&one.name)))
        && route.cookies.iter().all(|one| predicate_holds(&one.test, &cookie(&one.name)))
}

/// The best of the route's hosts that match: 0 for exact, then wildcards by length, then any.
fn host_place(route: &Route, host: &str) -> Option<usize> {
    let any = ["*".to_owned()];
    let hosts = if route.hosts.is_empty() { &any[..] } else { &route.hosts[..] };
    let place = |pattern: &String| match (pattern.as_str(), pattern.starts_with('*')) {
        ("*", _) => 9999,
        (_, true) => 1000 - pattern.len(),
        _ => 0,
    };
    hosts.iter().filter(|pattern| host_matches(pattern, host)).map(place).min()
}

fn path_order(one: &PathPattern, two: &PathPattern) -> Ordering {
    let kind = |path: &PathPattern| match path {
        PathPattern::Exact(_) => 0,
        PathPattern::Template(_) => 1,
        PathPattern::Prefix(_) => 2,
        PathPattern::Regex(_) => 3,
    };
    let literals = |text: &str| text.split('/').skip(1).filter(|segment| !segment.starts_with('{')).count();
    match (one, two) {
        (PathPattern::Template(one), PathPattern::Template(two)) => {
            literals(two).cmp(&literals(one)).then(one.contains("{*").cmp(&two.contains("{*")))
        }
        (PathPattern::Prefix(one), PathPattern::Prefix(two)) => two.len().cmp(&one.len()),
        _ => kind(one).cmp(&kind(two)),
    }
}

fn predicates(route: &Route) -> usize {
    usize::from(!route.methods.is_empty()) + route.headers.len() + route.query.len() + route.cookies.len()
}

/// Whether the first of two matching routes, `one` declared before `two`, stays ahead.
fn stays_ahead(one: &Route, two: &Route, host: &str) -> bool {
    let both_regex = matches!((&one.path, &two.path), (PathPattern::Regex(_), PathPattern::Regex(_)));
    let order = two
        .priority
        .cmp(&one.priority)
        .then(host_place(one, host).cmp(&host_place(two, host)))
        .then(path_order(&one.path, &two.path))
        .then(if both_regex { Ordering::Less } else { predicates(two).cmp(&predicates(one)) });
    order != Ordering::Greater
}

fn oracle(routes: &[Route], request: &Request<'_>, headers: &Headers) -> (Option<usize>, Vec<String>) {
    let mut best: Option<usize> = None;
    let mut allowed = Vec::new();
    for (at, route) in routes.iter().enumerate() {
        let place = host_place(route, request.host).is_some();
        if !place || !path_matches(&route.path, request.path) || !rest_matches(route, request, headers) {
            continue;
        }
        if !route.methods.is_empty() && !route.methods.iter().any(|method| method == request.method) {
            allowed.extend(route.methods.clone());
        } else if best.is_none_or(|best| !stays_ahead(&routes[best], route, request.host)) {
            best = Some(at);
        }
    }
    allowed.sort();
    allowed.dedup();
    (best, allowed)
}

/// Few words, so that routes and requests meet often.
fn segment() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "a", "ab", ""])
}

fn text_path() -> impl Strategy<Value = String> {
    prop::collection::vec(segment(), 1..4).prop_map(|segments| format!("/{}", segments.join("/")))
}

fn template() -> impl Strategy<Value = String> {
    let one = prop_oneof![segment().prop_map(str::to_owned), Just("{}".to_owned())];
    (prop::collection::vec(one, 1..4), any::<bool>()).prop_map(|(segments, rest)| {
        let named =
            segments.into_iter().enumerate().map(|(at, text)| text.replace("{}", &format!("{{p{at}}}")));
        let rest = rest.then(|| "{*rest}".to_owned());
        format!("/{}", named.chain(rest).collect::<Vec<_>>().join("/"))
    })
}

fn path_pattern() -> impl Strategy<Value = PathPattern> {
    prop_oneof![
        text_path().prop_map(PathPattern::Exact),
        text_path().prop_map(PathPattern::Prefix),
        template().prop_map(PathPattern::Template),
        prop::sample::select(vec!["/a.*", "/[ab]/(a|b)?", ".*", "/a|/b/.*"])
            .prop_map(|text| PathPattern::Regex(text.into())),
    ]
}

fn predicate() -> impl Strategy<Value = Predicate> {
    let value = || prop::sample::select(vec!["1", "12", ""]).prop_map(str::to_owned);
    let test = prop_oneof![
        Just(Test::Present),
        Just(Test::Absent),
        value().prop_map(Test::Equals),
        value().prop_map(Test::Prefix),
        value().prop_map(Test::Suffix),
        value().prop_map(Test::Contains),
    ];
    (prop::sample::select(vec!["x", "y"]), test)
        .prop_map(|(name, test)| Predicate { name: name.into(), test })
}

fn route() -> impl Strategy<Value = Route> {
    let host = prop::sample::select(vec!["e.com", "a.e.com", "*.e.com", "*.com", "*.a.e.com", "*"])
        .prop_map(str::to_owned);
    let method = prop::sample::select(vec!["GET", "POST", "PUT"]).prop_map(str::to_owned);
    (
        prop::collection::vec(host, 0..3),
        prop::collection::vec(method, 0..3),
        path_pattern(),
        prop::collection::vec(predicate(), 0..2),
        prop::collection::vec(predicate(), 0..2),
        prop_oneof![2 => Just(Vec::new()), 1 => prop::collection::vec(predicate(), 1..2)],
        prop_oneof![4 => Just(0), 1 => -1..2],
    )
        .prop_map(|(hosts, methods, path, headers, query, cookies, priority)| Route {
            name: "r".into(),
            hosts,
            methods,
            path,
            headers,
            query,
            cookies,
            priority,
        })
}

type Question = (&'static str, &'static str, String, Option<String>, Headers);

fn question() -> impl Strategy<Value = Question> {
    let pair = || (prop::sample::select(vec!["x", "y"]), prop::sample::select(vec!["1", "12", "21", ""]));
    let query = prop::collection::vec(pair(), 0..3).prop_map(|pairs| {
        pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
    });
    let cookies = prop::collection::vec(pair(), 0..3).prop_map(|pairs| {
        pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    });
    let headers =
        (prop::collection::vec(pair(), 0..2), prop::option::of(cookies)).prop_map(|(pairs, cookies)| {
            let lines = pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
            lines.chain(cookies.map(|cookies| ("cookie".to_owned(), cookies))).collect()
        });
    (
        prop::sample::select(vec!["e.com", "a.e.com", "b.a.e.com", "com", "x.org", ""]),
        prop::sample::select(vec!["GET", "POST", "PATCH"]),
        prop_oneof![9 => text_path(), 1 => Just("*".to_owned())],
        prop::option::of(query),
        headers,
    )
}

/// Drops routes until the rest can be told apart, as a person would after reading the errors.
fn compiled(mut routes: Vec<Route>) -> (Vec<Route>, Router) {
    for (at, route) in routes.iter_mut().enumerate() {
        route.name = at.to_string();
    }
    match Router::compile(routes.clone()) {
        Ok(table) => (routes, table),
        Err(errors) => {
            let is_same = |error: &&Error| matches!(error.fault, Fault::Same { .. });
            let dead = |route: &Route| errors.iter().filter(is_same).any(|error| error.name == route.name);
            let kept: Vec<Route> = routes.iter().filter(|route| !dead(route)).cloned().collect();
            assert!(kept.len() < routes.len(), "{errors:?}");
            compiled(kept)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_table_agrees_with_the_rule(
        routes in prop::collection::vec(route(), 0..24),
        questions in prop::collection::vec(question(), 1..16),
    ) {
        let (routes, router) = compiled(routes);
        for (host, method, path, query, headers) in &questions {
            let request = Request { host, method, path, query: query.as_deref() };
            let header = |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_bytes());
            let (expected, allowed) = oracle(&routes, &request, headers);
            let found = router.find(&request, header).map(|found| found.route);
            prop_assert_eq!(found, expected, "{:?} {:?}", request, &routes);
            if found.is_none() {
                let refusal = router.refusal(&request, header);
                let wanted = if allowed.is_empty() {
                    Refusal::NotFound
                } else {
                    Refusal::MethodNotAllowed(allowed.iter().map(String::as_str).collect())
                };
                prop_assert_eq!(refusal, wanted);
            }
            let explained = router.explain(&request, header);
            prop_assert_eq!(explained.matched.map(|matched| matched.route), expected);
            for near in &explained.near_misses {
                prop_assert!(!near.failed.is_empty() && Some(near.route) != expected);
            }
        }
    }

    #[test]
    fn no_text_makes_it_panic(host in ".*", method in ".*", path in ".*", query in ".*", routes in prop::collection::vec(route(), 0..8)) {
        let (_, router) = compiled(routes);
        let request = Request { host: &host, method: &method, path: &path, query: Some(&query) };
        let found = router.find(&request, |_| None);
        prop_assert_eq!(found.map(|found| found.route), router.explain(&request, |_| None).matched.map(|found| found.route));
        found.map(|found| found.params());
    }
}
