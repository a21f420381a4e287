//! The head of a request as its server gets it: written anew from checked parts, with what the filters, the route and the listener
//! change.

use trunkline_filter::Rewrite;
use trunkline_http::{Field, Framing, Header, RequestHead, Version, encode};

use crate::buffering::Intake;
use crate::exchange::Desk;
use crate::forwarding::CLIENT_CERTIFICATE;
use crate::grpc::content_type;
use crate::hops;
use crate::plan::{ForwardingStyle, Protocol};
use crate::snapshot::{Pool, Route};
use crate::websocket;

impl Desk<'_> {
    pub(crate) fn write_head(
        &self,
        out: &mut Vec<u8>,
        request: &trunkline_filter::Request<'_>,
        route: &Route,
        pool: &Pool,
        filters: &mut trunkline_filter::Exchange,
        web: bool,
    ) -> Result<(), trunkline_filter::Reason> {
        let head = request.head;
        let forwarding = &self.listener.forwarding;
        match &route.rewrite {
            None if !filters.hides_query() => {
                let path = if head.method == "CONNECT" { head.target } else { request.path };
                encode::request_line(out, head.method, path, head.query);
                host_line(out, head, pool);
            }
            rewrite => rewritten(out, request, rewrite.as_ref(), pool, filters)?,
        }
        let edits = filters.upstream_edits();
        let expects =
            head.expects_continue && head.framing != Framing::None && Intake::of(route, head, web).is_none();
        let drops_forwarding = forwarding.style != ForwardingStyle::Off;
        let drops_claims = drops_forwarding && !forwarding.trusts(self.peer.address);
        let trusts_certificate = forwarding.trusts(self.peer.address) && self.peer.certificate.is_none();
        let replaces_via = forwarding.via(head.version).is_some();
        let hops = hops::left(head);
        encode::headers(out, head.headers, |header: &Header<'_>| match header.field {
            _ if web && trunkline_grpc::web::drops_request_line(header.name) => false,
            Field::Other if hops.is_some() && hops::is_max_forwards(header) => false,
            Field::Other | Field::RequestId => !edits.removes(header.name),
            Field::Expect => expects,
            Field::Forwarding => !drops_forwarding && !edits.removes(header.name),
            Field::Claim if header.name.eq_ignore_ascii_case(CLIENT_CERTIFICATE) => {
                trusts_certificate && !edits.removes(header.name)
            }
            Field::Claim => !drops_claims && !edits.removes(header.name),
            Field::Via => !replaces_via && !edits.removes(header.name),
            Field::HopByHop | Field::Host | Field::Framing => false,
        });
        forwarding.write(out, head, self.peer);
        if let Some(left) = hops.filter(|_| !edits.removes("max-forwards")) {
            hops::write(out, left);
        }
        edits.appended().for_each(|(name, value)| encode::header(out, name, value));
        if let Some(protocol) = head.upgrade {
            out.extend_from_slice(b"Connection: upgrade\r\n");
            encode::header(out, "Upgrade", protocol);
            if head.version == Version::Http2 {
                // RFC 8441 §5 leaves it out; a server of HTTP/1.1 wants one (RFC 6455 §4.1).
                encode::header(out, "Sec-WebSocket-Key", websocket::key().as_bytes());
            }
        }
        if let Some(content_type) = content_type(head).filter(|_| web) {
            trunkline_grpc::web::write_request_lines(out, &content_type);
        } else {
            let speaks_http2 = pool.plan.protocol == Protocol::Http2;
            if speaks_http2 && takes_trailers(head) {
                out.extend_from_slice(b"TE: trailers\r\n");
            }
            encode::framing(out, head.framing, head.content_length);
        }
        out.extend_from_slice(b"\r\n");
        Ok(())
    }
}

/// RFC 9110 §10.1.4.
fn takes_trailers(head: &RequestHead<'_, '_>) -> bool {
    let lines = head.headers.iter().filter(|header| header.name.eq_ignore_ascii_case("te"));
    lines
        .flat_map(|header| header.value.split(|&byte| byte == b','))
        .any(|member| member.trim_ascii().eq_ignore_ascii_case(b"trailers"))
}

fn host_line(out: &mut Vec<u8>, head: &RequestHead<'_, '_>, pool: &Pool) {
    // HTTP/1.0 clients may send no Host; HTTP/1.1 upstreams need one.
    let authority = if head.authority.is_empty() { pool.name.as_str() } else { head.authority };
    encode::header(out, "Host", authority.as_bytes());
}

/// Request line and Host where a filter or the route changes them.
fn rewritten(
    out: &mut Vec<u8>,
    request: &trunkline_filter::Request<'_>,
    rewrite: Option<&Rewrite>,
    pool: &Pool,
    filters: &mut trunkline_filter::Exchange,
) -> Result<(), trunkline_filter::Reason> {
    // A query parameter that carried a credential is taken out by the same code.
    let plain = Rewrite::default();
    let rewrite = rewrite.unwrap_or(&plain);
    out.extend_from_slice(rewrite.method().unwrap_or(request.head.method).as_bytes());
    out.push(b' ');
    rewrite.target(request, filters, out)?;
    out.extend_from_slice(b" HTTP/1.1\r\nHost: ");
    if rewrite.host(request, filters, out)? {
        out.extend_from_slice(b"\r\n");
    } else {
        out.truncate(out.len() - "Host: ".len());
        host_line(out, request.head, pool);
    }
    rewrite.headers(request, filters);
    Ok(())
}
