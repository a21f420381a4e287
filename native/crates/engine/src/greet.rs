//! How a client connection begins: a PROXY header where one is expected, TLS where the listener has it, then the protocol that the client
//! has chosen.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use tokio::net::TcpStream;
use trunkline_tls::{ACME_PROTOCOL, Error, Greeting, ServerTls, first_bytes, plain_port_alert};

use crate::block::Block;
use crate::client::{Client, LINGER_MS};
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

/// One whose client can be listened to.
struct Greeted {
    transport: Transport,
    peer: Rc<Peer>,
    spoken: Spoken,
}

impl Newcomer {
    /// Serves it to its end. What is not the common case is boxed, or is over before requests begin: an idle connection carries little.
    pub(crate) async fn serve(self) {
        let Self { worker, listener, stream, address } = self;
        let greeted = if listener.tls.is_none() && listener.proxy.is_none() {
            Transport::new(stream).ok().map(|transport| {
                let peer = Rc::new(peer_of(&transport, address));
                Greeted { transport, peer, spoken: Spoken::Unknown }
            })
        } else {
            Box::pin(greet(&worker, &listener, stream, address)).await
        };
        let Some(Greeted { transport, peer, spoken }) = greeted else { return };
        if spoken == Spoken::Http2 {
            return Box::pin(Front::serve(worker, listener, transport, peer, None)).await;
        }
        let mut client = Client::new(worker, listener, Wire::Http1(transport), peer);
        let mut block = None;
        if spoken == Spoken::Unknown {
            block = client.first_bytes().await;
            let Some(first) = &block else { return };
            match kind_of(first.filled()) {
                Kind::Http2 if client.listener.http2.cleartext => {
                    return Box::pin(upgrade(client, block)).await;
                }
                Kind::Tls => return Box::pin(client.refuse_tls()).await,
                _ => {}
            }
        }
        client.serve(block).await;
    }
}

fn peer_of(transport: &Transport, address: SocketAddr) -> Peer {
    let endpoints = transport.stream().local_addr().ok().map(|local| (address, local));
    Peer { endpoints, ..Peer::new(address.ip()) }
}

/// What comes before the first request; `None` = there will be none.
async fn greet(
    worker: &Rc<Worker>,
    listener: &Arc<Listener>,
    stream: TcpStream,
    address: SocketAddr,
) -> Option<Greeted> {
    let deadline = Deadline::new(&worker.timer);
    let greeter = Greeter { worker, listener, deadline };
    let proxied = match greeter.hear_proxy(&stream, address).await {
        Ok(proxied) => proxied,
        Err(reason) => return greeter.note(reason),
    };
    let transport = Transport::new(stream).ok()?;
    let peer = proxied.unwrap_or_else(|| peer_of(&transport, address));
    match &listener.tls {
        Some(tls) => greeter.secure(tls, transport, peer).await,
        None => Some(Greeted { transport, peer: Rc::new(peer), spoken: Spoken::Unknown }),
    }
}

struct Greeter<'g> {
    worker: &'g Rc<Worker>,
    listener: &'g Arc<Listener>,
    deadline: Deadline,
}

impl Greeter<'_> {
    /// Who a PROXY header says the client is, where the configuration expects one.
    async fn hear_proxy(
        &self,
        stream: &TcpStream,
        address: SocketAddr,
    ) -> Result<Option<Peer>, &'static str> {
        let policy = self.listener.proxy.as_ref();
        let Some(policy) = policy.filter(|policy| policy.expects(address.ip().to_canonical())) else {
            return Ok(None);
        };
        self.deadline.arm(clock::now_ms(), policy.timeout_ms);
        let told =
            proxy::read(stream, &self.deadline, |proxied| proxied.source.zip(proxied.destination)).await;
        match told {
            Ok(endpoints) => {
                let peer = |ends: (SocketAddr, SocketAddr)| Peer {
                    endpoints: Some(ends),
                    introduced: true,
                    ..Peer::new(ends.0.ip())
                };
                Ok(endpoints.map(peer))
            }
            Err(proxy::Bad::Header(error)) => Err(error.as_str()),
            Err(proxy::Bad::Io(error)) if error.kind() == io::ErrorKind::TimedOut => Err("proxy_timeout"),
            Err(proxy::Bad::Io(_)) => Err("proxy_truncated"),
        }
    }

    /// The handshake, and what was agreed on in it.
    async fn secure(self, tls: &ServerTls, transport: Transport, mut peer: Peer) -> Option<Greeted> {
        let Ok(session) = tls.session() else { return self.note("tls_handshake_failed") };
        let transport = transport.with_tls(session);
        self.deadline.arm(clock::now_ms(), self.listener.timeouts.request_head_ms);
        let agreed = poll_fn(|context| match transport.poll_handshake(context) {
            Poll::Pending => expire(&self.deadline, context).map(|late| late.map_err(Broken::Io)),
            done @ Poll::Ready(_) => done,
        });
        match agreed.await {
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
        let spoken = transport.secure()?.with_session(|session| {
            peer.certificate = tls.forwarded_client_certificate(session);
            Spoken::of(session.alpn())
        });
        // RFC 8737 §3: of a challenge the handshake is all that is to be seen.
        (spoken != Spoken::Acme).then(|| Greeted { transport, peer: Rc::new(peer), spoken })
    }

    /// Who types `http://` for a TLS port deserves an answer to read.
    async fn answer_plain(&self, transport: &Transport) -> Option<Greeted> {
        self.deadline.arm(clock::now_ms(), LINGER_MS);
        let stream = transport.stream();
        let _ = stream.try_write(SENT_PLAIN_HTTP);
        let _ = socket2::SockRef::from(stream).shutdown(std::net::Shutdown::Write);
        let mut rest = [0; 4_096];
        while let Ok(1..) = read_bare(stream, &mut rest, &self.deadline).await {}
        self.note("tls_plain_http")
    }

    /// Counts a connection that did not come to a request.
    fn note(&self, reason: &'static str) -> Option<Greeted> {
        let listener = self.listener;
        listener.cells.get(self.worker.index).refusals.count(reason);
        let failure = Failure { status: 0, reason, side: Side::Client };
        self.worker.shared.recent.add(clock::unix_ns(), failure, &listener.name, "", "");
        None
    }
}

/// What a client agreed to speak.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spoken {
    /// Its first bytes will show.
    Unknown,
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

/// A client that begins with the preface, or with the part of it that came first.
async fn upgrade(mut client: Client, mut block: Option<Block>) {
    let Some(first) = &mut block else { return };
    while first.filled().len() < 4 && PREFACE.starts_with(first.filled()) {
        match client.wire.read(first.spare(), &client.deadline).await {
            Ok(count @ 1..) => first.advance(count),
            _ => return,
        }
    }
    if first.filled().starts_with(b"PRI ") {
        let (worker, listener) = (Rc::clone(&client.worker), Arc::clone(&client.listener));
        let Some((transport, peer)) = client.into_connection() else { return };
        return Front::serve(worker, listener, transport, peer, block).await;
    }
    client.serve(block).await;
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
                Poll::Pending => return expire(deadline, context),
                Poll::Ready(ready) => ready?,
            }
            match stream.try_read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    })
    .await
}

impl Client {
    /// Who speaks TLS to a plain port is told in its own language.
    async fn refuse_tls(&self) {
        self.deadline.arm(clock::now_ms(), LINGER_MS);
        let alert = plain_port_alert();
        let _ = self.wire.write_all_vectored(&mut [IoSlice::new(&alert)], &self.deadline).await;
        self.refused(Failure::TLS_ON_PLAIN_PORT);
        self.linger(&mut Block::ordinary()).await;
    }
}
