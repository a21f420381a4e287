//! A WebSocket between versions: HTTP/1.1 switches protocols with a key and its proof (RFC 6455 §4), HTTP/2 opens a stream without either
//! (RFC 8441).

use aws_lc_rs::digest;
use base64::prelude::{BASE64_STANDARD, Engine};
use trunkline_http::RequestHead;

/// Whether a request asks for one.
pub(crate) fn is_asked_for(head: &RequestHead<'_, '_>) -> bool {
    head.method == "GET" && head.upgrade.is_some_and(|protocol| protocol.eq_ignore_ascii_case(b"websocket"))
}

/// RFC 6455 §4.2.2: SHA-1 of the key and a fixed text; it proves understanding, nothing else.
pub(crate) fn accept_line(head: &RequestHead<'_, '_>) -> String {
    let Some(key) = trunkline_http::find(head.headers, "sec-websocket-key") else { return String::new() };
    let mut sum = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    sum.update(key);
    sum.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    format!("Sec-WebSocket-Accept: {}\r\n", BASE64_STANDARD.encode(sum.finish()))
}

/// 16 bytes in base64: nothing secret, only new each time.
pub(crate) fn key() -> String {
    BASE64_STANDARD.encode(fastrand::u128(..).to_be_bytes())
}
