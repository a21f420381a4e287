//! What is different about a gRPC call: its deadline, and that whoever answers in a server's place speaks gRPC as well.

use trunkline_grpc::{ContentType, Form, Kind, status, timeout};
use trunkline_http::{RequestHead, encode, find};

use crate::failure::Failure;

/// How the client of a call speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Grpc,
    /// A browser: the form of its request, and of the response that it wants.
    Web {
        sent: Form,
        wanted: Form,
    },
}

impl Call {
    /// `None` = no call. Calls are POST (`PROTOCOL-HTTP2.md`), so that other requests cost one comparison.
    pub(crate) fn of(head: &RequestHead<'_, '_>) -> Option<Self> {
        if head.method != "POST" {
            return None;
        }
        Some(match content_type(head)?.kind {
            Kind::Grpc => Self::Grpc,
            Kind::Web(sent) => {
                Self::Web { sent, wanted: Form::of_response(find(head.headers, "accept"), sent) }
            }
        })
    }

    /// What the client gave the call, in milliseconds, rounded up; `None` = all the time.
    pub(crate) fn timeout_ms(head: &RequestHead<'_, '_>) -> Option<u64> {
        timeout::parse(find(head.headers, "grpc-timeout")?).map(|ns| ns.div_ceil(1_000_000).max(1))
    }

    /// Appends the lines of a response that is its head alone.
    pub(crate) fn write_failure(self, out: &mut Vec<u8>, http_status: u16, reason: &str) {
        let kind = match self {
            Self::Grpc => "application/grpc",
            Self::Web { wanted: Form::Binary, .. } => "application/grpc-web+proto",
            Self::Web { wanted: Form::Text, .. } => "application/grpc-web-text+proto",
        };
        encode::header(out, "Content-Type", kind.as_bytes());
        status::write_lines(out, status::code(http_status, reason), reason);
    }

    /// Trailers for a response that broke off.
    pub(crate) fn late_failure(failure: Failure) -> Vec<u8> {
        let mut lines = Vec::new();
        status::write_lines(&mut lines, status::code(failure.status, failure.reason), failure.reason);
        lines.extend_from_slice(b"\r\n");
        lines
    }
}

pub(crate) fn content_type<'b>(head: &RequestHead<'b, '_>) -> Option<ContentType<'b>> {
    ContentType::parse(find(head.headers, "content-type")?)
}
