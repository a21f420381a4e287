//! Why a session ended: one variant for each thing an operator would do something different about, each with a reason code for logs
//! and metrics. What is wrong with a plan is a [`crate::Problem`].

use rustls::{AlertDescription, CertificateError, PeerIncompatible};

/// The end of a session. The alert for the peer, if there is one to send, was appended to `out`.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// The client asked for a name that no certificate is for, or for none, and the listener is strict.
    #[error("no certificate for the name that the client asked for")]
    NoCertificateForName,
    #[error("the client offered no application protocol (ALPN) that is served here")]
    UnknownAlpn,
    #[error("the client sent no certificate")]
    ClientCertificateRequired,
    #[error("the client's certificate was refused: {0}")]
    BadClientCertificate(CertificateError),
    #[error("the server's certificate was refused: {0}")]
    BadServerCertificate(CertificateError),
    #[error("the server's name cannot stand in a certificate")]
    BadServerName,
    #[error("the peer speaks no version of TLS that is allowed here: {0:?}")]
    Version(PeerIncompatible),
    #[error("no cipher suite, group or signature that both sides know: {0:?}")]
    NothingInCommon(PeerIncompatible),
    #[error("the peer refused: {0:?}")]
    PeerAlert(AlertDescription),
    /// Nothing was appended to `out`: answer in plain HTTP.
    #[error("the client speaks plain HTTP")]
    PlainHttp,
    #[error("the peer does not speak TLS")]
    NotTls,
    #[error("a handshake message is longer than allowed")]
    MessageTooLong,
    #[error("the handshake failed: {0}")]
    HandshakeFailed(rustls::Error),
    /// A record that does not decrypt, a message out of place: after the handshake.
    #[error("the peer broke the protocol: {0}")]
    BrokenRecord(rustls::Error),
    /// Data to send before the handshake is complete, or after `close` or an error.
    #[error("the session does not take data to send")]
    NotOpen,
}

/// Reason codes, by [`Error::index`].
pub const REASONS: [&str; 15] = [
    "tls_no_certificate_for_name",
    "tls_unknown_alpn",
    "tls_client_certificate_required",
    "tls_bad_client_certificate",
    "tls_bad_server_certificate",
    "tls_bad_server_name",
    "tls_version",
    "tls_nothing_in_common",
    "tls_peer_alert",
    "tls_plain_http",
    "tls_not_tls",
    "tls_message_too_long",
    "tls_handshake_failed",
    "tls_broken_record",
    "tls_not_open",
];

impl Error {
    /// For logs and metric labels; never changes for a variant.
    pub fn reason(&self) -> &'static str {
        REASONS[self.index()]
    }

    /// Its place in tables that are as long as [`REASONS`].
    pub fn index(&self) -> usize {
        match self {
            Self::NoCertificateForName => 0,
            Self::UnknownAlpn => 1,
            Self::ClientCertificateRequired => 2,
            Self::BadClientCertificate(_) => 3,
            Self::BadServerCertificate(_) => 4,
            Self::BadServerName => 5,
            Self::Version(_) => 6,
            Self::NothingInCommon(_) => 7,
            Self::PeerAlert(_) => 8,
            Self::PlainHttp => 9,
            Self::NotTls => 10,
            Self::MessageTooLong => 11,
            Self::HandshakeFailed(_) => 12,
            Self::BrokenRecord(_) => 13,
            Self::NotOpen => 14,
        }
    }

    /// What rustls says, sorted by what it means here. `open`: the handshake was complete.
    pub(crate) fn sorted(error: rustls::Error, is_server: bool, open: bool) -> Self {
        use PeerIncompatible as P;
        match error {
            rustls::Error::NoApplicationProtocol => Self::UnknownAlpn,
            rustls::Error::NoCertificatesPresented => Self::ClientCertificateRequired,
            rustls::Error::InvalidCertificate(why) if is_server => Self::BadClientCertificate(why),
            rustls::Error::InvalidCertificate(why) => Self::BadServerCertificate(why),
            // The list that should say something of the certificate is not from its issuer.
            rustls::Error::InvalidCertRevocationList(_) => {
                Self::BadClientCertificate(CertificateError::UnknownRevocationStatus)
            }
            rustls::Error::AlertReceived(alert) => Self::PeerAlert(alert),
            rustls::Error::PeerIncompatible(
                why @ (P::Tls12NotOffered
                | P::Tls12NotOfferedOrEnabled
                | P::SupportedVersionsExtensionRequired
                // Only clients older than TLS 1.2 leave it out (RFC 5246 §7.4.1.4.1), and rustls looks for it first.
                | P::SignatureAlgorithmsExtensionRequired
                | P::ServerDoesNotSupportTls12Or13
                | P::ServerTlsVersionIsDisabledByOurConfig),
            ) => Self::Version(why),
            rustls::Error::PeerIncompatible(why) => Self::NothingInCommon(why),
            error if open => Self::BrokenRecord(error),
            error => Self::HandshakeFailed(error),
        }
    }
}
