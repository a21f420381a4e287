//! The plan's TLS parts: what the control plane asks for, as JSON. Unknown fields are refused. Files are named by absolute paths and read
//! when the plan is compiled: a reload is how a new certificate comes in.

use std::path::PathBuf;

use serde::Deserialize;

/// TLS of a listener.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// The first one is for clients that ask for no name or for an unknown one. Empty only with `acme`.
    #[serde(default)]
    pub certificates: Vec<Certificate>,
    /// Refuse clients that ask for no name or for one that no certificate is for.
    #[serde(default)]
    pub strict_sni: bool,
    /// Application protocols by preference.
    #[serde(default = "both_protocols")]
    pub alpn: Vec<Protocol>,
    #[serde(default)]
    pub min_version: Version,
    /// IANA names by preference; empty = all that are known, by the client's preference.
    #[serde(default)]
    pub ciphers: Vec<String>,
    #[serde(default)]
    pub client_auth: Option<ClientAuth>,
    #[serde(default)]
    pub tickets: Tickets,
    /// Answer TLS-ALPN-01 challenges (RFC 8737).
    #[serde(default)]
    pub acme: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// PEM, the server's own certificate first, then those that vouch for it.
    pub certificate: PathBuf,
    /// PEM, not encrypted.
    pub key: PathBuf,
    /// OCSP response in DER, stapled to the certificate.
    #[serde(default)]
    pub ocsp: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
pub enum Protocol {
    #[serde(rename = "h2")]
    Http2,
    #[serde(rename = "http/1.1")]
    Http11,
}

impl Protocol {
    /// The protocol's identification sequence (RFC 7301 §6).
    pub fn id(self) -> &'static [u8] {
        match self {
            Self::Http2 => b"h2",
            Self::Http11 => b"http/1.1",
        }
    }
}

fn both_protocols() -> Vec<Protocol> {
    vec![Protocol::Http2, Protocol::Http11]
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize)]
pub enum Version {
    #[default]
    #[serde(rename = "1.2")]
    Tls12,
    #[serde(rename = "1.3")]
    Tls13,
}

/// Certificates of clients.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientAuth {
    #[serde(default)]
    pub mode: ClientAuthMode,
    /// PEM: the authorities that are believed.
    pub ca: PathBuf,
    /// PEM or DER: certificates that were called back. With any, the clients' issuers must each have one that is in date.
    #[serde(default)]
    pub crl: Vec<PathBuf>,
    /// What `X-Forwarded-Client-Cert` says.
    #[serde(default = "default_parts")]
    pub forward: Vec<ForwardedPart>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuthMode {
    #[default]
    Required,
    /// A client may have none; one that is not valid is refused all the same.
    Optional,
}

/// Keys of Envoy's header, written in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForwardedPart {
    /// SHA-256 of the certificate's DER in hex.
    Hash,
    /// The certificate in PEM, percent-encoded.
    Cert,
    /// RFC 4514.
    Subject,
    Uri,
    Dns,
}

fn default_parts() -> Vec<ForwardedPart> {
    vec![ForwardedPart::Hash, ForwardedPart::Subject, ForwardedPart::Uri, ForwardedPart::Dns]
}

/// Session tickets.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tickets {
    /// How long a ticket is good for; 0 = none are issued. At most 7 days (RFC 8446 §4.6.1).
    pub lifetime_s: u32,
    /// Keys that several machines share, one a line in base64 or hex, 32, 48 or 80 bytes: the first issues, all are accepted. Without it
    /// keys are drawn, and exchanged after each lifetime.
    pub keys_file: Option<PathBuf>,
}

impl Default for Tickets {
    /// Two hours, as OpenSSL keeps sessions of TLS 1.3.
    fn default() -> Self {
        Self { lifetime_s: 7_200, keys_file: None }
    }
}

/// TLS to the servers of a pool.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// PEM: the authorities that are believed instead of the system's.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// False: believe whoever answers.
    #[serde(default = "yes")]
    pub verify: bool,
    /// The name to ask for and to find in the certificate, in place of the server's own.
    #[serde(default)]
    pub server_name: Option<String>,
    /// PEM: what we show when asked who we are; with `key`.
    #[serde(default)]
    pub certificate: Option<PathBuf>,
    #[serde(default)]
    pub key: Option<PathBuf>,
    #[serde(default)]
    pub min_version: Version,
}

fn yes() -> bool {
    true
}
