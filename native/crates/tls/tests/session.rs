//! Sessions as the engine drives them: records cut anywhere, data both ways, closing, what is no TLS.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod kit;

use kit::{Authority, client, connect, server};
use serde_json::json;

#[test]
fn data_goes_both_ways_over_both_versions() {
    let authority = Authority::new();
    let entry = authority.p256("site", &["site.example"]).entry();
    for (version, name) in [("1.2", "TLSv1.3"), ("1.3", "TLSv1.3")] {
        let server = server(json!({"certificates": [entry], "min_version": version}));
        let mut pair = connect(&client(&authority), &server, "site.example").unwrap();
        assert_eq!(pair.server.session.protocol_version(), Some(name));
        let data: Vec<u8> = (0..100_000_u32).map(|n| n as u8).collect();
        assert_eq!(pair.send_up(&data), data);
        assert_eq!(pair.send_down(&data), data);
    }
}
