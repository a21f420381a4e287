//! Certificates in files of a temporary folder, plans that name them, and two sessions joined in memory.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)] // Each test file uses its part.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RevocationReason,
    RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use serde_json::{Value, json};
use trunkline_tls::{Challenges, ClientTls, Error, Problem, Progress, ServerTls, Session, plan};

/// 2027-01-15, within the validity of everything made here.
pub(crate) const NOW_UNIX: u64 = 1_800_000_000;

static FOLDERS: AtomicU32 = AtomicU32::new(0);

/// Removed when dropped.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("trunkline-tls-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// An authority, and the folder that everything it makes is written to.
pub(crate) struct Authority {
    pub(crate) folder: Folder,
    pub(crate) ca: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

/// Files of a certificate and its key.
pub(crate) struct Files {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) made: Certificate,
}

impl Files {
    pub(crate) fn entry(&self) -> Value {
        json!({"certificate": self.certificate, "key": self.key})
    }
}

pub(crate) fn params(names: &[&str]) -> CertificateParams {
    CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap()
}

impl Authority {
    pub(crate) fn new() -> Self {
        let folder = Folder::new();
        let mut params = params(&[]);
        params.distinguished_name.push(DnType::CommonName, folder.path().to_str().unwrap());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let ca = folder.write("ca.pem", params.self_signed(&key).unwrap().pem());
        Self { folder, ca, issuer: Issuer::new(params, key) }
    }

    pub(crate) fn make(&self, name: &str, params: &CertificateParams, key: &KeyPair) -> Files {
        let made = params.signed_by(key, &self.issuer).unwrap();
        Files {
            certificate: self.folder.write(&format!("{name}.pem"), made.pem()),
            key: self.folder.write(&format!("{name}.key"), key.serialize_pem()),
            made,
        }
    }

    pub(crate) fn p256(&self, name: &str, names: &[&str]) -> Files {
        self.make(name, &params(names), &KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap())
    }

    pub(crate) fn rsa(&self, name: &str, names: &[&str]) -> Files {
        self.make(name, &params(names), &KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap())
    }

    /// A certificate with this serial number, which a list can call back.
    pub(crate) fn numbered(&self, name: &str, serial: u64) -> Files {
        let mut params = params(&[name]);
        params.serial_number = Some(SerialNumber::from(serial));
        self.make(name, &params, &KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap())
    }

    /// A list that calls these serial numbers back, good until the end of this year.
    pub(crate) fn revoke(&self, name: &str, serials: &[u64], end_year: i32) -> PathBuf {
        let revoked = serials.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: Some(RevocationReason::KeyCompromise),
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 2),
            next_update: date_time_ymd(end_year, 12, 31),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        self.folder.write(name, list.signed_by(&self.issuer).unwrap().pem().unwrap())
    }
}

pub(crate) fn compile(plan: Value, previous: Option<&ServerTls>) -> Result<ServerTls, Vec<Problem>> {
    let plan: plan::Server = serde_json::from_value(plan).unwrap();
    ServerTls::compile(&plan, &Arc::new(Challenges::default()), previous, NOW_UNIX)
}

pub(crate) fn server(plan: Value) -> ServerTls {
    compile(plan, None).unwrap()
}

pub(crate) fn client_with(plan: Value, protocol: plan::Protocol) -> ClientTls {
    let plan: plan::Client = serde_json::from_value(plan).unwrap();
    ClientTls::compile(&plan, protocol, None, NOW_UNIX).unwrap()
}

/// A client that believes the authority and speaks HTTP/1.1.
pub(crate) fn client(authority: &Authority) -> ClientTls {
    client_with(json!({"ca": authority.ca}), plan::Protocol::Http11)
}

/// A rustls client as others configure it, that believes the authority.
pub(crate) fn foreign_client(
    authority: &Authority,
    versions: &[&'static SupportedProtocolVersion],
    alpn: &[&str],
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&authority.ca).unwrap()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    config
}

pub(crate) fn foreign_session(config: &Arc<ClientConfig>, name: &str) -> Session {
    Session::client(Arc::clone(config), ServerName::try_from(name.to_owned()).unwrap()).unwrap()
}

/// A handshake of such a client; the pair, whatever came of it.
pub(crate) fn meet(config: &Arc<ClientConfig>, server: &ServerTls, name: &str) -> (Pair, Result<(), End>) {
    let mut pair = Pair::new(foreign_session(config, name), server.session().unwrap());
    let result = pair.pump(usize::MAX);
    (pair, result)
}

/// One side with what came in and could not be read yet, and what it read.
pub(crate) struct Side {
    pub(crate) session: Session,
    pub(crate) incoming: Vec<u8>,
    pub(crate) plain: Vec<u8>,
}

impl Side {
    pub(crate) fn new(session: Session) -> Self {
        Self { session, incoming: Vec::new(), plain: Vec::new() }
    }

    pub(crate) fn process(&mut self, out: &mut Vec<u8>) -> Result<Progress, Error> {
        let Self { session, incoming, plain } = self;
        let progress = session.process(incoming, out, &mut |bytes| plain.extend_from_slice(bytes))?;
        incoming.drain(..progress.consumed);
        Ok(progress)
    }
}

pub(crate) struct Pair {
    pub(crate) client: Side,
    pub(crate) server: Side,
}

/// Which side ended it, and why.
#[derive(Debug, PartialEq)]
pub(crate) enum End {
    Client(Error),
    Server(Error),
}

impl Pair {
    pub(crate) fn new(client: Session, server: Session) -> Self {
        Self { client: Side::new(client), server: Side::new(server) }
    }

    /// Carries bytes until nothing moves; at most `piece` at once.
    pub(crate) fn pump(&mut self, piece: usize) -> Result<(), End> {
        let (mut up, mut down) = (Vec::new(), Vec::new());
        loop {
            self.client.process(&mut up).map_err(End::Client)?;
            let moved_up = up.len();
            for part in std::mem::take(&mut up).chunks(piece) {
                self.server.incoming.extend_from_slice(part);
                self.server.process(&mut down).map_err(End::Server)?;
            }
            let moved_down = down.len();
            for part in std::mem::take(&mut down).chunks(piece) {
                self.client.incoming.extend_from_slice(part);
                self.client.process(&mut up).map_err(End::Client)?;
            }
            if moved_up + moved_down + up.len() == 0 {
                return Ok(());
            }
        }
    }

    /// Sends from the client and gives what the server read.
    pub(crate) fn send_up(&mut self, data: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        self.client.session.encrypt(data, &mut out).unwrap();
        self.server.incoming.extend_from_slice(&out);
        out.clear();
        self.server.process(&mut out).unwrap();
        std::mem::take(&mut self.server.plain)
    }

    pub(crate) fn send_down(&mut self, data: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        self.server.session.encrypt(data, &mut out).unwrap();
        self.client.incoming.extend_from_slice(&out);
        out.clear();
        self.client.process(&mut out).unwrap();
        std::mem::take(&mut self.client.plain)
    }
}

/// A completed handshake for this name.
pub(crate) fn connect(client: &ClientTls, server: &ServerTls, name: &str) -> Result<Pair, End> {
    let mut pair = Pair::new(client.session(name).unwrap(), server.session().unwrap());
    pair.pump(usize::MAX)?;
    Ok(pair)
}
