//! A check by `grpc.health.v1.Health/Check`: good is a call that succeeds and says SERVING. A service that the server does not know is
//! `NOT_FOUND`, a server without the health service UNIMPLEMENTED (`health-checking.md`).

use trunkline_grpc::health::{MAX_RESPONSE_BYTES, PATH, Serving, check_request, parse_response};
use trunkline_grpc::timeout;
use trunkline_http2::hpack::encode;

use super::http2::{Call, Response, run, target};
use super::stream::Stream;
use crate::plan::Health;

const NS_PER_MS: u64 = 1_000_000;
/// A message for people, in a line of a status.
const MAX_MESSAGE_BYTES: usize = 200;

/// By number (`statuscodes.md`).
const STATUSES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

pub(super) async fn check(stream: &mut Stream, host: &str, health: &Health) -> Result<String, String> {
    let mut block = Vec::new();
    encode::method(&mut block, "POST");
    target(&mut block, stream.is_tls(), host, PATH);
    encode::header(&mut block, "content-type", b"application/grpc");
    encode::header(&mut block, "te", b"trailers");
    let mut patience = Vec::new();
    timeout::write(&mut patience, health.timeout_ms.max(1).saturating_mul(NS_PER_MS));
    encode::header(&mut block, "grpc-timeout", &patience);
    let mut call = Call::new(&block, check_request(&health.service))?;
    run(stream, &mut call, |response| response.body.len() > MAX_RESPONSE_BYTES).await?;
    judge(&call.response)
}

fn judge(response: &Response) -> Result<String, String> {
    if response.status != 200 {
        return Err(format!("status {} instead of a gRPC answer", response.status));
    }
    match response.grpc_status.as_deref() {
        None => Err("grpc: no status".to_owned()),
        Some(b"0") => match parse_response(&response.body) {
            Ok(Serving::Serving) => Ok("grpc: SERVING".to_owned()),
            Ok(Serving::NotServing) => Err("grpc: NOT_SERVING".to_owned()),
            Ok(Serving::ServiceUnknown) => Err("grpc: SERVICE_UNKNOWN".to_owned()),
            Ok(Serving::Unknown) => Err("grpc: serving status unknown".to_owned()),
            Err(error) => Err(format!("grpc: {error}")),
        },
        Some(status) => Err(failure(status, &response.grpc_message)),
    }
}

/// The call failed: the status by name, and what the server says of it.
fn failure(status: &[u8], message: &[u8]) -> String {
    let status = String::from_utf8_lossy(status.get(..MAX_MESSAGE_BYTES).unwrap_or(status));
    let name = status.parse().ok().and_then(|number: usize| STATUSES.get(number).copied());
    let name = name.unwrap_or(&status);
    let message = String::from_utf8_lossy(message.get(..MAX_MESSAGE_BYTES).unwrap_or(message));
    if message.is_empty() { format!("grpc: {name}") } else { format!("grpc: {name}: {message}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVING: &[u8] = b"\0\0\0\0\x02\x08\x01";

    fn response(status: u16, grpc_status: Option<&str>, body: &[u8]) -> Response {
        Response {
            status,
            grpc_status: grpc_status.map(|status| status.as_bytes().to_vec()),
            body: body.to_vec(),
            ..Response::default()
        }
    }

    #[test]
    fn what_is_good() {
        for (status, grpc_status, body, judged) in [
            (200, Some("0"), SERVING, Ok("grpc: SERVING")),
            (200, Some("0"), b"\0\0\0\0\x02\x08\x02", Err("grpc: NOT_SERVING")),
            (200, Some("0"), b"\0\0\0\0\x02\x08\x03", Err("grpc: SERVICE_UNKNOWN")),
            (200, Some("0"), b"\0\0\0\0\0", Err("grpc: serving status unknown")),
            (200, Some("5"), b"", Err("grpc: NOT_FOUND")),
            (200, Some("16"), b"", Err("grpc: UNAUTHENTICATED")),
            (200, Some("17"), b"", Err("grpc: 17")),
            (200, Some("-1"), b"", Err("grpc: -1")),
            (200, Some("x"), b"", Err("grpc: x")),
            (200, None, SERVING, Err("grpc: no status")),
            (404, Some("0"), SERVING, Err("status 404 instead of a gRPC answer")),
        ] {
            let found = judge(&response(status, grpc_status, body));
            assert_eq!(found, judged.map(str::to_owned).map_err(str::to_owned));
        }
    }

    #[test]
    fn a_body_that_is_no_answer() {
        for body in [&b""[..], b"<html>", &[0; MAX_RESPONSE_BYTES + 1]] {
            assert!(judge(&response(200, Some("0"), body)).is_err());
        }
    }

    #[test]
    fn messages_are_cut() {
        assert_eq!(failure(b"12", b"Method not found!"), "grpc: UNIMPLEMENTED: Method not found!");
        assert_eq!(failure(b"14", &[b'a'; 1_000]).len(), "grpc: UNAVAILABLE: ".len() + MAX_MESSAGE_BYTES);
        assert_eq!(failure(b"2", b"gr\xFCn"), "grpc: UNKNOWN: gr\u{FFFD}n");
    }
}
