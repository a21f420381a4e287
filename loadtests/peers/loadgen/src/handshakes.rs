//! New TLS 1.3 connections, each with one request and the server's close: full handshakes or resumed ones.
//!
//! Every simulated client has a ticket store of its own and comes back alone, so a resumed run never meets a
//! store that is empty. A handshake of the other kind counts as failed. The certificate's signature is not
//! verified: the server's side is what is measured, and with a cheaper client one core can keep another one
//! busy.

use std::cell::RefCell;
use std::error::Error;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConfig, Resumption};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, HandshakeKind, SignatureScheme};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::options::Options;
use crate::tally::Tally;

/// How long the last answers may take when the time is over.
const GRACE: Duration = Duration::from_secs(5);

struct Plan {
    port: u16,
    request: Vec<u8>,
    kind: HandshakeKind,
}

/// Fails on wrong options; what goes wrong with connections is in the tally.
pub async fn run(options: &Options) -> Result<Tally, Box<dyn Error>> {
    let path: String = options.get("path")?;
    let plan = Rc::new(Plan {
        port: options.get("port")?,
        request: format!("GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n").into(),
        kind: kind_of(&options.get::<String>("kind")?)?,
    });
    let connections: usize = options.get("connections")?;
    let clients = prepare(&plan, connections).await?;

    let tally = Rc::new(RefCell::new(Tally::default()));
    let started = Instant::now();
    let end = started + Duration::from_secs_f64(options.get("seconds")?);
    let tasks: Vec<_> = clients
        .into_iter()
        .map(|client| tokio::task::spawn_local(repeat(client, plan.clone(), tally.clone(), end)))
        .collect();
    for task in tasks {
        task.await?;
    }
    tally.borrow_mut().duration = started.elapsed();
    Ok(tally.take())
}

fn kind_of(name: &str) -> Result<HandshakeKind, Box<dyn Error>> {
    match name {
        "full" => Ok(HandshakeKind::Full),
        "resumed" => Ok(HandshakeKind::Resumed),
        _ => Err(format!("--kind {name}: full or resumed").into()),
    }
}

/// One connector each; those that shall resume come once to get their ticket, before the clock starts.
async fn prepare(plan: &Plan, connections: usize) -> Result<Vec<TlsConnector>, Box<dyn Error>> {
    let mut clients = Vec::with_capacity(connections);
    for _ in 0..connections {
        let client = TlsConnector::from(Arc::new(config(plan.kind)?));
        if plan.kind == HandshakeKind::Resumed {
            visit(&client, plan).await?;
        }
        clients.push(client);
    }
    Ok(clients)
}

fn config(kind: HandshakeKind) -> Result<ClientConfig, rustls::Error> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(BelieveAnyone))
        .with_no_client_auth();
    config.resumption = match kind {
        HandshakeKind::Resumed => Resumption::in_memory_sessions(1),
        _ => Resumption::disabled(),
    };
    Ok(config)
}

async fn repeat(client: TlsConnector, plan: Rc<Plan>, tally: Rc<RefCell<Tally>>, end: Instant) {
    while Instant::now() < end {
        let started = Instant::now();
        let visited = tokio::time::timeout_at((end + GRACE).into(), visit(&client, &plan)).await;
        let mut tally = tally.borrow_mut();
        match visited {
            Ok(Ok((kind, bytes))) if kind == Some(plan.kind) => {
                tally.done += 1;
                tally.response_bytes += bytes as u64;
                tally.time(started.elapsed());
            }
            _ => {
                tally.failed += 1;
                return;
            }
        }
    }
}

/// One connection; which handshake it was, and the length of the answer.
async fn visit(client: &TlsConnector, plan: &Plan) -> io::Result<(Option<HandshakeKind>, usize)> {
    let socket = TcpStream::connect(("127.0.0.1", plan.port)).await?;
    socket.set_nodelay(true)?;
    let name = ServerName::try_from("bench.test").map_err(io::Error::other)?;
    let mut stream = client.connect(name, socket).await?;
    stream.write_all(&plan.request).await?;
    let mut answer = Vec::with_capacity(1024);
    stream.read_to_end(&mut answer).await?;
    if !answer.starts_with(b"HTTP/1.1 200") {
        return Err(io::Error::other("not the answer that was asked for"));
    }
    Ok((stream.get_ref().1.handshake_kind(), answer.len()))
}

/// See the module: this generator only ever speaks to a proxy on loopback that its own harness started.
#[derive(Debug)]
struct BelieveAnyone;

impl ServerCertVerifier for BelieveAnyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}
