//! How a client connection begins: a PROXY header where one is expected, TLS where the listener has it, then the protocol that the client
//! has chosen.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use tokio::net::TcpStream;
use trunkline_tls::{ACME_PROTOCOL, Error, Greeting, first_bytes, plain_port_alert};

use crate::block::Block;
use crate::client::Client;
use crate::clock;
use crate::failure::{Failure, Side};
use crate::forwarding::Peer;
use crate::h2::Front;
use crate::proxy;
use crate::secure::Broken;
use crate::snapshot::Listener;
use crate::timer::Deadline;
use crate::transport::{Transport, expire};
use crate::wire::Wire;
use crate::worker::Worker;

/// RFC 9113 §3.4; no request of HTTP/1.1 begins like this.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SENT_PLAIN_HTTP: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain\r\n\
    Content-Length: 54\r\n\r\nThis port speaks TLS: use https:// instead of http://\n";

/// A connection that was just accepted.
pub(crate) struct Newcomer {
    pub(crate) worker: Rc<Worker>,
    pub(crate) listener: Arc<Listener>,
    pub(crate) stream: TcpStream,
    pub(crate) address: SocketAddr,
}

impl Newcomer {
    /// Serves it to its end.
    pub(crate) async fn serve(self) {
        let Self { worker, listener, stream, address } = self;
        let mut peer = Peer::new(address.ip());
        peer.endpoints = stream.local_addr().ok().map(|local| (address, local));
        let greeter = Greeter { deadline: Deadline::new(&worker.timer), worker, listener };
        if let Err(reason) = Box::pin(greeter.hear_proxy(&stream, &mut peer)).await {
            return greeter.note(reason);
        }
        let Ok(transport) = Transport::new(stream) else { return };
        match &greeter.listener.tls {
            Some(_) => Box::pin(greeter.secure(transport, peer)).await,
            None => {
                let Greeter { worker, listener, .. } = greeter;
                serve_plain(worker, listener, transport, peer).await;
            }
        }
    }
}

struct Greeter {
    worker: Rc<Worker>,
    listener: Arc<Listener>,
    deadline: Deadline,
}

impl Greeter {
    /// Believes a PROXY header, where the configuration expects one.
    async fn hear_proxy(&self, stream: &TcpStream, peer: &mut Peer) -> Result<(), &'static str> {
        let policy = self.listener.proxy.as_ref();
        let Some(policy) = policy.filter(|policy| policy.expects(peer.address)) else { return Ok(()) };
        self.deadline.arm(clock::now_ms(), policy.timeout_ms);
        let told =
            proxy::read(stream, &self.deadline, |proxied| proxied.source.zip(proxied.destination)).await;
        match told {
            Ok(Some((source, destination))) => {
                *peer = Peer { endpoints: Some((source, destination)), ..Peer::new(source.ip()) };
                Ok(())
            }
            Ok(None) => Ok(()),
            Err(proxy::Bad::Header(error)) => Err(error.as_str()),
            Err(proxy::Bad::Io(error)) if error.kind() == io::ErrorKind::TimedOut => Err("proxy_timeout"),
            Err(proxy::Bad::Io(_)) => Err("proxy_truncated"),
        }
    }

    /// The handshake, and what was agreed on in it.
    async fn secure(self, transport: Transport, mut peer: Peer) {
        let session = self.listener.tls.as_ref().map(|tls| tls.session());
        let Some(Ok(session)) = session else { return self.note("tls_handshake_failed") };
        let transport = transport.with_tls(session);
        self.deadline.arm(clock::now_ms(), self.listener.timeouts.request_head_ms);
        let agreed = poll_fn(|context| match transport.poll_handshake(context) {
            std::task::Poll::Pending => {
                expire(&self.deadline, context).map(|late: io::Result<()>| late.map_err(Broken::Io))
            }
            done @ std::task::Poll::Ready(_) => done,
        })
        .await;
        match agreed {
            Ok(()) => {}
            Err(Broken::Tls(Error::PlainHttp)) => return self.answer_plain(&transport).await,
            Err(Broken::Tls(error)) => return self.note(error.reason()),
            Err(Broken::Io(error)) if error.kind() == io::ErrorKind::TimedOut => {
                return self.note("tls_handshake_timeout");
            }
            // A port scan, or a client that thought better of it.
            Err(Broken::Io(_)) => return self.note("tls_client_gone"),
        }
        peer.secure = true;
        let Some(secure) = transport.secure() else { return };
        let protocol = secure.with_session(|session| {
            let tls = self.listener.tls.as_ref();
            peer.certificate = tls.and_then(|tls| tls.forwarded_client_certificate(session));
            Spoken::of(session.alpn())
        });
        let Self { worker, listener, .. } = self;
        match protocol {
            Spoken::Http2 => Front::serve(worker, listener, transport, Rc::new(peer), None).await,
            Spoken::Http1 => {
                Client::new(worker, listener, Wire::Http1(transport), Rc::new(peer)).serve(None).await;
            }
            // RFC 8737 §3: the handshake was all that is to be seen.
            Spoken::Acme => {}
        }
    }

    /// Who types `http://` for a TLS port deserves an answer to read.
    async fn answer_plain(&self, transport: &Transport) {
        self.note("tls_plain_http");
        self.deadline.arm(clock::now_ms(), crate::client::LINGER_MS);
        let stream = transport.stream();
        let _ = stream.try_write(SENT_PLAIN_HTTP);
        let _ = socket2::SockRef::from(stream).shutdown(std::net::Shutdown::Write);
        let mut rest = [0; 4_096];
        while let Ok(1..) = read_bare(stream, &mut rest, &self.deadline).await {}
    }

    /// Counts a connection that did not come to a request.
    fn note(&self, reason: &'static str) {
        let listener = &self.listener;
        listener.cells.get(self.worker.index).refusals.count(reason);
        let failure = Failure { status: 0, reason, side: Side::Client };
        self.worker.shared.recent.add(clock::unix_ns(), failure, &listener.name, "", "");
    }
}

/// What a client agreed to speak.
enum Spoken {
    Http1,
    Http2,
    Acme,
}

impl Spoken {
    fn of(alpn: Option<&[u8]>) -> Self {
        match alpn {
            Some(b"h2") => Self::Http2,
            Some(ACME_PROTOCOL) => Self::Acme,
            _ => Self::Http1,
        }
    }
}

/// HTTP/1.1, or HTTP/2 with prior knowledge, as the first bytes show.
async fn serve_plain(worker: Rc<Worker>, listener: Arc<Listener>, transport: Transport, peer: Peer) {
    let peer = Rc::new(peer);
    let client = Client::new(worker, listener, Wire::Http1(transport), peer);
    let Some(block) = client.first_bytes().await else { return };
    match kind_of(block.filled()) {
        Kind::Http2 if client.listener.http2.cleartext => Box::pin(upgrade(client, block)).await,
        Kind::Tls => Box::pin(client.refuse_tls()).await,
        _ => client.serve(Some(block)).await,
    }
}

/// A client that begins with the preface, or with the part of it that came first.
async fn upgrade(client: Client, mut block: Block) {
    while block.filled().len() < 4 && PREFACE.starts_with(block.filled()) {
        match client.wire.read(block.spare(), &client.deadline).await {
            Ok(count @ 1..) => block.advance(count),
            _ => return,
        }
    }
    if block.filled().starts_with(b"PRI ") {
        let Some((worker, listener, transport, peer)) = client.into_parts() else { return };
        return Front::serve(worker, listener, transport, peer, Some(block)).await;
    }
    client.serve(Some(block)).await;
}

enum Kind {
    /// Or the first bytes of it.
    Http2,
    Tls,
    Other,
}

fn kind_of(bytes: &[u8]) -> Kind {
    match bytes {
        [b'P', b'R', b'I', ..] => Kind::Http2,
        _ if bytes.len() < 4 && PREFACE.starts_with(bytes) => Kind::Http2,
        [22, 3, ..] if first_bytes(bytes) == Greeting::Tls => Kind::Tls,
        _ => Kind::Other,
    }
}

async fn read_bare(stream: &TcpStream, buffer: &mut [u8], deadline: &Deadline) -> io::Result<usize> {
    poll_fn(|context| {
        loop {
            match stream.poll_read_ready(context) {
                std::task::Poll::Pending => return expire(deadline, context),
                std::task::Poll::Ready(ready) => ready?,
            }
            match stream.try_read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return std::task::Poll::Ready(done),
            }
        }
    })
    .await
}

impl Client {
    /// Who speaks TLS to a plain port is told in its own language.
    async fn refuse_tls(&self) {
        self.deadline.arm(clock::now_ms(), crate::client::LINGER_MS);
        let alert = plain_port_alert();
        let _ = self.wire.write_all_vectored(&mut [IoSlice::new(&alert)], &self.deadline).await;
        self.refused(Failure::TLS_ON_PLAIN_PORT);
        self.linger(&mut Block::ordinary()).await;
    }
}
