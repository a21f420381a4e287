//! Which certificate a client gets, by the name it asks for.
//!
//! | the client asks for (SNI) | it gets |
//! |---|---|
//! | `acme-tls/1` and nothing else by ALPN | the name's challenge certificate, or a refusal (RFC 8737) |
//! | a name that certificates have | the first of them that it can verify |
//! | a name one label below a `*.` that certificates have | the same |
//! | another name, or none | the default; refused if strict |

use std::collections::HashMap;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::certificate::Loaded;
use crate::challenges::{ACME_PROTOCOL, Challenges};
use crate::question;

/// Certificates with one name, in the order of the plan: of different key types, or one that supersedes another.
type Candidates = Vec<Arc<CertifiedKey>>;

#[derive(Debug)]
pub(crate) struct Resolver {
    exact: HashMap<String, Candidates>,
    /// By what follows `*.`.
    wildcard: HashMap<String, Candidates>,
    /// Empty: others are refused.
    default: Candidates,
    challenges: Option<Arc<Challenges>>,
}

impl Resolver {
    pub(crate) fn new(certificates: &[Loaded], strict: bool, challenges: Option<Arc<Challenges>>) -> Self {
        let mut resolver =
            Self { exact: HashMap::new(), wildcard: HashMap::new(), default: Vec::new(), challenges };
        for loaded in certificates {
            for name in &loaded.names.dns {
                let (table, name) = match name.strip_prefix("*.") {
                    Some(parent) => (&mut resolver.wildcard, parent),
                    None => (&mut resolver.exact, name.as_str()),
                };
                table.entry(name.to_owned()).or_default().push(Arc::clone(&loaded.key));
            }
        }
        if !strict {
            resolver.default = default_candidates(certificates);
        }
        resolver
    }

    fn candidates(&self, name: Option<&str>) -> &[Arc<CertifiedKey>] {
        let named = name.and_then(|name| {
            let parent = || name.split_once('.').map(|(_, parent)| parent);
            self.exact.get(name).or_else(|| self.wildcard.get(parent()?))
        });
        named.unwrap_or(&self.default)
    }
}

/// The first certificate, and those with the same first name: its twins with other types of key.
fn default_candidates(certificates: &[Loaded]) -> Candidates {
    let Some(first) = certificates.first() else { return Vec::new() };
    let name = first.names.dns.first();
    let twins = certificates.iter().skip(1).filter(|other| name.is_some() && other.names.dns.first() == name);
    std::iter::once(first).chain(twins).map(|loaded| Arc::clone(&loaded.key)).collect()
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name();
        if let Some(name) = name {
            question::leave_name(name);
        }
        let found = match &self.challenges {
            Some(challenges) if offers_only_acme(&hello) => name.and_then(|name| challenges.get(name)),
            _ => choose(self.candidates(name), &hello),
        };
        if found.is_none() {
            question::leave_refusal();
        }
        found
    }
}

fn offers_only_acme(hello: &ClientHello<'_>) -> bool {
    hello.alpn().is_some_and(|offered| offered.eq([ACME_PROTOCOL]))
}

/// The first that the client can verify; else the first, so that it is told what is missing.
fn choose(candidates: &[Arc<CertifiedKey>], hello: &ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
    let schemes = hello.signature_schemes();
    let fits = |candidate: &&Arc<CertifiedKey>| candidate.key.choose_scheme(schemes).is_some();
    candidates.iter().find(fits).or(candidates.first()).cloned()
}
