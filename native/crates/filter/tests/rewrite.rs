//! Rewrites as tables, and the property that nothing a client sends can leave its place.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::net::IpAddr;

use common::{chain, values, with_request};
use proptest::prelude::*;
use serde_json::{Value, json};
use trunkline_filter::{Exchange, Request, Rewrite};
use trunkline_http::{Field, Framing, Header, RequestHead, Version};

fn compile(plan: &Value) -> Rewrite {
    Rewrite::compile("orders", &serde_json::from_value(plan.clone()).unwrap()).unwrap()
}

fn target(plan: &Value, request: &str) -> String {
    let rewrite = compile(plan);
    with_request(request, "2001:db8::7", |request| {
        let mut out = Vec::new();
        match rewrite.target(request, &Exchange::default(), &mut out) {
            Ok(()) => String::from_utf8(out).unwrap(),
            Err(reason) => reason.as_str().to_owned(),
        }
    })
}

#[test]
fn targets() {
    let cases = [
        (json!({}), "GET /a/b?x=1&y", "/a/b?x=1&y"),
        (json!({}), "GET /a?", "/a?"),
        (json!({"strip_prefix": "/api"}), "GET /api/v1?x=1", "/v1?x=1"),
        (json!({"strip_prefix": "/api/"}), "GET /api", "/"),
        (json!({"strip_prefix": "/api"}), "GET /apix", "/apix"),
        (json!({"strip_prefix": "/api", "add_prefix": "/v2/"}), "GET /api/x", "/v2/x"),
        (json!({"add_prefix": "/v2"}), "GET /", "/v2/"),
        (json!({"path": "/users/{id}/x"}), "GET /", "/users/4%202/x"),
        (json!({"path": "/files/{rest}"}), "GET /", "/files/a/b%2Fc"),
        (json!({"path": "/q/{query.name}"}), "GET /?name=a%2Fb+c", "/q/a%2Fb%20c?name=a%2Fb+c"),
        (json!({"path": "/q/{query.name}/x", "query": {"clear": true}}), "GET /?name=..", "rewrite_unsafe"),
        (json!({"path": "/q/{query.name}x", "query": {"clear": true}}), "GET /?name=..", "/q/..x"),
        (
            json!({"path": "/h/{header.X-A}", "query": {"clear": true}}),
            "GET /\nX-A: ../../etc",
            "rewrite_unsafe",
        ),
        (json!({"path": "/in/{rest}", "query": {"clear": true}}), "GET /", "/in/a/b%2Fc"),
        (json!({"add_prefix": "/tenant"}), "GET /orders/..%2F..%2Fadmin", "rewrite_unsafe"),
        (json!({"add_prefix": "/tenant"}), "GET /orders/..%5cadmin", "rewrite_unsafe"),
        (json!({"add_prefix": "/tenant"}), "GET /orders/...%2F..a", "/tenant/orders/...%2F..a"),
        (json!({"query": {"clear": true}}), "GET /orders/..%2Fadmin", "/orders/..%2Fadmin"),
        (
            json!({"regex": {"pattern": "^/v(\\d)/(?P<name>[^/]+)", "replace": "/{name}/v{1}/{id}"}}),
            "GET /v2/a%2Fb/c?q",
            "/a%2Fb/v2/4%202/c?q",
        ),
        (json!({"regex": {"pattern": "/x", "replace": "/y"}}), "GET /a/x/x", "/a/y/x"),
        (json!({"regex": {"pattern": "/x", "replace": "/y"}}), "GET /a?x=/x", "/a?x=/x"),
        (json!({"regex": {"pattern": "^/a/", "replace": ""}}), "GET /a/b", "rewrite_unsafe"),
        (json!({"regex": {"pattern": "^/a/(.*)$", "replace": "/{0}{1}{2}{none}"}}), "GET /a/b", "//a/bb"),
        (
            json!({"regex": {"pattern": "^/a/(x)?(.*)", "replace": "/b/{1}{2}"}}),
            "GET /a/..%2Fc",
            "rewrite_unsafe",
        ),
        (json!({"regex": {"pattern": "(?P<id>b)", "replace": "{id}{id}"}}), "GET /a/b", "/a/bb"),
        (json!({"path": "/{{id}}/{missing}"}), "GET /", "rewrite_template"),
        (json!({"path": "{path}/x"}), "GET /a%2Fb/c", "/a%2Fb/c/x"),
        (json!({"path": "/{client_ip}/{method}/{scheme}"}), "PUT /", "/2001%3Adb8%3A%3A7/PUT/https"),
        (json!({"query": {"remove": ["x"]}}), "GET /?x=1&a=%20&%78=2&b", "/?a=%20&b"),
        (json!({"query": {"remove": ["x"]}}), "GET /?x=1", "/"),
        (json!({"query": {"set": [["id", "{id}&x"]]}}), "GET /?id=7&a=1", "/?a=1&id=4%202%26x"),
        (json!({"query": {"clear": true, "set": [["p", "{path}"]]}}), "GET /a?b=1", "/a?p=%2Fa"),
    ];
    for (plan, request, expected) in cases {
        if expected == "rewrite_template" {
            let errors = Rewrite::compile("orders", &serde_json::from_value(plan).unwrap()).unwrap_err();
            assert!(errors[0].to_string().contains("rewrite.path: '{' cannot stand here"), "{errors:?}");
            continue;
        }
        assert_eq!(target(&plan, request), expected, "{plan} {request}");
    }
}

#[test]
fn a_key_that_came_in_the_query_goes_no_further() {
    let chain = chain(r#"[{"type":"api_key","query":"api_key"}]"#);
    with_request("GET /a?x=1&api%5Fkey=key-of-app&y", "192.0.2.1", |request| {
        let mut exchange = Exchange::default();
        chain.request(request, &mut exchange, 0);
        let (rewrite, mut out) = (Rewrite::default(), Vec::new());
        rewrite.target(request, &exchange, &mut out).unwrap();
        assert_eq!(out, b"/a?x=1&y");
    });
}

#[test]
fn hosts_methods_and_headers() {
    let plan = json!({"method": "POST", "host": "{header.X-Tenant}.internal:8080",
        "headers": {"remove": ["Cookie"], "set": [["X-Original", "{path}"]]}});
    let rewrite = compile(&plan);
    let host = |text: &str| {
        with_request(text, "192.0.2.1", |request| {
            let mut out = b"Host: ".to_vec();
            let rendered = rewrite.host(request, &Exchange::default(), &mut out);
            (rendered, String::from_utf8(out).unwrap())
        })
    };
    assert_eq!(host("GET /\nX-Tenant: acme"), (Ok(true), "Host: acme.internal:8080".into()));
    for bad in ["a b", "a/b", "a@b", "a\tb", "\u{e9}"] {
        let (rendered, out) = host(&format!("GET /\nX-Tenant: {bad}"));
        assert_eq!((rendered.unwrap_err().as_str(), out.as_str()), ("rewrite_unsafe", "Host: "), "{bad}");
    }
    assert_eq!(rewrite.method(), Some("POST"));
    with_request("GET /a", "192.0.2.1", |request| {
        let mut exchange = Exchange::default();
        rewrite.headers(request, &mut exchange);
        assert!(exchange.upstream_edits().removes("cookie"));
        assert_eq!(values(exchange.upstream_edits(), "x-original"), "/a");
    });
}

#[test]
fn mistakes_name_their_key() {
    let cases = [
        (json!({"method": "GE T"}), "method"),
        (json!({"method": "HEAD"}), "method"),
        (json!({"method": "CONNECT"}), "method"),
        (json!({"path": "users"}), "path"),
        (json!({"path": "/a?b=1"}), "path"),
        (json!({"path": "/a b"}), "path"),
        (json!({"path": "/{a"}), "path"),
        (json!({"path": "/a}"}), "path"),
        (json!({"path": "/{}"}), "path"),
        (json!({"path": "/{cookie.a}"}), "path"),
        (json!({"path": "/a", "add_prefix": "/b"}), "path"),
        (json!({"strip_prefix": "api"}), "strip_prefix"),
        (json!({"add_prefix": "/a b"}), "add_prefix"),
        (json!({"host": "a b"}), "host"),
        (json!({"host": ""}), "host"),
        (json!({"headers": {"remove": ["Content-Length"]}}), "headers.remove"),
        (json!({"headers": {"set": [["X-A", "a\r\nb"]]}}), "headers.set.X-A"),
        (json!({"query": {"set": [["a", "{query.}"]]}}), "query.set.a"),
    ];
    for (plan, key) in cases {
        let errors = Rewrite::compile("orders", &serde_json::from_value(plan.clone()).unwrap()).unwrap_err();
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(
            errors[0].to_string().starts_with(&format!("route \"orders\": rewrite.{key}: ")),
            "{errors:?}"
        );
    }
}

/// Every placeholder, in every place.
fn everything() -> (Rewrite, trunkline_filter::Chain) {
    let all = "{id}{rest}{query.q}{header.X-A}{client_ip}{host}{method}{path}{scheme}{consumer}{request_id}";
    let plan = json!({"path": format!("/x{all}"), "host": "h{header.X-A}{id}", "headers": {"set": [["X-B", all]]},
        "query": {"set": [["q2", all]]}});
    let filters = json!([{"type": "request_id", "trust": true},
        {"type": "headers", "request": {"set": [["X-C", all]]}, "response": {"add": [["X-D", all]]}}]);
    (compile(&plan), chain(&filters.to_string()))
}

fn is_clean(bytes: &[u8]) -> bool {
    !bytes.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t')
}

/// Short texts rich in what could do harm: control characters, percent signs, separators.
const TEXT: &str = r"([\x00-\x20]|[%/?#&=.+]|%0[dDaA]|%2[eEfF]|\PC){0,24}";

proptest! {
    /// The parser refuses most of this; the templates must not depend on it.
    #[test]
    fn no_template_can_yield_a_line_end(
        param in TEXT, value in prop::collection::vec(any::<u8>(), 0..40), query in TEXT, path in TEXT,
        host in TEXT, method in TEXT, address in any::<u128>(),
    ) {
        let (rewrite, chain) = everything();
        let headers = [
            Header { name: "x-a", value: &value, field: Field::Other },
            Header { name: "x-request-id", value: &value, field: Field::RequestId },
        ];
        let query = format!("{query}&q={param}");
        let head = RequestHead {
            method: &method, target: &path, path: &path, query: Some(&query), version: Version::Http11,
            scheme: None, authority: &host, headers: &headers, framing: Framing::None, content_length: None, keep_alive: true,
            expects_continue: false, upgrade: None, length: 0,
        };
        let params = [("id", param.as_str()), ("rest", query.as_str())];
        let client = IpAddr::V6(address.into());
        let request = Request { head: &head, path: &path, host: &host, params: &params, client, secure: false };
        let mut exchange = Exchange::default();
        chain.request(&request, &mut exchange, 0);
        rewrite.headers(&request, &mut exchange);
        for edits in [exchange.upstream_edits(), exchange.response_edits()] {
            for (name, value) in edits.appended() {
                prop_assert!(is_clean(value), "{name}: {value:?}");
            }
        }
        let mut out = Vec::new();
        if rewrite.target(&request, &exchange, &mut out).is_ok() {
            prop_assert!(out.iter().all(u8::is_ascii_graphic), "{out:?}");
            prop_assert!(!out.contains(&b'#') && out.starts_with(b"/"));
            let path = out.split(|byte| *byte == b'?').next().unwrap_or_default();
            prop_assert!(!path.split(|byte| *byte == b'/').any(|segment| matches!(segment, b"." | b"..")));
        } else {
            prop_assert!(out.is_empty());
        }
        if rewrite.host(&request, &exchange, &mut out).is_ok() {
            prop_assert!(is_clean(&out) && !out.contains(&b' '));
        }
    }
}
