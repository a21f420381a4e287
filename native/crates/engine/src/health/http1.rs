//! A check by HTTP/1.1.

use trunkline_http::{Answers, Framing, HeaderBuffer, Limits, MAX_HEADERS, parse_response};

use super::stream::Stream;
use super::{MAX_BODY_BYTES, contains_text, examine};
use crate::plan::Health;

/// What is read of a response at most.
const MAX_RESPONSE_BYTES: usize = MAX_BODY_BYTES + LIMITS.head_bytes;
const LIMITS: Limits = Limits { head_bytes: 16 * 1024, headers: MAX_HEADERS, target_bytes: 0 };

pub(super) async fn check(stream: &mut Stream, host: &str, health: &Health) -> Result<String, String> {
    stream.send(request(host, &health.path).as_bytes()).await?;
    let received = read_response(stream, health).await?;
    let response = past_interim(&received);
    let mut storage = HeaderBuffer::new();
    let head = parse_response(response, Answers::Other, &LIMITS, &mut storage)
        .map_err(|reject| format!("bad response: {}", reject.reason.as_str()))?
        .ok_or("closed before the end of the head")?;
    examine(head.status, response.get(head.length..).unwrap_or_default(), health)
}

fn request(host: &str, path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: trunkline-health\r\nConnection: close\r\n\r\n"
    )
}

/// Reads the head, and the body only if it matters.
async fn read_response(stream: &mut Stream, health: &Health) -> Result<Vec<u8>, String> {
    let mut response = Vec::new();
    while response.len() < MAX_RESPONSE_BYTES && !is_enough(&response, health) {
        if !stream.receive(&mut response).await? {
            break;
        }
    }
    Ok(response)
}

/// What stands behind the heads of interim responses (RFC 9110 §15.2): they are no answer.
fn past_interim(mut received: &[u8]) -> &[u8] {
    loop {
        let mut storage = HeaderBuffer::new();
        match parse_response(received, Answers::Other, &LIMITS, &mut storage) {
            Ok(Some(head)) if head.status < 200 && head.status != 101 => {
                received = received.get(head.length..).unwrap_or_default();
            }
            _ => return received,
        }
    }
}

fn is_enough(received: &[u8], health: &Health) -> bool {
    let response = past_interim(received);
    let mut storage = HeaderBuffer::new();
    let head = match parse_response(response, Answers::Other, &LIMITS, &mut storage) {
        Ok(None) => return false,
        Err(_) => return true,
        Ok(Some(head)) => head,
    };
    let body = response.get(head.length..).unwrap_or_default();
    health.body_contains.is_none()
        || contains_text(body, health)
        || match head.framing {
            Framing::None => true,
            Framing::Length(length) => body.len() as u64 >= length,
            Framing::Chunked | Framing::UntilClose => false,
        }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn as_much_as_matters_is_read() {
        const LENGTH: &str = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n";
        const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        for (text, head, body, is_all) in [
            (None, LENGTH, "", true),
            (None, "HTTP/1.1 200 OK\r\n", "", false),
            (Some("OK"), LENGTH, "", false),
            (Some("OK"), LENGTH, "I", false),
            (Some("OK"), LENGTH, "I'm OK", true),
            (Some("OK"), LENGTH, "I'm ill", true),
            (Some("OK"), CHUNKED, "6\r\nI'm", false),
            (Some("OK"), CHUNKED, "6\r\nI'm OK", true),
            (Some("OK"), "HTTP/1.1 204 No\r\n\r\n", "", true),
            (Some("OK"), "garbage\r\n\r\n", "", true),
            (None, "HTTP/1.1 103 Early\r\nLink: a\r\n\r\n", "", false),
            (None, "HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 102 P\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "", true),
            (None, "HTTP/1.1 101 Switching\r\n\r\n", "", true),
        ] {
            let health = serde_json::json!({ "kind": "http", "body_contains": text });
            let health: Health = serde_json::from_value(health).unwrap();
            assert_eq!(is_enough(format!("{head}{body}").as_bytes(), &health), is_all, "{head}{body}");
        }
    }
}
