//! Whatever bytes come: no panic, a head never claims more bytes than there are, what was accepted is accepted again when written
//! anew, and a head cut short is never accepted.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trunkline_http::{Field, HeaderBuffer, Limits, encode, normalise, parse_request};

const LIMITS: Limits = Limits { head_bytes: 4_096, headers: 32, target_bytes: 1_024 };

fuzz_target!(|bytes: &[u8]| {
    let mut storage = HeaderBuffer::new();
    let Ok(Some(head)) = parse_request(bytes, &LIMITS, &mut storage) else { return };
    assert!(head.length <= bytes.len());
    let _ = normalise(head.path);
    let mut cut = HeaderBuffer::new();
    assert!(!matches!(parse_request(&bytes[..head.length - 1], &LIMITS, &mut cut), Ok(Some(_))));
    let mut out = Vec::new();
    out.extend_from_slice(head.method.as_bytes());
    out.push(b' ');
    out.extend_from_slice(head.target.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    encode::headers(&mut out, head.headers, |header| header.field != Field::Host);
    // HTTP/1.0 may leave it out, or have it in an absolute target only.
    let host = if head.authority.is_empty() { "a" } else { head.authority };
    encode::header(&mut out, "Host", host.as_bytes());
    out.extend_from_slice(b"\r\n");
    let mut again = HeaderBuffer::new();
    let roomy = Limits { head_bytes: 16_384, headers: 64, target_bytes: 4_096 };
    if let Err(reject) = parse_request(&out, &roomy, &mut again) {
        panic!("{reject}: {}", out.escape_ascii());
    }
});
