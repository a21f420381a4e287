//! Filters that answer themselves: redirects, fixed answers, maintenance. And what a response's lines may quote.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{chain, errors, send, send_at, values, with_request};
use proptest::prelude::*;
use serde_json::{Value, json};
use trunkline_filter::{Chain, Exchange, Outlook, Request, Verdict};

fn one(filter: &Value) -> Chain {
    chain(&json!([filter]).to_string())
}

/// Status and Location, or the reason.
fn answer(chain: &Chain, request: &Request<'_>) -> (u16, String) {
    let mut exchange = Exchange::default();
    match chain.request(request, &mut exchange, 0) {
        Verdict::Continue => (0, "passes".to_owned()),
        Verdict::Respond(refusal) if refusal.reason.as_str() == "redirected" => {
            (refusal.status, values(exchange.response_edits(), "location"))
        }
        Verdict::Respond(refusal) => (refusal.status, refusal.reason.as_str().to_owned()),
    }
}

#[test]
fn redirects_change_what_they_name_and_keep_the_rest() {
    // The request is always for https://api.example.com.
    let cases = [
        (json!({"host": "www.example"}), "GET /a/b?x=1&y", 302, "https://www.example/a/b?x=1&y"),
        (json!({"host": "www.example", "status": 308}), "POST /", 308, "https://www.example/"),
        (json!({"scheme": "http"}), "GET /a", 302, "http://api.example.com/a"),
        (json!({"scheme": "http", "port": 8080}), "GET /a", 302, "http://api.example.com:8080/a"),
        (json!({"scheme": "http", "port": 80}), "GET /a", 302, "http://api.example.com/a"),
        (json!({"port": 8443}), "GET /a", 302, "https://api.example.com:8443/a"),
        (json!({"host": "h:8443"}), "GET /a", 302, "https://h:8443/a"),
        (json!({"host": "{id}.example"}), "GET /a", 400, "rewrite_unsafe"),
        (json!({"host": "{query.h}.example"}), "GET /a?h=shop", 302, "https://shop.example/a?h=shop"),
        (json!({"host": "{query.h}"}), "GET /a?h=evil%2Fx", 400, "rewrite_unsafe"),
        (json!({"path": "/new/{id}"}), "GET /old?a=1", 302, "https://api.example.com/new/4%202?a=1"),
        (json!({"path": "/new", "keep_query": false}), "GET /old?a=1", 302, "https://api.example.com/new"),
        (json!({"keep_query": false}), "GET /old?a=1", 302, "https://api.example.com/old"),
        (json!({"keep_query": false}), "GET /old", 0, "passes"),
        (
            json!({"strip_prefix": "/v1", "add_prefix": "/v2"}),
            "GET /v1/x",
            302,
            "https://api.example.com/v2/x",
        ),
        (
            json!({"regex": {"pattern": "^/old/(\\d+)/(?P<rest>.*)$", "replace": "/new/{rest}/{1}"}}),
            "GET /old/7/a/b?q",
            302,
            "https://api.example.com/new/a/b/7?q",
        ),
        (json!({"regex": {"pattern": "^/old", "replace": "/new"}}), "GET /other", 0, "passes"),
        (json!({"path": "/{query.p}"}), "GET /?p=..", 400, "rewrite_unsafe"),
        // A path that begins with two slashes stays a path.
        (json!({"host": "www.example"}), "GET //evil.example/x", 302, "https://www.example//evil.example/x"),
        (json!({"scheme": "https"}), "GET /a?b", 0, "passes"),
        (json!({"host": "api.example.com"}), "GET /a?b", 0, "passes"),
        (json!({"scheme": "http"}), "OPTIONS *", 400, "rewrite_unsafe"),
    ];
    for (keys, text, status, expected) in cases {
        let mut filter = keys.clone();
        filter["type"] = json!("redirect");
        let found = with_request(text, "192.0.2.1", |request| answer(&one(&filter), request));
        assert_eq!(found, (status, expected.to_owned()), "{keys} {text}");
    }
}

#[test]
fn the_port_stays_where_host_and_scheme_do() {
    let cases = [
        ("shop.test:8080", false, json!({"path": "/n"}), "http://shop.test:8080/n"),
        ("shop.test:80", false, json!({"path": "/n"}), "http://shop.test/n"),
        ("shop.test:443", false, json!({"path": "/n"}), "http://shop.test:443/n"),
        ("[::1]:8080", false, json!({"path": "/n"}), "http://[::1]:8080/n"),
        ("[::1]", false, json!({"path": "/n"}), "http://[::1]/n"),
        ("shop.test:8080", false, json!({"scheme": "https"}), "https://shop.test/a"),
        ("shop.test:8080", false, json!({"scheme": "https", "port": 8443}), "https://shop.test:8443/a"),
        ("shop.test:8443", true, json!({"scheme": "https"}), "passes"),
        ("shop.test:8080", false, json!({"host": "new.test"}), "http://new.test/a"),
        ("", false, json!({"scheme": "https"}), "rewrite_unsafe"),
    ];
    for (authority, secure, keys, expected) in cases {
        let mut filter = keys.clone();
        filter["type"] = json!("redirect");
        let chain = one(&filter);
        let found = with_request("GET /a", "192.0.2.1", |request| {
            let head =
                trunkline_http::RequestHead { authority, headers: request.head.headers, ..*request.head };
            let host = trunkline_http::host_of(authority);
            answer(&chain, &Request { head: &head, host, secure, ..*request })
        });
        assert_eq!(found.1, expected, "{authority} {keys}");
    }
}

#[test]
fn a_redirect_has_no_body_and_is_explained() {
    let chain = one(&json!({"type": "redirect", "host": "www.example", "status": 301}));
    let outcome = send(&chain, "GET /x");
    assert_eq!(
        (outcome.answer, outcome.body.as_str(), outcome.content_type),
        (Some((301, "redirected")), "", None)
    );
    let explained = with_request("GET /x", "192.0.2.1", |request| chain.explain(request, 0));
    assert_eq!(explained[0].detail, "https://www.example/x");
    assert!(matches!(explained[0].outlook, Outlook::Respond { status: 301, .. }));
}

#[test]
fn fixed_answers() {
    let plan = json!({"type": "respond", "status": 410, "body": "gone",
        "headers": [["Content-Type", "text/html"], ["X-A", "1"], ["X-A", "2"]]});
    let outcome = send(&one(&plan), "GET /");
    assert_eq!(outcome.answer, Some((410, "responded")));
    assert_eq!((outcome.body.as_str(), outcome.content_type.as_deref()), ("gone", Some("text/html")));
    assert_eq!(outcome.response("x-a"), "1|2");
    let empty = send(&one(&json!({"type": "respond", "status": 204})), "GET /");
    assert_eq!((empty.answer, empty.content_type), (Some((204, "responded")), None));
}

#[test]
fn maintenance_lets_those_pass_who_look_after_it() {
    let plan = json!({"type": "maintenance", "allow": ["10.0.0.0/8"], "retry_after_s": 120, "page": "<h1>soon</h1>"});
    let chain = one(&plan);
    let outcome = send_at(&chain, "GET /", "192.0.2.1", 0);
    assert_eq!(outcome.answer, Some((503, "maintenance")));
    assert_eq!(
        (outcome.response("retry-after"), outcome.response("cache-control")),
        ("120".into(), "no-store".into())
    );
    assert_eq!(outcome.content_type.as_deref(), Some("text/html; charset=utf-8"));
    assert_eq!(outcome.body, "<h1>soon</h1>");
    for client in ["10.1.2.3", "::ffff:10.1.2.3"] {
        let passed = send_at(&chain, "GET /", client, 0);
        assert!(passed.answer.is_none() && passed.response("cache-control").is_empty(), "{client}");
    }
    let bare = send(&one(&json!({"type": "maintenance"})), "GET /");
    assert_eq!(
        (bare.body.as_str(), bare.response("retry-after").as_str()),
        (r#"{"error":"maintenance","status":503}"#, "")
    );
    assert!(send(&one(&json!({"type": "maintenance", "enabled": false})), "GET /").answer.is_none());
}

#[test]
fn what_ran_before_an_answer_stands_in_it_and_nothing_behind_it_runs() {
    let limit = json!({"type": "rate_limit", "name": "l", "key": "api", "algorithm": "fixed_window", "limit": 1, "period_ms": 1000});
    let chain =
        chain(&json!([{"type": "request_id"}, {"type": "respond", "status": 200}, limit]).to_string());
    for _ in 0..3 {
        let outcome = send(&chain, "GET /");
        assert_eq!((outcome.reason(), outcome.response("x-request-id").len()), ("responded", 32));
    }
}

#[test]
fn a_responses_lines_may_quote_the_upstreams_status() {
    let chain = chain(
        r#"[{"type":"headers","response":{"set":[["X-Origin","{host}={upstream_status};{upstream_status}"]],"add":[["X-From","{client_ip}"]]}},
            {"type":"circuit_breaker","name":"b","consecutive_failures":9}]"#,
    );
    with_request("GET /", "192.0.2.1", |request| {
        for status in [None, Some(204), Some(599)] {
            let mut exchange = Exchange::default();
            assert!(matches!(chain.request(request, &mut exchange, 0), Verdict::Continue));
            chain.response(&mut exchange, status, 0, 0);
            let digits = status.map_or("000".to_owned(), |status: u16| status.to_string());
            let expected = format!("api.example.com={digits};{digits}");
            assert_eq!(values(exchange.response_edits(), "x-origin"), expected);
            assert_eq!(values(exchange.response_edits(), "x-from"), "192.0.2.1");
            exchange.clear();
            chain.response(&mut exchange, Some(200), 0, 0);
            assert!(exchange.response_edits().is_empty());
        }
    });
}

#[test]
fn every_mistake_names_filter_and_key() {
    let cases = [
        (json!({"type": "redirect", "status": 200, "host": "h"}), &["redirect.status"][..]),
        (json!({"type": "redirect"}), &["redirect.type"]),
        (json!({"type": "redirect", "scheme": "ftp"}), &["redirect.scheme"]),
        (json!({"type": "redirect", "host": "a b"}), &["redirect.host"]),
        (json!({"type": "redirect", "path": "new"}), &["redirect.path"]),
        (json!({"type": "redirect", "path": "/a", "strip_prefix": "/b"}), &["redirect.path"]),
        (
            json!({"type": "redirect", "add_prefix": "/a", "regex": {"pattern": "(", "replace": "{"}}),
            &["redirect.regex", "redirect.regex.pattern", "redirect.regex.replace"],
        ),
        (json!({"type": "respond", "status": 204, "body": "x"}), &["respond.status"]),
        (json!({"type": "respond", "status": 101}), &["respond.status"]),
        (
            json!({"type": "respond", "status": 200, "headers": [["Content-Length", "1"]]}),
            &["respond.headers"],
        ),
        (json!({"type": "respond", "status": 200, "headers": [["X-A", "a\nb"]]}), &["respond.headers.X-A"]),
        (json!({"type": "maintenance", "allow": ["x"], "content_type": "a\nb"}), &["maintenance.allow[0]"]),
        (json!({"type": "maintenance", "content_type": "a\nb"}), &["maintenance.content_type"]),
        (
            json!({"type": "headers", "request": {"set": [["X-A", "{upstream_status}"]]}}),
            &["headers.request.set.X-A"],
        ),
    ];
    for (filter, keys) in cases {
        let errors = errors(&json!([filter]).to_string());
        assert_eq!(errors.len(), keys.len(), "{errors:?}");
        for (error, key) in errors.iter().zip(keys) {
            assert!(error.contains(&format!("filters[0] {key}:")), "{error} {key}");
        }
    }
}

proptest! {
    /// Whatever a client sends, a redirect leads to the host it was told to, in one line.
    #[test]
    fn a_redirect_leads_nowhere_else(path in "/\\PC{0,20}", query in "q=\\PC{0,20}") {
        let plan = json!({"type": "redirect", "host": "safe.example", "path": "/{query.q}/{id}/{path}"});
        let chain = one(&plan);
        let (status, location) = with_request("GET /", "192.0.2.1", |request| {
            let head = trunkline_http::RequestHead { query: Some(&query), ..*request.head };
            answer(&chain, &Request { head: &head, path: &path, ..*request })
        });
        prop_assert!(status == 400 || location.starts_with("https://safe.example/"), "{location}");
        prop_assert!(location.bytes().all(|byte| byte.is_ascii_graphic()), "{location}");
    }
}
