//! The client's certificate for the servers behind us, as Envoy writes `X-Forwarded-Client-Cert`:
//! `Hash=9ba6…;Subject="CN=shop,O=Acme";URI=spiffe://acme/shop;DNS=shop.example`.

use std::fmt::Write;

use aws_lc_rs::digest;
use base64::prelude::{BASE64_STANDARD, Engine};

use crate::plan::ForwardedPart;
use crate::x509::X509;

/// The header's value, for a certificate in DER; no control character or byte outside ASCII is in it, whatever the certificate holds.
/// Of a certificate that cannot be parsed only its hash and text are told.
pub fn forwarded_client_certificate(der: &[u8], parts: &[ForwardedPart]) -> String {
    let certificate = X509::parse(der).ok();
    let names = certificate.as_ref().map(X509::names).unwrap_or_default();
    let mut elements = Vec::new();
    for part in parts {
        match part {
            ForwardedPart::Hash => elements.push(format!("Hash={}", sha256_hex(der))),
            ForwardedPart::Cert => elements.push(format!("Cert=\"{}\"", percent_encoded_pem(der))),
            ForwardedPart::Subject => {
                elements.extend(certificate.iter().map(|c| format!("Subject={}", quoted(&c.subject()))));
            }
            ForwardedPart::Uri => elements.extend(elements_of("URI", &names.uri)),
            ForwardedPart::Dns => elements.extend(elements_of("DNS", &names.dns)),
        }
    }
    elements.join(";")
}

fn elements_of(key: &str, values: &[String]) -> impl Iterator<Item = String> {
    values.iter().map(move |value| format!("{key}={}", plain(value)))
}

fn sha256_hex(der: &[u8]) -> String {
    digest::digest(&digest::SHA256, der).as_ref().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Envoy encodes what stands outside RFC 3986's unreserved characters.
fn percent_encoded_pem(der: &[u8]) -> String {
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    let base64 = BASE64_STANDARD.encode(der);
    for line in base64.as_bytes().chunks(64) {
        pem.extend(line.iter().map(|byte| char::from(*byte)));
        pem.push('\n');
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem.bytes().fold(String::with_capacity(pem.len() * 5 / 4), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

/// As it is, unless it has one of the characters that separate elements: then in quotes, with those that would end them escaped.
fn plain(text: &str) -> String {
    let separates = |byte: u8| !byte.is_ascii_graphic() || b",;=\"\\".contains(&byte);
    if !text.bytes().any(separates) {
        return text.to_owned();
    }
    quoted(&text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Text in which quotes and backslashes are escaped already, as RFC 4514 does. Bytes outside ASCII are written as its §2.4 allows: a
/// backslash and two hex digits.
fn quoted(escaped: &str) -> String {
    let mut value = String::from("\"");
    for byte in escaped.bytes() {
        match byte {
            b' '..=b'~' => value.push(char::from(byte)),
            _ => {
                let _ = write!(value, "\\{byte:02X}");
            }
        }
    }
    value.push('"');
    value
}
