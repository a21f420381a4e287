//! What a gRPC client is told when we answer in a server's place: a status code and a message instead of an HTTP status and a page.
//!
//! gRPC's own table from HTTP statuses (`http-grpc-status-mapping.md`) is for clients that got no gRPC answer and have to guess; it knows
//! no size limits, and takes 429 and 504 for 14. Who refuses knows more: limits are 8 and time-outs 4 here, the rest is that table.

/// The codes that a proxy gives (`statuscodes.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    Cancelled = 1,
    Unknown = 2,
    DeadlineExceeded = 4,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    Unauthenticated = 16,
}

/// The code for an exchange that we refused, or that failed, with this HTTP status (0 = it had one already) and reason.
pub fn code(status: u16, reason: &str) -> Code {
    match reason {
        "client_closed" | "client_stalled" => Code::Cancelled,
        // The first two before any server has seen the call: to try it again is safe, which only 14 says.
        "connect_timeout" | "queue_timeout" | "response_truncated" => Code::Unavailable,
        "response_stalled" => Code::DeadlineExceeded,
        _ => code_of_status(status),
    }
}

fn code_of_status(status: u16) -> Code {
    match status {
        400 => Code::Internal,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 | 405 | 501 => Code::Unimplemented,
        408 | 504 => Code::DeadlineExceeded,
        413 | 414 | 429 | 431 => Code::ResourceExhausted,
        502 | 503 => Code::Unavailable,
        _ => Code::Unknown,
    }
}

/// Appends `grpc-status` and `grpc-message` as lines: the head of a response without a body, or its trailers.
pub fn write_lines(out: &mut Vec<u8>, code: Code, message: &str) {
    out.extend_from_slice(b"grpc-status: ");
    out.extend_from_slice((code as u8).to_string().as_bytes());
    out.extend_from_slice(b"\r\ngrpc-message: ");
    write_message(out, message);
    out.extend_from_slice(b"\r\n");
}

/// Appends text as a value of `grpc-message`: everything but printable ASCII, and the percent sign, in percent-encoding
/// (`PROTOCOL-HTTP2.md`, "Responses").
pub fn write_message(out: &mut Vec<u8>, text: &str) {
    const HEX: [u8; 16] = *b"0123456789ABCDEF";
    for byte in text.bytes() {
        if matches!(byte, b' '..=b'~') && byte != b'%' {
            out.push(byte);
        } else {
            out.push(b'%');
            out.extend([byte >> 4, byte & 0xF].iter().filter_map(|&digit| HEX.get(usize::from(digit))));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn codes() {
        for (status, reason, code_number) in [
            (503, "no_server", 14),
            (503, "queue_full", 14),
            (503, "queue_timeout", 14),
            (503, "breaker_open", 14),
            (503, "shutdown", 14),
            (502, "connect_failed", 14),
            (504, "connect_timeout", 14),
            (502, "upstream_closed", 14),
            (0, "response_truncated", 14),
            (504, "response_timeout", 4),
            (504, "total_timeout", 4),
            (408, "request_body_timeout", 4),
            (0, "response_stalled", 4),
            (429, "rate_limited", 8),
            (413, "body_too_large", 8),
            (431, "head_too_large", 8),
            (401, "api_key_missing", 16),
            (401, "jwt_expired", 16),
            (403, "consumer_forbidden", 7),
            (404, "route_not_found", 12),
            (405, "method_not_allowed", 12),
            (400, "bad_header_value", 13),
            (0, "client_closed", 1),
            (418, "", 2),
        ] {
            assert_eq!(code(status, reason) as u8, code_number, "{status} {reason}");
        }
    }

    #[test]
    fn lines() {
        let mut out = Vec::new();
        write_lines(&mut out, Code::Unavailable, "100 % grün\n");
        assert_eq!(
            std::str::from_utf8(&out).unwrap(),
            "grpc-status: 14\r\ngrpc-message: 100 %25 gr%C3%BCn%0A\r\n"
        );
    }
}
