//! Files of a plan: certificates, keys, lists in PEM or DER. Messages say what is wrong; the caller adds the file's name.

use std::fs;
use std::path::Path;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

/// More is no certificate, list or key; 64 MB holds a CRL of a million entries.
const MOST_BYTES: u64 = 64 << 20;

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, String> {
    let length = fs::metadata(path).map_err(|error| cannot_read(&error))?.len();
    if length > MOST_BYTES {
        return Err(format!("is {length} bytes long; {MOST_BYTES} are allowed"));
    }
    fs::read(path).map_err(|error| cannot_read(&error))
}

fn cannot_read(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such file".into(),
        std::io::ErrorKind::PermissionDenied => "permission denied".into(),
        _ => error.to_string(),
    }
}

/// One certificate or more.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    certificates_in(&read(path)?)
}

pub(crate) fn certificates_in(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Vec<_> =
        CertificateDer::pem_slice_iter(text).collect::<Result<_, _>>().map_err(|error| bad_pem(&error))?;
    if found.is_empty() {
        return Err("holds no certificate in PEM".into());
    }
    Ok(found)
}

pub(crate) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    private_key_in(&read(path)?)
}

pub(crate) fn private_key_in(text: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    // RFC 7468 §11, and the header of OpenSSL's old format (RFC 1421 §4.6.1.1).
    if contains(text, b"ENCRYPTED") {
        return Err("the key is encrypted; decrypt it (openssl pkey -in … -out …)".into());
    }
    PrivateKeyDer::from_pem_slice(text).map_err(|error| match error {
        pem::Error::NoItemsFound => "holds no private key in PEM".into(),
        error => bad_pem(&error),
    })
}

/// One list in DER, or one or more in PEM.
pub(crate) fn revocation_lists(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, String> {
    let bytes = read(path)?;
    // DER begins with a SEQUENCE; PEM is text.
    if bytes.first() == Some(&0x30) {
        return Ok(vec![bytes.into()]);
    }
    let found: Vec<_> = CertificateRevocationListDer::pem_slice_iter(&bytes)
        .collect::<Result<_, _>>()
        .map_err(|error| bad_pem(&error))?;
    if found.is_empty() { Err("holds no revocation list in PEM or DER".into()) } else { Ok(found) }
}

fn bad_pem(error: &pem::Error) -> String {
    format!("is no proper PEM: {error}")
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window == word)
}
