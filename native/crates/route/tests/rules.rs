//! The documented rules one by one, as tables.
#![allow(clippy::unwrap_used, clippy::similar_names)] // `routes` and the `router` of them

use trunkline_route::{Error, Fault, PathPattern, Predicate, Refusal, Request, Route, Router, Test};

fn get<'r>(host: &'r str, path: &'r str) -> Request<'r> {
    Request { host, method: "GET", path, query: None }
}

fn no_header<'r>(_: &str) -> Option<&'r [u8]> {
    None
}

fn equals(name: &str, value: &str) -> Predicate {
    Predicate { name: name.into(), test: Test::Equals(value.into()) }
}

fn exact(path: &str) -> PathPattern {
    PathPattern::Exact(path.into())
}

fn prefix(path: &str) -> PathPattern {
    PathPattern::Prefix(path.into())
}

fn template(path: &str) -> PathPattern {
    PathPattern::Template(path.into())
}

fn regex(pattern: &str) -> PathPattern {
    PathPattern::Regex(pattern.into())
}

fn on(path: PathPattern) -> Route {
    Route { name: path.to_string(), path, ..Route::default() }
}

fn for_host(host: &str) -> Route {
    Route { name: host.into(), hosts: vec![host.into()], ..Route::default() }
}

/// The name of the route found among `routes`.
fn found(routes: &[Route], request: &Request<'_>) -> Option<String> {
    let router = Router::compile(routes.to_vec()).unwrap();
    router.find(request, no_header).map(|found| routes[found.route].name.clone())
}

fn errors(routes: Vec<Route>) -> Vec<Error> {
    Router::compile(routes).map(|_| ()).unwrap_err()
}

#[test]
fn a_path_pattern_takes_exactly_what_it_says() {
    for (pattern, taken, refused) in [
        (exact("/a"), &["/a"][..], &["/a/", "/", "/ab", "/A", ""][..]),
        (exact("/a/"), &["/a/"], &["/a", "/a//"]),
        (exact("/"), &["/"], &["/a", "", "*"]),
        (prefix("/api"), &["/api", "/api/", "/api/x/y"], &["/apix", "/ap", "/x/api"]),
        (prefix("/api/"), &["/api/", "/api/x"], &["/api", "/apix"]),
        (prefix("/"), &["/", "/a", "//", "*", ""], &[]),
        (template("/u/{id}"), &["/u/7", "/u/%2F", "/u/{id}"], &["/u/", "/u", "/u/7/", "/u/7/x", "/v/7"]),
        (template("/u/{id}/p/{n}"), &["/u/7/p/8"], &["/u/7/p/", "/u//p/8", "/u/7/q/8"]),
        (template("/f/{*rest}"), &["/f/a", "/f/a/b/", "/f//"], &["/f", "/f/", "/g/a"]),
        (template("/{*rest}"), &["/a", "//"], &["/", "*", ""]),
        (regex("/v[12]/.*"), &["/v1/", "/v2/x/y"], &["/v3/", "/x/v1/", "/v1"]),
        (regex("/a|/b"), &["/a", "/b"], &["/ab", "/a/b", "x/a"]),
    ] {
        for path in taken {
            assert!(found(&[on(pattern.clone())], &get("h", path)).is_some(), "{pattern} should take {path}");
        }
        for path in refused {
            assert!(
                found(&[on(pattern.clone())], &get("h", path)).is_none(),
                "{pattern} should refuse {path}"
            );
        }
    }
}

/// Each row: routes in the order in which they must win, and a request that all of them take.
#[test]
fn each_step_of_the_order_decides_when_those_before_it_are_equal() {
    let any = Route::default;
    let methods = |methods: &[&str]| methods.iter().map(|&method| method.into()).collect::<Vec<String>>();
    let rows: [(&str, Vec<Route>); 8] = [
        (
            "priority before host",
            vec![
                Route { priority: 1, ..any() },
                for_host("a.b.c"),
                Route { priority: -1, ..for_host("a.b.c") },
            ],
        ),
        (
            "host before path",
            vec![
                for_host("a.b.c"),
                Route { path: exact("/x/y"), ..for_host("*.b.c") },
                Route { path: exact("/x/y"), ..any() },
            ],
        ),
        (
            "longest wildcard first",
            vec![for_host("a.b.c"), for_host("*.b.c"), for_host("*.c"), for_host("*")],
        ),
        (
            "kind of path",
            vec![on(exact("/x/y")), on(template("/{a}/{*b}")), on(prefix("/x/y")), on(regex("/x/y"))],
        ),
        (
            "literal segments of templates, then no rest",
            vec![
                on(template("/x/{b}")),
                on(template("/x/{*b}")),
                on(template("/{a}/{b}")),
                on(template("/{a}/{*b}")),
            ],
        ),
        ("longest prefix", vec![on(prefix("/x/y")), on(prefix("/x/")), on(prefix("/x")), on(prefix("/"))]),
        (
            "regexes as declared",
            vec![on(regex(".*")), Route { methods: methods(&["GET"]), ..on(regex("/x/.*")) }],
        ),
        (
            "number of predicates, then declaration",
            vec![
                Route { methods: methods(&["GET"]), query: vec![equals("q", "1")], ..any() },
                Route { methods: methods(&["GET", "PUT"]), ..any() },
                Route { query: vec![equals("q", "1")], ..any() },
                any(),
            ],
        ),
    ];
    for (rule, routes) in rows {
        let request = Request { host: "a.b.c", method: "GET", path: "/x/y", query: Some("q=1") };
        let declared_matters = rule.contains("declar");
        for first in 0..routes.len() {
            let mut rest = routes[first..].to_vec();
            rest.iter_mut().enumerate().for_each(|(place, route)| route.name = place.to_string());
            assert_eq!(found(&rest, &request).as_deref(), Some("0"), "{rule}, from {first}");
            rest.reverse();
            if !declared_matters {
                assert_eq!(found(&rest, &request).as_deref(), Some("0"), "{rule}, reversed from {first}");
            }
        }
    }
}

#[test]
fn a_better_place_does_not_hide_a_route_whose_predicates_hold() {
    let picky = Route { name: "picky".into(), headers: vec![equals("X-Version", "2")], ..for_host("a.b") };
    let picky = Route { path: exact("/x"), ..picky };
    let routes = [picky, Route { name: "rest".into(), path: template("/{a}"), ..Route::default() }];
    let router = Router::compile(routes.to_vec()).unwrap();
    let version = |name: &str| (name == "x-version").then_some(&b"2"[..]);
    assert_eq!(router.find(&get("a.b", "/x"), version).unwrap().route, 0);
    assert_eq!(router.find(&get("a.b", "/x"), no_header).unwrap().route, 1);
}

#[test]
fn parameters_are_slices_of_the_path_as_sent() {
    let routes = vec![
        on(template("/u/{id}/{*rest}")),
        on(regex("/v(?<major>[0-9]+)(?:-(?<extra>.*))?")),
        on(prefix("/p")),
    ];
    let router = Router::compile(routes).unwrap();
    for (path, expected) in [
        ("/u/a%2Fb/c/d/", &[("id", "a%2Fb"), ("rest", "c/d/")][..]),
        ("/v12", &[("major", "12")]),
        ("/v1-x", &[("major", "1"), ("extra", "x")]),
        ("/p/q", &[]),
    ] {
        let params = router.find(&get("h", path), no_header).unwrap().params();
        assert_eq!(params.iter().collect::<Vec<_>>(), expected, "{path}");
        assert_eq!((params.len(), params.is_empty()), (expected.len(), expected.is_empty()));
        assert!(expected.iter().all(|(name, value)| params.get(name) == Some(value)));
        assert_eq!(params.get("other"), None);
    }
}

#[test]
fn a_cookie_tells_routes_apart_and_more_conditions_come_first() {
    let beta = Route { cookies: vec![equals("stage", "beta")], ..on(prefix("/")) };
    let router = Router::compile(vec![on(prefix("/")), beta]).unwrap();
    for (cookies, route) in [
        (None, 0),
        (Some("stage=beta"), 1),
        (Some("id=7; stage=beta"), 1),
        (Some("stage=live; stage=beta"), 1),
        (Some("Stage=beta"), 0),
        (Some("stage=\"beta\""), 0),
        (Some("xstage=beta"), 0),
    ] {
        let header = |name: &str| cookies.filter(|_| name == "cookie").map(str::as_bytes);
        assert_eq!(router.find(&get("h", "/a"), header).unwrap().route, route, "{cookies:?}");
    }
}

#[test]
fn only_a_wrong_method_is_405() {
    let posts = Route { methods: vec!["POST".into(), "PURGE".into()], ..on(prefix("/a")) };
    let puts = Route { methods: vec!["PUT".into()], query: vec![equals("v", "2")], ..on(exact("/a")) };
    let router = Router::compile(vec![posts, puts]).unwrap();
    let refusal = |path, query| router.refusal(&Request { query, ..get("h", path) }, no_header);
    assert_eq!(refusal("/a", None), Refusal::MethodNotAllowed(vec!["POST", "PURGE"]));
    assert_eq!(refusal("/a", Some("v=2")), Refusal::MethodNotAllowed(vec!["POST", "PURGE", "PUT"]));
    assert_eq!(refusal("/b", Some("v=2")), Refusal::NotFound);
    let purge = Request { method: "PURGE", ..get("h", "/a") };
    assert_eq!(router.find(&purge, no_header).unwrap().route, 0);
}

#[test]
fn all_errors_are_reported_at_once_each_with_its_route() {
    let named = |name: &str, route: Route| Route { name: name.into(), ..route };
    let predicate = |name: &str, test| vec![Predicate { name: name.into(), test }];
    let errors = errors(vec![
        named(
            "hosts",
            Route {
                hosts: vec![String::new(), "A.example".into(), "fine.example".into()],
                ..Route::default()
            },
        ),
        named("method", Route { methods: vec!["G T".into(), String::new()], ..Route::default() }),
        named("relative", on(exact("a"))),
        named("space", on(prefix("/a b"))),
        named("query", on(exact("/a?b"))),
        named("dots", on(prefix("/a/../b"))),
        named("brace", on(template("/a{b}"))),
        named("nameless", on(template("/{}"))),
        named("middle", on(template("/{*a}/b"))),
        named("twice", on(template("/{a}/{a}"))),
        named("deep", on(exact(&"/a".repeat(129)))),
        named("regex", on(regex("("))),
        named("group", on(regex("a)|(b"))),
        named("huge", on(regex("(?:\\w{200}){200}"))),
        named("header", Route { headers: predicate("a b", Test::Present), ..Route::default() }),
        named("value", Route { query: predicate("q", Test::Regex("[".into())), ..Route::default() }),
        named("cookie", Route { cookies: predicate("a=b", Test::Present), ..Route::default() }),
    ]);
    let places: Vec<(usize, &str)> = errors.iter().map(|error| (error.route, error.key.as_str())).collect();
    assert_eq!(
        places[..5],
        [(0, "hosts[0]"), (0, "hosts[1]"), (1, "methods[0]"), (1, "methods[1]"), (2, "path")]
    );
    assert_eq!(places[places.len() - 3..], [(14, "headers[0]"), (15, "query[0]"), (16, "cookies[0]")]);
    let mut texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    let names = [
        "hosts", "hosts", "method", "method", "relative", "space", "query", "dots", "brace", "nameless",
        "middle", "twice", "deep", "regex", "group", "huge", "header", "value", "cookie",
    ];
    assert_eq!(texts.len(), names.len(), "{texts:#?}");
    for (text, name) in texts.drain(..).zip(names) {
        assert!(text.starts_with(&format!("route `{name}`: ")), "{text}");
    }
}

#[test]
fn routes_that_can_never_be_told_apart() {
    let base = Route {
        name: "one".into(),
        hosts: vec!["a.b".into(), "*.c".into()],
        methods: vec!["GET".into(), "PUT".into()],
        path: template("/u/{id}"),
        headers: vec![equals("X-A", "1"), equals("x-b", "2")],
        ..Route::default()
    };
    let same = Route {
        name: "two".into(),
        hosts: vec!["*.c".into()],
        methods: vec!["PUT".into(), "GET".into()],
        path: template("/u/{name}"),
        headers: vec![equals("x-b", "2"), equals("X-A", "1")],
        ..Route::default()
    };
    let fault = Fault::Same { other: "one".into(), host: "*.c".into() };
    let error = Error { route: 1, key: "path".into(), name: "two".into(), fault };
    assert_eq!(errors(vec![base.clone(), same.clone()]), [error]);
    for different in [
        Route { priority: 1, ..same.clone() },
        Route { hosts: vec!["*.d".into()], ..same.clone() },
        Route { methods: vec!["GET".into()], ..same.clone() },
        Route { path: exact("/u/{id}"), ..same.clone() },
        Route { headers: vec![], ..same.clone() },
        Route { query: vec![equals("q", "")], ..same.clone() },
        Route { cookies: vec![equals("c", "")], ..same },
    ] {
        assert!(Router::compile(vec![base.clone(), different]).is_ok());
    }
}

#[test]
fn header_names_that_differ_in_case_do_not_make_a_difference() {
    let of = |name: &str| Route { headers: vec![equals(name, "1")], ..Route::default() };
    assert_eq!(errors(vec![of("X-A"), of("x-a")]).len(), 1);
}

#[test]
fn an_explanation_names_the_route_those_behind_it_and_the_closest_misses() {
    let routes = vec![
        Route { name: "match".into(), ..on(prefix("/api")) },
        Route { name: "behind".into(), ..Route::default() },
        Route { name: "method".into(), methods: vec!["POST".into(), "PUT".into()], ..on(exact("/api/x")) },
        Route {
            name: "header".into(),
            headers: vec![equals("X-Version", "2")],
            query: vec![equals("p", "a b")],
            cookies: vec![equals("stage", "beta")],
            ..Route::default()
        },
        Route { name: "path".into(), ..on(exact("/api/y")) },
        Route { name: "far path".into(), ..on(exact("/other")) },
        Route { name: "host".into(), ..for_host("other.example") },
        Route {
            name: "all wrong".into(),
            hosts: vec!["other.example".into()],
            methods: vec!["PUT".into()],
            ..on(exact("/z"))
        },
    ];
    let router = Router::compile(routes).unwrap();
    let request = Request { host: "a.example", method: "GET", path: "/api/x", query: Some("p=1&p=%32") };
    let header = |name: &str| match name {
        "x-version" => Some(&b"1"[..]),
        "cookie" => Some(&b"id=7; stage=live"[..]),
        _ => None,
    };
    let explained = router.explain(&request, header);
    assert_eq!(explained.matched.unwrap().route, 0);
    assert_eq!(explained.outranked, [1]);
    let near: Vec<(usize, Vec<String>)> = explained
        .near_misses
        .iter()
        .map(|near| (near.route, near.failed.iter().map(ToString::to_string).collect()))
        .collect();
    let line =
        |route, failed: &[&str]| (route, failed.iter().map(|&text| text.to_owned()).collect::<Vec<_>>());
    let expected = [
        line(2, &["method: wanted POST or PUT, got GET"]),
        line(4, &["path: wanted exactly /api/y, got /api/x"]),
        line(5, &["path: wanted exactly /other, got /api/x"]),
        line(6, &["host: wanted other.example, got a.example"]),
        line(
            3,
            &[
                "header X-Version: wanted `2`, got `1`",
                "query p: wanted `a b`, got `1` and `2`",
                "cookie stage: wanted `beta`, got `live`",
            ],
        ),
    ];
    assert_eq!(near, expected);
}

#[test]
fn a_table_without_routes_finds_nothing_and_explains_nothing() {
    let router = Router::compile(vec![]).unwrap();
    assert!(router.find(&get("h", "/"), no_header).is_none());
    assert_eq!(router.refusal(&get("h", "/"), no_header), Refusal::NotFound);
    assert!(router.explain(&get("h", "/"), no_header).near_misses.is_empty());
}
