//! Certificates that answer TLS-ALPN-01 challenges (RFC 8737), set by the control plane while an issuer looks. Shared by all listeners.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::aws_lc_rs;
use rustls::sign::CertifiedKey;
use serde::Deserialize;

use crate::files;
use crate::problem::{Problem, Problems};

/// RFC 8737 §4.
pub const ACME_PROTOCOL: &[u8] = b"acme-tls/1";

/// A certificate and its key, in PEM.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PemPair {
    pub certificate: String,
    pub key: String,
}

/// By server name, in lower case.
#[derive(Debug, Default)]
pub struct Challenges(ArcSwap<HashMap<String, Arc<CertifiedKey>>>);

impl Challenges {
    /// Answer these and no others, from the next handshake on. With a problem (its path is the name) all stays as it was.
    pub fn replace(&self, pairs: &HashMap<String, PemPair>) -> Result<(), Vec<Problem>> {
        let mut problems = Problems::default();
        let table = pairs
            .iter()
            .filter_map(|(name, pair)| Some((name.to_ascii_lowercase(), problems.take(name, parse(pair))?)))
            .collect();
        self.0.store(Arc::new(problems.finish(Some(table))?));
        Ok(())
    }

    pub(crate) fn get(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        self.0.load().get(name).cloned()
    }
}

fn parse(pair: &PemPair) -> Result<Arc<CertifiedKey>, String> {
    let chain = files::certificates_in(pair.certificate.as_bytes())?;
    let key = files::private_key_in(pair.key.as_bytes())?;
    let key = aws_lc_rs::default_provider().key_provider.load_private_key(key);
    let key = key.map_err(|error| format!("the key cannot be used: {error}"))?;
    // Whether both belong together is not looked at: the library that would say so refuses any certificate with a critical extension
    // that it does not know, and a challenge's has one (RFC 8737 §3).
    Ok(Arc::new(CertifiedKey::new(chain, key)))
}
