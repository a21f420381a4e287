//! `Max-Forwards` (RFC 9110 §7.6.2): how many more proxies an OPTIONS or a TRACE may pass. With other methods it means nothing, and is
//! passed on as it is.

use trunkline_filter::{Exchange, Refusal};
use trunkline_http::{Field, Header, RequestHead, encode, find};
use trunkline_route::{Refusal as NoRoute, Request};

use crate::exchange::{Admission, Answered, Desk, answered};
use crate::facts::Facts;

/// `None` = as many as there are, or what is said is no number.
pub(crate) fn left(head: &RequestHead<'_, '_>) -> Option<u64> {
    if !matches!(head.method, "OPTIONS" | "TRACE") {
        return None;
    }
    let line = head.headers.iter().find(|header| is_max_forwards(header))?;
    let is_number = !line.value.is_empty() && line.value.iter().all(u8::is_ascii_digit);
    // More than can be counted counts as the most that can.
    let add = |sum: u64, digit: &u8| sum.saturating_mul(10).saturating_add(u64::from(digit & 0xF));
    is_number.then(|| line.value.iter().fold(0, add))
}

/// One that `Connection` does not name.
pub(crate) fn is_max_forwards(header: &Header<'_>) -> bool {
    header.field == Field::Other && header.name.eq_ignore_ascii_case("max-forwards")
}

/// Appends the line for the next proxy.
pub(crate) fn write(out: &mut Vec<u8>, left: u64) {
    out.extend_from_slice(b"Max-Forwards: ");
    encode::decimal(out, left.saturating_sub(1));
    out.extend_from_slice(b"\r\n");
}

impl Desk<'_> {
    /// Answers an OPTIONS or a TRACE that may go no further.
    #[cold]
    pub(crate) fn end_here(
        &self,
        wanted: &Request<'_>,
        route: usize,
        head: &RequestHead<'_, '_>,
        facts: Facts,
        filters: &Exchange,
    ) -> Admission {
        let (refusal, allow) = match head.method {
            "TRACE" => (echo(head, filters), None),
            _ => (Refusal::text(Vec::new()), self.allowed(wanted, head)),
        };
        Admission::Answer(Box::new(Answered { allow, ..answered(refusal, facts, Some(route), head) }))
    }

    /// The methods that routes list for this path; `None` if one of them takes all.
    fn allowed(&self, wanted: &Request<'_>, head: &RequestHead<'_, '_>) -> Option<String> {
        let (router, header) = (&self.listener.router, |name: &str| find(head.headers, name));
        let in_no_list = Request { method: "", ..*wanted };
        match router.refusal(wanted, header) {
            NoRoute::MethodNotAllowed(methods) if router.find(&in_no_list, header).is_none() => {
                Some(methods.join(", "))
            }
            _ => None,
        }
    }
}

/// The answer to a TRACE that ends here: the request as it came (RFC 9110 §9.3.8), without what is secret, for this connection only, or
/// kept from the server by filters.
fn echo(head: &RequestHead<'_, '_>, filters: &Exchange) -> Refusal {
    let mut out = Vec::new();
    let target = if filters.hides_query() { head.path } else { head.target };
    encode::request_line(&mut out, head.method, target, None);
    encode::header(&mut out, "Host", head.authority.as_bytes());
    let is_secret =
        |name: &str| ["authorization", "cookie"].iter().any(|secret| name.eq_ignore_ascii_case(secret));
    encode::headers(&mut out, head.headers, |header| {
        matches!(header.field, Field::Other | Field::RequestId | Field::Via)
            && !is_secret(header.name)
            && !filters.upstream_edits().removes(header.name)
    });
    out.extend_from_slice(b"\r\n");
    Refusal::content("message/http", out)
}
