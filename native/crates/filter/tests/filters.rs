//! Each filter alone, as tables: request in, verdict and edits out. JWT has a file of its own.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{SECOND_NS, chain, errors, send, send_at, with_request};
use trunkline_filter::Exchange;

const MILLISECOND_NS: u64 = 1_000_000;

#[test]
fn request_id_is_made_or_trusted_and_sent_both_ways() {
    let trusting = chain(r#"[{"type":"request_id","trust":true}]"#);
    let strict = chain(r#"[{"type":"request_id"}]"#);
    let long = format!("GET /\nX-Request-Id: {}", "a".repeat(129));
    let cases = [
        (&trusting, "GET /\nX-Request-Id: abc-123", Some("abc-123")),
        (&trusting, "GET /\nX-Request-Id: a b", None),
        (&trusting, "GET /\nX-Request-Id: {evil}", None),
        (&trusting, long.as_str(), None),
        (&trusting, "GET /", None),
        (&strict, "GET /\nX-Request-Id: abc-123", None),
    ];
    for (chain, text, kept) in cases {
        let outcome = send(chain, text);
        let id = outcome.exchange.request_id().unwrap().to_owned();
        match kept {
            Some(kept) => assert_eq!(id, kept),
            None => assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}"),
        }
        assert_eq!((outcome.upstream("x-request-id"), outcome.response("x-request-id")), (id.clone(), id));
        assert!(outcome.exchange.upstream_edits().removes("X-Request-Id"));
    }
}

#[test]
fn ip_lists_decide_by_the_true_client() {
    let both =
        chain(r#"[{"type":"ip_access","allow":["10.0.0.0/8","2001:db8::/32"],"deny":["10.9.0.0/16"]}]"#);
    let deny = chain(r#"[{"type":"ip_access","deny":["192.0.2.0/24"]}]"#);
    let cases = [
        (&both, "10.1.2.3", "continue"),
        (&both, "::ffff:10.1.2.3", "continue"),
        (&both, "10.9.2.3", "ip_denied"),
        (&both, "::ffff:10.9.2.3", "ip_denied"),
        (&both, "11.0.0.1", "ip_denied"),
        (&both, "2001:db8::1", "continue"),
        (&both, "2001:db9::1", "ip_denied"),
        (&deny, "192.0.2.7", "ip_denied"),
        (&deny, "::ffff:192.0.2.7", "ip_denied"),
        (&deny, "198.51.100.1", "continue"),
    ];
    for (chain, client, reason) in cases {
        assert_eq!(send_at(chain, "GET /", client, 0).reason(), reason, "{client}");
    }
}

#[test]
fn cors_preflights_are_answered_here() {
    let chain = chain(
        r#"[{"type":"cors","origins":["https://app.example.com","https://*.shop.test:8443"],"methods":["GET","PUT"],
            "headers":["X-Trace","Authorization"],"credentials":true,"max_age_s":600}]"#,
    );
    let preflight = |origin: &str, method: &str, headers: &str| {
        let mut text = format!("OPTIONS /\nOrigin: {origin}\nAccess-Control-Request-Method: {method}");
        if !headers.is_empty() {
            text = format!("{text}\nAccess-Control-Request-Headers: {headers}");
        }
        send(&chain, &text)
    };
    let cases = [
        ("https://app.example.com", "PUT", "x-trace, authorization", "cors_preflight"),
        ("https://APP.example.com", "GET", "", "cors_preflight"),
        ("https://a.shop.test:8443", "GET", "", "cors_preflight"),
        ("https://a.b.shop.test:8443", "GET", "", "cors_preflight"),
        ("https://.shop.test:8443", "GET", "", "cors_refused"),
        ("https://a.shop.test", "GET", "", "cors_refused"),
        ("https://evil.test/.shop.test:8443", "GET", "", "cors_refused"),
        ("http://app.example.com", "GET", "", "cors_refused"),
        ("null", "GET", "", "cors_refused"),
        ("https://app.example.com", "DELETE", "", "cors_refused"),
        ("https://app.example.com", "get", "", "cors_refused"),
        ("https://app.example.com", "GET", "x-other", "cors_refused"),
    ];
    for (origin, method, headers, reason) in cases {
        let outcome = preflight(origin, method, headers);
        assert_eq!(outcome.reason(), reason, "{origin} {method} {headers}");
        assert!(outcome.response("vary").starts_with("Origin|"), "{origin}");
    }
    let outcome = preflight("https://app.example.com", "PUT", "x-trace");
    assert_eq!(outcome.answer, Some((204, "cors_preflight")));
    assert_eq!((outcome.body.as_str(), outcome.content_type.as_deref()), ("", None));
    for (name, value) in [
        ("access-control-allow-origin", "https://app.example.com"),
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-methods", "GET, PUT"),
        ("access-control-allow-headers", "X-Trace, Authorization"),
        ("access-control-max-age", "600"),
    ] {
        assert_eq!(outcome.response(name), value, "{name}");
    }
}

#[test]
fn cors_on_plain_requests_overrules_the_upstream() {
    let listed = chain(r#"[{"type":"cors","origins":["https://app.test"],"expose":["X-Total"]}]"#);
    let any = chain(r#"[{"type":"cors","origins":["*"],"headers":["*"],"methods":["*"]}]"#);
    let cases = [
        (&listed, "GET /\nOrigin: https://app.test", "https://app.test", "X-Total", "Origin"),
        (&listed, "GET /\nOrigin: https://other.test", "", "", "Origin"),
        (&listed, "GET /", "", "", "Origin"),
        // OPTIONS without Access-Control-Request-Method is no preflight.
        (&listed, "OPTIONS /\nOrigin: https://app.test", "https://app.test", "X-Total", "Origin"),
        (&any, "GET /\nOrigin: https://other.test", "*", "", ""),
    ];
    for (chain, text, origin, expose, vary) in cases {
        let outcome = send(chain, text);
        assert_eq!(outcome.reason(), "continue", "{text}");
        assert_eq!(outcome.response("access-control-allow-origin"), origin, "{text}");
        assert_eq!(outcome.response("access-control-expose-headers"), expose, "{text}");
        assert_eq!(outcome.response("vary"), vary, "{text}");
        assert!(outcome.exchange.response_edits().removes("Access-Control-Allow-Origin"), "{text}");
    }
    let preflight = "OPTIONS /\nOrigin: https://x.test\nAccess-Control-Request-Method: PATCH\n\
        Access-Control-Request-Headers: authorization, x-a";
    let outcome = send(&any, preflight);
    assert_eq!(outcome.response("access-control-allow-methods"), "PATCH");
    assert_eq!(outcome.response("access-control-allow-headers"), "authorization, x-a");
    assert!(any.answers_preflights());
}

#[test]
fn api_keys_lead_to_consumers_and_stay_here() {
    let plan = r#"[{"type":"api_key","header":"X-API-Key","query":"api_key","consumers":["app"]}]"#;
    let chain = chain(plan);
    let cases = [
        ("GET /\nx-api-key: key-of-app", None, "continue"),
        ("GET /\nX-API-Key: old-key", None, "continue"),
        ("GET /?api_key=key%2Dof%2Dapp", None, "continue"),
        ("GET /?api%5Fkey=key-of-app", None, "continue"),
        ("GET /\nX-API-Key: key-of-shop", Some(403), "consumer_forbidden"),
        ("GET /\nX-API-Key: key-of-nobody", Some(401), "api_key_unknown"),
        ("GET /\nX-API-Key: ", Some(401), "api_key_unknown"),
        ("GET /", Some(401), "api_key_missing"),
        ("GET /?other=key-of-app", Some(401), "api_key_missing"),
        ("GET /\nX-API-Key: key-of-app\nX-API-Key: key-of-shop", Some(400), "credentials_repeated"),
        ("GET /?api_key=key-of-app&api_key=x", Some(400), "credentials_repeated"),
    ];
    for (text, status, reason) in cases {
        let outcome = send(&chain, text);
        assert_eq!((outcome.answer.map(|(status, _)| status), outcome.reason()), (status, reason), "{text}");
        let challenge = if status == Some(401) { "ApiKey realm=\"api\"" } else { "" };
        assert_eq!(outcome.response("www-authenticate"), challenge, "{text}");
        assert_eq!(outcome.exchange.consumer(), status.is_none().then_some("app"), "{text}");
    }
    let outcome = send(&chain, "GET /?api_key=x\nX-API-Key: key-of-app");
    assert!(outcome.exchange.upstream_edits().removes("X-Api-Key") && outcome.exchange.hides_query());
}

#[test]
fn a_key_is_forwarded_on_request() {
    let chain = chain(r#"[{"type":"api_key","header":"X-API-Key","query":"k","forward":true}]"#);
    let outcome = send(&chain, "GET /?k=key-of-app");
    assert!(outcome.exchange.upstream_edits().is_empty() && !outcome.exchange.hides_query());
    assert_eq!(outcome.exchange.hidden_query().collect::<Vec<_>>(), ["k"]);
}

#[test]
fn a_key_in_the_query_is_never_logged() {
    let key = r#"{"type":"api_key","query":"k"}"#;
    let deny = r#"{"type":"ip_access","deny":["192.0.2.0/24"]}"#;
    let cases = [
        (format!("[{key}]"), "GET /?k=key-of-app", "continue", 1),
        (format!("[{key}]"), "GET /?%6B=unknown&other=1", "api_key_unknown", 1),
        (format!("[{key}]"), "GET /?k=one&k=two", "credentials_repeated", 1),
        (format!("[{deny},{key}]"), "GET /?k=key-of-app", "ip_denied", 1),
        (format!("[{deny},{key}]"), "GET /?other=1", "ip_denied", 0),
    ];
    for (filters, text, reason, hidden) in cases {
        let outcome = send(&chain(&filters), text);
        assert_eq!(outcome.reason(), reason, "{text}");
        let names: Vec<_> = outcome.exchange.hidden_query().collect();
        assert_eq!(names, vec!["k"; hidden], "{filters} {text}");
    }
}

#[test]
fn rate_limits_count_by_their_key() {
    let limit = |key: &str| {
        chain(&format!(
            r#"[{{"type":"api_key","header":"X-API-Key"}},{{"type":"rate_limit","name":"l","key":"{key}",
                "algorithm":"fixed_window","limit":1,"period_ms":60000}}]"#
        ))
    };
    let shop = "GET /\nX-API-Key: key-of-shop\nX-Tenant: a";
    let app = "GET /\nX-API-Key: key-of-app\nX-Tenant: b";
    let cases = [
        ("ip", shop, "192.0.2.1", app, "192.0.2.1", false),
        ("ip", shop, "192.0.2.1", shop, "192.0.2.2", true),
        ("ip", shop, "192.0.2.1", shop, "::ffff:192.0.2.1", false),
        ("ip", shop, "2001:db8:0:1::1", shop, "2001:db8:0:1:ffff::2", false),
        ("ip", shop, "2001:db8:0:1::1", shop, "2001:db8:0:2::1", true),
        ("consumer", shop, "192.0.2.1", shop, "192.0.2.2", false),
        ("consumer", shop, "192.0.2.1", app, "192.0.2.1", true),
        ("api", shop, "192.0.2.1", app, "192.0.2.2", false),
        ("header:x-tenant", shop, "192.0.2.1", app, "192.0.2.1", true),
        ("header:X-Other", shop, "192.0.2.1", app, "192.0.2.2", false),
    ];
    for (key, first, first_client, second, second_client, admitted) in cases {
        let chain = limit(key);
        assert_eq!(send_at(&chain, first, first_client, 0).reason(), "continue");
        let outcome = send_at(&chain, second, second_client, 0);
        assert_eq!(outcome.reason() == "continue", admitted, "{key} {second_client}");
    }
}

#[test]
fn a_cost_that_never_fits_is_refused() {
    let limit =
        |keys: &str| format!(r#"[{{"type":"rate_limit","name":"l","key":"ip","period_ms":1000,{keys}}}]"#);
    let cases = [
        (r#""algorithm":"token_bucket","limit":2,"cost":3"#, "cost: must be at most the burst, 2"),
        (r#""algorithm":"gcra","limit":9,"burst":4,"cost":5"#, "cost: must be at most the burst, 4"),
    ];
    for (keys, problem) in cases {
        assert!(errors(&limit(keys))[0].contains(problem), "{keys}");
    }
    chain(&limit(r#""algorithm":"token_bucket","limit":2,"burst":3,"cost":3"#));
}

#[test]
fn rate_limit_fields_tell_what_is_left() {
    let plan = |headers: bool| {
        format!(
            r#"[{{"type":"rate_limit","name":"per \"ip\"","key":"ip","algorithm":"token_bucket","limit":2,
                "period_ms":3000,"headers":{headers}}}]"#
        )
    };
    let described = chain(&plan(true));
    let fields: Vec<[String; 3]> = (0..3)
        .map(|_| {
            let outcome = send(&described, "GET /");
            ["ratelimit", "ratelimit-policy", "retry-after"].map(|name| outcome.response(name))
        })
        .collect();
    let policy = r#""per \"ip\"";q=2;w=3"#;
    assert_eq!(fields[0], [r#""per \"ip\"";r=1;t=2"#, policy, ""]);
    assert_eq!(fields[1], [r#""per \"ip\"";r=0;t=3"#, policy, ""]);
    // One token takes 1.5 s: a client that waits what it is told must not be early.
    assert_eq!(fields[2], [r#""per \"ip\"";r=0;t=3"#, policy, "2"]);
    let silent = chain(&plan(false));
    for retry_after in ["", "", "2"] {
        let outcome = send(&silent, "GET /");
        assert_eq!(["ratelimit", "ratelimit-policy"].map(|name| outcome.response(name)), ["", ""]);
        assert_eq!(outcome.response("retry-after"), retry_after);
    }
}

#[test]
fn every_algorithm_is_known_and_limits() {
    for algorithm in ["token_bucket", "leaky_bucket", "leaky_meter", "fixed_window", "sliding_window", "gcra"]
    {
        let chain = chain(&format!(
            r#"[{{"type":"rate_limit","name":"l","key":"api","algorithm":"{algorithm}","limit":2,"period_ms":1000}}]"#
        ));
        let reasons: Vec<&str> = (0..3).map(|_| send(&chain, "GET /").reason()).collect();
        assert_eq!(reasons, ["continue", "continue", "rate_limited"], "{algorithm}");
        assert_eq!(send_at(&chain, "GET /", "192.0.2.1", 5 * SECOND_NS).reason(), "continue", "{algorithm}");
    }
}

#[test]
fn a_leaky_queue_holds_back_before_it_refuses() {
    let chain = chain(
        r#"[{"type":"rate_limit","name":"q","key":"api","algorithm":"leaky_queue","limit":10,"period_ms":1000,"burst":3}]"#,
    );
    let outcomes: Vec<_> = (0..4).map(|_| send(&chain, "GET /")).collect();
    let delays: Vec<u64> =
        outcomes.iter().map(|outcome| outcome.exchange.delay_ns() / MILLISECOND_NS).collect();
    assert_eq!(delays, [0, 100, 200, 0]);
    assert_eq!(outcomes[3].answer, Some((429, "rate_limited")));
}

#[test]
fn size_limits_refuse_up_front_or_hand_a_bound_to_the_engine() {
    let chain = chain(
        r#"[{"type":"size_limit","body_bytes":100,"head_bytes":120},{"type":"size_limit","body_bytes":80}]"#,
    );
    let padded = format!("GET /\nX-Padding: {}", "a".repeat(100));
    let cases = [
        ("POST /\nContent-Length: 80", "continue", Some(80)),
        ("POST /\nContent-Length: 81", "body_too_large", Some(100)),
        ("POST /\nContent-Length: 101", "body_too_large", None),
        ("POST /\nTransfer-Encoding: chunked", "continue", Some(80)),
        ("GET /", "continue", Some(80)),
        (padded.as_str(), "head_too_large", None),
    ];
    for (text, reason, bound) in cases {
        let outcome = send(&chain, text);
        assert_eq!((outcome.reason(), outcome.exchange.body_limit()), (reason, bound), "{text}");
    }
}

#[test]
fn headers_are_edited_both_ways() {
    let chain = chain(
        r#"[{"type":"headers",
            "request":{"remove":["Cookie"],"set":[["X-User","{header.X-In}/{id}"]],"add":[["X-Hop","{client_ip}"]]},
            "response":{"remove":["Server"],"set":[["X-Path","{method} {scheme}://{host}{path}"]]}}]"#,
    );
    let outcome = send(&chain, "GET /a%20b\nX-In: me");
    assert_eq!(outcome.upstream("x-user"), "me/4 2");
    assert_eq!(outcome.upstream("x-hop"), "192.0.2.1");
    assert_eq!(outcome.response("x-path"), "GET https://api.example.com/a b");
    let removed = |name: &str| outcome.exchange.upstream_edits().removes(name);
    assert_eq!(["COOKIE", "x-user", "x-hop"].map(removed), [true, true, false]);
    assert!(outcome.exchange.response_edits().removes("Server"));
}

#[test]
fn a_breaker_opens_falls_back_and_recovers() {
    let chain = chain(
        r#"[{"type":"circuit_breaker","name":"b","consecutive_failures":2,"open_ms":5000,"probes":1,
            "failures":[[500,599],[429,429]],
            "fallback":{"status":200,"headers":[["Content-Type","application/json"],["X-Stale","1"]],"body":"[]"}}]"#,
    );
    let call = |now_ns: u64, status: Option<u16>| {
        with_request("GET /", "192.0.2.1", |request| {
            let mut exchange = Exchange::default();
            let verdict = chain.request(request, &mut exchange, now_ns);
            assert!(matches!(verdict, trunkline_filter::Verdict::Continue));
            chain.response(&mut exchange, status, now_ns, 0);
        });
    };
    call(0, Some(500));
    call(0, Some(404));
    call(0, None);
    call(0, Some(429));
    let outcome = send_at(&chain, "GET /", "192.0.2.1", 1_200 * MILLISECOND_NS);
    assert_eq!(outcome.answer, Some((200, "breaker_open")));
    assert_eq!((outcome.body.as_str(), outcome.content_type.as_deref()), ("[]", Some("application/json")));
    assert_eq!((outcome.response("retry-after"), outcome.response("x-stale")), ("4".into(), "1".into()));
    call(5 * SECOND_NS, Some(200));
    call(5 * SECOND_NS, Some(200));
}

#[test]
fn every_mistake_names_filter_and_key() {
    let cases = [
        (
            r#"{"type":"ip_access","allow":["10.0.0.0/40","x"]}"#,
            &["ip_access.allow[0]", "ip_access.allow[1]"][..],
        ),
        (
            r#"{"type":"cors","origins":["*"],"credentials":true,"headers":["*"]}"#,
            &["cors.origins", "cors.headers"],
        ),
        (r#"{"type":"cors","origins":["app.test","https://a/b"]}"#, &["cors.origins[0]", "cors.origins[1]"]),
        (r#"{"type":"cors","methods":["G ET"]}"#, &["cors.origins", "cors.methods[0]"]),
        (r#"{"type":"api_key"}"#, &["api_key.header"]),
        (
            r#"{"type":"api_key","header":"a b","consumers":["x"]}"#,
            &["api_key.header", "api_key.consumers[0]"],
        ),
        (
            r#"{"type":"rate_limit","name":"l","key":"cookie","algorithm":"x","limit":1,"period_ms":1}"#,
            &["rate_limit.key", "rate_limit.limit"],
        ),
        (
            r#"{"type":"rate_limit","name":"l","key":"consumer","algorithm":"gcra","limit":0,"period_ms":1}"#,
            &["rate_limit.key", "rate_limit.limit"],
        ),
        (
            r#"{"type":"circuit_breaker","name":"b","failure_ratio":2.0,"failures":[[599,500]]}"#,
            &["circuit_breaker.failures[0]", "circuit_breaker.name"],
        ),
        (
            r#"{"type":"circuit_breaker","name":"b","fallback":{"status":204,"body":"x"}}"#,
            &["circuit_breaker.fallback.status"],
        ),
        (
            r#"{"type":"headers","request":{"set":[["Host","x"],["X-A","{"]]},"response":{"add":[["X","a\nb"]]}}"#,
            &["headers.request.set:", "headers.request.set.X-A", "headers.response.add.X"],
        ),
    ];
    for (filter, keys) in cases {
        let errors = errors(&format!("[{filter}]"));
        assert_eq!(errors.len(), keys.len(), "{errors:?}");
        for (error, key) in errors.iter().zip(keys) {
            assert!(error.contains(&format!("route \"orders\": filters[0] {key}")), "{error} {key}");
        }
    }
}
