//! A certificate with its key, ready to be shown: loaded from files, checked against each other and the time.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error as RustlsError, InconsistentKeys};

use crate::ocsp::Date;
use crate::plan;
use crate::problem::Problems;
use crate::x509::{Names, X509};
use crate::{files, ocsp};

/// For status and the metric of expiry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateInfo {
    /// The file.
    pub file: String,
    /// DNS names and wildcards, then IP addresses.
    pub names: Vec<String>,
    pub not_after_unix: u64,
}

#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) key: Arc<CertifiedKey>,
    pub(crate) names: Names,
    pub(crate) info: CertificateInfo,
}

/// Loads one entry of the plan; what is wrong is noted below `path`.
pub(crate) fn load(
    plan: &plan::Certificate,
    path: &str,
    provider: &CryptoProvider,
    now_unix: u64,
    problems: &mut Problems,
) -> Option<Loaded> {
    let (certificate_path, key_path) = (format!("{path}.certificate"), format!("{path}.key"));
    let chain =
        problems.take_file(&certificate_path, &plan.certificate, files::certificates(&plan.certificate));
    let key = match files::private_key(&plan.key) {
        // One file for both is told of once.
        Err(_) if chain.is_none() && plan.key == plan.certificate => None,
        key => problems.take_file(&key_path, &plan.key, key),
    };
    let chain = chain?;
    let leaf = chain.first().ok_or_else(String::new).and_then(|leaf| readable(leaf, now_unix));
    let leaf = problems.take_file(&certificate_path, &plan.certificate, leaf)?;
    let certified = certified_key(chain, key?, provider)
        .map_err(|problem| problem.naming(&plan.certificate.display().to_string()));
    let mut certified = problems.take_file(&key_path, &plan.key, certified)?;
    if let Some(file) = &plan.ocsp {
        certified.ocsp = staple(file, &format!("{path}.ocsp"), &leaf, now_unix, problems);
    }
    let names = leaf.names();
    let info = CertificateInfo {
        file: plan.certificate.display().to_string(),
        names: names.dns.iter().chain(&names.ip).cloned().collect(),
        not_after_unix: leaf.not_after_unix(),
    };
    Some(Loaded { key: Arc::new(certified), names, info })
}

/// `None` if the response is out of date, after a warning: clients take a certificate without one, and not one with an old one.
fn staple(file: &Path, path: &str, leaf: &X509, now_unix: u64, problems: &mut Problems) -> Option<Vec<u8>> {
    let checked = files::read(file)
        .and_then(|response| ocsp::check(&response, leaf.serial(), now_unix).map(|date| (response, date)));
    let (response, date) = problems.take_file(path, file, checked)?;
    if date == Date::Current {
        return Some(response);
    }
    problems.warn(path, format!("{}: is out of date and not stapled; fetch a new one", file.display()));
    None
}

/// A certificate that is in date.
pub(crate) fn readable(der: &CertificateDer<'_>, now_unix: u64) -> Result<X509, String> {
    let certificate = X509::parse(der)?;
    let (start, end) = (certificate.not_before_unix(), certificate.not_after_unix());
    if now_unix < start {
        return Err(format!("is not valid before {}", utc(start)));
    }
    if now_unix > end {
        return Err(format!("expired on {}", utc(end)));
    }
    Ok(certificate)
}

pub(crate) fn utc(unix: u64) -> String {
    let time = x509_cert::der::DateTime::from_unix_duration(std::time::Duration::from_secs(unix));
    time.map_or_else(|_| format!("second {unix}"), |time| time.to_string())
}

/// Why a key does not go with its certificate.
pub(crate) enum KeyProblem {
    Unusable(RustlsError),
    Mismatch,
}

impl KeyProblem {
    pub(crate) fn naming(&self, certificate: &str) -> String {
        match self {
            Self::Unusable(error) => {
                format!(
                    "the key cannot be used; RSA of 2048 to 8192 bits, ECDSA on P-256, P-384 or P-521 and Ed25519 can: {error}"
                )
            }
            Self::Mismatch => format!("is not the key of {certificate}"),
        }
    }
}

pub(crate) fn certified_key(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, KeyProblem> {
    let key = provider.key_provider.load_private_key(key).map_err(KeyProblem::Unusable)?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) | Err(RustlsError::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(certified),
        Err(RustlsError::InconsistentKeys(_)) => Err(KeyProblem::Mismatch),
        Err(error) => Err(KeyProblem::Unusable(error)),
    }
}
