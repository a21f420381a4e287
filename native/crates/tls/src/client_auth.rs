//! Certificates of clients: who is believed, and what makes a ticket of one policy useless under another.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use x509_cert::crl::CertificateList;
use x509_cert::der::Decode;

use crate::fingerprint::Fingerprint;
use crate::plan::{ClientAuth, ClientAuthMode};
use crate::problem::Problems;
use crate::{certificate, files};

#[derive(Debug)]
pub(crate) struct ClientPolicy {
    pub(crate) verifier: Arc<dyn ClientCertVerifier>,
    /// Tickets are bound to it.
    pub(crate) fingerprint: [u8; 32],
}

impl ClientPolicy {
    /// Whoever connects may come in.
    pub(crate) fn open() -> Self {
        Self { verifier: WebPkiClientVerifier::no_client_auth(), fingerprint: [0; 32] }
    }

    pub(crate) fn compile(
        plan: &ClientAuth,
        provider: &Arc<CryptoProvider>,
        now_unix: u64,
        problems: &mut Problems,
    ) -> Option<Self> {
        let authorities = problems.take_file("client_auth.ca", &plan.ca, files::certificates(&plan.ca));
        let lists = revocation_lists(plan, now_unix, problems);
        let (authorities, lists) = (authorities?, lists?);
        let fingerprint = fingerprint(plan.mode, &authorities, &lists);
        let roots = problems.take_file("client_auth.ca", &plan.ca, root_store(authorities))?;
        let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
        if !lists.is_empty() {
            // As OpenSSL and nginx: a list that is out of date, or missing for the client's issuer, refuses the client.
            builder =
                builder.with_crls(lists).only_check_end_entity_revocation().enforce_revocation_expiration();
        }
        if plan.mode == ClientAuthMode::Optional {
            builder = builder.allow_unauthenticated();
        }
        let verifier = problems.take("client_auth.crl", builder.build())?;
        Some(Self { verifier, fingerprint })
    }
}

/// All must be usable: one that is silently left out locks its clients out.
pub(crate) fn root_store(authorities: Vec<CertificateDer<'static>>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for (number, authority) in authorities.into_iter().enumerate() {
        roots.add(authority).map_err(|error| format!("certificate {}: {error}", number + 1))?;
    }
    Ok(roots)
}

fn revocation_lists(
    plan: &ClientAuth,
    now_unix: u64,
    problems: &mut Problems,
) -> Option<Vec<CertificateRevocationListDer<'static>>> {
    let mut all = Some(Vec::new());
    for (number, file) in plan.crl.iter().enumerate() {
        let lists = files::revocation_lists(file)
            .and_then(|lists| lists.iter().try_for_each(|list| check_list(list, now_unix)).map(|()| lists));
        let lists = problems.take_file(format!("client_auth.crl[{number}]"), file, lists);
        all = all.zip(lists).map(|(all, lists)| [all, lists].concat());
    }
    all
}

fn check_list(list: &CertificateRevocationListDer<'_>, now_unix: u64) -> Result<(), String> {
    let list = CertificateList::from_der(list).map_err(|error| format!("is no revocation list: {error}"))?;
    let end = list.tbs_cert_list.next_update.map(|time| time.to_unix_duration().as_secs());
    match end {
        Some(end) if end <= now_unix => {
            Err(format!("the revocation list ended on {}; fetch a new one", certificate::utc(end)))
        }
        _ => Ok(()),
    }
}

fn fingerprint(
    mode: ClientAuthMode,
    authorities: &[CertificateDer<'_>],
    lists: &[CertificateRevocationListDer<'_>],
) -> [u8; 32] {
    let mut fingerprint = Fingerprint::new();
    fingerprint.add(match mode {
        ClientAuthMode::Required => b"required",
        ClientAuthMode::Optional => b"optional",
    });
    fingerprint.add_all(authorities);
    // A list is no certificate, so the two never read the same.
    fingerprint.add_all(lists);
    fingerprint.finish()
}
