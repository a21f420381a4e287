//! What we read from certificates ourselves: names, validity, serial number. Chains and signatures are webpki's.

use std::net::{Ipv4Addr, Ipv6Addr};

use x509_cert::certificate::{CertificateInner, Raw};
use x509_cert::der::Decode;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::time::Time;

/// A certificate, parsed without the stricter rules of RFC 5280 that private authorities break (long serial numbers).
pub(crate) struct X509(CertificateInner<Raw>);

/// Subject alternative names (RFC 5280 §4.2.1.6), in the order of the certificate.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Names {
    /// In lower case, without a dot at the end.
    pub(crate) dns: Vec<String>,
    pub(crate) ip: Vec<String>,
    pub(crate) uri: Vec<String>,
}

impl X509 {
    pub(crate) fn parse(der: &[u8]) -> Result<Self, String> {
        CertificateInner::from_der(der).map(Self).map_err(|error| format!("is no certificate: {error}"))
    }

    pub(crate) fn not_before_unix(&self) -> u64 {
        seconds(self.0.tbs_certificate.validity.not_before)
    }

    pub(crate) fn not_after_unix(&self) -> u64 {
        seconds(self.0.tbs_certificate.validity.not_after)
    }

    pub(crate) fn serial(&self) -> &[u8] {
        self.0.tbs_certificate.serial_number.as_bytes()
    }

    /// RFC 4514: the last part first.
    pub(crate) fn subject(&self) -> String {
        self.0.tbs_certificate.subject.to_string()
    }

    /// None if the extension is missing or cannot be read.
    pub(crate) fn names(&self) -> Names {
        let mut names = Names::default();
        let extension = self.0.tbs_certificate.get::<SubjectAltName>().ok().flatten();
        for name in extension.map(|(_, names)| names.0).unwrap_or_default() {
            match name {
                GeneralName::DnsName(name) => {
                    names.dns.push(name.as_str().trim_end_matches('.').to_ascii_lowercase());
                }
                GeneralName::UniformResourceIdentifier(uri) => names.uri.push(uri.as_str().to_owned()),
                GeneralName::IpAddress(octets) => names.ip.extend(address(octets.as_bytes())),
                _ => {}
            }
        }
        names
    }
}

fn seconds(time: Time) -> u64 {
    time.to_unix_duration().as_secs()
}

fn address(octets: &[u8]) -> Option<String> {
    if let Ok(octets) = <[u8; 4]>::try_from(octets) {
        return Some(Ipv4Addr::from(octets).to_string());
    }
    <[u8; 16]>::try_from(octets).ok().map(|octets| Ipv6Addr::from(octets).to_string())
}
