//! What is wrong with the traffic management of a plan, and where it stands.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use trunkline_engine::{ApplyError, Engine, plan::Plan};

/// A plan with these keys in its only route, and these in its first pool.
fn plan(route: &Value, pool: &Value) -> Plan {
    let mut routes = json!({ "name": "r", "path": { "kind": "prefix", "value": "/" }, "pool": "a" });
    let mut pools = json!([{ "name": "a", "servers": [] }, { "name": "b", "servers": [] }]);
    merge(&mut routes, route);
    merge(&mut pools[0], pool);
    let listener = json!({ "name": "l", "addresses": [], "routes": [routes] });
    serde_json::from_value(json!({ "listeners": [listener], "pools": pools })).unwrap()
}

fn merge(into: &mut Value, more: &Value) {
    for (key, value) in more.as_object().unwrap() {
        into[key] = value.clone();
    }
}

/// `path: message` of each error.
fn mistakes(route: &Value, pool: &Value) -> Vec<String> {
    let engine = Engine::start(1).unwrap();
    match engine.apply(plan(route, pool), false) {
        Ok(_) => Vec::new(),
        Err(ApplyError::Plan(errors)) => errors.iter().map(ToString::to_string).collect(),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn of_a_route() {
    let route = "listeners[0].routes[0]";
    let share = |pool: &str, weight: u32| json!({ "pool": pool, "weight": weight });
    for (keys, expected) in [
        (json!({ "pool": "c" }), "pool: there is no pool `c`"),
        (json!({ "split": [share("a", 1), share("c", 1)] }), "split[1].pool: there is no pool `c`"),
        (json!({ "split": [share("a", 0), share("b", 0)] }), "split: needs a weight above 0"),
        (
            json!({ "split": [share("a", 1), share("a", 2)] }),
            "split[1].pool: stands above already; add the weights",
        ),
        (
            json!({ "split": [share("a", 1)], "split_by": "path" }),
            "split_by: `path`: valid are ip, header:NAME and cookie:NAME",
        ),
        (json!({ "mirror": { "pool": "c" } }), "mirror.pool: there is no pool `c`"),
        (json!({ "mirror": { "pool": "a" } }), "mirror.pool: would get each request twice"),
        (json!({ "mirror": { "pool": "b", "percent": 101.0 } }), "mirror.percent: must be 0 to 100, not 101"),
        (
            json!({ "hedge": { "after_ms": 0 } }),
            "hedge.after: must be longer than nothing: every request would be sent twice",
        ),
        (json!({ "hedge": { "after_ms": 1, "attempts": 9 } }), "hedge.attempts: must be 2 to 5, not 9"),
        (json!({ "concurrency": { "max": 0 } }), "concurrency.max: must be at least 1, not 0"),
        (
            json!({ "concurrency": { "max": 3, "adaptive": {} } }),
            "concurrency.max: must be at least the minimum, not 3",
        ),
        (
            json!({ "concurrency": { "max": 9, "adaptive": { "initial": 10 } } }),
            "concurrency.adaptive.initial: must be between minimum and maximum, not 10",
        ),
        (
            json!({ "concurrency": { "max": 9, "adaptive": { "window_ms": 0 } } }),
            "concurrency.adaptive.window: must be at least 1, not 0",
        ),
    ] {
        assert_eq!(mistakes(&keys, &json!({})), [format!("{route}.{expected}")], "{keys}");
    }
}

#[test]
fn of_a_pool() {
    let long = "x".repeat(32);
    for (keys, expected) in [
        (json!({ "concurrency": { "max": 0 } }), vec!["concurrency.max: must be at least 1, not 0"]),
        (
            json!({ "sticky": { "name": "a b", "keys": [&long, "short"] } }),
            vec![
                "sticky.name: must be letters, digits and -_ (a token)",
                "sticky.keys[1]: needs 32 bytes at least",
            ],
        ),
    ] {
        let expected: Vec<String> = expected.iter().map(|text| format!("pools[0].{text}")).collect();
        assert_eq!(mistakes(&json!({}), &keys), expected, "{keys}");
    }
}

#[test]
fn all_of_it_together_is_sound() {
    let route = json!({
        "pool": null,
        "split": [{ "pool": "a", "weight": 9 }],
        "split_by": "cookie:session",
        "mirror": { "pool": "b", "percent": 0.5 },
        "hedge": { "after_ms": 20 },
        "concurrency": { "max": 100, "adaptive": {}, "queue": 10 },
        "buffer_request_bytes": 65536,
    });
    let pool = json!({ "sticky": { "keys": ["x".repeat(32)] }, "concurrency": { "max": 5 } });
    assert_eq!(mistakes(&route, &pool), Vec::<String>::new());
}
