//! A connection for one check, made as the pool's own are: the PROXY header first where it sends one, then TLS where it speaks that.
//! What the peer makes us keep is bounded by what a TLS session leaves unconsumed; the time is the caller's to bound.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use trunkline_proxyproto::{Extras, write_v1, write_v2};
use trunkline_tls::{ClientTls, Error, Session};

use super::Bad;
use crate::plan::{Protocol, ProxyVersion};
use crate::snapshot::Dial;
use crate::transport::is_starved;

/// Room for one read.
const READ_BYTES: usize = 4 << 10;

pub(super) struct Stream {
    socket: TcpStream,
    tls: Option<Tls>,
}

struct Tls {
    session: Session,
    /// As it came, not yet a whole record.
    incoming: Vec<u8>,
    /// Decrypted, not yet asked for.
    plain: Vec<u8>,
    outgoing: Vec<u8>,
    ended: bool,
}

impl Stream {
    pub(super) async fn connect(address: SocketAddr, dial: &Dial) -> Result<Self, Bad> {
        let mut socket = TcpStream::connect(address).await.map_err(|error| {
            let why = format!("connect: {error}");
            if is_starved(&error) { Bad::Ourselves(why) } else { Bad::Server(why) }
        })?;
        if let Some(version) = dial.proxy {
            let header = proxy_header(version, &socket).map_err(Bad::Ourselves)?;
            socket.write_all(&header).await.map_err(|error| format!("send: {error}"))?;
        }
        let tls = match &dial.tls {
            Some(tls) => Some(Tls::handshake(&mut socket, tls, dial).await?),
            None => None,
        };
        Ok(Self { socket, tls })
    }

    /// What was reached.
    pub(super) fn describe(&self) -> String {
        let version = self.tls.as_ref().and_then(|tls| tls.session.protocol_version());
        version.map_or_else(|| "connected".to_owned(), |version| format!("connected, {version}"))
    }

    pub(super) fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        match &mut self.tls {
            None => self.socket.write_all(bytes).await.map_err(|error| format!("send: {error}")),
            Some(tls) => {
                tls.session.encrypt(bytes, &mut tls.outgoing).map_err(|error| describe(&error))?;
                tls.flush(&mut self.socket).await
            }
        }
    }

    /// Appends what comes next to `received`; false at the end.
    pub(super) async fn receive(&mut self, received: &mut Vec<u8>) -> Result<bool, String> {
        match &mut self.tls {
            None => read(&mut self.socket, received).await,
            Some(tls) => {
                while tls.plain.is_empty() && !tls.ended {
                    tls.receive(&mut self.socket).await?;
                }
                received.append(&mut tls.plain);
                Ok(!tls.ended)
            }
        }
    }

    /// Tells the peer that this was all, so that it has nothing to log. Whether it listens does not matter any more.
    pub(super) async fn close(mut self) {
        if let Some(tls) = &mut self.tls {
            tls.session.close(&mut tls.outgoing);
            let _ = tls.flush(&mut self.socket).await;
        }
        let _ = self.socket.shutdown().await;
    }
}

/// Version 1 names our own end: it has no word for a check but `UNKNOWN`, which some servers refuse.
fn proxy_header(version: ProxyVersion, socket: &TcpStream) -> Result<Vec<u8>, String> {
    let mut header = Vec::new();
    match version {
        ProxyVersion::V1 => {
            let own = socket.local_addr().and_then(|local| Ok((local, socket.peer_addr()?)));
            write_v1(&mut header, own.ok());
        }
        ProxyVersion::V2 => write_v2(&mut header, None, &Extras::default())
            .map_err(|error| format!("PROXY header: {error}"))?,
    }
    Ok(header)
}

async fn read(socket: &mut TcpStream, received: &mut Vec<u8>) -> Result<bool, String> {
    received.reserve(READ_BYTES);
    let count = socket.read_buf(received).await.map_err(|error| format!("receive: {error}"))?;
    Ok(count > 0)
}

impl Tls {
    async fn handshake(socket: &mut TcpStream, client: &ClientTls, dial: &Dial) -> Result<Self, String> {
        let session = client.session(&dial.host).map_err(|error| describe(&error))?;
        let mut tls =
            Self { session, incoming: Vec::new(), plain: Vec::new(), outgoing: Vec::new(), ended: false };
        tls.process(socket).await?;
        while !tls.session.is_open() {
            if tls.ended {
                return Err("TLS: closed during the handshake".to_owned());
            }
            tls.receive(socket).await?;
        }
        if dial.protocol == Protocol::Http2 && tls.session.alpn() != Some(b"h2") {
            return Err("TLS: the server does not speak h2 (ALPN)".to_owned());
        }
        Ok(tls)
    }

    async fn receive(&mut self, socket: &mut TcpStream) -> Result<(), String> {
        if !read(socket, &mut self.incoming).await? {
            self.ended = true;
            return Ok(());
        }
        self.process(socket).await
    }

    /// Takes in what has come and sends what the session answers, an alert included.
    async fn process(&mut self, socket: &mut TcpStream) -> Result<(), String> {
        let plain = &mut self.plain;
        let result = self.session.process(&mut self.incoming, &mut self.outgoing, &mut |piece| {
            plain.extend_from_slice(piece);
        });
        let flushed = self.flush(socket).await;
        let progress = result.map_err(|error| describe(&error))?;
        self.incoming.drain(..progress.consumed.min(self.incoming.len()));
        self.ended |= progress.closed_by_peer;
        flushed
    }

    async fn flush(&mut self, socket: &mut TcpStream) -> Result<(), String> {
        let sent = socket.write_all(&self.outgoing).await;
        self.outgoing.clear();
        sent.map_err(|error| format!("send: {error}"))
    }
}

/// What an operator looks at first is the certificate.
fn describe(error: &Error) -> String {
    match error {
        Error::BadServerCertificate(why) => format!("certificate: {why}"),
        error => format!("TLS: {error}"),
    }
}
