//! OCSP responses to staple (RFC 6960): read once to see that they are for the certificate, say that it is good, and are in date. Their
//! signature is the client's to check.
//!
//! Only the date may be wrong without a refusal: it changes by itself, and must not keep a process from starting.

use x509_cert::der::Decode;
use x509_ocsp::{BasicOcspResponse, CertStatus, OcspResponse, OcspResponseStatus, SingleResponse};

/// Of a response that is right otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Date {
    Current,
    Past,
}

/// Whether this response (DER) is in date, or why it is none for the certificate with this serial number.
pub(crate) fn check(response: &[u8], serial: &[u8], now_unix: u64) -> Result<Date, String> {
    let response = OcspResponse::from_der(response).map_err(|error| unreadable(&error))?;
    if response.response_status != OcspResponseStatus::Successful {
        return Err(format!("the responder did not answer: {:?}", response.response_status));
    }
    let bytes = response.response_bytes.ok_or("is an OCSP response without content")?;
    let basic = BasicOcspResponse::from_der(bytes.response.as_bytes()).map_err(|error| unreadable(&error))?;
    let answer = basic
        .tbs_response_data
        .responses
        .iter()
        .find(|answer| answer.cert_id.serial_number.as_bytes() == serial)
        .ok_or("is for another certificate: no answer has its serial number")?;
    is_good(answer, now_unix)
}

fn is_good(answer: &SingleResponse, now_unix: u64) -> Result<Date, String> {
    match answer.cert_status {
        CertStatus::Good(_) => {}
        CertStatus::Revoked(_) => return Err("says that the certificate is revoked".into()),
        CertStatus::Unknown(_) => return Err("says that the certificate is unknown to its issuer".into()),
    }
    let end = answer.next_update.map(|time| time.0.to_unix_duration().as_secs());
    Ok(if end.is_some_and(|end| end <= now_unix) { Date::Past } else { Date::Current })
}

fn unreadable(error: &x509_cert::der::Error) -> String {
    format!("is no OCSP response in DER: {error}")
}
