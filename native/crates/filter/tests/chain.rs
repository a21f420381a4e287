//! Filters together: their order, what a refusal still carries, what is given back, and what outlives a configuration.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{chain, compile_in, errors, registry, send, with_request};
use trunkline_filter::{Chain, Exchange, Outlook, Reason, Verdict};

const REQUEST_ID: &str = r#"{"type":"request_id","trust":true}"#;
const CORS: &str = r#"{"type":"cors","origins":["https://app.test"]}"#;
const API_KEY: &str = r#"{"type":"api_key","header":"X-API-Key"}"#;
const ONE_PER_MINUTE: &str = r#"{"type":"rate_limit","name":"one","key":"consumer","algorithm":"fixed_window","limit":1,"period_ms":60000}"#;
const BREAKER: &str =
    r#"{"type":"circuit_breaker","name":"b","consecutive_failures":1,"open_ms":1000,"probes":1}"#;

const GOOD: &str = "GET /\nOrigin: https://app.test\nX-API-Key: key-of-shop\nX-Request-Id: r1";

fn list(filters: &[&str]) -> String {
    format!("[{}]", filters.join(","))
}

/// One call that reaches the upstream and is answered with `status`; whether it was let through.
fn call(chain: &Chain, now_ns: u64, status: Option<u16>) -> bool {
    with_request(GOOD, "192.0.2.1", |request| {
        let mut exchange = Exchange::default();
        let passed = matches!(chain.request(request, &mut exchange, now_ns), Verdict::Continue);
        chain.response(&mut exchange, status, now_ns, 0);
        passed
    })
}

#[test]
fn a_refusal_carries_what_the_filters_before_it_said() {
    let chain = chain(&list(&[REQUEST_ID, CORS, API_KEY, ONE_PER_MINUTE, BREAKER]));
    let denied = send(&chain, "GET /\nOrigin: https://app.test\nX-Request-Id: r1");
    assert_eq!(denied.answer, Some((401, "api_key_missing")));
    assert_eq!(denied.response("access-control-allow-origin"), "https://app.test");
    assert_eq!(denied.response("x-request-id"), "r1");
    assert_eq!(denied.response("ratelimit"), "", "the limiter never saw it");

    assert_eq!(send(&chain, GOOD).answer, None);
    let limited = send(&chain, GOOD);
    assert_eq!(limited.answer, Some((429, "rate_limited")));
    assert_eq!(limited.body, r#"{"error":"rate_limited","status":429}"#);
    assert_eq!(limited.content_type.as_deref(), Some("application/json"));
    assert_eq!(
        (limited.response("x-request-id"), limited.response("ratelimit")),
        ("r1".into(), "\"one\";r=0;t=60".into())
    );
}

#[test]
fn the_order_is_the_plans() {
    let limit_by_ip = ONE_PER_MINUTE.replace("consumer", "ip");
    let limit_first = chain(&list(&[&limit_by_ip, API_KEY]));
    let key_first = chain(&list(&[API_KEY, &limit_by_ip]));
    for (chain, second) in [(&limit_first, "rate_limited"), (&key_first, "api_key_missing")] {
        let reasons: Vec<&str> = (0..2).map(|_| send(chain, "GET /").reason()).collect();
        assert_eq!(reasons, ["api_key_missing", second]);
    }
}

#[test]
fn on_the_way_back_the_outer_filter_has_the_last_word() {
    let strip =
        r#"{"type":"headers","request":{"remove":["X-Request-Id"]},"response":{"remove":["X-Request-Id"]}}"#;
    let outer = send(&chain(&list(&[strip, REQUEST_ID])), GOOD);
    assert_eq!(
        (outer.upstream("x-request-id").as_str(), outer.response("x-request-id").as_str()),
        ("r1", "")
    );
    let inner = send(&chain(&list(&[REQUEST_ID, strip])), GOOD);
    assert_eq!(
        (inner.upstream("x-request-id").as_str(), inner.response("x-request-id").as_str()),
        ("", "r1")
    );
}

#[test]
fn orders_that_cannot_work_are_refused() {
    for (filters, problem) in [
        (list(&[API_KEY, CORS]), "filters[1] cors.type: cors must come before"),
        (list(&[ONE_PER_MINUTE, API_KEY]), "filters[0] rate_limit.key: \"consumer\" needs"),
        (list(&vec![REQUEST_ID; 65]), "filters[64] request_id.type: a chain has at most 64"),
    ] {
        let errors = errors(&filters);
        assert!(errors.len() == 1 && errors[0].contains(problem), "{errors:?}");
    }
}

#[test]
fn a_refusal_behind_a_breaker_tells_it_nothing() {
    let chain = chain(&list(&[BREAKER, API_KEY]));
    assert!(call(&chain, 0, Some(500)));
    // Open for a second, then one probe: it is refused by the next filter and must not count as one.
    let probe = |text: &str| {
        with_request(text, "192.0.2.1", |request| {
            let mut exchange = Exchange::default();
            let verdict = chain.request(request, &mut exchange, 2_000_000_000);
            chain.response(&mut exchange, Some(401), 2_000_000_000, 0);
            match verdict {
                Verdict::Continue => "continue",
                Verdict::Respond(refusal) => refusal.reason.as_str(),
            }
        })
    };
    assert_eq!(probe("GET /"), "api_key_missing");
    assert_eq!(probe(GOOD), "continue");
}

#[test]
fn an_abandoned_request_gives_its_probe_back() {
    let chain = chain(&list(&[BREAKER]));
    assert!(call(&chain, 0, None));
    let take = || {
        with_request(GOOD, "192.0.2.1", |request| {
            let mut exchange = Exchange::default();
            let passed = matches!(chain.request(request, &mut exchange, 2_000_000_000), Verdict::Continue);
            (passed, exchange)
        })
    };
    let (passed, mut held) = take();
    assert!(passed && !take().0, "one probe at a time");
    chain.abandon(&mut held);
    assert!(take().0);
    chain.response(&mut held, Some(500), 2_000_000_000, 0);
    assert!(!take().0, "the abandoned exchange has nothing left to report");
}

#[test]
fn counts_and_states_outlive_a_configuration_with_equal_settings() {
    let registry = registry();
    let filters = list(&[API_KEY, ONE_PER_MINUTE, BREAKER]);
    let first = compile_in(&registry, &filters).unwrap();
    assert!(call(&first, 0, Some(500)));
    assert_eq!(registry.limiters()[0].keys, 1);
    assert_eq!(registry.breakers(0)[0].phase.name(), "open");

    let second = compile_in(&registry, &filters).unwrap();
    assert_eq!(send(&second, GOOD).reason(), "rate_limited", "the count went on");
    let third = compile_in(&registry, &filters.replace("\"limit\":1", "\"limit\":2")).unwrap();
    assert_eq!(send(&third, GOOD).reason(), "breaker_open", "a new limit, the same breaker");

    assert!(compile_in(&registry, &list(&[r#"{"type":"api_key"}"#, BREAKER])).is_err());
    assert_eq!(registry.limiters()[0].quota.limit(), 2, "a plan that is refused changes nothing");

    assert!(compile_in(&registry, "[]").unwrap().is_empty());
    assert!(registry.limiters().is_empty() && registry.breakers(0).is_empty());
}

#[test]
fn one_name_cannot_mean_two_quotas() {
    let other = ONE_PER_MINUTE.replace("60000", "1000");
    let errors = errors(&list(&[API_KEY, ONE_PER_MINUTE, &other]));
    assert!(
        errors[0].contains("filters[2] rate_limit.name") && errors[0].contains("other settings"),
        "{errors:?}"
    );
    assert!(compile_in(&registry(), &list(&[API_KEY, ONE_PER_MINUTE, ONE_PER_MINUTE])).is_ok());
}

#[test]
fn explaining_changes_nothing() {
    let chain = chain(&list(&[REQUEST_ID, CORS, API_KEY, ONE_PER_MINUTE, BREAKER]));
    let outlooks = |text: &str| -> Vec<(&str, Outlook, String)> {
        let explained = with_request(text, "192.0.2.1", |request| chain.explain(request, 0));
        explained.into_iter().map(|one| (one.filter, one.outlook, one.detail)).collect()
    };
    for _ in 0..3 {
        let explained = outlooks(GOOD);
        assert!(explained.iter().all(|(_, outlook, _)| *outlook == Outlook::Continue), "{explained:?}");
        assert_eq!(explained[2].2, "consumer shop");
        assert_eq!(explained[3].2, "0 of 1 left after this request");
        assert_eq!(explained[4].2, "closed, 0 of 0 calls failed");
    }
    assert!(call(&chain, 0, Some(500)));
    let limited = outlooks(GOOD);
    assert_eq!(limited[3].1, Outlook::Respond { status: 429, reason: Reason::RateLimited });
    assert_eq!((limited[3].2.as_str(), limited[4].1), ("retry in 60000 ms", Outlook::NotReached));
    assert_eq!(outlooks("GET /")[2].1, Outlook::Respond { status: 401, reason: Reason::ApiKeyMissing });
}

#[test]
fn an_exchange_can_be_used_again() {
    let chain = chain(&list(&[REQUEST_ID, CORS, API_KEY, ONE_PER_MINUTE, BREAKER]));
    let mut exchange = Exchange::default();
    with_request(GOOD, "192.0.2.1", |request| chain.request(request, &mut exchange, 0));
    assert!(!exchange.response_edits().is_empty() && exchange.consumer().is_some());
    exchange.clear();
    assert_eq!(format!("{exchange:?}"), format!("{:?}", Exchange::default()));
}
