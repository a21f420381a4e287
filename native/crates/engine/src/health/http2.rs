//! One request over an HTTP/2 connection of its own, for checks of either kind; over TLS by ALPN, else with prior knowledge. [`Call`] is
//! bytes in, bytes out; what it keeps of a response is its status, what gRPC says in fields, and a bounded body.

use trunkline_http::Answers;
use trunkline_http2::hpack::encode;
use trunkline_http2::{Connection, Event, Fields, Limits, Settings};

use super::stream::Stream;
use super::{MAX_BODY_BYTES, contains_text, examine};
use crate::clock;
use crate::plan::Health;

/// What a server that speaks HTTP/1 answers to a preface.
const OTHER_VERSION: &[u8] = b"HTTP/1";

#[derive(Default)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    /// Of the head, or else of the trailers.
    pub(super) grpc_status: Option<Vec<u8>>,
    pub(super) grpc_message: Vec<u8>,
    /// Head, body and trailers are here.
    pub(super) complete: bool,
}

pub(super) async fn check(stream: &mut Stream, host: &str, health: &Health) -> Result<String, String> {
    let mut block = Vec::new();
    encode::method(&mut block, "GET");
    target(&mut block, stream.is_tls(), host, &health.path);
    let mut call = Call::new(&block, Vec::new())?;
    run(stream, &mut call, |response| is_enough(response, health)).await?;
    examine(call.response.status, &call.response.body, health)
}

fn is_enough(response: &Response, health: &Health) -> bool {
    let body = &response.body;
    health.body_contains.is_none() || body.len() >= MAX_BODY_BYTES || contains_text(body, health)
}

/// The fields that every request has, behind the method.
pub(super) fn target(block: &mut Vec<u8>, is_tls: bool, host: &str, path: &str) {
    encode::scheme(block, if is_tls { "https" } else { "http" });
    encode::authority(block, host);
    encode::path(block, path, None);
    encode::header(block, "user-agent", b"trunkline-health");
}

/// Sends the request and reads until the response is complete, or once its head is there, enough.
pub(super) async fn run(
    stream: &mut Stream,
    call: &mut Call,
    is_enough: impl Fn(&Response) -> bool,
) -> Result<(), String> {
    let mut received = Vec::new();
    loop {
        let fed = call.feed(&mut received);
        let sent = stream.send(call.connection.output()).await;
        call.connection.consume_output(usize::MAX);
        fed?;
        let response = &call.response;
        if response.complete || (response.status > 0 && is_enough(response)) {
            return Ok(());
        }
        sent?;
        let before = received.len();
        if !stream.receive(&mut received).await? && received.len() == before {
            return Err("closed before the end of the response".to_owned());
        }
    }
}

/// One request and what is known of its response.
pub(super) struct Call {
    connection: Connection,
    stream: u32,
    body: Vec<u8>,
    sent_bytes: usize,
    pub(super) response: Response,
}

impl Call {
    pub(super) fn new(block: &[u8], body: Vec<u8>) -> Result<Self, String> {
        let mut connection = Connection::client(Settings::default(), Limits::default());
        let stream = connection.open(block, body.is_empty(), Answers::Other).ok_or("HTTP/2: no stream")?;
        Ok(Self { connection, stream, body, sent_bytes: 0, response: Response::default() })
    }

    /// Takes in what has come, all but the beginning of a frame, and sends what there is room for.
    fn feed(&mut self, received: &mut Vec<u8>) -> Result<(), String> {
        let mut used_bytes = 0;
        loop {
            let rest = received.get(used_bytes..).unwrap_or_default();
            let (used, event) = match self.connection.receive(rest, clock::now_ns()) {
                Ok(step) => step,
                Err(_) if rest.starts_with(OTHER_VERSION) => {
                    return Err("HTTP/2: the server speaks HTTP/1".to_owned());
                }
                Err(error) => return Err(format!("HTTP/2: {error}")),
            };
            used_bytes += used;
            event.map_or(Ok(()), |event| self.take(event))?;
            if used == 0 {
                break;
            }
        }
        received.drain(..used_bytes);
        self.send_body();
        Ok(())
    }

    fn take(&mut self, event: Event<'_>) -> Result<(), String> {
        match event {
            Event::Head { end, .. } => {
                self.response.status = self.connection.fields().status().unwrap_or_default();
                self.response.note(self.connection.fields());
                self.response.complete = end;
            }
            Event::Data { stream, bytes, end } => {
                self.response.append(bytes);
                self.response.complete = end;
                self.connection.release(stream, bytes.len());
            }
            Event::Trailers { .. } => {
                self.response.note(self.connection.fields());
                self.response.complete = true;
            }
            Event::Reset { code, by_peer: true, .. } if !self.response.complete => {
                return Err(format!("HTTP/2: the server reset the stream: {}", code.as_str()));
            }
            Event::Reset { code, reason, by_peer: false, .. } => {
                return Err(format!("HTTP/2: {}: {reason}", code.as_str()));
            }
            Event::GoAway { last_stream, code } if last_stream < self.stream => {
                return Err(format!("HTTP/2: the server takes no request: {}", code.as_str()));
            }
            _ => {}
        }
        Ok(())
    }

    fn send_body(&mut self) {
        let rest = self.body.get(self.sent_bytes..).unwrap_or_default();
        if !rest.is_empty() {
            // A server that has answered already may want no more of it.
            self.sent_bytes += self.connection.send_data(self.stream, rest, true).unwrap_or(rest.len());
        }
    }
}

impl Response {
    fn append(&mut self, bytes: &[u8]) {
        let room = MAX_BODY_BYTES.saturating_sub(self.body.len()).min(bytes.len());
        self.body.extend_from_slice(bytes.get(..room).unwrap_or_default());
    }

    fn note(&mut self, fields: &Fields) {
        for line in fields.lines() {
            match line.name {
                "grpc-status" => self.grpc_status = Some(line.value.to_vec()),
                "grpc-message" => self.grpc_message = line.value.to_vec(),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use trunkline_http2::ErrorCode;

    use super::*;

    /// A server that has read the whole request, and the call that made it.
    fn pair(body: &[u8]) -> (Call, Connection) {
        let mut block = Vec::new();
        encode::method(&mut block, if body.is_empty() { "GET" } else { "POST" });
        target(&mut block, false, "a.example", "/check");
        let mut call = Call::new(&block, body.to_vec()).unwrap();
        let mut server = Connection::server(Settings::default(), Limits::default());
        assert_eq!(exchange(&mut call, &mut server), Ok(()));
        (call, server)
    }

    /// Hands over what either side has to say, until there is nothing more.
    fn exchange(call: &mut Call, server: &mut Connection) -> Result<(), String> {
        let (mut to_call, mut to_server) = (Vec::new(), Vec::new());
        loop {
            to_call.extend_from_slice(server.output());
            server.consume_output(usize::MAX);
            call.feed(&mut to_call)?;
            to_server.extend_from_slice(call.connection.output());
            call.connection.consume_output(usize::MAX);
            if to_server.is_empty() {
                return Ok(());
            }
            read(server, &mut to_server);
        }
    }

    fn read(server: &mut Connection, input: &mut Vec<u8>) {
        while let Ok((used @ 1.., event)) = server.receive(input, 1) {
            if let Some(Event::Data { stream, bytes, .. }) = event {
                server.release(stream, bytes.len());
            }
            input.drain(..used);
        }
    }

    fn head(status: u16, fields: &[(&str, &[u8])]) -> Vec<u8> {
        let mut block = Vec::new();
        encode::status(&mut block, status);
        for (name, value) in fields {
            encode::header(&mut block, name, value);
        }
        block
    }

    #[test]
    fn a_head_alone() {
        let (mut call, mut server) = pair(b"");
        assert_eq!(server.send_head(1, &head(204, &[]), true), Ok(()));
        assert_eq!(exchange(&mut call, &mut server), Ok(()));
        assert_eq!((call.response.status, call.response.complete), (204, true));
    }

    #[test]
    fn early_hints_are_no_answer() {
        let (mut call, mut server) = pair(b"");
        assert_eq!(server.send_head(1, &head(103, &[]), false), Ok(()));
        assert_eq!(exchange(&mut call, &mut server), Ok(()));
        assert_eq!((call.response.status, call.response.complete), (0, false));
    }

    #[test]
    fn body_and_trailers() {
        let (mut call, mut server) = pair(b"question");
        assert_eq!(server.send_head(1, &head(200, &[("grpc-status", b"2")]), false), Ok(()));
        assert_eq!(server.send_data(1, b"answer", false), Ok(6));
        let mut trailers = Vec::new();
        encode::header(&mut trailers, "grpc-status", b"0");
        encode::header(&mut trailers, "grpc-message", b"fine");
        assert_eq!(server.send_head(1, &trailers, true), Ok(()));
        assert_eq!(exchange(&mut call, &mut server), Ok(()));
        let Response { status, body, grpc_status, grpc_message, complete } = &call.response;
        assert_eq!((*status, &body[..], *complete), (200, &b"answer"[..], true));
        assert_eq!((grpc_status.as_deref(), &grpc_message[..]), (Some(&b"0"[..]), &b"fine"[..]));
    }

    #[test]
    fn of_a_long_body_the_front_is_kept() {
        let (mut call, mut server) = pair(b"");
        assert_eq!(server.send_head(1, &head(200, &[]), false), Ok(()));
        for _ in 0..4 {
            assert_eq!(server.send_data(1, &vec![b'a'; 60_000], false), Ok(60_000));
            assert_eq!(exchange(&mut call, &mut server), Ok(()));
        }
        assert_eq!((call.response.body.len(), call.response.complete), (MAX_BODY_BYTES, false));
    }

    /// Longer than a window: it goes out as the server takes it in.
    #[test]
    fn a_long_request() {
        let (call, server) = pair(&vec![b'a'; 1 << 20]);
        assert_eq!(call.sent_bytes, 1 << 20);
        assert_eq!(server.open_streams(), 1);
    }

    #[test]
    fn refusals() {
        let (mut call, mut server) = pair(b"");
        server.reset(1, ErrorCode::RefusedStream);
        let why = "HTTP/2: the server reset the stream: refused_stream".to_owned();
        assert_eq!(exchange(&mut call, &mut server), Err(why));

        let mut call = Call::new(&[], Vec::new()).unwrap();
        let mut server = Connection::server(Settings::default(), Limits::default());
        server.go_away(ErrorCode::EnhanceYourCalm);
        let why = "HTTP/2: the server takes no request: enhance_your_calm".to_owned();
        assert_eq!(exchange(&mut call, &mut server), Err(why));
    }

    #[test]
    fn other_protocols() {
        for (bytes, why) in [
            (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "HTTP/2: the server speaks HTTP/1"),
            (b"SSH-2.0-OpenSSH_9.2\r\n", "HTTP/2: protocol_error: "),
        ] {
            let mut call = Call::new(&[], Vec::new()).unwrap();
            let found = call.feed(&mut bytes.to_vec());
            assert!(found.is_err_and(|found| found.starts_with(why)), "{why}");
        }
    }
}
