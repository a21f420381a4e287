//! Cipher suites by IANA's names, and the crypto provider that has only those that a plan allows.

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{CipherSuite, SupportedProtocolVersion, version};

use crate::plan::Version;

/// rustls calls `TLS_AES_128_GCM_SHA256` `TLS13_AES_128_GCM_SHA256`.
pub(crate) fn iana_name(suite: CipherSuite) -> &'static str {
    match suite {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        other => other.as_str().unwrap_or("unknown"),
    }
}

/// The provider with these suites, or all if none are named; the order is kept.
pub(crate) fn provider(names: &[String], min_version: Version) -> Result<CryptoProvider, String> {
    let mut provider = aws_lc_rs::default_provider();
    if names.is_empty() {
        return Ok(provider);
    }
    let known = std::mem::take(&mut provider.cipher_suites);
    for name in names {
        let suite = known.iter().find(|suite| iana_name(suite.suite()) == name);
        let valid = || known.iter().map(|suite| iana_name(suite.suite())).collect::<Vec<_>>().join(", ");
        provider
            .cipher_suites
            .push(*suite.ok_or_else(|| format!("{name:?} is none; valid are {}", valid()))?);
    }
    if min_version == Version::Tls13 && provider.cipher_suites.iter().all(|suite| suite.tls13().is_none()) {
        return Err("none of these is for TLS 1.3".into());
    }
    Ok(provider)
}

/// As we ask servers, where the order is ours: suites with SHA-256 first. CPUs compute it themselves but not SHA-384, which makes a resumed
/// handshake cost 1.5 times as much (measured: 14.3 k/s instead of 22.3 k/s on one CPU).
pub(crate) fn client_provider() -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.sort_by_key(|suite| iana_name(suite.suite()).ends_with("SHA384"));
    provider
}

/// The versions from this one up.
pub(crate) fn versions(min_version: Version) -> &'static [&'static SupportedProtocolVersion] {
    static FROM_12: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];
    static FROM_13: [&SupportedProtocolVersion; 1] = [&version::TLS13];
    match min_version {
        Version::Tls12 => &FROM_12,
        Version::Tls13 => &FROM_13,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn suites_are_chosen_by_name_and_unknown_ones_answered_with_the_valid_ones() {
        let names = ["TLS_AES_256_GCM_SHA384".to_owned(), "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256".to_owned()];
        let chosen = provider(&names, Version::Tls12).unwrap();
        assert_eq!(chosen.cipher_suites.iter().map(|s| iana_name(s.suite())).collect::<Vec<_>>(), names);
        assert_eq!(provider(&names[1..], Version::Tls13).unwrap_err(), "none of these is for TLS 1.3");
        let message = provider(&["RC4-MD5".to_owned()], Version::Tls12).unwrap_err();
        assert!(message.starts_with("\"RC4-MD5\" is none; valid are TLS_AES_256_GCM_SHA384,"), "{message}");
        assert_eq!(message.matches("TLS_").count(), 9, "{message}");
    }
}
