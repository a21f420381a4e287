//! TLS to the servers of a pool: who is believed, who we are, and an identity that no connection crosses.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::certificate::{certified_key, readable};
use crate::client_auth::root_store;
use crate::error::Error;
use crate::fingerprint::Fingerprint;
use crate::plan::{self, Protocol, Version};
use crate::problem::{Problem, Problems};
use crate::session::Session;
use crate::{ciphers, files};

/// Servers of one pool, by name; each keeps its last tickets.
const RESUMED_SERVERS: usize = 256;

/// What new connections of a pool are made with; shared by the workers.
#[derive(Debug, Clone)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
    server_name: Option<ServerName<'static>>,
    identity: u64,
}

impl ClientTls {
    /// Reads all files of the plan and checks them. `previous` is what the same pool has now: if nothing changed, its sessions can still
    /// be resumed. `now_unix` is in seconds.
    pub fn compile(
        plan: &plan::Client,
        protocol: Protocol,
        previous: Option<&Self>,
        now_unix: u64,
    ) -> Result<Self, Vec<Problem>> {
        let mut problems = Problems::default();
        let mut fingerprint = Fingerprint::new();
        fingerprint.add(protocol.id());
        fingerprint.add(format!("{:?} {} {:?}", plan.min_version, plan.verify, plan.server_name).as_bytes());
        let provider = Arc::new(ciphers::client_provider());
        let verifier = verifier(plan, &provider, &mut fingerprint, &mut problems);
        let own = own_certificate(plan, &provider, now_unix, &mut fingerprint, &mut problems);
        let server_name =
            plan.server_name.as_ref().and_then(|name| problems.take("server_name", parse_name(name)));
        let identity = fingerprint.short();
        let kept = previous.filter(|previous| previous.identity == identity);
        let config = match kept {
            Some(previous) => Some(Arc::clone(&previous.config)),
            None => verifier
                .and_then(|verifier| {
                    problems.take("min_version", config(plan.min_version, protocol, provider, verifier, own))
                })
                .map(Arc::new),
        };
        let compiled = config.map(|config| Self { config, server_name, identity });
        problems.finish(compiled)
    }

    /// For a connection to a server: `host` is its name or IP address as configured, used unless the plan has a `server_name`.
    pub fn session(&self, host: &str) -> Result<Session, Error> {
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => parse_name(host).map_err(|_| Error::BadServerName)?,
        };
        Session::client(Arc::clone(&self.config), name)
    }

    /// The same number for what is the same in authorities, verification, name, certificate, protocol and version. Idle connections are
    /// kept by it (and by the host, where the plan has no `server_name`), so that none is used under another identity.
    pub fn identity(&self) -> u64 {
        self.identity
    }
}

fn parse_name(name: &str) -> Result<ServerName<'static>, String> {
    let bare = name.trim_start_matches('[').trim_end_matches([']', '.']);
    ServerName::try_from(bare.to_owned())
        .map_err(|_| format!("{name:?} is neither a host name nor an address"))
}

fn config(
    min_version: Version,
    protocol: Protocol,
    provider: Arc<CryptoProvider>,
    verifier: Arc<dyn ServerCertVerifier>,
    own: Option<CertifiedKey>,
) -> Result<ClientConfig, rustls::Error> {
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(ciphers::versions(min_version))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match own {
        Some(own) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(own))),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![protocol.id().to_vec()];
    config.resumption = Resumption::in_memory_sessions(RESUMED_SERVERS);
    Ok(config)
}

fn verifier(
    plan: &plan::Client,
    provider: &Arc<CryptoProvider>,
    fingerprint: &mut Fingerprint,
    problems: &mut Problems,
) -> Option<Arc<dyn ServerCertVerifier>> {
    if !plan.verify {
        return Some(Arc::new(Unverified(provider.signature_verification_algorithms)));
    }
    let authorities = match &plan.ca {
        Some(file) => problems.take_file("ca", file, files::certificates(file).and_then(root_store)),
        None => problems.take("ca", system_roots()),
    }?;
    for authority in &authorities.roots {
        fingerprint.add(&authority.subject);
        fingerprint.add(&authority.subject_public_key_info);
        fingerprint.add(authority.name_constraints.as_deref().unwrap_or_default());
    }
    let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(authorities), Arc::clone(provider));
    problems.take("ca", builder.build()).map(|verifier| verifier as Arc<dyn ServerCertVerifier>)
}

/// Those of the operating system, which its administrator keeps up to date; one that cannot be used is left out, as there is no telling
/// what a system collects.
fn system_roots() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    if roots.add_parsable_certificates(found.certs).0 == 0 {
        let why = found.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
        return Err(format!("the system has no authorities that could be believed{why}; name a file"));
    }
    Ok(roots)
}

/// `None` if we show nothing, or after noting why it cannot be used.
fn own_certificate(
    plan: &plan::Client,
    provider: &CryptoProvider,
    now_unix: u64,
    fingerprint: &mut Fingerprint,
    problems: &mut Problems,
) -> Option<CertifiedKey> {
    let (certificate, key) = match (&plan.certificate, &plan.key) {
        (Some(certificate), Some(key)) => (certificate, key),
        (None, None) => return None,
        (Some(_), None) => return problems.fail("certificate", "has no key; give both or none"),
        (None, Some(_)) => return problems.fail("key", "has no certificate; give both or none"),
    };
    let chain = files::certificates(certificate).and_then(|chain| {
        chain.first().map_or(Ok(()), |leaf| readable(leaf, now_unix).map(drop)).map(|()| chain)
    });
    let chain = problems.take_file("certificate", certificate, chain);
    let private = match files::private_key(key) {
        // One file for both is told of once.
        Err(_) if chain.is_none() && key == certificate => None,
        private => problems.take_file("key", key, private),
    };
    let (chain, private) = (chain?, private?);
    fingerprint.add_all(&chain);
    let own = certified_key(chain, private, provider)
        .map_err(|problem| problem.naming(&certificate.display().to_string()));
    problems.take_file("key", key, own)
}

/// `verify = false`: whoever answers is believed, as long as it has the key of the certificate that it shows.
#[derive(Debug)]
struct Unverified(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
